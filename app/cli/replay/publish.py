"""Messages and commands put on the topics a worker reads, each with its key, partition and time."""

from array import array
from collections import defaultdict
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from aiokafka import AIOKafkaProducer

from app.connection import client_options
from app.leads.commands import Advance, encode
from app.settings import Settings
from app.topics import Topic, Topics, topics

BATCH_BYTES: Final = 900 * 1024
UNNUMBERED: Final = -1


class Message(msgspec.Struct, frozen=True, gc=False):
    """One record to publish."""

    topic: str
    """Without the settings' prefix."""
    key_hash: int
    """murmur2 of the key."""
    key: bytes | None
    value: bytes
    record_at: int
    """UTC ms."""
    number: int = UNNUMBERED
    """What `Publisher.number_at` gives back."""


class Publisher:
    """Publishes in order per partition, and knows where everything came to stand."""

    def __init__(self, settings: Settings) -> None:
        self.ends: dict[tuple[str, int], int] = {}
        """Offset after the last record published, by (topic with prefix, partition)."""
        self._settings = settings
        self._topics: Topics = topics(settings)
        self._by_name: dict[str, Topic] = {
            topic.name.removeprefix(settings.topic_prefix): topic for topic in self._topics.inputs
        }
        self._numbers: dict[tuple[str, int], array[int]] = defaultdict(lambda: array("q"))
        self._producer: Any = None

    async def __aenter__(self) -> Self:
        self._producer = AIOKafkaProducer(
            **client_options(self._settings),
            acks="all",
            max_batch_size=BATCH_BYTES,
        )
        await self._producer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._producer.stop()

    async def send(self, messages: Iterable[Message]) -> int:
        """Publish messages and return when the broker has them all; return how many.

        Raises:
            KafkaError: the broker did not take some of them.
        """
        waiting: dict[tuple[str, int], list[Message]] = defaultdict(list)
        count = 0
        for message in messages:
            partition = (message.key_hash & 0x7FFFFFFF) % self._settings.partitions
            waiting[message.topic, partition].append(message)
            count += 1
        sent: list[tuple[tuple[str, int], Any, list[int]]] = []
        for to, records in waiting.items():
            start = 0
            while start < len(records):
                batch, taken = self._batch(records, start)
                future = await self._submit(*to, batch)
                sent.append((to, future, [record.number for record in records[start : start + taken]]))
                start += taken
        for (topic, partition), future, numbers in sent:
            offset = int((await future).offset)
            known = self._numbers[topic, partition]
            # A gap is a batch that the producer repeated because an acknowledgement was lost.
            known.extend([UNNUMBERED] * (offset - len(known)))
            known.extend(numbers)
            self.ends[self._by_name[topic].name, partition] = offset + len(numbers)
        return count

    def number_at(self, topic: str, partition: int, offset: int) -> int:
        """Return the number of the message at this place; `UNNUMBERED` when it has none."""
        numbers = self._numbers[topic, partition]
        return numbers[offset] if 0 <= offset < len(numbers) else UNNUMBERED

    async def advance(self, to: int, *, snapshot: bool = False) -> None:
        """Tell every lane to fold up to `to` (UTC ms) and apply what is due by then."""
        commands = self._topics.commands.name
        value = encode(Advance(to, snapshot))
        for partition in range(self._settings.partitions):
            metadata = await self._producer.send_and_wait(commands, value, partition=partition)
            self.ends[commands, partition] = int(metadata.offset) + 1

    def _batch(self, records: list[Message], start: int) -> tuple[Any, int]:
        """Return a batch of the records from `start` on, and how many it has; a large record goes alone."""
        batch = self._producer.create_batch()
        taken = 0
        for record in records[start:]:
            if batch.append(timestamp=record.record_at, key=record.key, value=record.value) is None:
                break
            taken += 1
        batch.close()
        return batch, taken

    async def _submit(self, topic: str, partition: int, batch: Any) -> Any:
        return await self._producer.send_batch(batch, self._by_name[topic].name, partition=partition)
