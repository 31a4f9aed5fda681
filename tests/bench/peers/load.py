"""The events of the job, and how they come to be on a topic."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer

from app.domain.partition import partition_of
from app.settings import Settings
from tests.bench.load import publish
from tests.bench.traffic import Message, traffic

PARTITIONS = 4
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?(Z|[+-]\d\d:\d\d)")


def events(count: int, leads: int) -> list[Message]:
    """Return the sample's mix of messages, of about so many leads; those without a key, kind or valid time left out."""
    return list(islice(filter(_usable, traffic(count + count // 50 + 100, leads)), count))


def _usable(message: Message) -> bool:
    if message.key is None:
        return False
    try:
        told = orjson.loads(message.value)
    except orjson.JSONDecodeError:
        return False
    kind = told.get("event") if told.get("type") == "track" else told.get("type")
    return isinstance(kind, str) and _RFC3339.fullmatch(str(told.get("timestamp"))) is not None


async def put(settings: Settings, topic: str, messages: Sequence[Message]) -> None:
    """Publish the messages to one topic, under their keys."""
    named = (Message(topic, message.key, message.value, message.record_at) for message in messages)
    await publish(settings, named, lambda _: None)


async def whole(settings: Settings, topic: str) -> list[Any]:
    """Return all records of a topic (aiokafka's), partition after partition."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=list(settings.brokers),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=8 << 20,
    )
    await consumer.start()
    found: list[Any] = []
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        begins = await consumer.beginning_offsets(list(ends))
        left = {at for at, end in ends.items() if end > begins[at]}
        while left:
            for records in (await consumer.getmany(*left, timeout_ms=200)).values():
                found += records
            for at in list(left):
                if await consumer.position(at) >= ends[at]:
                    left.discard(at)
    finally:
        await consumer.stop()
    return found


def probes() -> Iterator[Message]:
    """Yield messages, each the first of a new lead, whose score crosses the threshold with it."""
    number = 0
    while True:
        key = f"probe{number}"
        value = {
            "type": "track",
            "event": "Order Completed",
            "userId": key,
            "messageId": key,
            "timestamp": "2026-11-20T00:00:00.000Z",
            "properties": {"order_id": key, "total": 49.9, "currency": "EUR", "products": [{"product_id": "p1"}] * 3},
            "context": {"library": {"name": "analytics.js", "version": "2"}, "userAgent": "Mozilla/5.0 " * 20},
        }
        yield Message("", key.encode(), orjson.dumps(value), 0)
        number += 1


def place_of(key: bytes) -> int:
    """Return the partition of a key."""
    return partition_of(key, PARTITIONS)
