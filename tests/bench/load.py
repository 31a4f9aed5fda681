"""Events put on the topics for the bench, as fast as the broker takes them."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from aiokafka import AIOKafkaProducer

from app.domain.partition import partition_of
from app.settings import Settings
from tests.bench.traffic import Message

BATCH_BYTES = 900 * 1024
ROUND = 20_000
"""Messages that are held at once."""


async def publish(
    settings: Settings, messages: Iterable[Message], progress: Callable[[int], None]
) -> list[tuple[str, int, int]]:
    """Publish the messages under their keys; return (topic, partition, offset after the last record).

    `progress` is told how many are published.
    """
    ends: dict[tuple[str, int], int] = {}
    producer = AIOKafkaProducer(
        bootstrap_servers=list(settings.brokers), max_batch_size=BATCH_BYTES, compression_type="zstd"
    )
    await producer.start()
    try:
        held: dict[tuple[str, int], list[Message]] = defaultdict(list)
        count = 0
        for message in messages:
            count += 1
            held[f"{settings.topic_prefix}{message.topic}", partition(settings, message)].append(message)
            if count % ROUND == 0:
                await _send(producer, held, ends)
                progress(count)
        await _send(producer, held, ends)
        progress(count)
    finally:
        await producer.stop()
    return [(topic, number, end) for (topic, number), end in ends.items()]


def partition(settings: Settings, message: Message) -> int:
    """Return the partition of a message's key; the first of one without."""
    return 0 if message.key is None else partition_of(message.key, settings.partitions)


async def _send(producer: Any, held: dict[tuple[str, int], list[Message]], ends: dict[tuple[str, int], int]) -> None:
    sent = []
    for place, messages in held.items():
        left = messages[::-1]
        while left:
            batch = producer.create_batch()
            while left and _fits(batch, left[-1]):
                left.pop()
            batch.close()
            sent.append((place, batch.record_count(), await producer.send_batch(batch, place[0], partition=place[1])))
    for place, count, future in sent:
        ends[place] = (await future).offset + count
    held.clear()


def _fits(batch: Any, message: Message) -> bool:
    return batch.append(timestamp=message.record_at, key=message.key, value=message.value) is not None
