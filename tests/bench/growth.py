"""What an event costs as the number of leads grows: `python -m tests.bench.growth`.

Twice: with the sample's mix of events, 2.25 a lead, and with page views alone, the first one of each lead and then a
second one of some, spread over all. The second finds every lead in the memory of the worker while there are few, and
hardly any of them when there are many: it is the worst that can happen.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import click
import msgspec
import orjson

from app import topics
from app.embedded import EmbeddedBroker
from app.settings import MIB
from tests.bench.load import publish
from tests.bench.place import ROOT, Task, WorkerProcess, worker
from tests.bench.traffic import END, Message, traffic

FIRST = END - 86_400_000
"""UTC ms of the first page views."""
SECOND = END - 82_800_000
AGAIN = 10_000
"""Leads that are measured."""
QUIET_S = 2.0
"""The worker is done with the first page views when it has used next to no processor time for so long."""


EVENTS_A_LEAD = 2.25
"""Of the mix."""


class Figure(msgspec.Struct, frozen=True):
    """What an event cost with so many leads: processor time of all threads, µs."""

    mix: float
    first: float
    """Of a first page view."""
    second: float
    """Of a second one."""
    peak: int
    """Bytes of memory at most."""


async def measured(leads: int) -> Figure:
    """Measure with about `leads` leads."""
    async with _serving() as (task, process):
        start = await _state(process)
        events = int(leads * EVENTS_A_LEAD)
        await publish(task.settings, traffic(events, leads), lambda _: None)
        mixed = await _processed(process, events)
    async with _serving() as (task, process):
        empty = await _state(process)
        await publish(task.settings, _views(range(leads), FIRST), lambda _: None)
        filled = await _processed(process, leads)
        quiet = await _quiet(process)
        again = range(0, leads, max(1, leads // AGAIN))[:AGAIN]
        await publish(task.settings, _views(again, SECOND), lambda _: None)
        after = await _processed(process, leads + len(again))
    return Figure(
        (mixed.cpu - start.cpu) * 1e6 / events,
        (filled.cpu - empty.cpu) * 1e6 / leads,
        (after.cpu - quiet.cpu) * 1e6 / len(again),
        max(mixed.peak, after.peak),
    )


class _State(msgspec.Struct, frozen=True):
    done: int
    cpu: float
    peak: int


@asynccontextmanager
async def _serving() -> AsyncIterator[tuple[Task, WorkerProcess]]:
    home = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="leadstream-growth-"))
    try:
        async with EmbeddedBroker() as broker:
            task = Task(broker.address, "growth", "growth.", str(home), str(ROOT / "tests" / "rules" / "shop.yaml"))
            await topics.create(task.settings)
            async with worker("soak_worker", "serve", task) as process:
                await process.answer()
                yield task, process
                process.finish()
    finally:
        await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)


async def _state(process: WorkerProcess) -> _State:
    process.ask()
    return msgspec.convert(await process.answer(), _State)


async def _processed(process: WorkerProcess, events: int) -> _State:
    while True:
        state = await _state(process)
        if state.done >= events:
            return state
        await asyncio.sleep(0.1)


async def _quiet(process: WorkerProcess) -> _State:
    state = await _state(process)
    while True:
        await asyncio.sleep(QUIET_S)
        later = await _state(process)
        if later.cpu - state.cpu < 0.05 * QUIET_S:
            return later
        state = later


def _views(leads: Sequence[int], at: int) -> Iterator[Message]:
    """Yield a page view of each lead, the order shuffled: neighbours in time are not neighbours in the store."""
    for place in range(len(leads)):
        number = leads[place * 7_919 % len(leads)]
        who = f"visitor-{number:09d}"
        page = {"url": f"https://shop.example/shoes/{number % 50}", "path": f"/shoes/{number % 50}"}
        told = {
            "type": "page",
            "messageId": f"{who}-{at}",
            "anonymousId": who,
            "timestamp": at + place,
            "context": {"page": page},
        }
        yield Message("events.web", who.encode(), orjson.dumps(told), at + place)


@click.command()
@click.option("--leads", type=click.IntRange(1_000), multiple=True, default=(10_000, 1_000_000), show_default=True)
def main(leads: tuple[int, ...]) -> None:
    """Measure what an event costs with few leads and with many."""
    few: Figure | None = None
    for number in leads:
        began = time.monotonic()
        figure = asyncio.run(measured(number))
        few = few or figure
        click.echo(
            f"{number:>9,} leads  the mix {figure.mix:4.0f} µs an event ({figure.mix / few.mix - 1:+.0%}), "
            f"first page view {figure.first:4.0f} µs ({figure.first / few.first - 1:+.0%}), "
            f"second {figure.second:4.0f} µs ({figure.second / few.second - 1:+.0%}), "
            f"memory {figure.peak / MIB:,.0f} MiB at most  ({time.monotonic() - began:.0f} s)"
        )


if __name__ == "__main__":
    main()
