"""A lane's inputs come abreast: what happened at one time is processed together, however far each topic is read."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from app import topics
from app.engine import abreast
from app.engine.inbox import Chunk
from app.engine.program import Record, Rows, Step
from app.engine.worker import Agents, Builder, build, running
from app.settings import Settings
from tests.engine.broker_io import Ends
from tests.engine.conftest import NewSettings
from tests.engine.harness import Station
from tests.engine.test_lane_steps import until
from tests.engine.toy import Toy, toy

START = 1_700_000_000_000
"""UTC ms of the first record."""
MINUTE = 60_000


class Watching(Toy):
    """Counts as the toy does, and the records that are older than one of an earlier step."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.newest = 0
        self.late = 0

    def step(self, records: Sequence[Record], rows: Rows) -> Step:
        self.late += sum(record.timestamp < self.newest for record in records)
        self.newest = max(self.newest, *(record.timestamp for record in records))
        return super().step(records, rows)


def watched_by(program: Watching) -> Agents:
    def declare(builder: Builder, settings: Settings) -> None:
        builder.lane_agent("toy", builder.topics.inputs, lambda _: program, table="leads")

    return declare


async def publish_every(settings: Settings, every_ms: dict[str, int], hours: int) -> Ends:
    """Publish records of some hours to topics, one every so many ms."""
    ends: Ends = {}
    producer = AIOKafkaProducer(bootstrap_servers=list(settings.brokers), linger_ms=5)
    await producer.start()
    try:
        for topic, gap in every_ms.items():
            times = range(START, START + hours * 60 * MINUTE, gap)
            sent = [await producer.send(topic, b"x", b"a", partition=0, timestamp_ms=at) for at in times]
            ends[topic, 0] = (await asyncio.gather(*sent))[-1].offset + 1
    finally:
        await producer.stop()
    return ends


async def test_a_backlog_of_several_inputs_is_processed_in_the_order_of_its_timestamps(
    new_settings: NewSettings,
) -> None:
    settings = await new_settings(partitions=1, step_records=200)
    known = topics.topics(settings)
    # 7,200 + 720 + 288 records: read topic after topic, nine tenths of one would come after all of another.
    ends = await publish_every(
        settings, {known.web.name: MINUTE // 5, known.email.name: 2 * MINUTE, known.cart.name: 5 * MINUTE}, hours=24
    )
    program = Watching(settings)
    async with running(build(settings, [watched_by(program)])) as engine:
        await engine.drained(ends)
        counted = engine.lanes[0].counts["records"]
    assert counted == sum(ends.values()) == 7_200 + 720 + 288
    # On a busy machine a fetch may take longer than a lane waits.
    assert program.late < 100


async def test_records_of_a_transaction_that_is_under_way_hold_nobody_up(
    kafka_settings: NewSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(abreast, "PATIENCE_S", 120.0)
    settings = await kafka_settings(partitions=1)
    known = topics.topics(settings)
    producer = AIOKafkaProducer(bootstrap_servers=list(settings.brokers), transactional_id="slow")
    await producer.start()
    try:
        # One that ended leaves a marker, behind which the next one begins.
        await producer.begin_transaction()
        await producer.send_and_wait(known.email.name, b"x", b"a", partition=0, timestamp_ms=START)
        await producer.commit_transaction()
        await producer.begin_transaction()
        await producer.send_and_wait(known.email.name, b"x", b"a", partition=0, timestamp_ms=START)
        async with running(build(settings, [toy])) as engine, asyncio.timeout(60):
            await engine.drained({(known.email.name, 0): 1})
            for count in (1, 2):
                ends = await publish_every(settings, {known.web.name: 60 * MINUTE}, hours=1)
                assert ends == {(known.web.name, 0): count}
                await engine.drained(ends)
        await producer.abort_transaction()
    finally:
        await producer.stop()


class Behind(Station):
    """A station whose `events.email` has one record that is not fetched."""

    def _readable(self, partition: int, topic: str) -> int:
        return int(topic == topics.topics(self.settings).email.name)


class Noting(Toy):
    """Counts as the toy does, and notes the topics of each step, and when it was asked for work without input."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.did: list[set[str]] = []

    def step(self, records: Sequence[Record], rows: Rows) -> Step:
        self.did.append({record.topic for record in records})
        return super().step(records, rows)

    def idle(self, rows: Rows, clock: int | None, most: int) -> Step | None:
        self.did.append(set())
        return None


async def test_a_backlog_is_held_back_for_an_input_and_nothing_else_is(
    new_settings: NewSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(abreast, "PATIENCE_S", 600.0)
    settings = await new_settings(partitions=1)
    known, program = topics.topics(settings), Noting(settings)
    web, email, commands = known.web.name, known.email.name, known.commands.name
    async with Behind(settings, lambda _: program, clock=lambda: START + 24 * 60 * MINUTE) as station:
        await station.open()
        lane = station.lanes[0]
        await publish_every(settings, dict.fromkeys((web, email, commands), 60 * MINUTE), hours=1)
        fetched: dict[str, Chunk] = {}
        while len(fetched) < 3:
            for tp, records in (await station._consumer.getmany(timeout_ms=1_000)).items():
                fetched[tp.topic] = Chunk(tp.topic, 0, 0, records, lambda: None)
        lane.offer(fetched[web])
        running = asyncio.create_task(lane.run())
        await until(running, lambda: len(program.did) >= 2)
        assert not any(program.did), "only what is due is looked for"
        lane.offer(fetched[commands])
        await until(running, lambda: lane.next_offsets[commands] == 1)
        assert {commands} in program.did
        assert lane.next_offsets[web] == 0
        assert not lane.resting, "the worker is not done"
        lane.offer(fetched[email])
        await until(running, lambda: lane.next_offsets[web] == 1)
        assert {web, email} in program.did
        lane.close()
        await running


async def test_a_lane_that_holds_records_back_ends_when_it_is_closed(
    new_settings: NewSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(abreast, "PATIENCE_S", 600.0)
    settings = await new_settings(partitions=1)
    program = Noting(settings)
    web = topics.topics(settings).web.name
    async with Behind(settings, lambda _: program, clock=lambda: START + 24 * 60 * MINUTE) as station:
        station.spec = msgspec.structs.replace(station.spec, idle_s=600.0)
        await station.open()
        lane = station.lanes[0]
        await publish_every(settings, {web: 60 * MINUTE}, hours=1)
        ((_, records),) = (await station._consumer.getmany(timeout_ms=10_000)).items()
        lane.offer(Chunk(web, 0, 0, records, lambda: None))
        running = asyncio.create_task(lane.run())
        await until(running, lambda: bool(program.did))
        async with asyncio.timeout(30):
            lane.close()
            await running
        assert not any(program.did)
