"""What a lane does without input: when it wakes for it, how much at once, and that events go first."""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence

import msgspec

from app import topics
from app.engine.clock import wall_ms
from app.engine.due import timed
from app.engine.fitting import FIRST_IDLE_LEADS
from app.engine.inbox import Chunk
from app.engine.lane import STEPS_IN_A_ROW
from app.engine.program import Output, Record, Rows, Step
from tests.engine.broker_io import publish
from tests.engine.conftest import NewSettings
from tests.engine.harness import Station

ALARM = b"alarm\x00h"


class Alarm:
    """Each record sets an alarm; it notes when it rang."""

    def __init__(self, after_ms: int) -> None:
        self.after_ms = after_ms
        self.set_for = 0
        self.rang_at: list[int] = []
        self.clocks: list[int] = []

    def opened(self, rows: Rows) -> None:
        pass

    def step(self, records: Sequence[Record], rows: Rows) -> Step:
        self.set_for = wall_ms() + self.after_ms
        return Step({ALARM: timed(self.set_for, b"set")})

    def refuse(self, record: Record, rows: Rows, size: int, limit: int) -> Step | None:
        raise NotImplementedError

    def idle(self, rows: Rows, clock: int | None, most: int) -> Step | None:
        if clock is None or not rows.due(clock, most):
            return None
        self.rang_at.append(wall_ms())
        self.clocks.append(clock)
        return Step({ALARM: timed(None, b"rang")})

    def render(self, ref: bytes, rows: Rows) -> Output:
        raise NotImplementedError


async def test_a_resting_lane_wakes_when_the_next_row_is_due(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    web = topics.topics(settings).web.name
    program = Alarm(after_ms=700)
    async with Station(settings, lambda _: program, clock=wall_ms) as station:
        station.spec = msgspec.structs.replace(station.spec, idle_s=600.0)
        await station.open()
        await station.run(await publish(settings, [(web, b"a", b"x")]))
        deadline = time.monotonic() + 30
        # It rings before the step that it belongs to is durable.
        while not program.rang_at or (station.lanes[0].rows.next_due() is not None and time.monotonic() < deadline):
            assert time.monotonic() < deadline, "it never rang"
            await station.feed()
        (rang_at,) = program.rang_at
        assert program.clocks[0] >= program.set_for
        assert rang_at >= program.set_for + 1_000, "a second is left for events that are older"
        assert rang_at < program.set_for + 10_000
        assert station.lanes[0].rows.next_due() is None


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


class Slow:
    """Has work for ever, and takes 4 ms for each piece."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.did: list[str] = []

    def opened(self, rows: Rows) -> None:
        pass

    def step(self, records: Sequence[Record], rows: Rows) -> Step:
        self.did.append("step")
        return Step()

    def refuse(self, record: Record, rows: Rows, size: int, limit: int) -> Step | None:
        raise NotImplementedError

    def idle(self, rows: Rows, clock: int | None, most: int) -> Step | None:
        self.did.append("idle")
        self.asked.append(most)
        time.sleep(0.004 * most)
        return Step({b"k%d" % n: b"x" for n in range(most)})

    def render(self, ref: bytes, rows: Rows) -> Output:
        raise NotImplementedError


class Quick(Slow):
    """Has work for ever, and takes no time for it."""

    def idle(self, rows: Rows, clock: int | None, most: int) -> Step | None:
        self.did.append("idle")
        self.asked.append(most)
        return Step({b"k%d" % n: b"x" for n in range(most)})


async def idle_for_a_while(new_settings: NewSettings, program: Slow) -> list[int]:
    """How much the program was asked for at each step, with 20 ms for each."""
    settings = await new_settings(partitions=1, idle_leads=200)
    async with Station(settings, lambda _: program) as station:
        station.spec = msgspec.structs.replace(station.spec, idle_step_s=0.02)
        await station.open()
        running = asyncio.create_task(station.lanes[0].run())
        await until(lambda: len(program.asked) >= 8)
        station.lanes[0].close()
        await running
    return program.asked


async def test_a_step_without_input_takes_no_more_than_fits_its_time(new_settings: NewSettings) -> None:
    asked = await idle_for_a_while(new_settings, Slow())
    assert asked[0] == FIRST_IDLE_LEADS, "of 4 ms each, 10 take too long"
    assert all(most <= 5 for most in asked[1:]), asked


async def test_a_step_without_input_takes_more_while_that_is_quick(new_settings: NewSettings) -> None:
    asked = await idle_for_a_while(new_settings, Quick())
    assert asked[0] == FIRST_IDLE_LEADS
    assert asked[-1] == 200, asked
    assert all(later <= 2 * most for most, later in itertools.pairwise(asked))


async def test_events_go_first_and_work_without_input_is_not_put_off_for_ever(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1, step_records=1, idle_leads=1)
    web = topics.topics(settings).web.name
    count = 2 * STEPS_IN_A_ROW + 5
    await publish(settings, [(web, b"a", b"x")] * count)
    program = Quick()
    async with Station(settings, lambda _: program, fetch=count) as station:
        await station.open()
        fetched: list[Record] = []
        while len(fetched) < count:
            for records in (await station._consumer.getmany(timeout_ms=200)).values():
                fetched += records
        lane = station.lanes[0]
        for record in fetched:
            lane.offer(Chunk(web, 0, record.offset, [record], lambda: None))
        running = asyncio.create_task(lane.run())
        await until(lambda: program.did.count("step") >= count)
        lane.close()
        await running
    kinds = [(kind, len(list(times))) for kind, times in itertools.groupby(program.did)]
    assert kinds[:5] == [("step", STEPS_IN_A_ROW), ("idle", 1), ("step", STEPS_IN_A_ROW), ("idle", 1), ("step", 5)]
