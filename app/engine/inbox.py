"""What waits for a lane: chunks of records, cut to what a step may take, and what of them is new."""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from app.engine.program import Record
from app.engine.protocol import LogError, Meta, applies, sender_of


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

    def cut(self, count: int) -> tuple["Chunk", "Chunk"]:
        """Return the first `count` records and the rest; Faust is told when the rest is processed."""
        first, rest = self.records[:count], self.records[count:]
        return (
            Chunk(self.topic, self.partition, self.start, first, more_comes),
            Chunk(self.topic, self.partition, first[-1].offset + 1, rest, self.done),
        )


def more_comes() -> None:
    """Tell Faust nothing."""


class Inbox:
    """Chunks of a lane's inputs, in the order in which they came."""

    def __init__(self) -> None:
        self.records = 0
        """How many records wait."""
        self._chunks: deque[Chunk] = deque()

    def __bool__(self) -> bool:
        return bool(self._chunks)

    def put(self, chunk: Chunk) -> None:
        """Have a chunk wait; chunks of a topic come in order."""
        self._chunks.append(chunk)
        self.records += len(chunk.records)

    def take(self, most: int) -> list[Chunk]:
        """Take so many records at most, topic after topic; of the last chunk maybe a part, whose rest is next."""
        by_topic: dict[str, list[Chunk]] = {}
        room = most
        while self._chunks and room:
            chunk = self._chunks.popleft()
            if len(chunk.records) > room:
                chunk, rest = chunk.cut(room)
                self._chunks.appendleft(rest)
            by_topic.setdefault(chunk.topic, []).append(chunk)
            room -= len(chunk.records)
            self.records -= len(chunk.records)
        return [chunk for chunks in by_topic.values() for chunk in chunks]


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
