"""The whole engine: Faust, a consumer group, real processes that are killed."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from app import topics
from app.engine.program import Record, Rows, Step
from app.engine.worker import Builder, build, run, running
from app.settings import Settings
from tests import processes
from tests.engine.broker_io import Ends, publish, read_all, read_once
from tests.engine.conftest import NewSettings
from tests.engine.harness import Station
from tests.engine.test_crashes import messages, tens
from tests.engine.toy import Toy, toy, toy_of
from tests.processes import ROOT


async def counted(settings: Settings, ends: Ends) -> dict[bytes, int]:
    """The counts when everything is processed; a life without Faust, so without waiting for the group."""
    async with Station(settings, toy_of(settings), fetch=2_000) as station:
        await station.open()
        await station.run(ends)
        return station.counts()


async def committed(settings: Settings) -> Ends:
    consumer = AIOKafkaConsumer(bootstrap_servers=list(settings.brokers), group_id=settings.app_id)
    consumer._enable_auto_commit = False
    tps = [
        TopicPartition(topic.name, partition)
        for topic in topics.topics(settings).inputs
        for partition in range(settings.partitions)
    ]
    await consumer.start()
    try:
        found = {(tp.topic, tp.partition): await consumer.committed(tp) for tp in tps}
    finally:
        await consumer.stop()
    return {tp: offset for tp, offset in found.items() if offset}


async def test_a_worker_counts_exactly_and_goes_on_where_it_stopped(new_settings: NewSettings) -> None:
    settings = await new_settings()
    made, expected = messages(settings, 6_000, seed=11)
    first = await publish(settings, made[:4_000])
    async with running(build(settings, [toy])) as engine:
        await engine.drained(first)
        before = {lane.partition: lane.meta.step for lane in engine.lanes.values()}
    hints = await committed(settings)
    assert {tp: hints[tp] for tp in first} == first, "the group knows how far the worker came"
    left: list[int] = []
    ends = first | await publish(settings, made[4_000:])
    async with running(build(settings, [toy])) as engine:
        await engine.drained(ends, progress=left.append)
        assert all(lane.meta.step > before[partition] for partition, lane in engine.lanes.items())
        assert all(lane.rows.epoch == 2 for lane in engine.lanes.values())
        # Of 2,000 records new to this life nothing is read twice; forwarded ones come on top.
        assert sum(lane.counts["records"] for lane in engine.lanes.values()) >= 2_000
        late = await publish(settings, [(topics.topics(settings).web.name, b"late", b"x")])
        started = time.monotonic()
        await engine.drained(late)
        assert time.monotonic() - started < 0.5, "a single record leaves at once"
    assert left[-1] == 0
    assert await counted(settings, ends) == expected + Counter({b"late": 1})
    assert Counter(await read_once(settings, topics.topics(settings).segments.name)) == tens(expected)


async def test_records_that_a_poll_from_before_a_rebalance_brings_are_read_again(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1, fetch_wait_ms=500)
    web = topics.topics(settings).web.name
    app = build(settings, [toy])
    async with running(app) as engine, asyncio.timeout(20):
        expected = 0
        for _ in range(5):
            await asyncio.sleep(0.1)  # the consumer polls, and nothing is there
            # What a rebalance that gives a worker the same partitions changes of what the poll goes by.
            app.consumer_generation_id += 1
            await app.consumer.seek_lanes(engine.positions())
            ends = await publish(settings, [(web, b"a", b"x")] * 3)
            expected += 3
            await engine.drained(ends)
        (lane,) = engine.lanes.values()
        assert lane.rows.get(b"ka") == b"%d" % expected


class Faulty(Toy):
    """Raises at a record, unless that has the key `fine`."""

    def step(self, records: Sequence[Record], rows: Rows) -> Step:
        if any(record.key != b"fine" for record in records):
            raise ZeroDivisionError("a bug")
        return super().step(records, rows)


def faulty(builder: Builder, settings: Settings) -> None:
    builder.lane_agent("toy", builder.topics.inputs, lambda _: Faulty(settings), table="leads")


async def test_a_program_that_raises_ends_the_worker_and_nothing_is_acknowledged(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    ends = await publish(settings, [(topics.topics(settings).web.name, b"a", b"x")])
    app = build(settings, [faulty])
    with pytest.raises(ZeroDivisionError, match="a bug"):
        async with running(app) as engine:
            await engine.drained(ends)
    assert isinstance(app.crash_reason, ZeroDivisionError)
    assert await committed(settings) == {}
    assert await counted(settings, ends) == {b"a": 1}


class Cancelling(Toy):
    """Lets a cancellation out that nobody asked for, as clients have done."""

    def step(self, records: Sequence[Record], rows: Rows) -> Step:
        raise asyncio.CancelledError


def cancelling(builder: Builder, settings: Settings) -> None:
    builder.lane_agent("toy", builder.topics.inputs, lambda _: Cancelling(settings), table="leads")


async def test_a_lane_that_nobody_cancelled_does_not_end_without_its_worker(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    ends = await publish(settings, [(topics.topics(settings).web.name, b"a", b"x")])
    with pytest.raises(RuntimeError, match="toy/0 was cancelled by nobody"):
        async with running(build(settings, [cancelling])) as engine, asyncio.timeout(60):
            await engine.drained(ends)


async def test_a_worker_that_crashes_before_it_has_committed_ends_at_once(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1, commit_ms=60_000)
    web = topics.topics(settings).web.name
    done = await publish(settings, [(web, b"fine", b"x")])
    began = time.monotonic()
    try:
        async with running(build(settings, [faulty])) as engine:
            await engine.drained(done)
            ends = await publish(settings, [(web, b"a", b"x")])
            began = time.monotonic()
            await engine.drained(ends)
    except ZeroDivisionError:
        took = time.monotonic() - began
    assert took < settings.request_timeout_ms / 2_000, "it waited for a thread that had ended with it"


def environment(settings: Settings) -> dict[str, str]:
    """Of a process whose worker takes small steps."""
    return {**os.environ, **processes.environment(msgspec.structs.replace(settings, step_records=100))}


@contextlib.asynccontextmanager
async def process(settings: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    said = settings.data_dir.with_suffix(".log").open("ab")
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.engine.worker_main"), cwd=ROOT, env=environment(settings), stderr=said
    )
    try:
        yield worker
    finally:
        if worker.returncode is None:
            worker.kill()
        await worker.wait()
        said.close()


async def stream(settings: Settings, expected: Counter[bytes], ends: Ends, enough: asyncio.Event) -> None:
    """Publish, and count what that must lead to, until there is enough."""
    seed = 100
    while not enough.is_set():
        seed += 1
        made, counts = messages(settings, 100, seed)
        ends.update(await publish(settings, made))
        expected.update(counts)
        await asyncio.sleep(0.1)


async def steps(settings: Settings) -> int:
    return len(await read_all(settings, topics.changelog(settings, "leads").name))


async def until_it_works(settings: Settings, beyond: int, patience_s: float = 30) -> None:
    deadline = time.monotonic() + patience_s
    while await steps(settings) <= beyond:
        said = settings.data_dir.with_suffix(".log")
        assert time.monotonic() < deadline, f"the worker does nothing: {said.read_text()[-3_000:]}"
        await asyncio.sleep(0.05)


async def test_a_worker_killed_again_and_again_counts_and_sends_once(new_settings: NewSettings) -> None:
    settings = await new_settings()
    expected = Counter[bytes]()
    ends: Ends = {}
    chance = random.Random(13)
    enough = asyncio.Event()
    streaming = asyncio.create_task(stream(settings, expected, ends, enough))
    for life in range(3):
        before = await steps(settings)
        async with process(settings) as worker:
            await until_it_works(settings, before + 20)
            await asyncio.sleep(chance.random() * 0.5)
            worker.send_signal(signal.SIGKILL)
            await worker.wait()
        if life == 1:
            shutil.rmtree(settings.data_dir)
    enough.set()
    await streaming
    (tables,) = settings.data_dir.glob("*/tables")
    assert sorted(path.name for path in tables.glob("leads-*.db")) == [f"leads-{n}.db" for n in range(4)]
    assert await counted(settings, ends) == expected
    assert Counter(await read_once(settings, topics.topics(settings).segments.name)) == tens(expected)


async def test_two_workers_share_the_partitions_and_one_takes_over_for_the_other(new_settings: NewSettings) -> None:
    one = await new_settings()
    two = await new_settings(app_id=one.app_id, topic_prefix=one.topic_prefix)
    expected = Counter[bytes]()
    ends: Ends = {}
    enough = asyncio.Event()
    async with process(one) as first:
        streaming = asyncio.create_task(stream(one, expected, ends, enough))
        await until_it_works(one, 20)
        async with process(two) as second:
            tables = two.data_dir / "v1" / "tables"
            deadline = time.monotonic() + 30
            while not list(tables.glob("leads-*.db")) if tables.exists() else True:
                assert time.monotonic() < deadline, "the second worker gets no partition"
                await asyncio.sleep(0.1)
            await asyncio.sleep(2)
            second.terminate()
            assert await asyncio.wait_for(second.wait(), 20) == 0, "a worker that is told to stop ends well"
        await until_it_works(one, await steps(one) + 60)
        enough.set()
        await streaming
        first.terminate()
        assert await asyncio.wait_for(first.wait(), 20) == 0
    assert await counted(one, ends) == expected
    assert Counter(await read_once(one, topics.topics(one).segments.name)) == tens(expected)


async def test_a_worker_without_its_topics_says_which_are_missing(new_settings: NewSettings) -> None:
    settings = await new_settings()
    with pytest.raises(topics.TopicsError, match=r"missing topics: other\.events\.web, .*topics create"):
        await asyncio.to_thread(
            run, Settings.load(environment(settings) | {"LEADSTREAM_TOPIC_PREFIX": "other."}), [toy]
        )
