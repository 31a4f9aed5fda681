"""One simulated world with the touring program, from a seed; as a script, many: `python -m tests.engine.simulate`."""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import click

from app import topics
from app.settings import Settings
from tests.engine.simcheck import WrongError, due_rows, rebuilt, rows_of, told_once
from tests.engine.simtour import LATER_MS, Tour, TourProgram, found_in, in_order, visits
from tests.engine.simworld import World

PARTITIONS = 4
EVENTS = 14
START = 1_767_225_600_000  # 2026-01-01T00:00:00Z
PEOPLE = ("ada", "bob", "cy", "dot", "eve", "flo")

SETTINGS = Settings(partitions=PARTITIONS, step_records=2)
TOPICS = topics.topics(SETTINGS)


async def simulate(seed: int, **options: Any) -> World:
    """Let 14 events happen to 4 lanes and 6 identifiers; `options` are the world's.

    Raises:
        WrongError: something was lost, doubled, told two ways, or cannot be rebuilt.
    """
    world, tours, places = _new_world(seed, options)
    try:
        await world.run()
        _check(world, tours, places)
        await world.take_over_again()
        _check(world, tours, places)
        same("rebuilt after compaction", rebuilt(world, compacted=True), rows_of(world))
    finally:
        await world.end()
    return world


def _new_world(seed: int, options: dict[str, Any]) -> tuple[World, list[Tour], dict[bytes, str]]:
    """Return a world and its events: which tours, and where each was published, wherever its identifier lives."""
    chance = random.Random(seed)
    crash = chance.choice((0.0, 0.02, 0.1))
    world = World(seed, lambda partition: TourProgram(partition, SETTINGS), SETTINGS, **{"crash": crash, **options})
    world.until = START + 2 * LATER_MS
    world.now = chance.choice((START, world.until))
    tours: list[Tour] = []
    places: dict[bytes, str] = {}
    for number in range(EVENTS):
        name = f"e{number:02}"
        way = tuple(chance.choice(PEOPLE) for _ in range(chance.choice((1, 1, 2, 3))))
        topic, partition = chance.choice(TOPICS.inputs[:4]).name, chance.randrange(PARTITIONS)
        at = START + chance.randrange(LATER_MS // 2)
        world.publish(topic, partition, None, f"{name}:{','.join(way)}".encode(), at)
        tours.append((name, way))
        places[name.encode()] = f"{topic}/{partition}"
    return world, tours, places


def _check(world: World, tours: list[Tour], places: dict[bytes, str]) -> None:
    due, rows = visits(tours), rows_of(world)
    same("rows", found_in(rows), due)
    told = told_once(world, TOPICS.segments.name)
    same("told", Counter((key, (value or b"").partition(b"@")[0]) for key, value in told), due)
    later = told_once(world, TOPICS.conversions.name)
    same(
        "told later", Counter(key for key, _ in later), Counter(b"%s@%s" % (name, key) for key, name in due.elements())
    )
    newest = dict(told_once(world, TOPICS.profiles.name))
    same("newest state told", newest, {key[1:]: value for key, value in rows.items()})
    if not in_order(rows, places):
        raise WrongError(f"events of one place changed their order: {rows}")
    same("rebuilt from the changelog", rebuilt(world, compacted=False), rows)
    same("due", due_rows(world), [])


def same(what: str, found: object, expected: object) -> None:
    """Raise WrongError unless both are equal."""
    if found != expected:
        raise WrongError(f"{what}: {found} instead of {expected}")


async def simulate_many(seeds: range, one: Callable[[int], Awaitable[World]] = simulate) -> Counter[str]:
    """Simulate all seeds; return how often lanes died, by point, and were fenced. Raises as `one` does."""
    deaths: Counter[str] = Counter()
    for seed in seeds:
        try:
            world = await one(seed)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
        deaths += world.crashes
        deaths["fenced"] += world.fenced
    return deaths


@click.command()
@click.option("--runs", default=10_000, show_default=True)
@click.option("--first", default=0, show_default=True, help="The first seed.")
def main(runs: int, first: int) -> None:
    """Simulate many worlds and say how often lanes died in them."""
    logging.disable()
    began = time.monotonic()
    deaths = asyncio.run(simulate_many(range(first, first + runs)))
    click.echo(f"{runs:,} runs in {time.monotonic() - began:.0f} s, nothing wrong; {deaths.total():,} deaths:")
    for point, count in sorted(deaths.items()):
        click.echo(f"  {count:>9,} {point}")


if __name__ == "__main__":
    main()
