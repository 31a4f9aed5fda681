"""`python -m tests.bench.peers`: figures to standard output, progress to standard error."""

import asyncio
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import msgspec
import orjson

from tests.bench.peers.contenders import Contender, contenders
from tests.bench.peers.load import events as made
from tests.bench.peers.measure import Bench, Latency, Restore, Say, Throughput
from tests.bench.peers.report import report, summary
from tests.bench.peers.runner import PeerError
from tests.kafka import Kafka


class Options(msgspec.Struct, frozen=True):
    """What is to be measured."""

    events: int
    leads: int
    workers: int
    repeats: int
    rate: float
    latency_s: float
    only: tuple[str, ...]


async def measure(options: Options, say: Say) -> dict[str, Any]:
    """Run everything on one broker; return the figures.

    Raises:
        AssertionError: a contender did something else than the job.
        KafkaError, InstallError, PeerError: something did not run.
    """
    home = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="leadstream-peers-"))
    chosen = contenders(options.workers, options.only)
    try:
        say(f"making {options.events:,} events")
        messages = await asyncio.to_thread(made, options.events, options.leads)
        async with Kafka() as kafka:
            bench = Bench(kafka.address, home, messages, say)
            runs: dict[str, list[Throughput]] = {one.name: [] for one in chosen}
            restores: dict[str, list[Restore]] = {one.name: [] for one in chosen}
            for number in range(options.repeats):
                # Round after round, so that what else the machine does falls on all of them.
                for one in chosen:
                    await _round(bench, one, runs, restores, f"round {number + 1}: {one.name}", say)
            latencies: dict[str, Latency] = {}
            for one in chosen:
                if one.workers == 1 and options.latency_s:
                    latencies[one.name] = found = await bench.latency(one, options.rate, options.latency_s)
                    say(f"latency: {one.name}: p50 {found.p50_ms:.0f} ms, p99 {found.p99_ms:.0f} ms")
    finally:
        await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)
    return summary(options, os.cpu_count(), runs, restores, latencies)


async def _round(
    bench: Bench,
    one: Contender,
    runs: dict[str, list[Throughput]],
    restores: dict[str, list[Restore]],
    what: str,
    say: Say,
) -> None:
    run, task = await bench.throughput(one)
    if not run.enough:
        raise PeerError(f"{one.name} is done with {run.all_events:,} events too soon to be measured: have more")
    runs[one.name].append(run)
    say(f"{what}: {run.per_core:,.0f} events/s a core, {run.per_second:,.0f} events/s")
    if one.workers == 1:
        found = await bench.restore(one, task, run.leads)
        restores[one.name].append(found)
        say(f"{what}: {found.leads:,} leads restored in {found.seconds:.2f} s, serving {found.serving_seconds:.1f} s")


@click.command()
@click.option("--events", type=click.IntRange(10_000), default=1_200_000, show_default=True)
@click.option("--leads", type=click.IntRange(100), default=480_000, show_default=True, help="About so many.")
@click.option(
    "--workers", type=click.IntRange(1, 2), default=2, show_default=True, help="2 = also two of Leadstream's."
)
@click.option(
    "--repeats",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    help="Rounds; medians are told. 0 = latency alone.",
)
@click.option("--rate", type=click.FloatRange(1), default=100.0, show_default=True, help="Events a second for latency.")
@click.option("--latency-seconds", type=click.FloatRange(0), default=15.0, show_default=True, help="0 = none.")
@click.option("--only", multiple=True, help="Name of a contender; may be repeated.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Keep the figures in a file.")
def main(
    events: int,
    leads: int,
    workers: int,
    repeats: int,
    rate: float,
    latency_seconds: float,
    only: tuple[str, ...],
    file: Path | None,
) -> None:
    """Measure Leadstream's engine, stock Faust, Quix Streams and Kafka Streams at one job on Apache Kafka."""
    began = time.monotonic()

    def say(text: str) -> None:
        click.echo(f"{time.monotonic() - began:6.1f} s  {text}", err=True)

    options = Options(events, leads, workers, repeats, rate, latency_seconds, only)
    figures = asyncio.run(measure(options, say))
    click.echo(report(figures))
    if file is not None:
        file.write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    main()
