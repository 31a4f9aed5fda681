"""A lane's changelog: taking it over, appending to it, and noticing who else did. The local rows follow it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from app.engine.clock import wall_ms
from app.engine.kafka import Log, Logged, Row
from app.engine.meters import Meter
from app.engine.protocol import (
    EPOCH_KEY,
    FencedError,
    ForeignLogError,
    LogError,
    OutdatedCopyError,
    StaleKeys,
    Stamp,
    decode_meta,
    size_of,
    stamp_of,
)
from app.engine.store import PartitionRows
from app.settings import Settings
from app.topics import DELETIONS_KEPT_MS

log = logging.getLogger(__name__)

TRIES: Final = 20
"""How often a take-over starts over when others keep appending."""
FORGIVEN_MS: Final = DELETIONS_KEPT_MS // 2
"""A local copy that was whole so recently finds every later deletion in the changelog; half, since clocks differ."""


class Changelog:
    """One partition of a changelog and the local rows made from it.

    `wiped` empties the local rows, for when the changelog cannot bring them up to date.
    """

    def __init__(
        self,
        settings: Settings,
        topic: str,
        partition: int,
        appends: Log,
        rows: PartitionRows,
        wiped: Callable[[], PartitionRows],
        meter: Meter | None = None,
        clock: Callable[[], int] = wall_ms,
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._partition = partition
        self._appends = appends
        self._markers = 1 if appends.atomic else 0
        """Offsets between two appends: each commit of a transaction takes one in the partition."""
        self._wiped = wiped
        self.meter = meter if meter is not None else Meter()
        self._clock = clock
        self._whole_at = 0
        """When the rows were whole that the changelog is read on top of."""
        self._end = 0
        self.rows = rows

    async def take_over(self) -> int:
        """Read to the end, mark a new epoch there, make sure nothing came between; return the epoch.

        Raises:
            LogError: others keep appending, or the changelog shrank.
        """
        try:
            return await self._take_over()
        except (ForeignLogError, OutdatedCopyError) as error:
            log.warning("%s; its local copy is dropped and rebuilt", error)
            self.rows = self._wiped()
            return await self._take_over()

    async def _take_over(self) -> int:
        stale = StaleKeys(self.rows.stamp)
        following = self.rows.next_offset
        # What there is of an empty copy is whole.
        self._whole_at = self.rows.whole_at if following else self._clock()
        async with self._appends.reader(self._topic, self._partition) as reader:
            await reader.seek(following)
            for _ in range(TRIES):
                while (records := await reader.next()) is not None:
                    self._check_age(following, records)
                    following = records[-1].offset + 1
                    self._apply(records, stale)
                end = await reader.position()
                epoch = self.rows.epoch + 1
                stamp = Stamp(epoch, decode_meta(self.rows.meta).step)
                marker: tuple[bytes, bytes | None] = (EPOCH_KEY, b"%d" % epoch)
                async with self._appends.transaction():
                    base = await self._appends.append(self._topic, self._partition, [(*marker, stamp.headers())])
                    if base < end:
                        raise ForeignLogError(f"{self._topic}/{self._partition} shrank from {end} to {base}")
                if base == end:
                    self.rows.write([marker], base, stamp, self._clock())
                    self._end = base + 1
                    await self._write_again(stale.keys, stamp)
                    return epoch
        raise LogError(f"{self._topic}/{self._partition}: others kept appending during {TRIES} take-overs")

    async def append(
        self,
        rows: list[tuple[bytes, bytes | None]],
        stamp: Stamp,
        together: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Append a step's rows as one batch, then write them locally.

        `together` sends what belongs to the same transaction.

        Raises:
            FencedError: a newer owner has the partition; nothing was written locally.
        """
        headers = stamp.headers()
        with self.meter.timed("changelog"):
            stale = await self._append([(key, value, headers) for key, value in rows], stamp, together)
        with self.meter.timed("rows"):
            self.rows.write(rows, self._end - 1, stamp, self._clock())
        await self._write_again(stale - {key for key, _ in rows}, stamp)

    async def _append(
        self, rows: list[Row], stamp: Stamp, together: Callable[[], Awaitable[None]] | None = None
    ) -> set[bytes]:
        """Append; return the keys of stale records that came between, to be written again."""
        async with self._appends.transaction():
            appended = self._appends.append(self._topic, self._partition, rows)
            base = await appended if together is None else (await asyncio.gather(appended, together()))[0]
            last, self._end = self._end, base + len(rows)
            expected = last + self._markers
            if base < expected:
                raise LogError(f"{self._topic}/{self._partition} shrank from {expected} to {base}")
            # A record of a former owner may stand before the marker, so all after our last record is looked at.
            return set() if base == expected else await self._between(last, base, stamp)

    async def _between(self, start: int, end: int, stamp: Stamp) -> set[bytes]:
        stale: set[bytes] = set()
        async with self._appends.reader(self._topic, self._partition) as reader:
            await reader.seek(start)
            while (records := await reader.next(up_to=end)) is not None:
                for record in records:
                    other = stamp_of(record.headers)
                    if other.epoch > stamp.epoch:
                        raise FencedError(
                            f"{self._topic}/{self._partition}: epoch {other.epoch} owns it, not {stamp.epoch}"
                        )
                    if other != stamp:  # an equal stamp is this very batch, repeated by the producer
                        stale.add(record.key)
        log.warning("%s/%d: %d stale rows of others at %d", self._topic, self._partition, len(stale), start)
        return stale

    async def _write_again(self, keys: Iterable[bytes], stamp: Stamp) -> None:
        """Append the present rows of the keys, so that compaction does not keep a stale one."""
        left = list(keys)
        while left:
            batch: list[tuple[bytes, bytes | None]] = []
            while left and size_of(batch) < self._settings.step_bytes // 2:
                key = left.pop()
                batch.append((key, self.rows.get(key)))
            left += await self._append([(key, value, stamp.headers()) for key, value in batch], stamp)
            self.rows.write([], self._end - 1, stamp)

    def _check_age(self, start: int, records: list[Logged]) -> None:
        """Compaction leaves gaps, and after a while removes deletions too, whose rows an old copy would then keep.

        Raises:
            OutdatedCopyError: so it may be.
        """
        gap = records[-1].offset + 1 - start > len(records)
        if gap and abs(self._clock() - self._whole_at) > FORGIVEN_MS:
            raise OutdatedCopyError(
                f"{self._topic}/{self._partition} was compacted since its local copy was whole, at {self._whole_at} "
                f"(UTC ms), next offset {start}"
            )

    def _apply(self, records: list[Logged], stale: StaleKeys) -> None:
        rows = [(r.key, r.value) for r in records if stale.accept(r.key, stamp_of(r.headers))]
        self.rows.write(rows, records[-1].offset, stale.highest, self._whole_at)
        self.meter.recovering(len(records))
