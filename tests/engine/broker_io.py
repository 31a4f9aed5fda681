"""Producing to and reading from the broker, as an outsider."""

from collections import defaultdict
from collections.abc import Iterable

from aiokafka import AIOKafkaProducer

from app.domain.partition import partition_of
from app.engine.kafka import Logged, Reader
from app.engine.protocol import sender_of
from app.settings import Settings

Message = tuple[str, bytes, bytes]
"""Topic, key, value."""
Ends = dict[tuple[str, int], int]


async def publish(settings: Settings, messages: Iterable[Message]) -> Ends:
    """Publish and return the offset after the last record of each partition, as acknowledged."""
    batches: dict[tuple[str, int], list[tuple[bytes, bytes]]] = defaultdict(list)
    for topic, key, value in messages:
        batches[topic, partition_of(key, settings.partitions)].append((key, value))
    ends: Ends = {}
    producer = AIOKafkaProducer(bootstrap_servers=list(settings.brokers), max_batch_size=8 << 20)
    await producer.start()
    try:
        for (topic, partition), records in batches.items():
            while records:
                batch = producer.create_batch()
                while records and batch.append(timestamp=None, key=records[0][0], value=records[0][1]) is not None:
                    records.pop(0)
                count = batch.record_count()
                sent = await (await producer.send_batch(batch, topic, partition=partition))
                ends[topic, partition] = sent.offset + count
    finally:
        await producer.stop()
    return ends


async def read_all(settings: Settings, topic: str) -> list[Logged]:
    """Return every record of the topic, partition after partition."""
    found: list[Logged] = []
    for partition in range(settings.partitions):
        async with Reader(settings, topic, partition) as reader:
            await reader.seek(0)
            while (records := await reader.next()) is not None:
                found += records
    return found


async def read_once(settings: Settings, topic: str) -> list[tuple[bytes, bytes | None]]:
    """Return key and value of every output, once: known by its header, and always the same under it."""
    seen: dict[tuple[str, int, int], tuple[bytes, bytes | None]] = {}
    for partition in range(settings.partitions):
        highest: dict[str, int] = {}
        async with Reader(settings, topic, partition) as reader:
            await reader.seek(0)
            while (records := await reader.next()) is not None:
                for record in records:
                    sender = sender_of(record.headers)
                    assert sender is not None
                    lane, seq = sender
                    content = (record.key, record.value)
                    assert seen.setdefault((lane, partition, seq), content) == content
                    assert seq <= highest.get(lane, 0) + 1, "a gap"
                    highest[lane] = max(seq, highest.get(lane, 0))
    return list(seen.values())
