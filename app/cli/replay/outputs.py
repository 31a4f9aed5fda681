"""What lanes sent, read from the output topics: each record once, and all of it."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from app.connection import client_options
from app.engine.lane import Lane
from app.engine.protocol import sender_of
from app.settings import MIB, Settings
from app.topics import topics

Take = Callable[[str, bytes | None, bytes | None], None]
"""Gets topic (without prefix), key and value of each record."""

PATIENCE_S: Final = 60.0


class OutputsError(RuntimeError):
    """Lanes sent more than the output topics have."""


class Outputs:
    """Reads what lanes sent to the output topics."""

    def __init__(self, settings: Settings, take: Take) -> None:
        known = topics(settings)
        read = (known.segments, known.conversions, known.profiles, known.merged, known.rejected)
        self._settings = settings
        self._names = {topic.name: topic.name.removeprefix(settings.topic_prefix) for topic in read}
        self._take = take
        self._read: dict[tuple[str, str], int] = {}
        """(`topic/partition`, lane) → the last seq taken."""
        self._consumer: Any = None

    async def __aenter__(self) -> Self:
        self._consumer = AIOKafkaConsumer(
            **client_options(self._settings),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=4 * MIB,
        )
        await self._consumer.start()
        places = [TopicPartition(name, number) for name in self._names for number in range(self._settings.partitions)]
        self._consumer.assign(places)
        await self._consumer.seek_to_beginning(*places)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    async def catch_up(self, lanes: Iterable[Lane]) -> None:
        """Take everything that the lanes have sent so far; they must rest.

        Raises:
            OutputsError: nothing came for a minute though something is missing.
        """
        sent = self._sent(lanes)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_S
        while self._missing(sent):
            fetched = await self._consumer.getmany(timeout_ms=200)
            for place, records in fetched.items():
                deadline = loop.time() + PATIENCE_S
                for record in records:
                    self._one(place, record)
            if loop.time() > deadline:
                raise OutputsError(f"{self._missing(sent)} records that lanes sent are not on the output topics")

    def _sent(self, lanes: Iterable[Lane]) -> dict[tuple[str, str], int]:
        return {
            (channel, lane.name): seq
            for lane in lanes
            for channel, seq in lane.meta.sent.items()
            if channel.rpartition("/")[0] in self._names
        }

    def _missing(self, sent: Mapping[tuple[str, str], int]) -> int:
        return sum(max(0, seq - self._read.get(channel, 0)) for channel, seq in sent.items())

    def _one(self, place: Any, record: Any) -> None:
        sender = sender_of(record.headers)
        if sender is None:
            return
        lane, seq = sender
        channel = (f"{place.topic}/{place.partition}", lane)
        if seq > self._read.get(channel, 0):
            self._read[channel] = seq
            self._take(self._names[place.topic], record.key, record.value)
