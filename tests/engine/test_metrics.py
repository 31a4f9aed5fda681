"""What a worker counts and measures, and that it is told as the documents say."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from prometheus_client import generate_latest

from app import topics
from app.domain.identity import owner
from app.domain.reader import Reader
from app.engine.lanes import Engine
from app.engine.meters import Histogram, Meter, Metrics
from app.engine.metrics import Metric
from app.engine.program import Record
from app.engine.web import registry, serving
from app.engine.worker import build, running
from app.leads.program import LeadProgram
from app.rules import load
from app.settings import Settings, describe
from tests.engine.broker_io import publish, read_all
from tests.engine.conftest import NewSettings
from tests.engine.harness import Crash, CrashError, CrashingLog, Station
from tests.engine.scrape import free_port, samples_of, scrape
from tests.engine.test_lane import send_command
from tests.engine.toy import toy, toy_of

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "operations.md"


def page(metrics: Metrics) -> str:
    engine = Engine(Settings())
    engine.metrics = metrics
    return generate_latest(registry(engine)).decode()


# --- the list ---------------------------------------------------------------------------------------------------------


def test_the_documents_list_every_metric_and_none_that_is_not_there() -> None:
    rows = re.findall(
        r"^\| `(leadstream_\w+)(?:\{([a-z, ]+)\})?` \| (\w+) \| (\w+) \| (.+) \|$", DOCS.read_text(), re.M
    )
    assert rows == [
        (metric.value.name, ", ".join(metric.value.labels), metric.value.kind, metric.value.unit, metric.value.help)
        for metric in Metric
    ]
    named = set(re.findall(r"\bleadstream_[a-z_]+", DOCS.read_text()))
    parts = {f"{metric.value.name}_{part}" for metric in Metric for part in ("bucket", "sum", "count")}
    assert named <= {metric.value.name for metric in Metric} | parts


def test_the_documents_list_every_setting_with_its_default_and_none_that_is_not_there() -> None:
    rows = re.findall(r"^\| `LEADSTREAM_(\w+)` \| `?(.*?)`? \| (.+) \|$", DOCS.read_text(), re.M)
    expected = []
    for name, what, default in describe():
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
        expected.append((name.upper(), shown, what))
    assert rows == expected


def test_a_fresh_worker_shows_each_metric_once_and_its_process() -> None:
    told = re.findall(r"^# TYPE (\S+) (\w+)$", page(Metrics()), re.M)
    assert sorted(row for row in told if row[0].startswith("leadstream_")) == sorted(
        (metric.value.name, metric.value.kind) for metric in Metric
    )
    assert ("process_resident_memory_bytes", "gauge") in told


def test_two_workers_in_one_process_count_apart() -> None:
    one, two = Metrics(), Metrics()
    one.add(Metric.REBALANCES)
    assert samples_of(page(one))["leadstream_rebalances_total", ()] == 1
    assert samples_of(page(two))["leadstream_rebalances_total", ()] == 0


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_a_histogram_counts_a_value_in_each_bucket_that_it_is_not_above() -> None:
    histogram = Histogram((1.0, 3.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        histogram.observe(value)
    histogram.observe(2.0, times=3)
    assert histogram.cumulated() == [("1.0", 2), ("3.0", 6), ("+Inf", 7)]
    assert histogram.sum == 18.0


def test_of_a_chunk_one_half_is_as_old_as_its_first_record_and_the_other_as_its_last() -> None:
    meter = Meter()
    meter.arrived(first_ms=1_000, last_ms=3_000, records=5, now_ms=4_000)
    meter.arrived(first_ms=9_000, last_ms=9_000, records=1, now_ms=8_000)
    told = samples_of(page(meter.metrics))
    assert told["leadstream_latency_seconds_count", ()] == 6
    assert told["leadstream_latency_seconds_sum", ()] == 3 * 3.0 + 2 * 1.0, "a clock behind the producer's is no debt"
    assert told["leadstream_latency_seconds_bucket", (("le", "1.0"),)] == 3


def test_a_count_of_a_program_becomes_a_metric_by_its_name() -> None:
    metrics = Metrics()
    for _ in range(2):
        metrics.counted({"read.own.events.web.page_viewed": 3, "rejected": 1, "rejected.no_type": 1, "unheard_of": 7})
    told = samples_of(page(metrics))
    assert told["leadstream_events_total", (("kind", "page_viewed"), ("topic", "own.events.web"))] == 6
    assert told["leadstream_rejected_total", (("reason", "no_type"),)] == 2
    assert len([name for name, _ in told if name == "leadstream_rejected_total"]) == 1


# --- what the leads program counts ------------------------------------------------------------------------------------


class DictRows(dict[bytes, bytes]):
    """The rows of a partition."""

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.get(key) for key in keys]

    def scan(self, prefix: bytes, after: bytes | None = None, limit: int | None = None) -> list[tuple[bytes, bytes]]:
        return sorted((key, row) for key, row in self.items() if key.startswith(prefix) and key > (after or b""))[
            :limit
        ]


def message(user: str, number: int, event: str, **properties: object) -> bytes:
    return json.dumps(
        {
            "type": "track",
            "event": event,
            "messageId": f"{user}-{number}",
            "userId": user,
            "timestamp": f"2026-01-01T00:00:{number:02}Z",
            "properties": properties,
        }
    ).encode()


def test_what_the_leads_program_counts_is_shown() -> None:
    settings = Settings(partitions=2)
    known = topics.topics(settings)
    program = LeadProgram(0, settings, known, {"default": Reader(load(ROOT / "deploy" / "rules" / "default.yaml"))})
    here = next(f"u{n}" for n in range(99) if owner(f"user:u{n}", 2) == 0)
    there = next(f"u{n}" for n in range(99) if owner(f"user:u{n}", 2) == 1)
    values = [
        (known.web.name, message(here, 5, "Product Viewed")),
        (known.web.name, message(here, 5, "Product Viewed")),
        (known.web.name, b"{"),
        (known.web.name, message(there, 1, "Product Viewed")),
        (known.web.name, message(here, 8, "Product Viewed").replace(b"2026-01-01", b"2026-01-02")),
        (known.cart.name, message(here, 9, "Order Completed", order_id="o1", revenue="9.90")),
        (known.crm.name, message(here, 10, "Consent Updated", marketing=True)),
    ]
    records = [Record(topic, 0, at, 1_767_225_600_000, None, value) for at, (topic, value) in enumerate(values)]
    rows = DictRows()
    program.opened(rows)
    metrics = Metrics()
    metrics.counted(program.step(records, rows).counts)
    told = samples_of(page(metrics))

    def labelled(name: str) -> dict[tuple[str, ...], float]:
        return {tuple(value for _, value in labels): count for (of, labels), count in told.items() if of == name}

    assert labelled("leadstream_events_total") == {
        ("product_viewed", "events.web"): 4,
        ("unreadable", "events.web"): 1,
        ("order_completed", "events.cart"): 1,
        ("consent_changed", "events.crm"): 1,
    }
    assert labelled("leadstream_rejected_total") == {("not_json",): 1}
    expected = {"leads": 1, "duplicates": 1, "clamped": 1, "forwarded": 1, "conversions": 1, "revisions": 0}
    for name, count in expected.items():
        assert told[f"leadstream_{name}_total", ()] == count, name
    assert told["leadstream_segment_changes_total", ()] >= 1
    fed = {metric.value.count for metric in Metric}
    assert {name for name in metrics.counts if name.split(".")[0] not in fed} == {"events"}, "the sum of `read`"


# --- a worker ---------------------------------------------------------------------------------------------------------


async def test_a_worker_shows_what_its_lanes_did(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=2, step_records=100)
    settings = msgspec.structs.replace(settings, web_port=free_port())
    known = topics.topics(settings)
    ends = await publish(settings, [(known.web.name, b"k%d" % (n % 30), b"x") for n in range(600)])
    ends |= await publish(settings, [(known.cart.name, b"a", b"fwd:b")] * 7)
    async with running(build(settings, [toy])) as engine, serving(engine) as port:
        await engine.drained(ends)
        told = await scrape(port)
        steps = sum(lane.meta.step for lane in engine.lanes.values())
    assert told["leadstream_step_records_sum", ()] == 600 + 7 + 7, "what is forwarded is taken twice"
    assert (
        told["leadstream_step_records_bucket", (("le", "100.0"),)] == told["leadstream_step_records_count", ()] == steps
    )
    assert told["leadstream_latency_seconds_count", ()] == 614
    assert told["leadstream_latency_seconds_bucket", (("le", "60.0"),)] == 614
    for stage in ("fold", "changelog", "rows"):
        assert told["leadstream_step_seconds_count", (("stage", stage),)] == steps, stage
    assert 0 < told["leadstream_step_seconds_count", (("stage", "outbox"),)] <= steps
    lags = {labels: lag for (name, labels), lag in told.items() if name == "leadstream_lag"}
    assert lags[("partition", "0"), ("topic", known.web.name)] == 0
    assert set(lags.values()) == {0}
    assert told["leadstream_lanes", (("state", "open"),)] == 2
    assert told["leadstream_lanes", (("state", "opening"),)] == 0
    assert told["leadstream_rebalances_total", ()] == 1
    assert told["leadstream_recovery_seconds_count", ()] == 2
    assert told["leadstream_recovered_rows_total", ()] == 0
    assert told["process_resident_memory_bytes", ()] > 10_000_000


async def test_a_worker_that_takes_over_counts_what_it_recovers_and_sends_again(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    ends = await publish(settings, [(topics.topics(settings).web.name, b"a", b"x")] * 10)
    log = CrashingLog(settings)
    log.crash = Crash("before send", 1)
    async with Station(settings, toy_of(settings), log) as station:
        await station.open()
        with pytest.raises(CrashError):
            await station.run(ends)
    rows = len(await read_all(settings, topics.changelog(settings, "leads").name))
    async with Station(
        msgspec.structs.replace(settings, data_dir=settings.data_dir / "empty"), toy_of(settings)
    ) as other:
        await other.open()
        told = samples_of(page(other.lanes[0].meter.metrics))
    assert told["leadstream_outbox_resent_total", ()] == 1, "the tenth count of a"
    assert told["leadstream_recovered_rows_total", ()] == rows == 3, "a marker, the count, the meta row"


class Shortened(Station):
    """A broker that has removed what is below offset 5 of each topic."""

    async def _earliest(self) -> dict[str, int]:
        return dict.fromkeys(self.spec.topics, 5)


async def test_records_that_expired_unread_are_counted_but_not_those_of_before_a_first_start(
    new_settings: NewSettings,
) -> None:
    settings = await new_settings(partitions=1)
    ends = await publish(settings, [(topics.topics(settings).web.name, b"a", b"x")] * 3)
    async with Station(settings, toy_of(settings)) as station:
        await station.open()
        await station.run(ends)
    async with Shortened(settings, toy_of(settings)) as station:
        await station.open()
        told = samples_of(page(station.lanes[0].meter.metrics))
    assert told["leadstream_expired_total", ()] == 2 + 4 * 5, "of web 3 were read; of the four others none"
    async with Shortened(await new_settings(partitions=1), toy_of(settings)) as station:
        await station.open()
        told = samples_of(page(station.lanes[0].meter.metrics))
    assert told["leadstream_expired_total", ()] == 0


async def test_repeats_on_a_channel_are_counted_as_dropped(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    ends = await send_command(settings, f"{settings.app_id}/toy/7", [1, 2, 1, 2, 3])
    async with running(build(settings, [toy])) as engine:
        await engine.drained(ends)
        told = samples_of(page(engine.metrics))
    assert told["leadstream_repeats_dropped_total", ()] == 2
    assert told["leadstream_step_records_sum", ()] == 3
