"""What a lane does with what it reads: channels, size, time, faults."""

from collections.abc import Sequence

import pytest

from app import topics
from app.engine.inbox import Chunk
from app.engine.kafka import Log
from app.engine.program import Output, Record, Rows, Step
from app.engine.protocol import ChannelGapError, LogError, lane_headers
from app.settings import Settings
from tests.engine.broker_io import publish, read_all, read_once
from tests.engine.conftest import NewSettings
from tests.engine.harness import Crash, CrashError, CrashingLog, Station
from tests.engine.toy import Toy, toy_of


class Keeper:
    """Keeps the last value of each key; notes how its steps were cut."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.committed = 0

    def opened(self, rows: Rows) -> None:
        self.at_opening = len(rows.scan(b""))

    def step(self, records: Sequence[Record], rows: Rows) -> Step:
        self.steps.append(len(records))
        changed: dict[bytes, bytes | None] = {b"k" + (r.key or b""): r.value for r in records}
        return Step(changed, commit=self._commit)

    def _commit(self) -> None:
        self.committed += 1

    def refuse(self, record: Record, rows: Rows, size: int, limit: int) -> Step | None:
        raise NotImplementedError

    def idle(self, rows: Rows, clock: int | None, most: int) -> Step | None:
        return None

    def render(self, ref: bytes, rows: Rows) -> Output:
        raise NotImplementedError


async def test_a_step_above_eight_mebibytes_is_halved(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    assert settings.step_bytes == 8 << 20
    web = topics.topics(settings).web.name
    # 500 * 25,000 bytes = 12.5 MB in one chunk: 500 are too many, 250 are 6.25 MB.
    ends = await publish(settings, [(web, b"%d" % n, b"%05d" % n * 5_000) for n in range(500)])
    keeper = Keeper()
    async with Station(settings, lambda _: keeper, fetch=500) as station:
        await station.open()
        fetched: list[object] = []
        while len(fetched) < 500:
            for records in (await station._consumer.getmany(timeout_ms=200, max_records=500)).values():
                fetched += records
        station.lanes[0].offer(Chunk(web, 0, 0, fetched, lambda: None))
        station._ends = {}
        await station.run(ends)
        assert keeper.steps == [500, 250, 250]
        assert keeper.committed == 2, "a step that is dropped is not committed"
        rows = dict(station.lanes[0].rows.scan(b"k"))
    assert rows == {b"k%d" % n: b"%05d" % n * 5_000 for n in range(500)}


async def test_a_record_without_lane_headers_on_the_channel_is_accepted(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    commands = topics.topics(settings).commands.name
    async with Station(settings, toy_of(settings)) as station:
        await station.open()
        await station.run(await publish(settings, [(commands, b"a", b"one")] * 2))
        assert station.counts() == {b"a": 2}


async def send_command(settings: Settings, sender: str, seqs: Sequence[int]) -> dict[tuple[str, int], int]:
    commands = topics.topics(settings).commands.name
    async with Log(settings) as log:
        await log.send(commands, 0, [(b"a", b"one", lane_headers(sender, 1, seq)) for seq in seqs])
    return {(commands, 0): len(await read_all(settings, commands))}


async def test_a_repeat_on_the_channel_is_dropped(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    ends = await send_command(settings, f"{settings.app_id}/toy/7", [1, 2, 1, 2, 3])
    async with Station(settings, toy_of(settings)) as station:
        await station.open()
        await station.run(ends)
        assert station.counts() == {b"a": 3}


async def test_a_gap_on_the_channel_ends_the_lane(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    ends = await send_command(settings, f"{settings.app_id}/toy/7", [1, 2, 4])
    async with Station(settings, toy_of(settings)) as station:
        await station.open()
        with pytest.raises(ChannelGapError, match=r"after 2 the next record of lane .*/toy/7 is 4, not 3"):
            await station.run(ends)
        assert station.counts() == {}


async def test_commands_of_another_installation_are_not_ours(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    ends = await send_command(settings, "somebody-else/toy/0", [5, 6])
    async with Station(settings, toy_of(settings)) as station:
        await station.open()
        await station.run(ends)
        assert station.counts() == {}


async def test_records_that_never_came_end_the_lane(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    web = topics.topics(settings).web.name
    await publish(settings, [(web, b"a", b"x")] * 3)
    async with Station(settings, toy_of(settings)) as station:
        await station.open()
        records = next(iter((await station._consumer.getmany(timeout_ms=1_000)).values()))
        station.lanes[0].offer(Chunk(web, 0, 2, records[2:], lambda: None))
        with pytest.raises(LogError, match="start at 2, those from 0 on never came"):
            await station.lanes[0].run()


class Rendering(Toy):
    """Sends the state of each key it counts by reference."""

    def step(self, records: Sequence[Record], rows: Rows) -> Step:
        step = super().step(records, rows)
        step.outputs = [
            Output(self.segments, key[1:], b"is " + (value or b""), ref=key) for key, value in step.rows.items()
        ]
        return step

    def render(self, ref: bytes, rows: Rows) -> Output:
        return Output(self.segments, ref[1:], b"is " + (rows.get(ref) or b""), ref=ref)


async def test_an_output_by_reference_is_sent_again_as_it_was(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    web, segments = topics.topics(settings).web.name, topics.topics(settings).segments.name
    ends = await publish(settings, [(web, b"a", b"x")] * 4)
    log = CrashingLog(settings)
    log.crash = Crash("after send", 1)
    async with Station(settings, lambda _: Rendering(settings), log) as station:
        await station.open()
        with pytest.raises(CrashError):
            await station.run(ends)
    changelog = await read_all(settings, topics.changelog(settings, "leads").name)
    assert not any(b"is 4" in (record.value or b"") for record in changelog), "the outbox holds the reference only"
    async with Station(settings, lambda _: Rendering(settings)) as station:
        await station.open()
        await station.run(ends)
    assert [record.value for record in await read_all(settings, segments)] == [b"is 4", b"is 4"]
    assert await read_once(settings, segments) == [(b"a", b"is 4")]


class Clockwork(Toy):
    """Notes the clock it is asked with, and has work until it has done three pieces."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.clocks: list[int | None] = []

    def idle(self, rows: Rows, clock: int | None, most: int) -> Step | None:
        self.clocks.append(clock)
        done = int(rows.get(b"done") or 0)
        return Step({b"done": b"%d" % (done + 1)}) if done < 3 else None


async def test_work_that_is_due_is_done_between_chunks_until_none_is_left(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    async with Station(settings, lambda _: Clockwork(settings)) as station:
        await station.open()
        await station.run({})
        assert station.lanes[0].rows.get(b"done") == b"3"
        assert station.lanes[0].meta.step == 3


async def test_the_clock_is_unknown_until_all_inputs_are_seen_then_a_second_behind_the_wall(
    new_settings: NewSettings,
) -> None:
    settings = await new_settings(partitions=1)
    program = Clockwork(settings)
    async with Station(settings, lambda _: program, clock=lambda: 1_700_000_000_000) as station:
        await station.open()
        task_ends: dict[tuple[str, int], int] = {}
        await station.run(task_ends)
        for _ in range(20):
            await station.feed()
        assert program.clocks[0] is None
        assert program.clocks[-1] == 1_700_000_000_000 - 1_000


async def test_a_chunk_is_told_done_when_its_step_is_durable(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    web = topics.topics(settings).web.name
    await publish(settings, [(web, b"a", b"x")] * 3)
    async with Station(settings, toy_of(settings)) as station:
        await station.open()
        lane = station.lanes[0]
        at_done: list[int] = []
        records = next(iter((await station._consumer.getmany(timeout_ms=1_000)).values()))
        lane.offer(Chunk(web, 0, 0, records, lambda: at_done.append(int(lane.rows.get(b"ka") or 0))))
        station._follows = {}
        await station.run({(web, 0): 3})
        assert at_done == [3]
