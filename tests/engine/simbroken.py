"""Lanes and changelogs that each break one rule of the protocol, to see that the simulation notices."""

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any

import msgspec

from app.engine.changelog import Changelog
from app.engine.inbox import Chunk, Inbox, more_comes
from app.engine.kafka import Logged
from app.engine.lane import Lane
from app.engine.plan import Plan, Sends
from app.engine.program import Record
from app.engine.protocol import StaleKeys, Stamp, stamp_of


class SendsFirst(Lane):
    """Sends what a step says before the changelog has it."""

    async def _take(self, plan: Plan) -> None:
        await self._send(plan.sends)
        await super()._take(msgspec.structs.replace(plan, sends={}))


class NeverSendsAgain(Lane):
    """Does not send the stored outbox when it takes over."""

    opening = False

    async def open(self, earliest: Callable[[], Awaitable[dict[str, int]]]) -> dict[str, int]:
        self.opening = True
        starts = await super().open(earliest)
        self.opening = False
        return starts

    async def _send(self, sends: Sends) -> None:
        if not self.opening:
            await super()._send(sends)


class SkipsNothing(Lane):
    """Applies what it is given though the meta row says that it has been."""

    def _sift(self, records: list[Any]) -> tuple[list[Record], dict[str, int], dict[str, int]]:
        known = self.meta
        given = dict(known.next)
        for record in reversed(records):
            given[record.topic] = min(given[record.topic], record.offset)
        self.meta = msgspec.structs.replace(known, next=given)
        fresh, following, got = super()._sift(records)
        self.meta = known
        return fresh, {topic: max(offset, known.next[topic]) for topic, offset in following.items()}, got


class TakesRepeats(Lane):
    """Does not look at the numbers on what other lanes sent."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.spec = msgspec.structs.replace(self.spec, channels=frozenset())


class _ForgetfulInbox(Inbox):
    def take(self, most: int, more: Collection[str] = (), *, held: bool = False) -> list[Chunk]:
        chunks = super().take(most, more, held=held)
        for chunk in chunks:
            if chunk.done is more_comes:
                self.records -= len(self._chunks[chunk.topic].popleft().records)
        return chunks


class DropsTheRest(Lane):
    """Forgets what is left of a chunk of which a step took a part."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._waiting = _ForgetfulInbox(self.spec.topics, self.spec.channels, self._wall_ms)


class FearsNobody(Changelog):
    """Does not look at what came between its appends."""

    async def _between(self, start: int, end: int, stamp: Stamp) -> set[bytes]:
        return set()


class BelievesEveryRow(Changelog):
    """Applies what a former owner wrote after it had been replaced."""

    def _apply(self, records: list[Logged], stale: StaleKeys) -> None:
        stale.highest = max([stale.highest, *(stamp_of(record.headers) for record in records)])
        self.rows.write([(record.key, record.value) for record in records], records[-1].offset, stale.highest)


class RebuildsNoIndex(Changelog):
    """Brings rows back from the changelog, and not the index of when they are due."""

    def _apply(self, records: list[Logged], stale: StaleKeys) -> None:
        before = self._entries()
        super()._apply(records, stale)
        self.rows._commit([(key, before.get(key)) for key in before.keys() | self._entries().keys()])

    def _entries(self) -> dict[bytes, bytes]:
        return dict(self.rows._read_range(b"\x00due", b"\x00duf", 1_000))


class LeavesStaleRows(Changelog):
    """Does not write the keys of void records again."""

    async def _write_again(self, keys: Iterable[bytes], stamp: Stamp) -> None:
        return None
