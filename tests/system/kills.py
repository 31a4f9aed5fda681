"""Kill real workers ten times in one run and compare all they told and kept with a fold in one piece.

As a script, several runs of each variant: `python -m tests.system.kills --runs 3 --kills 10 --on kafka`.
"""

import asyncio
import random
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
import orjson

from app import topics
from app.embedded import EmbeddedBroker, settings_for
from app.settings import Settings
from tests.engine.onepiece import OnePiece, Told, leads_in
from tests.kafka import Kafka
from tests.system.killing import Follower, Workers, advance, drained, local_rows, publish, readers, receive
from tests.system.shop_slices import shop_slices

SESSION_MS = 1_000
"""A dead worker's partitions wait this long."""
WORK_S = 0.3
"""About how long a slice's work takes."""


class Variant(msgspec.Struct, frozen=True):
    """How it is done."""

    workers: int = 1
    wipe: float = 0.0
    """Share of kills at which the disk is lost too."""
    replay: bool = True
    """Lanes fold only when told to: then everything, also each lead's numbering, must come out the same. Live, how
    often a profile is sent depends on what was read together."""
    exactly_once: bool = False
    """Steps are transactions: who reads what is committed finds no repeat. Apache Kafka only."""


VARIANTS = {
    "killed": Variant(),
    "wiped": Variant(wipe=0.5),
    "live": Variant(replay=False, wipe=0.2),
    "two workers": Variant(workers=2, wipe=0.2, replay=False),
    "exactly once": Variant(wipe=0.5, exactly_once=True),
    "exactly once, two workers": Variant(workers=2, wipe=0.2, replay=False, exactly_once=True),
}


class Outcome(msgspec.Struct):
    """What a run went through."""

    kills: int
    at_work: int
    """Kills when there was still work to do."""
    wipes: int
    events: int
    leads: int
    outputs: int
    repeats: int
    seconds: float


async def run(
    broker: str, home: Path, variant: Variant, *, seed: int = 1, kills: int = 10, events: int = 5_000
) -> Outcome:
    """Let workers process the traffic of a shop while they are killed, once in each slice of it.

    Raises:
        AssertionError: something was lost, doubled or told two ways; StuckError, one of them: a worker went down.
    """
    began = time.monotonic()
    settings = _settings(broker, home, variant)
    await topics.create(settings)
    chance = random.Random(seed)
    slices = shop_slices(settings, seed, events, kills)
    oracle = OnePiece(settings, readers())
    ends: dict[tuple[str, int], int] = {}
    at_work = 0
    async with Workers(settings, variant.workers) as workers, Follower(settings) as follower:
        for piece in slices:
            in_sweep = chance.random() < 0.5
            await publish(settings, piece.records, ends)
            if not in_sweep:
                await _kill(chance, variant, workers)
                at_work += not await follower.drained_now(ends)
            await drained(follower, workers, ends)
            await advance(settings, piece.advance_to, ends)
            if in_sweep:
                await _kill(chance, variant, workers)
                at_work += not await follower.drained_now(ends)
            oracle.take(piece.records)
            oracle.advance(piece.advance_to)
            await drained(follower, workers, ends)
        await workers.stop()
        await follower.look()
        received = await receive(settings)
        if variant.exactly_once:
            assert received.repeats == 0, f"{received.repeats} outputs came again"
        compare(variant, received.told, oracle, follower)
        compare_disks(follower, workers.homes)
        return Outcome(
            kills=workers.kills,
            at_work=at_work,
            wipes=workers.wipes,
            events=sum(len(piece.records) for piece in slices),
            leads=len(oracle.leads),
            outputs=received.told.total(),
            repeats=received.repeats,
            seconds=time.monotonic() - began,
        )


def _settings(broker: str, home: Path, variant: Variant) -> Settings:
    own = f"k{uuid.uuid4().hex[:8]}"
    return settings_for(
        broker,
        app_id=own,
        topic_prefix=f"{own}.",
        data_dir=home,
        step_records=40,
        idle_leads=15,
        session_timeout_ms=SESSION_MS,
        rebalance_timeout_ms=10_000,
        events_retention_ms=topics.FOREVER_MS,
        replay=variant.replay,
        processing_guarantee="exactly_once" if variant.exactly_once else "at_least_once",
    )


async def _kill(chance: random.Random, variant: Variant, workers: Workers) -> None:
    """Kill a worker some time after it got work."""
    await asyncio.sleep(chance.random() * WORK_S)
    await workers.kill(chance, wipe=chance.random() < variant.wipe)


def compare(variant: Variant, told: Told, oracle: OnePiece, follower: Follower) -> None:
    ids = Counter(
        orjson.loads(value or b"{}").get("id") for topic, _, value in told.elements() if topic == "leads.segments"
    )
    assert max(ids.values(), default=0) == 1, "a change was told twice"
    found, expected = leads_in(follower.leads()), oracle.leads
    assert found.keys() == expected.keys()
    if variant.replay:
        _same("outputs", told, oracle.told)
        for name, lead in expected.items():
            assert found[name] == lead, f"{name} is {found[name]}, not {lead}"
        return
    _same("outputs", _unnumbered(told), _unnumbered(oracle.told))
    for name, (core, _) in expected.items():
        assert found[name][0] == core, f"{name} is {found[name][0]}, not {core}"


def _same(what: str, found: Counter[Any], expected: Counter[Any]) -> None:
    lost, more = expected - found, found - expected
    assert not lost, f"{lost.total()} {what} lost, such as {next(iter(lost))}, of {expected.total()}"
    assert not more, f"{more.total()} {what} too many, such as {next(iter(more))}"


def _unnumbered(told: Told) -> Counter[tuple[str, bytes | None, bytes]]:
    """Return changes, conversions and rejected records as they are, and each lead's last profile, without `seq`."""
    kept: Counter[tuple[str, bytes | None, bytes]] = Counter()
    profiles: dict[bytes | None, tuple[int, bytes]] = {}
    for (topic, key, value), count in told.items():
        told_value = orjson.loads(value or b"null")
        seq = told_value.pop("seq", 0)
        plain = orjson.dumps(told_value)
        if topic == "leads.profiles":
            profiles[key] = max(profiles.get(key, (0, b"")), (seq, plain))
        else:
            kept[topic, key, plain] += count
    kept.update(("leads.profiles", key, plain) for key, (_, plain) in profiles.items())
    return kept


def compare_disks(follower: Follower, homes: Sequence[Path]) -> None:
    """The newest local copy of each partition is what the changelog says."""
    for partition, rows in enumerate(follower.rows):
        known = {key: value for key, value in rows.items() if not key.startswith(b"\x00")}
        _, newest = max(local_rows(homes, partition), key=lambda copy: copy[0])
        assert newest == known, f"the local copy of partition {partition} differs from its changelog"


@click.command()
@click.option("--runs", default=3, show_default=True)
@click.option("--kills", default=10, show_default=True, help="Kills in each run.")
@click.option("--events", default=5_000, show_default=True, help="Events in each run, about.")
@click.option("--variant", "names", multiple=True, type=click.Choice(list(VARIANTS)), help="All, unless given.")
@click.option("--on", type=click.Choice(["embedded", "kafka"]), default="embedded", show_default=True, help="Broker.")
def main(runs: int, kills: int, events: int, names: tuple[str, ...], on: str) -> None:
    """Kill workers again and again."""

    async def all_runs() -> None:
        for name in names or [name for name, variant in VARIANTS.items() if on == "kafka" or not variant.exactly_once]:
            for seed in range(1, runs + 1):
                with tempfile.TemporaryDirectory() as home:
                    async with Kafka() if on == "kafka" else EmbeddedBroker() as broker:
                        out = await run(
                            broker.address, Path(home), VARIANTS[name], seed=seed, kills=kills, events=events
                        )
                kills_told = f"{out.kills} kills ({out.at_work} at work, {out.wipes} with the disk)"
                click.echo(
                    f"{name}, run {seed}: {kills_told}, {out.events:,} events of {out.leads:,} leads, "
                    f"{out.outputs:,} outputs, {out.repeats:,} repeats: exact, {out.seconds:.0f} s"
                )

    asyncio.run(all_runs())


if __name__ == "__main__":
    sys.exit(main())
