"""Thousands of random interleavings of lanes that die, return and overlap: nothing lost, doubled or told two ways.

The lanes, changelogs and the protocol are the real ones; the broker and the disks are lists and dicts (`simworld`). Each
rule that PROTOCOL.md gives a reason for is broken once, to see that the simulation notices.
"""

import random
from collections import Counter

import msgspec
import pytest

from app import topics
from app.engine.changelog import Changelog
from app.engine.lane import Lane
from app.settings import Settings
from tests.engine.simcheck import WrongError, rebuilt, rows_of, told_once
from tests.engine.simtour import TourProgram, Tour, found_in, in_order, visits
from tests.engine.simworld import World

RUNS = 3_000
PARTITIONS = 4
EVENTS = 14
PEOPLE = ("ada", "bob", "cy", "dot", "eve", "flo")

SETTINGS = Settings(partitions=PARTITIONS, step_records=5)
TOPICS = topics.topics(SETTINGS)


def new_world(seed: int, **options: object) -> tuple[World, list[Tour], dict[bytes, str]]:
    """A world and its events: which tours, and where each of them was published."""
    chance = random.Random(seed)
    options.setdefault("crash", chance.choice((0.0, 0.02, 0.1)))
    world = World(seed, lambda partition: TourProgram(partition, SETTINGS), SETTINGS, **options)  # type: ignore[arg-type]
    tours: list[Tour] = []
    places: dict[bytes, str] = {}
    for number in range(EVENTS):
        way = tuple(chance.choice(PEOPLE) for _ in range(chance.choice((1, 1, 2, 3))))
        name = f"e{number:02}"
        tours.append((name, way))
        topic, partition = chance.choice(TOPICS.inputs[:4]).name, chance.randrange(PARTITIONS)
        places[name.encode()] = f"{topic}/{partition}"
        world.publish(topic, partition, None, f"{name}:{','.join(way)}".encode())
    return world, tours, places


def check(world: World, tours: list[Tour], places: dict[bytes, str]) -> None:
    due = visits(tours)
    rows = rows_of(world)
    _same("rows", found_in(rows), due)
    _same("told", Counter((key, (value or b"").partition(b"@")[0]) for key, value in told(world, "segments")), due)
    named = Counter(b"%s@%s" % (visit, key) for key, visit in due.elements())
    _same("told later", Counter(key or b"" for key, _ in told(world, "conversions")), named)
    newest = dict(told(world, "profiles"))
    _same("newest state", newest, {key[1:]: value for key, value in rows.items()})
    if not in_order(rows, places):
        raise WrongError(f"events of one place changed their order: {rows}")
    _same("rebuilt from the changelog", rebuilt(world, compacted=False), rows)


def told(world: World, topic: str) -> list[tuple[bytes | None, bytes | None]]:
    return told_once(world, getattr(TOPICS, topic).name)


def _same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise WrongError(f"{what}: {found} instead of {expected}")


async def finish(world: World) -> None:
    """Let everyone die, then take all partitions over once more, without faults, on new disks."""
    world.close()
    await world.run()
    for disk in world.disks.values():
        disk.rows, disk.earlier = {}, []
    world.crash = world.zombie = world.repeats = 0
    await world.run()


async def simulate(seed: int, **options: object) -> World:
    world, tours, places = new_world(seed, **options)
    try:
        await world.run()
        check(world, tours, places)
        world.most_crashes = 0
        await finish(world)
        check(world, tours, places)
        _same("rebuilt after compaction", rebuilt(world, compacted=True), rows_of(world))
    finally:
        world.close()
    return world


async def test_whatever_happens_nothing_is_lost_doubled_or_told_two_ways() -> None:
    crashes: Counter[str] = Counter()
    fenced = 0
    for seed in range(RUNS):
        try:
            world = await simulate(seed)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
        crashes += world.crashes
        fenced += world.fenced
    print(dict(crashes), fenced)
