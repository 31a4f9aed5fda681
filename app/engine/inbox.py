"""What waits for a lane: chunks of records, cut to what a step may take, and what of them is new."""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from heapq import merge
from itertools import chain, islice, repeat
from typing import Any, Final

import msgspec

from app.engine.program import Record
from app.engine.protocol import LogError, Meta, applies, sender_of

LIVE_MS: Final = 60_000
"""Records that are no older when they come are live: they are held back by nobody's backlog."""
LIVE: Final = 0
"""What live records count as: before all that is older."""


class Chunk(msgspec.Struct):
    """Records that were fetched together from one partition of one topic."""

    topic: str
    partition: int
    start: int
    """Offset from which they were read: what lies between it and the first record is no record."""
    records: Sequence[Any]
    """aiokafka's ConsumerRecords, in order of offset."""
    done: Callable[[], None]
    """Tells Faust that the chunk is processed."""
    times: list[int] = []
    """UTC ms; while it waits, what its records count as."""

    def cut(self, count: int) -> tuple["Chunk", "Chunk"]:
        """Return the first `count` records and the rest; Faust is told when the rest is processed."""
        first, rest = self.records[:count], self.records[count:]
        return (
            Chunk(self.topic, self.partition, self.start, first, more_comes),
            Chunk(self.topic, self.partition, first[-1].offset + 1, rest, self.done, self.times[count:]),
        )


def more_comes() -> None:
    """Tell Faust nothing."""


class Inbox:
    """Chunks of a lane's inputs, taken by the timestamps of their records: the inputs come abreast.

    However far one input is behind the others, what was told at one time is processed together. A topic's order is that
    of its offsets, whatever their timestamps. What is live comes before any backlog but that of its own topic.
    """

    def __init__(self, topics: Iterable[str], first: Collection[str], wall_ms: Callable[[], int]) -> None:
        """Take the inputs, and the wall clock; records of those among `first` are taken before any other."""
        self.records = 0
        """How many records wait."""
        self._chunks: dict[str, deque[Chunk]] = {topic: deque() for topic in topics}
        self._first = first
        self._wall_ms = wall_ms

    def __bool__(self) -> bool:
        return self.records > 0

    def count(self, topic: str) -> int:
        """Return how many records of a topic wait."""
        return sum(len(chunk.records) for chunk in self._chunks[topic])

    def end(self, topic: str) -> int | None:
        """Return the offset after the last record of a topic that waits; None when none does."""
        chunks = self._chunks[topic]
        return chunks[-1].records[-1].offset + 1 if chunks else None

    def put(self, chunk: Chunk) -> None:
        """Have a chunk wait; chunks of a topic come in order."""
        live = self._wall_ms() - LIVE_MS
        chunk.times = [LIVE if record.timestamp >= live else record.timestamp for record in chunk.records]
        self._chunks[chunk.topic].append(chunk)
        self.records += len(chunk.records)

    def ready(self, *, held: bool) -> bool:
        """Whether there is something to take; while the backlogs are `held`, of what is live or comes first."""
        return self.records > 0 and (not held or any(self._at_once(topic) for topic in self._chunks))

    def _at_once(self, topic: str) -> bool:
        chunks = self._chunks[topic]
        return bool(chunks) and (topic in self._first or chunks[0].times[0] == LIVE)

    def take(self, most: int, more: Collection[str] = (), *, held: bool = False) -> list[Chunk]:
        """Take so many records at most, topic after topic; of the last chunk of each maybe a part.

        Of a topic in `more` others are about to come, which may be older than what waits of other topics: nothing of a
        backlog is taken beyond the last one of it, and nothing at all while backlogs are `held`.
        """
        taken = []
        for topic, count in self._shares(most, more, held=held).items():
            self.records -= count
            chunks = self._chunks[topic]
            while count:
                chunk = chunks.popleft()
                if len(chunk.records) > count:
                    chunk, rest = chunk.cut(count)
                    chunks.appendleft(rest)
                count -= len(chunk.records)
                taken.append(chunk)
        return taken

    def _shares(self, most: int, more: Collection[str], *, held: bool) -> Counter[str]:
        """Return how many records of each topic are next."""
        shares = Counter[str]()
        others = []
        for topic, chunks in self._chunks.items():
            if topic in self._first:
                shares[topic] = min(most - shares.total(), self.count(topic))
            elif chunks:
                others.append(topic)
        most -= shares.total()
        if len(others) == 1 and not held:
            shares[others[0]] = min(most, self.count(others[0]))
            return shares
        last = {topic: self.count(topic) for topic in others if topic in more}
        by_time = merge(*(zip(self._times(topic), repeat(place)) for place, topic in enumerate(others)))
        for time, place in islice(by_time, most):
            if held and time != LIVE:
                break
            topic = others[place]
            shares[topic] += 1
            held = held or shares[topic] == last.get(topic)
        return shares

    def _times(self, topic: str) -> Iterable[int]:
        return chain.from_iterable(chunk.times for chunk in self._chunks[topic])


def check_whole(chunks: Sequence[Chunk], following: Mapping[str, int]) -> None:
    """Check that the chunks go on at the next offsets of their topics, or before.

    Raises:
        LogError: records between them never came.
    """
    reached = dict(following)
    for chunk in chunks:
        if chunk.start > reached[chunk.topic]:
            raise LogError(
                f"{chunk.topic}/{chunk.partition}: the next records start at {chunk.start}, "
                f"those from {reached[chunk.topic]} on never came"
            )
        reached[chunk.topic] = max(reached[chunk.topic], chunk.records[-1].offset + 1)


def sift(
    records: Sequence[Any], meta: Meta, app_id: str, channels: Collection[str]
) -> tuple[list[Record], dict[str, int], dict[str, int]]:
    """Return the records that are new to a lane with this meta row, and the offsets and channel positions after them.

    Raises:
        ChannelGapError: what another lane sent is missing.
    """
    following, got = dict(meta.next), meta.got
    ours = f"{app_id}/"
    fresh: list[Record] = []
    for record in records:
        topic, offset = record.topic, record.offset
        if offset < following[topic]:
            continue
        following[topic] = offset + 1
        if topic in channels and record.headers:
            sender = sender_of(record.headers)
            if sender is not None:
                if not sender[0].startswith(ours):
                    continue
                if got is meta.got:
                    got = dict(got)
                if not applies(got, topic, *sender):
                    continue
        fresh.append(Record(topic, record.partition, offset, record.timestamp, record.key, record.value))
    return fresh, following, got
