"""How a lane cuts its input into steps: by time, across chunks, and what becomes of a chunk that is cut."""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from app import topics
from app.engine.inbox import Chunk
from app.engine.kafka import Log
from app.engine.lane import FIRST_STEP_RECORDS, STEPS_IN_A_ROW
from app.engine.program import Record, Rows, Step
from app.settings import Settings
from tests.engine.broker_io import publish, read_once
from tests.engine.conftest import NewSettings
from tests.engine.harness import Crash, CrashError, CrashingLog, CrashingRows, Station
from tests.engine.test_crashes import POINTS
from tests.engine.toy import Toy, toy_of


class Timed(Toy):
    """Counts as the toy does, takes some time for each record, and notes how its steps were cut."""

    def __init__(self, settings: Settings, record_s: float = 0.0) -> None:
        super().__init__(settings)
        self.record_s = record_s
        self.steps: list[int] = []
        self.did: list[str] = []

    def step(self, records: Sequence[Record], rows: Rows) -> Step:
        self.steps.append(len(records))
        self.did.append("step")
        if self.record_s:
            time.sleep(self.record_s * len(records))
        return super().step(records, rows)

    def idle(self, rows: Rows, clock: int | None, most: int) -> Step | None:
        self.did.append("idle")
        return None


async def fetched(station: Station, settings: Settings, count: int) -> list[Any]:
    """Publish so many records of one key, and fetch them as one."""
    await publish(settings, [(topics.topics(settings).web.name, b"a", b"x")] * count)
    found: list[Any] = []
    while len(found) < count:
        for records in (await station._consumer.getmany(timeout_ms=1_000)).values():
            found += records
    return found


def counted(station: Station) -> int:
    return station.counts().get(b"a", 0)


async def until(lane: asyncio.Task[None], condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            assert not lane.done() or lane.result() is None
            await asyncio.sleep(0.005)


async def processed(station: Station, *chunks: Chunk) -> None:
    """Have the only lane process the chunks."""
    lane = station.lanes[0]
    for chunk in chunks:
        lane.offer(chunk)
    running = asyncio.create_task(lane.run())
    await until(running, lambda: lane.next_offsets[chunks[-1].topic] == chunks[-1].records[-1].offset + 1)
    lane.close()
    await running


async def test_a_slow_program_gets_smaller_steps_and_its_chunk_is_told_done_once_at_its_end(
    new_settings: NewSettings,
) -> None:
    settings = await new_settings(partitions=1)
    program = Timed(settings, record_s=0.000_5)
    async with Station(settings, lambda _: program) as station:
        station.spec = msgspec.structs.replace(station.spec, step_s=0.02)
        await station.open()
        records = await fetched(station, settings, 650)
        at_done: list[int] = []
        await processed(station, Chunk(records[0].topic, 0, 0, records, lambda: at_done.append(counted(station))))
        assert at_done == [650]
    # 500 take 250 ms at least, which is more than twelve times what a step may take: 40 of them fit.
    assert program.steps[0] == FIRST_STEP_RECORDS == 500
    assert all(0 < step <= 40 for step in program.steps[1:]), program.steps
    assert sum(program.steps) == 650


async def test_a_quick_program_gets_larger_steps_up_to_the_setting(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1, step_records=1_500)
    program = Timed(settings)
    async with Station(settings, lambda _: program) as station:
        station.spec = msgspec.structs.replace(station.spec, step_s=60.0)
        await station.open()
        records = await fetched(station, settings, 4_600)
        web = records[0].topic
        await processed(
            station,
            *(Chunk(web, 0, start, records[start : start + 100], lambda: None) for start in range(0, 4_600, 100)),
        )
    assert program.steps == [500, 1_000, 1_500, 1_500, 100]


async def test_a_step_takes_of_many_chunks_what_it_may_and_each_is_told_done_when_it_is_durable(
    new_settings: NewSettings,
) -> None:
    settings = await new_settings(partitions=1, step_records=50)
    program = Timed(settings)
    async with Station(settings, lambda _: program) as station:
        await station.open()
        records = await fetched(station, settings, 180)
        at_done: list[int] = []
        web = records[0].topic
        chunks = [
            Chunk(web, 0, start, records[start : start + 30], lambda: at_done.append(counted(station)))
            for start in range(0, 180, 30)
        ]
        await processed(station, *chunks)
    assert program.steps == [50, 50, 50, 30]
    assert at_done == [50, 100, 100, 150, 150, 180]


async def test_two_steps_of_records_may_wait_and_a_quarter_of_one_of_each_topic(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1, step_records=2_000)
    async with Station(settings, lambda _: Timed(settings)) as station:
        station.spec = msgspec.structs.replace(station.spec, step_s=60.0)
        await station.open()
        lane = station.lanes[0]
        records = await fetched(station, settings, 1)
        known = topics.topics(settings)

        def room(topic: str) -> int:
            """How many records of a topic the lane takes until it is full."""
            before = lane._waiting.records
            while not lane.full(topic):
                lane.offer(Chunk(topic, 0, 0, records[:1], lambda: None))
            return lane._waiting.records - before

        lane._pace.took(300.0, full=True)
        assert lane._pace.most == 100
        assert [room(known.web.name), room(known.email.name), room(known.cart.name)] == [200, 25, 25]
        for _ in range(5):
            lane._pace.took(0.1, full=True)
        assert lane._pace.most == 2_000
        assert [room(known.web.name), room(known.email.name)] == [4_000 - 250, 500 - 25]


@pytest.mark.parametrize("point", POINTS)
async def test_a_crash_between_the_parts_of_a_chunk_loses_and_doubles_nothing(
    new_settings: NewSettings, point: str
) -> None:
    settings = await new_settings(partitions=1, step_records=10)
    log = CrashingLog(settings)
    told: list[str] = []
    async with Station(settings, toy_of(settings), log) as station:
        await station.open()
        records = await fetched(station, settings, 35)
        log.crash = Crash(point, 2)
        rows = station.lanes[0].rows
        assert isinstance(rows, CrashingRows)
        rows.crash = log.crash
        with pytest.raises(CrashError):
            await processed(station, Chunk(records[0].topic, 0, 0, records, lambda: told.append("done")))
    assert told == []
    async with Station(settings, toy_of(settings)) as station:
        await station.open()
        assert 10 <= counted(station) <= 20
        await station.run({(records[0].topic, 0): 35})
        assert counted(station) == 35
    assert await read_once(settings, topics.topics(settings).segments.name) == [(b"a", b"%d" % n) for n in (10, 20, 30)]


class Closing(Timed):
    """Closes its lane while its second step is under way."""

    close: Callable[[], None]

    def step(self, records: Sequence[Record], rows: Rows) -> Step:
        if len(self.steps) == 1:
            self.close()
        return super().step(records, rows)


async def test_a_lane_that_is_closed_between_the_parts_of_a_chunk_is_followed_by_one_that_goes_on_there(
    new_settings: NewSettings,
) -> None:
    settings = await new_settings(partitions=1, step_records=10)
    program = Closing(settings)
    told: list[str] = []
    async with Station(settings, lambda _: program) as station:
        await station.open()
        lane = station.lanes[0]
        program.close = lane.close
        records = await fetched(station, settings, 35)
        web = records[0].topic
        lane.offer(Chunk(web, 0, 0, records, lambda: told.append("done")))
        await lane.run()
        assert program.steps == [10, 10]
        assert lane.next_offsets[web] == 20
        assert told == []
    after = Timed(settings)
    async with Station(settings, lambda _: after) as station:
        await station.open()
        assert counted(station) == 20
        # The group has not been told of it, so the whole chunk may come again.
        await processed(station, Chunk(web, 0, 0, records, lambda: told.append("done")))
        assert counted(station) == 35
    assert told == ["done"]
    assert sum(after.steps) == 15


class Wide(Timed):
    """Keeps each record."""

    def step(self, records: Sequence[Record], rows: Rows) -> Step:
        self.steps.append(len(records))
        return Step({b"w" + (record.key or b""): record.value for record in records})


async def test_a_step_that_was_too_large_for_a_batch_is_followed_by_smaller_ones(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1, step_bytes=65_536, step_records=2_000)
    web = topics.topics(settings).web.name
    program = Wide(settings)
    async with Station(settings, lambda _: program) as station:
        station.spec = msgspec.structs.replace(station.spec, step_s=60.0)
        await station.open()
        await publish(settings, [(web, b"%d" % n, b"x" * 170) for n in range(900)])
        records: list[Any] = []
        while len(records) < 900:
            for some in (await station._consumer.getmany(timeout_ms=1_000)).values():
                records += some
        await processed(station, Chunk(web, 0, 0, records, lambda: None))
        assert len(station.lanes[0].rows.scan(b"w", limit=1_000)) == 900
        assert station.lanes[0].counts["steps_halved"] == 1
    # 500 rows are some 100 KB, one and a half times what a batch holds: the halves fit, and so does the next step.
    assert program.steps[:3] == [500, 250, 250]
    assert 250 < program.steps[3] < 360
    assert sum(program.steps[3:]) == 400


async def test_work_without_input_is_put_off_for_no_longer_than_twenty_steps_may_take(
    new_settings: NewSettings,
) -> None:
    settings = await new_settings(partitions=1, step_records=1)
    program = Timed(settings, record_s=0.03)
    async with Station(settings, lambda _: program) as station:
        station.spec = msgspec.structs.replace(station.spec, step_s=0.01)
        await station.open()
        records = await fetched(station, settings, 30)
        await processed(station, Chunk(records[0].topic, 0, 0, records, lambda: None))
    runs = [len(list(some)) for kind, some in itertools.groupby(program.did) if kind == "step"]
    # Twenty steps may take 200 ms, and seven of these take 210.
    assert len(runs) >= 5
    assert all(run <= 7 < STEPS_IN_A_ROW for run in runs), runs


async def test_a_chunk_that_is_cut_moves_its_start_so_that_nothing_seems_to_be_missing(
    new_settings: NewSettings,
) -> None:
    settings = await new_settings(partitions=1, step_records=4)
    async with Station(settings, toy_of(settings), Log(settings)) as station:
        await station.open()
        records = await fetched(station, settings, 11)
        web = records[0].topic
        # As after compaction or a transaction: offsets 3 to 6 are no records, within the chunk and where it is cut.
        gaps = [*records[:3], *records[7:]]
        await processed(station, Chunk(web, 0, 0, gaps, lambda: None))
        assert counted(station) == 7
        assert station.lanes[0].next_offsets[web] == 11
