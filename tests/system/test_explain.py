"""`leadstream explain` as a marketer uses it: asked of workers, and worked out from files."""

import asyncio
import contextlib
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from click.testing import CliRunner

from app import topics
from app.cli.explain.words import missing, need
from app.cli.main import cli
from app.cli.traffic import history
from app.domain.identity import owner
from app.embedded import EmbeddedBroker, settings_for
from app.settings import Settings
from tests.engine.broker_io import publish
from tests.engine.scrape import free_port, health
from tests.processes import LEADSTREAM, ROOT, environment, leadstream

RULES = ROOT / "tests" / "rules" / "shop.yaml"
END = 1_767_225_600_000  # 2026-01-01T00:00:00Z


# --- from files -------------------------------------------------------------------------------------------------------


async def test_files_are_explained_as_a_replay_leaves_the_lead(tmp_path: Path) -> None:
    options = []
    lines: dict[str, list[bytes]] = {}
    for topic, line in history(seed=5, end_ms=END, days=30, events=1_200):
        lines.setdefault(topic.removeprefix("events."), []).append(line)
    for name, told in lines.items():
        (tmp_path / f"{name}.jsonl").write_bytes(b"".join(line + b"\n" for line in told))
        options += [f"--{name}", str(tmp_path / f"{name}.jsonl")]
    options += ["--rules", str(RULES)]
    status, _, error = await leadstream("replay", *options, "--until", "2025-12-30T12:00:00Z", "--out", f"{tmp_path}/o")
    assert status == 0, error
    profiles = [json.loads(line) for line in (tmp_path / "o" / "profiles.jsonl").read_bytes().splitlines()]
    profile = max(profiles, key=lambda one: one["score"])
    asked = (profile["lead_id"], *options, "--at", "2025-12-30T12:00:00Z")
    status, out, error = await leadstream("explain", *asked, "--json")
    assert status == 0, error
    told = json.loads(out)
    same = ("at", "lead_id", "stage", "segments", "score", "grade", "cools_at", "next_change_at", "rules_version")
    assert {name: told[name] for name in same} == {name: profile[name] for name in same}
    scores = {one["score"]: one["value"] for one in told["scores"]}
    assert scores == {**profile["scores"], "fit": profile["fit"], "score": profile["score"]}
    for one in told["scores"]:
        assert round(sum(line["points"] for line in one["signals"] + one["lines"]), 6) == one["value"]
    status, out, error = await leadstream("explain", *asked)
    assert status == 0, error
    assert f"default/{profile['lead_id']} at 2025-12-30T12:00:00.000Z" in out
    assert f"\nengagement: {profile['engagement']:.2f} points\n" in out
    assert f"stage {profile['stage']}" in out


async def test_a_lead_that_is_in_no_file_is_told_in_a_line(tmp_path: Path) -> None:
    file = tmp_path / "web.jsonl"
    file.write_text('{"type":"page","userId":"u1","timestamp":"2026-01-01T10:00:00Z"}\n')
    assert await leadstream("explain", "u2", "--web", str(file)) == (1, "", "Error: no lead u2\n")


DOC = (ROOT / "docs" / "explain.md").read_text(encoding="utf-8")


async def test_the_example_of_the_documentation_is_what_comes_out(tmp_path: Path) -> None:
    files = re.findall(r"^```\w+ ([\w.]+)\n(.*?)^```", DOC, re.DOTALL | re.MULTILINE)
    assert [name for name, _ in files] == ["rules.yaml", "web.jsonl"]
    for name, text in files:
        (tmp_path / name).write_text(text)
    ((command, shown),) = re.findall(r"^```console\n\$ leadstream (.*?)\n(.*?)^```", DOC, re.DOTALL | re.MULTILINE)
    status, out, error = await leadstream(*command.split(), home=tmp_path)
    assert (status, error) == (0, "")
    assert out == shown
    _, out, _ = await leadstream(*command.split(), "--json", home=tmp_path)
    undocumented = {key for key in keys_of(json.loads(out)) if f"`{key}`" not in DOC}
    assert undocumented == set()


def keys_of(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*(keys_of(below) for below in value.values()))
    return set().union(*(keys_of(below) for below in value)) if isinstance(value, list) else set()


# --- from workers -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def workers(settings: Settings, home: Path, count: int, **env: str) -> AsyncIterator[list[int]]:
    """Worker processes that share the partitions; yields their ports when each has its share."""
    ports = [free_port() for _ in range(count)]
    processes = []
    async with contextlib.AsyncExitStack() as stack:
        for port in ports:
            own = msgspec.structs.replace(settings, data_dir=home / str(port), web_port=port)
            said = stack.enter_context((home / f"{port}.log").open("wb"))
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, *LEADSTREAM, "worker", "--rules", str(RULES)),
                cwd=ROOT,
                env={**os.environ, **environment(own), **env},
                stderr=said,
            )
            processes.append(process)
            stack.push_async_callback(_ended, process)
        async with asyncio.timeout(90):
            while [await _open_lanes(port) for port in ports] != [settings.partitions // count] * count:
                assert all(process.returncode is None for process in processes)
                await asyncio.sleep(0.2)
        yield ports


async def _open_lanes(port: int) -> int:
    with contextlib.suppress(aiohttp.ClientError):
        status, told = await health(port, "ready")
        return int(told["lanes"]["open"]) if status == 200 else 0
    return 0


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(20):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def page(user: str, number: int, at: int) -> bytes:
    message = {
        "type": "page",
        "userId": user,
        "messageId": f"{user}-{number}",
        "timestamp": at,
        "context": {"page": {"path": "/pricing", "url": "https://shop.example/pricing"}},
    }
    return json.dumps(message).encode()


async def test_the_worker_that_has_the_lead_is_found_among_those_that_are_asked(tmp_path: Path) -> None:
    users = [next(f"u{n}" for n in range(99) if owner(f"user:u{n}", 4) == partition) for partition in range(4)]
    now = time.time_ns() // 1_000_000
    async with EmbeddedBroker() as broker:
        settings = settings_for(broker.address, app_id="x", topic_prefix="x.", data_dir=tmp_path, partitions=4)
        await topics.create(settings)
        async with workers(settings, tmp_path, 2, LEADSTREAM_WEB_TOKEN="hush") as ports:
            told = [("x.events.web", user.encode(), page(user, n, now + n)) for user in users for n in range(3)]
            await publish(settings, told)
            urls = [f"http://127.0.0.1:{port}" for port in ports]
            both, hush = ("--worker", urls[0], "--worker", urls[1]), {"LEADSTREAM_WEB_TOKEN": "hush"}
            async with asyncio.timeout(30):
                while True:
                    status, _, _ = await leadstream("explain", users[3], *both, "--json", env=hush)
                    if status == 0:
                        break
            elsewhere = 0
            for user in users:
                status, out, error = await leadstream("explain", user, *both, "--json", env=hush)
                assert status == 0, error
                body = json.loads(out)
                (pricing,) = [s for s in body["scores"][0]["signals"] if s["signal"] == "pricing_view"]
                assert (body["lead_id"], pricing["count"], pricing["raw_points"]) == (f"user:{user}", 3, 18)
                status, _, error = await leadstream("explain", f"user:{user}", "--worker", urls[0], env=hush)
                if status:
                    elsewhere += 1
                    assert f"it would be on partition {owner(f'user:{user}', 4)}. Partitions" in error
                    assert error.endswith("are on other workers: name them with --worker\n")
            assert elsewhere == 2
            status, _, error = await leadstream("explain", "nobody", *both, env=hush)
            assert (status, error) == (1, "Error: no lead nobody: all 4 partitions were looked through\n")
            status, _, error = await leadstream("explain", users[0], *both)
            assert status == 1
            assert "this worker asks for its web_token" in error
            status, out, error = await leadstream(
                "explain", users[0], env={**hush, "LEADSTREAM_WEB_PORT": str(ports[0])}
            )
            assert ("next stage:" in out) is (status == 0)


async def test_a_worker_that_does_not_answer_is_named() -> None:
    port = free_port()
    status, _, error = await leadstream("explain", "u1", "--worker", f"127.0.0.1:{port}")
    assert status == 1
    assert error.startswith(f"Error: http://127.0.0.1:{port}/leads/explain: Cannot connect to host")


def test_mistakes_in_the_options_are_told(tmp_path: Path) -> None:
    file = tmp_path / "web.jsonl"
    file.write_text("{}\n")
    mistakes = {
        ("explain",): "Missing argument 'LEAD'",
        ("explain", "u1"): "no worker to ask: give --worker URL",
        ("explain", "u1", "--web", str(file), "--worker", "http://x"): "either --worker or files",
        ("explain", "u1", "--worker", "http://x", "--rules", str(RULES)): "--rules goes with files",
        ("explain", "u1", "--worker", "http://x", "--at", "soon"): "'soon' is no time such as",
    }
    for arguments, expected in mistakes.items():
        told = CliRunner().invoke(cli, arguments)
        assert told.exit_code == 2, arguments
        assert expected in told.output, arguments


# --- words ------------------------------------------------------------------------------------------------------------


def lack(of: str, amount: float | None = None, unit: str | None = None, way: str | None = "more", **rest: Any) -> Any:
    return {"of": of, "amount": amount, "unit": unit, "way": way, "when": None, "wanted": None, "by": [], **rest}


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (lack("service", 6.2801, "points"), "6.29 points more of service"),
        (lack("fit", 1, "points"), "1 point more of fit"),
        (
            lack("score", 5, "points", by=[{"score": "engagement", "amount": 6.25, "unit": "points"}]),
            "5 points more of score (6.25 points of engagement)",
        ),
        (lack("view", 2, "occurrences", when="within 7d"), "2 more view within 7d"),
        (lack("view", 3, "occurrences", "less"), "view 3 times too often"),
        (lack("orders", 1, "orders"), "1 order more"),
        (lack("revenue", 99.5, "EUR"), "99.5 EUR more of revenue"),
        (lack("time without view", 90_061, "seconds"), "1d 1h more time without view"),
        (lack("trait country", way=None, wanted="is ua"), "trait country is ua"),
        (lack("known", way=None, wanted="a user id"), "a user id"),
    ],
)
def test_what_is_missing_in_words(one: Any, words: str) -> None:
    assert need(one) == words


def test_what_is_missing_to_a_composition_is_joined_by_what_it_takes() -> None:
    def leaf(*needs: Any, holds: bool = False, changes_at: str | None = None) -> dict[str, Any]:
        return {"holds": holds, "wanted": True, "missing": list(needs), "changes_at": changes_at}

    either = {
        "holds": False,
        "wanted": True,
        "needs": "one",
        "parts": [leaf(lack("a", 1, "occurrences")), leaf(changes_at="2026-01-01T00:00:00.000Z"), leaf()],
    }
    every = {
        "holds": False,
        "wanted": True,
        "needs": "all",
        "parts": [either, leaf(holds=True), leaf(lack("b", 2, "orders"))],
    }
    assert missing(either) == "1 more a or nothing but time or out of reach"
    assert missing(every) == "(1 more a or nothing but time or out of reach) and 2 orders more of b"
    assert missing({**every, "holds": True}) == ""
    assert missing(None) == ""
