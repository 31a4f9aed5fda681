"""A worker under a steady load for a while: does it keep up, does it leak? `python -m tests.bench.soak`."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Any

import click
import msgspec

from app import topics
from app.embedded import EmbeddedBroker
from app.settings import MIB
from tests.bench.load import publish
from tests.bench.place import ROOT, Task, WorkerProcess, worker
from tests.bench.traffic import Message, traffic

SLICE_S = 0.5
"""How often a slice of the load is published."""


class Sample(msgspec.Struct, frozen=True):
    """The worker at one time."""

    second: float
    done: int
    """Events processed."""
    behind: int
    """Events published and not processed."""
    leads: int
    """Leads that there are by then."""
    rss: int
    """Bytes of memory in use."""
    objects: int
    """Python's small objects (`sys.getallocatedblocks`): its own leaks show here, holes in the heap do not."""
    files: int
    tasks: int


async def soak(seconds: float, rate: float, leads: int, every: float, cache_mib: int) -> list[Sample]:
    """Publish at `rate` events/s for `seconds`; return what was seen of the worker every `every` seconds."""
    home = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="leadstream-soak-"))
    samples: list[Sample] = []
    try:
        async with EmbeddedBroker() as broker:
            rules = str(ROOT / "tests" / "rules" / "shop.yaml")
            task = Task(broker.address, "soak", "soak.", str(home), rules, cache_mib=cache_mib)
            await topics.create(task.settings)
            async with worker("soak_worker", "serve", task) as process:
                await process.answer()
                published = [0]
                watching = asyncio.create_task(_watch(process, published, samples, every))
                messages = traffic(int(seconds * rate) + 1, leads)
                await _load(task, messages, rate, seconds, published)
                await asyncio.sleep(2 * every)
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
                process.finish()
    finally:
        await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)
    return samples


async def _load(task: Task, messages: Iterator[Message], rate: float, seconds: float, published: list[int]) -> None:
    began = time.perf_counter()
    slices = int(seconds / SLICE_S)
    for number in range(slices):
        ready = list(islice(messages, int(rate * SLICE_S)))
        await asyncio.sleep(max(0.0, began + number * SLICE_S - time.perf_counter()))
        await publish(task.settings, ready, lambda _: None)
        published[0] += len(ready)


async def _watch(process: WorkerProcess, published: list[int], samples: list[Sample], every: float) -> None:
    began = time.perf_counter()
    while True:
        await asyncio.sleep(every)
        process.ask()
        told: dict[str, Any] = await process.answer()
        sample = Sample(
            time.perf_counter() - began,
            told["done"],
            published[0] - told["done"],
            told["leads"],
            told["rss"],
            told["objects"],
            told["files"],
            told["tasks"],
        )
        samples.append(sample)
        click.echo(
            f"{sample.second:6.0f} s  {sample.done:>9,} events  {sample.leads:>7,} leads  {sample.behind:>6,} behind  "
            f"{sample.rss / MIB:6.0f} MiB  {sample.objects:>9,} objects  {sample.files} files  {sample.tasks} tasks"
        )


@click.command()
@click.option("--seconds", type=click.FloatRange(10), default=600.0, show_default=True)
@click.option("--rate", type=click.FloatRange(10), required=True, help="Events a second: half of what the bench says.")
@click.option("--leads", type=click.IntRange(100), default=50_000, show_default=True, help="At least; see `traffic`.")
@click.option("--every", type=click.FloatRange(1), default=20.0, show_default=True, help="Seconds between looks.")
@click.option(
    "--cache-mib",
    type=click.IntRange(8),
    default=64,
    show_default=True,
    help="RocksDB's block cache, with its memtables: a small one is soon full.",
)
def main(seconds: float, rate: float, leads: int, every: float, cache_mib: int) -> None:
    """Load one worker steadily and watch its memory, files, tasks and how far behind it is."""
    samples = asyncio.run(soak(seconds, rate, leads, every, cache_mib))
    quarter = len(samples) // 4
    third, last = samples[2 * quarter : 3 * quarter], samples[3 * quarter :]

    def more(field: str) -> float:
        """How much more there was of it in the last quarter than in the one before, on average."""
        return mean(getattr(sample, field) for sample in last) - mean(getattr(sample, field) for sample in third)

    click.echo(
        f"last quarter against the one before it, on average: memory {more('rss') / MIB:+.1f} MiB, "
        f"objects {more('objects'):+,.0f}, files {more('files'):+.1f}, tasks {more('tasks'):+.1f}; "
        f"most behind {max(sample.behind for sample in samples):,} events, {samples[-1].behind:,} at the end"
    )


if __name__ == "__main__":
    main()
