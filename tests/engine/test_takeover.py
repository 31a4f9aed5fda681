"""Two owners of one partition, and a producer that repeats itself: the newer owner's truth stands."""

import shutil
from collections.abc import Sequence
from typing import Any

import pytest

from app import topics
from app.engine.kafka import Log, Row
from app.engine.lane import QUIET_MS
from app.engine.protocol import EPOCH_KEY, META_KEY, FencedError
from app.settings import Settings
from tests.engine.broker_io import publish, read_all, read_once
from tests.engine.conftest import NewSettings
from tests.engine.harness import Station
from tests.engine.toy import toy_of

ENGINES_ROWS = (EPOCH_KEY, META_KEY)


async def compacted(settings: Settings) -> dict[bytes, bytes | None]:
    """What a compacted changelog would keep: the last record of each key."""
    kept = {record.key: record.value for record in await read_all(settings, topics.changelog(settings, "leads").name)}
    return {key: value for key, value in kept.items() if key not in ENGINES_ROWS}


def local(station: Station) -> dict[bytes, bytes]:
    return dict(row for lane in station.lanes.values() for row in lane.rows.scan(b""))


async def test_a_former_owner_dies_before_it_sends_and_its_rows_are_written_over(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1, step_records=5)
    web = topics.topics(settings).web.name
    other_disk = await new_settings(
        partitions=1, app_id=settings.app_id, topic_prefix=settings.topic_prefix, step_records=5
    )
    ends = await publish(settings, [(web, b"a", b"x")] * 9)
    async with Station(settings, toy_of(settings)) as old, Station(other_disk, toy_of(settings)) as new:
        await old.open()
        await old.run(ends)
        await new.open()
        ends = await publish(settings, [(web, b"a", b"x"), (web, b"b", b"x")])
        # The old owner takes the 10th record of `a`, for which it would send an output.
        with pytest.raises(FencedError):
            await old.run(ends)
        assert (await compacted(settings))[b"ka"] == b"10", "the old owner has appended its step all the same"
        assert await read_all(settings, topics.topics(settings).segments.name) == []
        # The new owner takes other records of its own first, so that its step does not touch what the old one wrote.
        await new.run(ends)
        assert new.counts() == {b"a": 10, b"b": 1}
        assert await compacted(settings) == local(new)
    assert await read_once(settings, topics.topics(settings).segments.name) == [(b"a", b"10")]


class FormerLog(Log):
    """Appends as another version did."""

    def __init__(self, settings: Settings, compression: str) -> None:
        super().__init__(settings)
        self.compression = compression

    def _options(self) -> dict[str, Any]:
        return {**super()._options(), "compression_type": self.compression}


@pytest.mark.parametrize("compression", ["lz4", "snappy", "gzip"])
async def test_a_changelog_and_channels_of_a_version_that_compressed_otherwise_are_read_on(
    new_settings: NewSettings, compression: str
) -> None:
    settings = await new_settings(partitions=2)
    tables = topics.topics(settings)
    messages = [(tables.web.name, b"a", b"x")] * 25 + [(tables.web.name, b"a", b"fwd:b")] * 5
    ends = await publish(settings, messages)
    async with Station(settings, toy_of(settings), FormerLog(settings, compression)) as former:
        await former.open()
        await former.run(ends)
        assert former.counts() == {b"a": 25, b"b": 5}
    shutil.rmtree(settings.data_dir)
    ends = await publish(settings, messages)
    async with Station(settings, toy_of(settings)) as new:
        await new.open()
        assert new.counts() == {b"a": 25, b"b": 5}, "the changelog alone has them now"
        await new.run(ends)
        assert new.counts() == {b"a": 50, b"b": 10}
    assert sorted(await read_once(settings, tables.segments.name)) == [
        (b"a", b"%d" % n) for n in (10, 20, 30, 40, 50)
    ] + [(b"b", b"10")]


async def test_a_former_owners_rows_are_ignored_by_a_rebuild_before_they_are_written_over(
    new_settings: NewSettings,
) -> None:
    settings = await new_settings(partitions=1)
    web = topics.topics(settings).web.name
    disks = [
        await new_settings(partitions=1, app_id=settings.app_id, topic_prefix=settings.topic_prefix) for _ in range(2)
    ]
    ends = await publish(settings, [(web, b"a", b"x")] * 3)
    async with Station(settings, toy_of(settings)) as old:
        await old.open()
        await old.run(ends)
        async with Station(disks[0], toy_of(settings)) as new:
            await new.open()
        await publish(settings, [(web, b"z", b"x")])
        with pytest.raises(FencedError):
            await old.run({(web, 0): 4})
    assert (await compacted(settings))[b"kz"] == b"1"
    async with Station(disks[1], toy_of(settings)) as third:
        await third.open()
        assert third.counts() == {b"a": 3}, "the fenced step does not count"
        assert (await compacted(settings)).get(b"kz") is None, "and is taken back"
        await third.run({(web, 0): 4})
        assert third.counts() == {b"a": 3, b"z": 1}


class RepeatingLog(Log):
    """A producer whose retries arrive twice: at once, and once more after the next batch."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.last: list[Row] = []

    async def append(self, topic: str, partition: int, rows: Sequence[Row]) -> int:
        if rows[0][0] == EPOCH_KEY:
            return await super().append(topic, partition, rows)
        late, self.last = self.last, list(rows)
        await super().append(topic, partition, rows)
        if late:
            await super().append(topic, partition, late)
        return await super().append(topic, partition, rows)


async def test_a_producers_repeats_change_nothing(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1, step_records=7)
    web = topics.topics(settings).web.name
    ends = await publish(settings, [(web, b"%d" % (n % 11), b"x") for n in range(100)])
    expected = {b"%d" % n: len([m for m in range(100) if m % 11 == n]) for n in range(11)}
    async with Station(settings, toy_of(settings), RepeatingLog(settings), fetch=7) as station:
        await station.open()
        await station.run(ends)
        assert station.counts() == expected
    shutil.rmtree(settings.data_dir)
    async with Station(settings, toy_of(settings)) as rebuilt:
        await rebuilt.open()
        assert rebuilt.counts() == expected


async def test_the_last_late_repeat_is_written_over(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1, step_records=5)
    web = topics.topics(settings).web.name
    log = topics.changelog(settings, "leads").name
    async with Station(settings, toy_of(settings), fetch=5) as station:
        await station.open()
        await station.run(await publish(settings, [(web, b"a", b"x")] * 5))
        (first_step,) = [
            (record.key, record.value, list(record.headers))
            for record in await read_all(settings, log)
            if record.key == b"ka"
        ]
        await station.run(await publish(settings, [(web, b"a", b"x")] * 3))
        await station.log.append(log, 0, [first_step])
        assert (await compacted(settings))[b"ka"] == b"5", "compaction would now keep the older row"
        await station.run(await publish(settings, [(web, b"b", b"x")]))
        assert (await compacted(settings)) == local(station) == {b"ka": b"8", b"kb": b"1"}


async def test_epochs_grow_with_each_take_over(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=2)
    for life in (1, 2, 3):
        async with Station(settings, toy_of(settings)) as station:
            await station.open()
            assert [lane.rows.epoch for lane in station.lanes.values()] == [life, life]


async def test_a_lane_with_nothing_to_do_finds_what_a_former_owner_appended_last(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    web = topics.topics(settings).web.name
    log = topics.changelog(settings, "leads").name
    now = [0]
    async with Station(settings, toy_of(settings), clock=lambda: now[0]) as station:
        await station.open()
        await station.run(await publish(settings, [(web, b"a", b"x")]))
        (first_step,) = [
            (record.key, record.value, list(record.headers))
            for record in await read_all(settings, log)
            if record.key == b"ka"
        ]
        ends = await publish(settings, [(web, b"a", b"x")] * 2)
        await station.run(ends)
        await station.log.append(log, 0, [first_step])
        step = station.lanes[0].meta.step
        now[0] = QUIET_MS - 1
        await station.rested()
        assert (await compacted(settings))[b"ka"] == b"1"
        now[0] = QUIET_MS
        await station.rested()
        assert (await compacted(settings)) == local(station) == {b"ka": b"3"}
        await station.rested()
        assert station.lanes[0].meta.step == step + 1, "once is enough for the next 20 minutes"
