"""Outputs that are right and large are sent: a step that is durable and cannot be sent would end its lane for ever."""

import json
import random
import string
from typing import Any

from app import topics
from app.leads.program import LeadProgram
from tests.domain.stories import reader
from tests.domain.ways import plain
from tests.engine.broker_io import Message, publish, read_once
from tests.engine.conftest import NewSettings
from tests.engine.harness import Station

AT = 1_767_225_600_000  # 2026-01-01T00:00:00Z
MINUTE = 60_000
READERS = {"default": reader(plain("goals: {purchase: {event: order_completed, value: order}}\n"))}
TOLD = ("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term", "gclid")


async def test_a_conversion_of_five_hundred_touches_with_long_names_is_sent(new_settings: NewSettings) -> None:
    """Anyone may put such addresses into a browser: 2 MB of touches that hardly compress."""
    settings = await new_settings(partitions=1)
    known = topics.topics(settings)
    chance = random.Random(7)

    def message(minute: int, **more: Any) -> Message:
        told = {"userId": "ada", "messageId": f"m{minute}", "timestamp": AT + minute * MINUTE, **more}
        return known.web.name, b"ada", json.dumps(told).encode()

    def arrival(minute: int) -> Message:
        texts = ("".join(chance.choices(string.ascii_letters + string.digits, k=490)) for _ in TOLD)
        query = "&".join(f"{name}={text}" for name, text in zip(TOLD, texts, strict=True))
        return message(minute, type="page", properties={"url": f"https://shop.example/?{query}"})

    order = message(600, type="track", event="Order Completed", properties={"order_id": "o1", "revenue": 10})
    ends = await publish(settings, [*map(arrival, range(500)), order])
    async with Station(settings, lambda partition: LeadProgram(partition, settings, known, READERS)) as station:
        await station.open()
        await station.run(ends)
    ((_, value),) = await read_once(settings, known.conversions.name)
    assert len(value or b"") > 1_500_000
    told = json.loads(value or b"")
    assert len(told["touches"]) == 500
    assert sum(told["credits"]["linear"]) == 1_000
