"""What exactly_once costs on Apache Kafka: `python -m tests.bench.guarantees`; throughput and latency, both ways."""

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import click
import msgspec

from app import topics
from tests.bench.latency import Latency, latency
from tests.bench.load import publish
from tests.bench.place import ROOT, Task, worker
from tests.bench.traffic import Message, traffic
from tests.kafka import Kafka

RULES = str(ROOT / "tests" / "rules" / "shop.yaml")


class Speed(msgspec.Struct, frozen=True):
    """Of one worker that finds all events there."""

    events_per_second: float
    cpu_us_per_event: float
    """Of its process: what others do on the machine hardly changes it."""


async def throughput(task: Task) -> Speed:
    """Let a worker process all events."""
    await topics.create(task.settings)
    async with worker("engine_worker", "drain", task) as process:
        told = await process.answer()
    return Speed(told["events"] / told["seconds"], told["cpu_seconds"] * 1e6 / told["events"])


async def latencies(task: Task, messages: Iterator[Message], rate: float, seconds: float) -> Latency:
    """Return what events take that come one by one."""
    await topics.create(task.settings)
    async with worker("engine_worker", "serve", task) as process:
        await process.answer()
        found = await latency(task.settings, messages, rate, seconds)
        process.finish()
    return found


async def measure(events: int, runs: int, rate: float, seconds: float) -> None:
    """Run all and tell the figures."""
    with tempfile.TemporaryDirectory() as home:
        async with Kafka() as kafka:
            base = Task(kafka.address, "guarantees", "g.", f"{home}/none", RULES)
            await topics.create(base.settings)
            ends = await publish(base.settings, traffic(events, events // 3), lambda _: None)
            speeds: dict[bool, list[Speed]] = {False: [], True: []}
            for run in range(runs):
                for exactly_once in (run % 2 == 1, run % 2 == 0):
                    name = f"{'exactly' if exactly_once else 'least'}-{run}"
                    task = msgspec.structs.replace(
                        base, name=name, home=str(Path(home) / name), ends=ends, exactly_once=exactly_once
                    )
                    speeds[exactly_once].append(await throughput(task))
            for exactly_once, found in speeds.items():
                each = ", ".join(f"{one.events_per_second:,.0f} ({one.cpu_us_per_event:.0f} µs)" for one in found)
                click.echo(f"exactly_once {exactly_once}: {each} events/s (processor time an event)")
            with_it, without = (sum(one.events_per_second for one in speeds[way]) for way in (True, False))
            click.echo(f"ratio {with_it / without:.2f}")
            for run, exactly_once in enumerate([True, False] * runs):  # the first warms the broker up for all
                name = f"quiet-{run}"
                task = msgspec.structs.replace(
                    base, name=name, prefix=f"{name}.", home=str(Path(home) / name), exactly_once=exactly_once
                )
                told = await latencies(task, cycle(traffic(events, events // 3)), rate, seconds)
                click.echo(
                    f"exactly_once {exactly_once}: p50 {told.p50_ms:.0f} ms, p99 {told.p99_ms:.0f} ms of "
                    f"{told.samples} events at {told.rate:.0f} a second"
                )


@click.command()
@click.option("--events", default=8_000, show_default=True, help="Events that one worker processes, each time.")
@click.option("--runs", default=2, show_default=True, help="How often, each way.")
@click.option("--rate", default=20.0, show_default=True, help="Events a second for latency.")
@click.option("--seconds", default=10.0, show_default=True, help="How long latency is measured, each way.")
def main(events: int, runs: int, rate: float, seconds: float) -> None:
    """Measure."""
    asyncio.run(measure(events, runs, rate, seconds))


if __name__ == "__main__":
    sys.exit(main())
