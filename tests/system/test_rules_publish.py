"""`leadstream rules publish` and `leadstream rules diff`, as their users run them."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from app import topics
from app.cli.main import cli
from app.embedded import EmbeddedBroker, settings_for
from app.settings import Settings
from tests.engine.broker_io import publish, read_all
from tests.processes import LEADSTREAM, ROOT, environment, leadstream

RULES = """
version: {version}
currency: EUR
rates: rates.csv
signals:
  view: {{event: page_viewed, points: {points}, half_life: 1d}}
  order: {{event: order_completed, points: 5}}
scores: {{engagement: {{signals: all}}, total: {{engagement: 1}}}}
stages: [{{name: new}}, {{name: hot, enter: {{score: {{ge: 20}}}}}}, {{name: customer, enter: {{orders: {{ge: 1}}}}}}]
segments: {{lookers: {{enter: {{score: {{ge: {lookers}}}}}}}}}
"""


def rules(folder: Path, name: str, points: int = 10, lookers: int = 10) -> str:
    (folder / "rates.csv").write_text("date,currency,rate\n2026-01-01,USD,0.9\n")
    (folder / f"{name}.yaml").write_text(RULES.format(version=name, points=points, lookers=lookers))
    return str(folder / f"{name}.yaml")


async def changes(settings: Settings, count: int) -> list[dict[str, Any]]:
    """Return the changes of groups when there are so many."""
    deadline = time.monotonic() + 60
    while True:
        found = [
            orjson.loads(one.value or b"") for one in await read_all(settings, topics.topics(settings).segments.name)
        ]
        if len(found) >= count or time.monotonic() > deadline:
            return found
        await asyncio.sleep(0.1)


async def test_a_version_is_published_to_a_worker_that_runs(tmp_path: Path) -> None:
    first, second = rules(tmp_path, "v1", lookers=15), rules(tmp_path, "v2", points=30, lookers=15)
    async with EmbeddedBroker() as broker:
        settings = settings_for(broker.address, data_dir=tmp_path / "data", partitions=2)
        await topics.create(settings)
        env = environment(settings)
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, *LEADSTREAM, "worker", "--rules", first),
            cwd=ROOT,
            env={**os.environ, **env},
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            message = {"type": "page", "userId": "ada", "messageId": "m1"}
            await publish(settings, [("events.web", b"ada", json.dumps(message).encode())])
            (came,) = await changes(settings, 1)
            assert (came["rules_version"], came["stage"]) == ("v1", "new")

            wrong = tmp_path / "wrong.yaml"
            wrong.write_text(RULES.format(version="v2", points="many", lookers=1))
            status, out, error = await leadstream("rules", "publish", str(wrong), env=env)
            assert (status, out) == (1, "")
            assert 'wrong.yaml:6:38: signals.view.points: found text "many"' in error
            assert not await read_all(settings, "rules")
            assert not await read_all(settings, "leads.commands")

            status, out, error = await leadstream("rules", "publish", second, env=env)
            assert (status, error) == (0, "")
            assert out.startswith("brand default: version v2 published, the brand's first; 2 lanes were told.")
            _, followed = await changes(settings, 2)
            assert (followed["cause"], followed["rules_version"]) == ({"kind": "rules"}, "v2")
            assert (followed["stage"], followed["segments"]) == ("hot", ["lookers"])

            status, out, _ = await leadstream("rules", "publish", second, env=env)
            assert (status, "version v2 was published already" in out) == (0, True)
            rules(tmp_path, "v2", points=1)
            status, _, error = await leadstream("rules", "publish", second, env=env)
            assert (status, "version v2 was published before with other content" in error) == (1, True)
            (record,) = await read_all(settings, "rules")
            assert orjson.loads(record.value or b"")["rates"] == "date,currency,rate\n2026-01-01,USD,0.9\n"
        finally:
            worker.terminate()
            _, log = await worker.communicate()
        assert worker.returncode == 0, log.decode()

        again = await asyncio.create_subprocess_exec(
            *(sys.executable, *LEADSTREAM, "worker", "--rules", first),
            cwd=ROOT,
            env={**os.environ, **env},
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            message = {"type": "page", "userId": "bob", "messageId": "m2"}
            await publish(settings, [("events.web", b"bob", json.dumps(message).encode())])
            found = await changes(settings, 3)
            assert [one["rules_version"] for one in found if one["lead_id"] == "user:bob"] == ["v2"]
        finally:
            again.terminate()
            _, log = await again.communicate()
        told = [line for line in log.decode().splitlines() if "the file" in line]
        assert len(told) == 1
        assert told[0].endswith("the published rules hold, version v2; the file, version v1, is not used")


# --- who would move ---------------------------------------------------------------------------------------------------


def files(folder: Path) -> tuple[str, ...]:
    def told(user: str, number: int, at: str, **more: Any) -> str:
        message = {"type": "page", "userId": user, "messageId": f"{user}{number}", "timestamp": at, **more}
        return json.dumps(message) + "\n"

    web = [
        told("ada", 1, "2026-01-01T00:00:00Z"),
        told("ada", 2, "2026-01-01T00:00:00Z"),
        told("bob", 1, "2026-01-01T00:00:00Z"),
        told("cy", 1, "2026-01-02T00:00:00Z"),
        told("dot", 1, "2026-01-02T00:00:00Z", context={"brand": "north"}),
        "no event\n",
    ]
    order = told("eve", 1, "2026-01-02T00:00:00Z", type="track", event="Order Completed", properties={"total": "9"})
    (folder / "web.jsonl").write_text("".join(web))
    (folder / "cart.jsonl").write_text(order)
    return ("--web", str(folder / "web.jsonl"), "--cart", str(folder / "cart.jsonl"))


def diff(*arguments: str) -> dict[str, Any]:
    told = CliRunner().invoke(cli, ("rules", "diff", *arguments, "--json"))
    assert told.exit_code == 0, told.output
    found: dict[str, Any] = json.loads(told.output)
    return found


def test_a_comparison_tells_who_would_move(tmp_path: Path) -> None:
    # By now ada has 2 views worth half, bob one, cy one that is fresh, eve an order.
    told = diff(rules(tmp_path, "v1"), rules(tmp_path, "v2", points=20, lookers=15), *files(tmp_path))
    assert told["moves"] == [
        {
            "brand": "default",
            "lead_id": lead,
            "stage": ["new", stage],
            "entered": [],
            "left": [],
            "score": [10.0, 20.0],
        }
        for lead, stage in (("user:ada", "hot"), ("user:cy", "hot"))
    ]
    assert told["stages"] == [{"from": "new", "to": "hot", "leads": 2}]
    assert told["segments"] == []
    assert told["scores"] == {"up": 3, "down": 0, "same": 1}
    assert (told["leads"], told["moved"], told["old"], told["new"]) == (4, 2, "v1", "v2")
    assert told["at"] == "2026-01-02T00:00:00.000Z"


def test_a_comparison_is_of_the_time_and_the_brands_that_are_asked_for(tmp_path: Path) -> None:
    old, new = rules(tmp_path, "v1"), rules(tmp_path, "v2", points=20)
    told = diff(old, new, *files(tmp_path), "--until", "2026-01-01T00:00:00Z")
    # 20 and 10 points become 40 and 20.
    assert [(move["lead_id"], move["stage"], move["score"]) for move in told["moves"]] == [
        ("user:bob", ["new", "hot"], [10.0, 20.0])
    ]
    told = diff(old, new, *files(tmp_path), "--brand", "north")
    assert [(move["brand"], move["lead_id"]) for move in told["moves"]] == [("north", "user:dot")]


def test_what_moves_at_once_and_what_would_have_moved_from_the_start_may_differ(tmp_path: Path) -> None:
    old = rules(tmp_path, "v1")
    new = Path(rules(tmp_path, "v2"))
    new.write_text(new.read_text().replace("half_life: 1d", "half_life: 30d"))
    assert diff(old, str(new), *files(tmp_path), "--at-once")["moved"] == 0, "it fades on as it did"
    # From the start: two views are 20 · 2^(−1/30), one is half of that, below the 10 of the lookers.
    assert diff(old, str(new), *files(tmp_path))["scores"] == {"up": 2, "down": 0, "same": 2}
    more = rules(tmp_path, "v3", points=20, lookers=15)
    assert [move["lead_id"] for move in diff(old, more, *files(tmp_path), "--at-once")["moves"]] == [
        "user:ada",
        "user:cy",
    ]


def test_a_comparison_is_shown_as_tables_and_cut(tmp_path: Path) -> None:
    old, new = rules(tmp_path, "v1"), rules(tmp_path, "v2", points=20, lookers=15)
    web = tmp_path / "many.jsonl"
    at = "2026-01-01T00:00:00Z"
    web.write_text(
        "".join(
            json.dumps({"type": "page", "userId": f"u{n:02}", "messageId": f"{n}", "timestamp": at}) + "\n"
            for n in range(23)
        )
    )
    shown = CliRunner().invoke(cli, ("rules", "diff", old, new, "--web", str(web))).output
    assert "rules v1 → v2, as of 2026-01-01T00:00:00.000Z: 23 of 23 leads change stage or segments" in shown
    assert "scores: 23 higher, 0 lower, 0 the same" in shown
    assert "and 3 more: --all shows them" in shown
    assert shown.count("new → hot") == 20
    whole = CliRunner().invoke(cli, ("rules", "diff", old, new, "--web", str(web), "--all")).output
    assert whole.count("new → hot") == 23


@pytest.mark.parametrize("missing", ["events", "brand"])
def test_what_cannot_be_compared_is_said(tmp_path: Path, missing: str) -> None:
    old, new = rules(tmp_path, "v1"), rules(tmp_path, "v2")
    if missing == "brand":
        Path(new).write_text(Path(new).read_text() + "brand: north\n")
    told = CliRunner().invoke(cli, ("rules", "diff", old, new, *(files(tmp_path) if missing == "brand" else ())))
    assert told.exit_code == 2
    assert ("rules of different brands: default and north" if missing == "brand" else "no events") in told.output
