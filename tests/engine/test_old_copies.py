"""A local copy that is older than what the changelog still tells of deletions is dropped; any other is kept."""

from collections.abc import Sequence
from itertools import groupby

import pytest

from app.embedded import settings_for
from app.engine.changelog import FORGIVEN_MS, Changelog
from app.engine.kafka import Log, Logged, Row
from app.engine.meters import Meter
from app.engine.protocol import Stamp
from app.engine.store import PartitionRows
from app.topics import HOUR_MS
from tests.engine.simdisk import Disk, MemoryRows

SETTINGS = settings_for("nowhere:9092")
LONG_MS = FORGIVEN_MS + HOUR_MS


class ListLog(Log):
    """A changelog that is a list, and can be compacted."""

    def __init__(self) -> None:
        super().__init__(SETTINGS)
        self.records: list[Logged] = []
        self.end = 0
        self.breaks_at: int | None = None
        """Offset that cannot be read."""

    async def append(self, topic: str, partition: int, rows: Sequence[Row]) -> int:
        base = self.end
        self.records += [Logged(base + n, key or b"", value, headers) for n, (key, value, headers) in enumerate(rows)]
        self.end += len(rows)
        return base

    def reader(self, topic: str, partition: int) -> "ListReader":  # type: ignore[override]
        return ListReader(self)

    def compact(self, *, forget: bool) -> None:
        """Keep each key's last record; with `forget` no deletion. The last batch always stays, as on Kafka."""
        kept = {record.key: record for record in self.records[:-1] if record.value is not None or not forget}
        superseded = {record.key: record.offset for record in self.records}
        self.records = [
            record
            for record in self.records
            if record is self.records[-1]
            or (kept.get(record.key) is record and superseded[record.key] == record.offset)
        ]


class ListReader:
    def __init__(self, log: ListLog) -> None:
        self._log = log
        self._position = 0

    async def __aenter__(self) -> "ListReader":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def seek(self, offset: int) -> None:
        self._position = offset

    async def position(self) -> int:
        return self._position

    async def next(self, up_to: int | None = None) -> list[Logged] | None:
        if self._log.breaks_at == self._position:
            raise TimeoutError
        left = [record for record in self._log.records if record.offset >= self._position]
        if not left:
            self._position = self._log.end
            return None
        # One run of offsets without a gap at a time.
        _, run = next(groupby(enumerate(left), key=lambda pair: pair[1].offset - pair[0]))
        records = [record for _, record in run][:2]
        self._position = records[-1].offset + 1
        return records


class Machine:
    """A disk, and how the changelog is taken over with it."""

    def __init__(self, log: ListLog) -> None:
        self._log = log
        self._disk = Disk()
        self.drops = 0

    def _wiped(self) -> PartitionRows:
        self.drops += 1
        self._disk = Disk()
        return MemoryRows(self._disk)

    async def takes_over(self, at: int) -> tuple[Changelog, int]:
        """Take over at a time, UTC ms; return the changelog and how many records it read."""
        meter = Meter()
        changelog = Changelog(
            SETTINGS, "changelog", 0, self._log, MemoryRows(self._disk), self._wiped, meter, clock=lambda: at
        )
        await changelog.take_over()
        return changelog, meter.recovered_rows

    def leads(self) -> dict[bytes, bytes]:
        return {key: value for key, value in self._disk.rows.items() if key.startswith(b"lead")}


async def step(changelog: Changelog, number: int, **rows: bytes | None) -> None:
    """Append a step that changes rows."""
    await changelog.append([(key.encode(), value) for key, value in rows.items()], Stamp(changelog.rows.epoch, number))


async def left_and_missed(log: ListLog, *, forget: bool) -> Machine:
    """A machine whose copy is whole at time 0; meanwhile another deletes `lead2`, and the changelog is compacted."""
    away, other = Machine(log), Machine(log)
    changelog, _ = await away.takes_over(at=0)
    await step(changelog, 1, lead1=b"a", lead2=b"b", lead3=b"c")
    changelog, _ = await other.takes_over(at=1)
    await step(changelog, 2, lead1=b"aa", lead2=None)
    await step(changelog, 3, lead1=b"aaa")
    log.compact(forget=forget)
    return away


async def test_a_copy_of_long_ago_is_dropped_since_a_deletion_may_be_forgotten() -> None:
    log = ListLog()
    away = await left_and_missed(log, forget=True)
    assert away.leads() == {b"lead1": b"a", b"lead2": b"b", b"lead3": b"c"}
    await away.takes_over(at=LONG_MS)
    assert away.leads() == {b"lead1": b"aaa", b"lead3": b"c"}
    assert away.drops == 1


async def test_a_copy_that_was_whole_lately_goes_on_over_a_compacted_changelog() -> None:
    log = ListLog()
    away = await left_and_missed(log, forget=False)
    _, read = await away.takes_over(at=FORGIVEN_MS - 1)
    assert away.leads() == {b"lead1": b"aaa", b"lead3": b"c"}
    assert (away.drops, read) == (0, 3), "what it missed is the other's marker, the deletion and the last change"


async def test_a_copy_of_long_ago_goes_on_when_nothing_was_removed_since() -> None:
    log = ListLog()
    away, other = Machine(log), Machine(log)
    changelog, _ = await away.takes_over(at=0)
    await step(changelog, 1, lead1=b"a", lead2=b"b")
    changelog, _ = await other.takes_over(at=1)
    await step(changelog, 2, lead2=None)
    _, read = await away.takes_over(at=LONG_MS)
    assert (away.leads(), away.drops, read) == ({b"lead1": b"a"}, 0, 2)


async def test_a_copy_whose_making_was_interrupted_long_ago_is_dropped() -> None:
    log = ListLog()
    changelog, _ = await Machine(log).takes_over(at=0)
    await step(changelog, 1, lead1=b"a", lead2=b"b", lead3=b"c")
    begun = Machine(log)
    log.breaks_at = 4
    with pytest.raises(TimeoutError):
        await begun.takes_over(at=1)
    log.breaks_at = None
    assert b"lead2" in begun.leads()
    await step(changelog, 2, lead2=None)
    await step(changelog, 3, lead1=b"aa")
    log.compact(forget=True)
    await begun.takes_over(at=1 + LONG_MS)
    assert (begun.leads(), begun.drops) == ({b"lead1": b"aa", b"lead3": b"c"}, 1)
    # It is whole now, however long its making took.
    changelog, _ = await Machine(log).takes_over(at=2 + LONG_MS)
    await step(changelog, 4, lead3=None)
    log.compact(forget=False)
    _, read = await begun.takes_over(at=3 + LONG_MS)
    assert (begun.leads(), begun.drops, read) == ({b"lead1": b"aa"}, 1, 2)
