"""How long an event takes from a producer's call until a consumer of the outputs reads what came of it."""

import asyncio
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from app import topics
from app.settings import Settings
from tests.bench.load import partition
from tests.bench.traffic import Message

WARM_S = 3.0
"""What a worker meets for the first time does not count: data files are read, caches are empty."""
SETTLE_S = 2.0


class Latency(msgspec.Struct):
    """Latencies of the events that changed a lead's groups."""

    rate: float
    """Events a second that were published."""
    samples: int
    p50_ms: float
    p99_ms: float
    worst_ms: float


class _MessageId(msgspec.Struct):
    messageId: str | int | None = None  # noqa: N815 - the spec's


_ID = msgspec.json.Decoder(_MessageId)


async def latency(settings: Settings, messages: Iterator[Message], rate: float, seconds: float) -> Latency:
    """Publish messages one by one at a steady rate and watch `leads.segments` for what they cause."""
    prepared = list(islice(messages, int(rate * (WARM_S + seconds))))
    sent: dict[str, float] = {}
    taken: list[float] = []
    consumer = AIOKafkaConsumer(
        topics.topics(settings).segments.name,
        bootstrap_servers=list(settings.brokers),
        auto_offset_reset="earliest",
        fetch_max_wait_ms=settings.fetch_wait_ms,
        isolation_level="read_committed",
    )
    producer = AIOKafkaProducer(bootstrap_servers=list(settings.brokers))
    await consumer.start()
    await producer.start()
    watching = asyncio.create_task(_watch(consumer, sent, taken))
    try:
        began = time.perf_counter()
        for number, message in enumerate(prepared):
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            if number == int(rate * WARM_S):
                sent.clear()
            await _send(settings, producer, message, sent)
        real_rate = len(prepared) / (time.perf_counter() - began)
        await asyncio.sleep(SETTLE_S)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await producer.stop()
        await consumer.stop()
    taken.sort()
    return Latency(real_rate, len(taken), _at(taken, 0.5), _at(taken, 0.99), _at(taken, 1.0))


async def _send(settings: Settings, producer: Any, message: Message, sent: dict[str, float]) -> None:
    try:
        name = _ID.decode(message.value).messageId
    except msgspec.MsgspecError:
        name = None
    sent.setdefault(str(name), time.perf_counter())
    await producer.send(
        f"{settings.topic_prefix}{message.topic}",
        key=message.key,
        value=message.value,
        partition=partition(settings, message),
        timestamp_ms=message.record_at,
    )


async def _watch(consumer: Any, sent: dict[str, float], taken: list[float]) -> None:
    async for record in consumer:
        now = time.perf_counter()
        cause = orjson.loads(record.value)["cause"].get("event_id")
        if cause in sent:
            taken.append((now - sent.pop(cause)) * 1000)


def _at(ordered: list[float], share: float) -> float:
    """Return the value that `share` of them do not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
