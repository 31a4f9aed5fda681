"""`python -m tests.bench.timers`: leads that are all due at once, and how events fare meanwhile."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import orjson

from app import topics
from app.embedded import EmbeddedBroker
from tests.bench.due_store import fill, now_ms
from tests.bench.latency import Latency, latency
from tests.bench.place import ROOT, Task, worker
from tests.bench.traffic import Message

Say = Callable[[str], None]
OVERDUE_MS = 60_000


class Options(msgspec.Struct, frozen=True):
    """What is to be measured."""

    leads: int
    rate: float
    """Events a second, each of a new lead; 0 = none."""
    seconds: float
    """How long events are published."""
    first_only: bool
    """Stop when the first due leads were taken."""


async def measure(options: Options, say: Say) -> dict[str, Any]:
    """Open a worker on a store of due leads, with events coming in; return the figures.

    Raises:
        WorkerFailedError: the worker went down.
        EmbeddedError: the embedded broker cannot run here.
    """
    home = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="leadstream-timers-"))
    try:
        async with EmbeddedBroker() as broker:
            rules = ROOT / "tests" / "rules" / "shop.yaml"
            task = Task(broker.address, "timers", "timers.", str(home / "worker"), str(rules))
            await topics.create(task.settings)
            say(f"writing a store of {options.leads:,} leads")
            due = now_ms() - OVERDUE_MS
            await asyncio.to_thread(fill, task.settings, rules, options.leads, due, lambda n: say(f"{n:,} leads"))
            async with worker("timers_worker", "serve", task) as process:
                await process.answer()
                say("the worker is open")
                events = asyncio.create_task(_events(task, options))
                figures = await process.answer()
                say(f"it took the first due leads after {figures['first_s']:.2f} s")
                if options.first_only:
                    events.cancel()
                    await asyncio.gather(events, return_exceptions=True)
                    process.kill()
                    return {"leads": options.leads, **figures}
                figures |= await process.answer()
                say(f"and all after {figures['all_s']:.1f} s")
                figures["latency"] = msgspec.to_builtins(await events)
                process.finish()
    finally:
        await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)
    return {"leads": options.leads, **figures}


async def _events(task: Task, options: Options) -> Latency | None:
    return await latency(task.settings, _visits(options.rate), options.rate, options.seconds) if options.rate else None


def _visits(rate: float) -> Iterator[Message]:
    """Yield first page views, each a new lead's, one after the other from now on at a rate."""
    began, number = now_ms(), 0
    while True:
        name = f"n{number}"
        value = {"type": "page", "userId": name, "messageId": name, "properties": {"url": "https://shop.example/"}}
        yield Message("events.web", name.encode(), orjson.dumps(value), began + int(number * 1000 / rate))
        number += 1


@click.command()
@click.option("--leads", type=click.IntRange(100), default=100_000, show_default=True, help="All due at the start.")
@click.option("--rate", type=click.FloatRange(0), default=100.0, show_default=True, help="Events a second meanwhile.")
@click.option("--seconds", type=click.FloatRange(5), default=30.0, show_default=True, help="How long events come.")
@click.option("--first-only", is_flag=True, help="Only until the first due leads are taken.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Keep the figures in a file.")
def main(leads: int, rate: float, seconds: float, first_only: bool, file: Path | None) -> None:
    """Measure how a worker takes leads that are all due when it starts, with events coming in meanwhile."""
    began = time.monotonic()

    def say(text: str) -> None:
        click.echo(f"{time.monotonic() - began:6.1f} s  {text}", err=True)

    figures = asyncio.run(measure(Options(leads, rate, seconds, first_only), say))
    click.echo(
        f"due leads   {figures['leads']:,}; the first taken {figures['first_s']:.2f} s after the worker was open"
    )
    if not first_only:
        click.echo(
            f"            {figures['taken']:,} after {figures['all_s']:.1f} s ({figures['cpu_s']:.1f} s of processor "
            f"time), {figures['peak_bytes'] >> 20:,} MiB at most"
        )
    told = figures.get("latency")
    if told is not None:
        click.echo(
            f"events      p50 {told['p50_ms']:.0f} ms, p99 {told['p99_ms']:.0f} ms, worst {told['worst_ms']:.0f} ms "
            f"at {told['rate']:,.0f} events/s ({told['samples']:,} events)"
        )
    if file is not None:
        file.write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    main()
