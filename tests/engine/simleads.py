"""Simulated worlds with the real program of leads: what they tell and keep equals a fold without lanes or faults."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import orjson

from app import topics
from app.domain.reader import Reader
from app.engine.clock import WALL_CLOCK_DELAY_MS
from app.leads.commands import Advance, encode
from app.leads.program import LeadProgram
from app.rules import load
from app.settings import Settings
from tests.engine.onepiece import OnePiece, Told, leads_in
from tests.engine.simcheck import due_rows, rebuilt, rows_of, told_once
from tests.engine.simulate import same
from tests.engine.simworld import World

PARTITIONS = 4
EVENTS = 14
START = 1_767_225_600_000  # 2026-01-01T00:00:00Z
HOUR = 3_600_000
UNTIL = START + 40 * 24 * HOUR
END = UNTIL + 100 * 24 * HOUR
TIMED_CRASHES = 8
SHOP = Path(__file__).parents[1] / "rules" / "shop.yaml"
SETTINGS = Settings(partitions=PARTITIONS, step_records=5, replay=True)

CALLS: Sequence[dict[str, Any]] = (
    {"type": "page", "properties": {"path": "/pricing", "url": "https://shop.example/pricing?utm_medium=cpc"}},
    {
        "type": "page",
        "properties": {"path": "/", "url": "https://shop.example/", "referrer": "https://www.google.com/"},
    },
    {"type": "track", "event": "Product Viewed", "properties": {"product_id": "p1", "category": "shoes"}},
    {"type": "track", "event": "Product Added", "properties": {"product_id": "p1", "price": 30, "category": "shoes"}},
    {"type": "track", "event": "Checkout Started", "properties": {}},
    {"type": "track", "event": "Order Completed", "properties": {"order_id": "o1", "revenue": 30, "currency": "EUR"}},
    {"type": "track", "event": "Order Refunded", "properties": {"order_id": "o1", "currency": "USD", "total": 3}},
    {"type": "track", "event": "Form Submitted", "properties": {"form": "contact"}},
    {"type": "track", "event": "Call Completed", "properties": {"text": "x" * 30}},
    {"type": "identify", "traits": {"country": "UA", "employees": 80}},
    {"type": "track"},
)
"""What may happen; the last is rejected."""


@cache
def _readers() -> dict[str, Reader]:
    return {"default": Reader(load(SHOP))}


def _program(partition: int) -> LeadProgram:
    return LeadProgram(partition, SETTINGS, topics.topics(SETTINGS), _readers())


def _messages(chance: random.Random) -> Iterable[tuple[str, int, int, bytes]]:
    """Yield (topic, partition, time, message) of six leads; some come late, some twice: then to the same place, since
    of two copies the one that was read first is the one that was.
    """
    inputs = topics.topics(SETTINGS).inputs[:4]
    people: list[dict[str, Any]] = [
        {"userId": "ada"},
        {"userId": "bob"},
        {"anonymousId": "a-1"},
        {"anonymousId": "a-2"},
        {"userId": "eve"},
        {"context": {"traits": {"email": "flo@gmail.com"}}},
    ]
    before: list[tuple[str, int, int, bytes]] = []
    for number in range(EVENTS):
        if before and chance.random() < 0.1:
            yield chance.choice(before)
            continue
        at = START + chance.randrange(30 * 24 * HOUR)
        message = {"messageId": f"m{number}", "timestamp": at, **chance.choice(people), **chance.choice(CALLS)}
        before.append((chance.choice(inputs).name, chance.randrange(PARTITIONS), at, orjson.dumps(message)))
        yield before[-1]


def _live_program(partition: int) -> LeadProgram:
    live = msgspec.structs.replace(SETTINGS, replay=False)
    return LeadProgram(partition, live, topics.topics(live), _readers())


async def simulate(seed: int) -> World:
    """Let 14 events happen to 4 lanes and 6 leads, fold them up to a time, then let only time pass.

    Raises:
        WrongError: what was told or kept differs from a fold in one piece.
    """
    chance = random.Random(seed)
    known = topics.topics(SETTINGS)
    world = World(seed, _program, SETTINGS, crash=chance.choice((0.02, 0.08)))
    published = [world.publish(topic, partition, None, value, at) for topic, partition, at, value in _messages(chance)]
    try:
        await world.run()
        for partition in range(PARTITIONS):
            world.publish(known.commands.name, partition, None, encode(Advance(UNTIL, snapshot=True)))
        await world.run()
        oracle = OnePiece(SETTINGS, _readers())
        oracle.take(published)
        oracle.advance(UNTIL)
        same("told", _told(world), oracle.told)
        same("leads", leads_in(rows_of(world)), oracle.leads)
        await _let_time_pass(world)
        oracle.advance(END - WALL_CLOCK_DELAY_MS)
        await world.take_over_again()
        same("log", _log(_told(world)), _log(oracle.told))
        same("due", [at for at, _ in due_rows(world) if at <= END - WALL_CLOCK_DELAY_MS], [])
        leads = leads_in(rebuilt(world, compacted=True))
        same("leads after compaction", leads, leads_in(rows_of(world)))
        same("cores", _cores(leads), _cores(oracle.leads))
    finally:
        await world.end()
    return world


async def _let_time_pass(world: World) -> None:
    """Have live lanes take the partitions over, for which the wall clock goes on from where the replay ended."""
    await world.end()
    world.make = _live_program
    world.most_crashes = world.crashes.total() + TIMED_CRASHES
    world.now, world.until = UNTIL, END
    await world.run()


def _log(told: Told) -> Counter[tuple[str, bytes | None, bytes]]:
    """Return the changes of groups and the conversions; numbers, in which profiles have part, left out."""
    log: Counter[tuple[str, bytes | None, bytes]] = Counter()
    for (topic, key, value), times in told.items():
        if topic in ("leads.segments", "leads.conversions"):
            record = {name: said for name, said in orjson.loads(value or b"").items() if name != "seq"}
            log[topic, key, orjson.dumps(record)] += times
    return log


def _cores(leads: dict[tuple[str, str], Any]) -> dict[tuple[str, str], Any]:
    """Return what folding made of leads, without what was told of them."""
    return {name: core for name, (core, _) in leads.items()}


def _told(world: World) -> Told:
    known = topics.topics(SETTINGS)
    outputs = (known.segments, known.conversions, known.profiles, known.rejected)
    return Counter((topic.name, *content) for topic in outputs for content in told_once(world, topic.name))
