"""Leads that do nothing leave their groups on time: on a running worker, after a restart, a move, a long absence."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from agents.leads import leads
from app import topics
from app.connection import client_options
from app.engine.clock import wall_ms
from app.engine.lanes import Engine
from app.engine.metrics import Metric
from app.engine.worker import build, running
from app.rules import loads
from app.settings import Settings
from tests.engine.conftest import NewSettings
from tests.processes import LEADSTREAM, ROOT, environment

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
RULES = """
version: t1
signals: {{view: {{event: page_viewed, points: 10, half_life: {half_life}}}}}
scores: {{engagement: {{signals: all}}, total: {{engagement: 1}}}}
stages: [{{name: new}}, {{name: active, enter: {{score: {{ge: 5}}}}}}]
segments: {{here: {{enter: {{did: page_viewed, within: {window}}}}}}}
"""


class Clock:
    """A wall clock that can be stopped and set; UTC ms."""

    def __init__(self) -> None:
        self._stopped_at: int | None = None
        self._ahead = 0

    def __call__(self) -> int:
        return wall_ms() + self._ahead if self._stopped_at is None else self._stopped_at

    def stop(self, at: int) -> None:
        self._stopped_at = at

    def run_from(self, at: int) -> None:
        self._stopped_at, self._ahead = None, at - wall_ms()

    def shown(self, at: int) -> int:
        """What it shows, while it runs, when the machine's shows `at`."""
        return at + self._ahead


def worker(settings: Settings, clock: Clock, window: str = "3s", half_life: str = "4s") -> Any:
    return build(settings, [leads([loads(RULES.format(window=window, half_life=half_life))])], clock=clock)


async def view(
    settings: Settings, seen: Sequence[tuple[str, int]], topic: str = "events.web", transaction: str | None = None
) -> None:
    """Publish page views of people at times (UTC ms), which are their records' timestamps too."""
    producer = AIOKafkaProducer(**client_options(settings), linger_ms=5, transactional_id=transaction)
    await producer.start()
    try:
        if transaction is not None:
            await producer.begin_transaction()
        for user, at in seen:
            message = {"type": "page", "userId": user, "messageId": f"{user}-{at}", "timestamp": at}
            value = json.dumps({**message, "properties": {"url": "https://shop.example/"}}).encode()
            await producer.send(settings.topic_prefix + topic, value, key=user.encode(), partition=0, timestamp_ms=at)
        await producer.flush()
        if transaction is not None:
            await producer.commit_transaction()
    finally:
        await producer.stop()


class Move:
    """A change of a lead's groups, and when it was sent, by the machine's clock."""

    def __init__(self, value: dict[str, Any], sent_at: int) -> None:
        self.sent_at = sent_at
        self.at = value["at"]
        self.told = (value["cause"]["kind"], value["entered"], value["left"], value["stage"])


async def moves(settings: Settings, user: str) -> list[Move]:
    """Return what was told of a lead's groups, repeats dropped: a worker that takes over sends the last step again."""
    places = [TopicPartition(topics.topics(settings).segments.name, n) for n in range(settings.partitions)]
    found: dict[str, Move] = {}
    async with AIOKafkaConsumer(**client_options(settings), enable_auto_commit=False) as consumer:
        consumer.assign(places)
        for place in places:
            consumer.seek(place, 0)
        while not all([await at_end(consumer, place) for place in places]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    value = json.loads(record.value)
                    if value["lead_id"] == f"user:{user}":
                        found.setdefault(value["id"], Move(value, record.timestamp))
    return list(found.values())


async def at_end(consumer: Any, place: TopicPartition) -> bool:
    end = consumer.highwater(place)
    return end is not None and await consumer.position(place) >= end


async def until(condition: Callable[[], bool], patience_s: float = 60) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def until_taken(engine: Engine, leads: int) -> None:
    """Return when so many due leads were taken, and what followed was sent."""
    lanes = engine.lanes.values()
    await until(lambda: sum(lane.counts["due"] for lane in lanes) >= leads and all(lane.resting for lane in lanes))
    assert sum(lane.counts["due"] for lane in lanes) == leads


async def until_ends_are_known(engine: Engine, settings: Settings) -> None:
    """Return when each lane has heard where its inputs end: the time that this takes is the machine's, not a delay."""
    inputs = [topic.name for topic in topics.topics(settings).inputs]
    await until(lambda: all(engine.highwater(name, q) is not None for q in engine.lanes for name in inputs))


def iso(at: int) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at // 1000))}.{at % 1000:03d}Z"


def assert_on_time(move: Move, at: int, sent_at: int) -> None:
    assert move.at == iso(at)
    assert at + 1_000 <= sent_at, "a second is left for events that are older"
    assert sent_at <= at + 2_000


async def test_a_lead_that_falls_silent_leaves_within_two_seconds(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    clock = Clock()
    async with running(worker(settings, clock)) as engine:
        at = wall_ms()
        await view(settings, [("ada", at)])
        await until_taken(engine, 2)
        assert engine.metrics.histogram(Metric.DUE_LAG).sum >= 2.0
    came, left, fell = await moves(settings, "ada")
    assert came.told == ("event", ["here"], [], "active")
    assert left.told == ("timer", [], ["here"], "active")
    assert_on_time(left, at + 3_000, left.sent_at)
    # 10 points are 5 after a half-life of 4 s, and less a millisecond later.
    assert fell.told == ("timer", [], [], "new")
    assert_on_time(fell, at + 4_001, fell.sent_at)


async def test_the_marker_of_a_transaction_is_no_record_that_is_waited_for(kafka_settings: NewSettings) -> None:
    settings = await kafka_settings(partitions=1)
    async with running(worker(settings, Clock(), half_life="1h")) as engine:
        at = wall_ms()
        await view(settings, [("ada", at)], transaction=f"{settings.app_id}-tracker")
        await until_taken(engine, 1)
        assert engine.highwater(topics.topics(settings).web.name, 0) == 1, "the log ends at 2, the last record before 1"
    _, left = await moves(settings, "ada")
    assert_on_time(left, at + 3_000, left.sent_at)


async def test_a_lead_leaves_on_time_after_a_restart_of_its_worker(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    clock = Clock()
    async with running(worker(settings, clock, "60s", "1h")) as engine:
        at = wall_ms()
        await view(settings, [("ada", at)])
        await until(lambda: all(lane.counts["leads"] == 1 and lane.resting for lane in engine.lanes.values()))
    clock.stop(at + 50 * SECOND)
    async with running(worker(settings, clock, "60s", "1h")) as engine:
        await until_ends_are_known(engine, settings)
        clock.run_from(at + 59 * SECOND)
        await until_taken(engine, 1)
    _, left = await moves(settings, "ada")
    assert left.told == ("timer", [], ["here"], "active")
    assert_on_time(left, at + 60 * SECOND, clock.shown(left.sent_at))


@asynccontextmanager
async def process(settings: Settings, rules: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a worker in a process of its own."""
    own = environment(msgspec.structs.replace(settings, rules=(str(rules),)))
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, *LEADSTREAM, "worker"),
        cwd=ROOT,
        env={**os.environ, **own},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield worker
    finally:
        if worker.returncode is None:
            worker.kill()
        await worker.wait()


async def test_a_lead_leaves_on_time_when_its_partition_has_moved_to_another_worker(
    new_settings: NewSettings, tmp_path: Path
) -> None:
    """Both workers have a partition at first, then the second has both. Bob's moves, now or then.

    The second has none of its rows: it restores them, and when they are due, from the changelog.
    """
    settings = await new_settings(partitions=2)
    other = await new_settings(partitions=2, app_id=settings.app_id, topic_prefix=settings.topic_prefix)
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES.format(window="2m", half_life="1h"))
    clock = Clock()
    async with process(settings, rules) as first:
        at = wall_ms()
        await view(settings, [("bob", at)])
        while len(await moves(settings, "bob")) < 1:
            assert wall_ms() < at + MINUTE, "the first worker does nothing"
        clock.stop(at + MINUTE)
        async with running(worker(other, clock, "2m", "1h")) as second:
            first.terminate()
            await first.wait()
            await until(lambda: second.lanes.keys() == {0, 1})
            await until_ends_are_known(second, settings)
            clock.run_from(at + 119 * SECOND)
            await until_taken(second, 1)
    _, left = await moves(settings, "bob")
    assert left.told == ("timer", [], ["here"], "active")
    assert_on_time(left, at + 120 * SECOND, clock.shown(left.sent_at))


async def test_a_worker_that_was_down_reads_what_it_missed_before_leads_leave(new_settings: NewSettings) -> None:
    """Ada comes back every 20 minutes, which stands in another input than the many events of others; Bob does not."""
    settings = await new_settings(partitions=1)
    clock = Clock()
    at = wall_ms() - 4 * HOUR
    clock.stop(at + MINUTE)
    async with running(worker(settings, clock, "30m", "365d")) as engine:
        await view(settings, [("ada", at), ("bob", at)])
        await until(lambda: all(lane.counts["leads"] == 2 and lane.resting for lane in engine.lanes.values()))
    others = [(f"u{n}", at + MINUTE + n * 2 * HOUR // 2_000) for n in range(2_000)]
    await view(settings, others)
    await view(settings, [("ada", at + n * 20 * MINUTE) for n in range(1, 6)], "events.crm")
    clock.stop(at + 2 * HOUR)
    async with running(worker(settings, clock, "30m", "365d")) as engine:
        # Of the others those leave who were there by 1:29:59; the last second belongs to events on their way.
        gone = sum(1 for _, seen in others if seen <= at + 90 * MINUTE - SECOND)
        await until_taken(engine, gone + 1)
        (came,) = await moves(settings, "ada")
        assert came.told[0] == "event"
        _, left = await moves(settings, "bob")
        assert (left.at, left.told) == (iso(at + 30 * MINUTE), ("timer", [], ["here"], "active"))
        clock.stop(at + 2 * HOUR + 11 * MINUTE)
        await until_taken(engine, gone + 2 + sum(1 for _, seen in others if gone_by(seen, at)))
    _, left = await moves(settings, "ada")
    assert left.at == iso(at + 130 * MINUTE)


def gone_by(seen: int, at: int) -> bool:
    """Whether someone seen then leaves between 2:00 and 2:11."""
    return at + 90 * MINUTE - SECOND < seen <= at + 101 * MINUTE - SECOND
