"""`leadstream replay` as a black box: files in, a folder out, on a real broker with the real worker."""

import asyncio
import collections
import datetime
import json
import random
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient

from app.cli.replay.lines import Input
from app.cli.replay.run import Job
from app.cli.replay.run import replay as run_replay
from app.cli.replay.session import place
from app.cli.shipped import default_rules
from app.cli.traffic import history
from app.rules import load
from app.settings import Settings
from tests.kafka import Kafka
from tests.processes import LEADSTREAM, leadstream

DAY = 86_400_000
END = 1_767_225_600_000  # 2026-01-01T00:00:00Z
NAMES = ("web", "email", "cart", "crm")
FILES = ("segments", "conversions", "profiles", "merged", "rejected", "models")

Record = dict[str, Any]
Files = dict[str, list[bytes]]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def traffic() -> Files:
    """Twenty days of a shop, by input."""
    files: Files = {name: [] for name in NAMES}
    for topic, line in history(seed=11, end_ms=END, days=20, events=1_500):
        files[topic.removeprefix("events.")].append(line)
    return files


@pytest.fixture(scope="module", params=["embedded", "kafka"])
def broker(request: pytest.FixtureRequest) -> str:
    """What `--broker` names: another embedded broker, or Apache Kafka."""
    if request.param == "embedded":
        return str(request.getfixturevalue("embedded"))
    running: Kafka = request.getfixturevalue("kafka")
    return running.address


def write(folder: Path, files: Files) -> list[str]:
    folder.mkdir()
    options = []
    for name, lines in files.items():
        (folder / f"{name}.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
        options += [f"--{name}", str(folder / f"{name}.jsonl")]
    return options


class Out:
    """What a replay wrote."""

    def __init__(self, folder: Path) -> None:
        self.bytes = {file.name: file.read_bytes() for file in folder.iterdir()}
        self.summary: Record = json.loads(self.bytes["summary.json"])

    def __getitem__(self, name: str) -> list[Record]:
        return [json.loads(line) for line in self.bytes[f"{name}.jsonl"].splitlines()]

    def profiles(self) -> dict[tuple[str, str], Record]:
        """Each lead's profile without its number, which depends on what was sent on the way."""
        told = self["profiles"]
        return {(p["brand"], p["lead_id"]): {k: v for k, v in p.items() if k != "seq"} for p in told}

    def credit(self) -> dict[str, tuple[Any, ...]]:
        """Each conversion's credit in its last revision."""
        last = {c["conversion_id"]: c for c in self["conversions"]}  # sorted by revision
        fields = ("lead_id", "goal", "at", "currency", "value_minor", "touches", "credits")
        return {name: tuple(told[field] for field in fields) for name, told in last.items()}


async def replay(folder: Path, options: Iterable[str], broker: str | None, stdin: bytes = b"") -> Out:
    own = [*options, "--out", str(folder), *(["--broker", broker] if broker else [])]
    status, out, error = await leadstream("replay", *own, stdin=stdin)
    assert (status, error) == (0, ""), out + error
    return Out(folder)


def at(line: bytes) -> int:
    try:
        return round(datetime.datetime.fromisoformat(json.loads(line)["timestamp"]).timestamp() * 1000)
    except (ValueError, KeyError, TypeError):
        return -1


def shuffled(lines: list[bytes], chance: random.Random) -> list[bytes]:
    """Each readable line up to 2.9 days later than it should be."""
    known = [line for line in lines if at(line) >= 0]
    return sorted(known, key=lambda line: at(line) + chance.randrange(29 * DAY // 10))


Runs = dict[str, Out]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runs(traffic: Files, broker: str, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Replays of the same history told in different ways, at the same time."""
    home = tmp_path_factory.mktemp("runs")
    chance = random.Random(5)
    dated = {name: [line for line in lines if at(line) >= 0] for name, lines in traffic.items()}
    plain = write(home / "plain", traffic)
    options = {
        "first": plain,
        "again": plain,
        "doubled": write(home / "doubled", {name: [x for x in traffic[name] for _ in "12"] for name in NAMES}),
        "until": [*plain, "--until", "2025-12-20T12:00:00Z"],
        "dated": write(home / "dated", dated),
        "shuffled": [*write(home / "shuffled", {n: shuffled(x, chance) for n, x in dated.items()}), "--as-is"],
    }
    # The first has a broker of its own; the others share one, in topics of their own.
    told = await asyncio.gather(
        *(replay(home / f"out-{name}", own, None if name == "first" else broker) for name, own in options.items())
    )
    return dict(zip(options, told, strict=True))


async def test_two_runs_over_the_same_input_are_equal_byte_for_byte(runs: Runs) -> None:
    one, other = runs["first"], runs["again"]
    assert set(one.bytes) == {*(f"{name}.jsonl" for name in FILES), "insights.json", "summary.json"}
    for name in FILES:
        assert one.bytes[f"{name}.jsonl"] == other.bytes[f"{name}.jsonl"], name
    timing = {"seconds", "events_per_second"}
    assert {k: v for k, v in one.summary.items() if k not in timing} == {
        k: v for k, v in other.summary.items() if k not in timing
    }


async def test_the_summary_counts_what_is_in_the_files(runs: Runs, traffic: Files) -> None:
    out, told = runs["first"], runs["first"].summary
    assert told["events"] == sum(map(len, traffic.values()))
    assert told["rejected"] == len(out["rejected"]) == 10
    assert told["leads"] == len(out["profiles"]) > 100
    assert told["segment_changes"] == len(out["segments"]) > told["leads"]
    assert told["conversions"] == len({c["conversion_id"] for c in out["conversions"]}) > 0
    assert told["conversions"] + told["revisions"] == len(out["conversions"])
    assert out.bytes["merged.jsonl"] == out.bytes["models.jsonl"] == b""
    assert json.loads(out.bytes["insights.json"]) == {}
    assert set(told["not_applied"]) == {"alias", "consent", "erasure"}


async def test_outputs_are_sorted_and_profiles_are_as_of_the_newest_event(runs: Runs, traffic: Files) -> None:
    out = runs["first"]
    segments = [(s["at"], s["brand"], s["lead_id"], s["seq"]) for s in out["segments"]]
    assert segments == sorted(segments)
    conversions = [(c["at"], c["conversion_id"], c["revision"]) for c in out["conversions"]]
    assert conversions == sorted(conversions)
    keys = [f"{p['brand']}/{p['lead_id']}" for p in out["profiles"]]
    assert keys == sorted(set(keys))
    rejected = [(r["input"], r["line"]) for r in out["rejected"]]
    assert rejected == sorted(rejected)
    (as_of,) = {p["at"] for p in out["profiles"]}
    newest = max(at(line) for lines in traffic.values() for line in lines)
    assert datetime.datetime.fromisoformat(as_of).timestamp() * 1000 == newest


async def test_the_changes_of_a_lead_add_up_to_its_profile(runs: Runs) -> None:
    out = runs["first"]
    groups: dict[tuple[str, str], set[str]] = collections.defaultdict(set)
    stages: dict[tuple[str, str], str] = {}
    for change in out["segments"]:
        lead = (change["brand"], change["lead_id"])
        assert change["previous_stage"] == stages.get(lead)
        groups[lead] = (groups[lead] - set(change["left"])) | set(change["entered"])
        stages[lead] = change["stage"]
        assert sorted(groups[lead]) == change["segments"]
    told = out.profiles()
    assert {lead: profile["stage"] for lead, profile in told.items()} == stages
    assert {lead: set(profile["segments"]) for lead, profile in told.items()} == {lead: groups[lead] for lead in told}


async def test_each_models_credit_is_exactly_the_value(runs: Runs) -> None:
    for told in runs["first"]["conversions"]:
        for model, shares in told["credits"].items():
            assert sum(shares) == told["value_minor"], (told["conversion_id"], model)
            assert len(shares) == max(1, len(told["touches"]))


async def test_a_rejected_line_is_told_with_its_file_and_line(runs: Runs, traffic: Files) -> None:
    for told in runs["first"]["rejected"]:
        name = Path(told["input"]).stem
        assert told["topic"] == f"events.{name}"
        assert told["raw"].encode() == traffic[name][told["line"] - 1]


async def test_a_message_sent_twice_counts_once(runs: Runs, traffic: Files) -> None:
    plain, doubled = runs["first"], runs["doubled"]
    for name in ("segments", "conversions", "profiles"):
        assert doubled[name] == plain[name], name
    events, rejected = plain.summary["events"], plain.summary["rejected"]
    assert doubled.summary["events"] == 2 * events
    assert doubled.summary["rejected"] == 2 * rejected
    # Of each pair one more is a duplicate than before.
    assert doubled.summary["duplicates"] == plain.summary["duplicates"] + events - rejected


async def test_what_comes_after_until_is_left_out_and_leads_are_seen_as_of_then(runs: Runs, traffic: Files) -> None:
    until = 1_766_232_000_000  # 2025-12-20T12:00:00Z
    out = runs["until"]
    assert {p["at"] for p in out["profiles"]} == {"2025-12-20T12:00:00.000Z"}
    assert max(s["at"] for s in out["segments"]) <= "2025-12-20T12:00:00.000Z"
    before = [s for s in runs["first"]["segments"] if s["at"] <= "2025-12-20T12:00:00.000Z"]
    assert out["segments"] == before
    known = sum(0 <= at(line) <= until for lines in traffic.values() for line in lines)
    assert known <= out.summary["events"] < runs["first"].summary["events"]


async def test_lines_in_any_order_within_three_days_lead_to_the_same_leads_and_credit(runs: Runs) -> None:
    in_order, as_is = runs["dated"], runs["shuffled"]
    assert as_is.summary["events"] == in_order.summary["events"]
    assert as_is.summary["late"] > 0
    assert as_is.profiles() == in_order.profiles()
    assert as_is.credit() == in_order.credit()


async def test_every_kind_of_bad_input_is_rejected_and_never_stops_the_replay(broker: str, tmp_path: Path) -> None:
    good = {"type": "page", "userId": "u1", "messageId": "m1", "timestamp": "2026-01-01T10:00:00Z"}

    def line(**changes: Any) -> bytes:
        return json.dumps({k: v for k, v in {**good, **changes}.items() if v is not None}).encode()

    order = {"type": "track", "event": "Order Completed", "properties": {"order_id": "1", "total": "-3"}}
    web = {
        line(): None,
        b"": "not_json",
        b"\xff\xfe\x00": "not_json",
        b"null": "not_json",
        b"NaN": "not_json",
        b"[1]": "not_object",
        line(type="visit"): "bad_field",
        line(type=None): "no_type",
        line(userId="null", messageId="m2"): "no_identifier",
        line(timestamp="then"): "bad_timestamp",
        line(timestamp="1989-12-31T00:00:00Z"): "bad_timestamp",
        line(**order): "bad_amount",
        line(messageId="x" * 1_000_000): "too_large",
        b'"' + b"y" * 5_000_000 + b'"': "too_large",
        b"z" * 9_000_000: "too_large",
        line(messageId="m3", timestamp="2026-01-01T10:05:00Z"): None,
        line(messageId="m4", timestamp="2026-01-01T18:00:00Z", receivedAt="2026-01-01T10:04:00Z"): None,
    }
    out = await replay(tmp_path / "out", ["--web", "-"], broker, stdin=b"".join(text + b"\n" for text in web))
    expected = [("-", number, reason) for number, reason in enumerate(web.values(), start=1) if reason]
    assert [(r["input"], r["line"], r["reason"]) for r in out["rejected"]] == expected
    by_line = {told["line"]: told for told in out["rejected"]}
    assert by_line[3]["raw_base64"] is True
    assert by_line[14]["raw_bytes"] == 5_000_002
    assert len(by_line[14]["raw"]) == 262_144
    assert out.summary["events"] == len(web)
    assert out.summary["clamped"] == 1
    (lead,) = out["profiles"]
    assert (lead["lead_id"], lead["at"], lead["sessions"]) == ("user:u1", "2026-01-01T10:05:00.000Z", 1)


async def test_without_a_single_event_there_are_empty_results(broker: str, tmp_path: Path) -> None:
    empty = tmp_path / "web.jsonl"
    empty.write_bytes(b"")
    out = await replay(tmp_path / "out", ["--web", str(empty)], broker)
    assert out.summary["events"] == out.summary["leads"] == 0
    assert out.bytes["profiles.jsonl"] == b""


def story(*told: tuple[str, dict[str, Any]]) -> bytes:
    """Events of one user: (time, fields)."""
    lines = [
        {"type": "track", "userId": "u1", "messageId": f"m{number}", "timestamp": time, **fields}
        for number, (time, fields) in enumerate(told)
    ]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


async def test_a_refund_that_comes_late_lessens_the_conversion_of_its_order(broker: str, tmp_path: Path) -> None:
    order = {"event": "Order Completed", "properties": {"order_id": "o1", "revenue": 80, "currency": "EUR"}}
    refund = {"event": "Order Refunded", "properties": {"order_id": "o1", "revenue": 30, "currency": "EUR"}}
    cart = tmp_path / "cart.jsonl"
    cart.write_bytes(
        story(
            ("2026-01-01T10:00:00Z", order),
            ("2026-01-11T12:00:00Z", {"event": "Product Viewed", "properties": {"product_id": "p1"}}),
            ("2026-01-11T10:00:00Z", refund),
        )
    )
    out = await replay(tmp_path / "out", ["--cart", str(cart), "--as-is"], broker)
    assert [(c["value_minor"], c["cause"]) for c in out["conversions"]] == [(8000, "conversion"), (5000, "refund")]
    (lead,) = out["profiles"]
    assert lead["revenue"] == [{"currency": "EUR", "minor": 5000}]


async def test_where_slices_are_cut_changes_nothing_that_is_told(
    runs: Runs, traffic: Files, broker: str, tmp_path: Path
) -> None:
    inputs = []
    for name, lines in traffic.items():
        file = tmp_path / f"{name}.jsonl"
        file.write_bytes(b"".join(line + b"\n" for line in lines))
        inputs.append(Input(str(file), f"events.{name}"))
    job = Job(inputs=inputs, rules=[load(default_rules())], out=tmp_path / "out", broker=broker, most=100)
    await run_replay(job, Settings(), lambda done, total: None)
    cut, whole = Out(tmp_path / "out"), runs["first"]

    def changes(out: Out) -> list[Record]:
        told = [{k: v for k, v in change.items() if k != "seq"} for change in out["segments"]]
        return sorted(told, key=lambda change: (change["at"], change["lead_id"]))

    assert changes(cut) == changes(whole)
    assert cut["conversions"] == whole["conversions"]
    assert cut.profiles() == whole.profiles()


async def test_nothing_is_left_behind(broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    line = story(("2026-01-01T10:00:00Z", {"event": "Product Viewed"}))
    await replay(tmp_path / "embedded", ["--web", "-"], None, stdin=line)
    await replay(tmp_path / "shared", ["--web", "-"], broker, stdin=line)
    assert list((tmp_path / "tmp").iterdir()) == []
    assert sorted(file.name for file in (tmp_path / "shared").iterdir()) == sorted(
        [*(f"{name}.jsonl" for name in FILES), "insights.json", "summary.json"]
    )
    client = AIOKafkaAdminClient(bootstrap_servers=broker)
    await client.start()
    try:
        assert [name for name in await client.list_topics() if name.startswith("replay-")] == []
    finally:
        await client.close()


async def test_a_replay_has_no_transactions_and_no_name_in_the_group_whatever_workers_have(broker: str) -> None:
    workers = Settings(processing_guarantee="exactly_once", instance_id="one")
    async with place(workers, broker, lambda *_: None) as own:
        assert (own.settings.processing_guarantee, own.settings.instance_id) == ("at_least_once", "")


async def test_an_interrupted_replay_cleans_up_and_writes_nothing(
    traffic: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    options = write(tmp_path / "in", traffic)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *LEADSTREAM, "replay", *options, "--out", str(tmp_path / "out")),
        stderr=asyncio.subprocess.PIPE,
    )
    while not any((tmp_path / "tmp").glob("leadstream-data-*/*")):  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.05)
    process.terminate()
    _, error = await process.communicate()
    assert process.returncode == 130, error
    assert list((tmp_path / "tmp").iterdir()) == []
    assert list((tmp_path / "out").iterdir()) == []
