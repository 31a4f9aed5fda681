"""One run of the bench: a broker, the events, and a worker after the other."""

import asyncio
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from app import topics
from app.embedded import EmbeddedBroker
from app.engine.store import Memory
from app.settings import MIB
from tests.bench.latency import latency
from tests.bench.load import publish
from tests.bench.place import ROOT, Task, worker
from tests.bench.traffic import Message, traffic

Say = Callable[[str], None]
STAGES_MOST = 100_000
"""Events over which stages are measured: enough to be past the first sight of most leads."""
LATENCY_LEAST = 10.0
"""Events a second, at least, at which latency is measured."""


class Options(msgspec.Struct, frozen=True):
    """What is to be measured."""

    events: int
    leads: int
    stock_events: int
    latency_s: float
    profile: bool


async def measure(options: Options, say: Say) -> dict[str, Any]:
    """Run everything; return the figures, each named with its unit.

    Raises:
        WorkerFailedError: a worker went down.
        EmbeddedError: the embedded broker cannot run here.
    """
    home = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="leadstream-bench-"))
    try:
        async with EmbeddedBroker() as broker:
            task = Task(
                broker.address, "bench", "bench.", str(home / "engine"), str(ROOT / "tests" / "rules" / "shop.yaml")
            )
            await topics.create(task.settings)
            say(f"publishing {options.events:,} events")
            messages = traffic(options.events, options.leads)
            ends = await publish(task.settings, messages, lambda count: say(f"published {count:,}"))
            task = msgspec.structs.replace(task, ends=ends)
            engine = await _engine(task, home, say)
            engine["stages_us_per_event"] = await _stages(task, home, options, say)
            if options.profile:
                engine["profile"] = await _profile(task, home, options, say)
            engine["latency"] = await _latency(task, home, options, engine["events_per_second"], say)
            stock = await _stock(task, home, options, say)
    finally:
        await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)
    return {
        "machine": _machine(),
        "engine": engine,
        "stock": stock,
        "ratio": engine["events_per_second"] / stock["events_per_second"],
    }


def _machine() -> dict[str, Any]:
    return {"cores": os.cpu_count(), "python": platform.python_version(), "system": sys.platform}


async def _answer(module: str, mode: str, task: Task, what: str, say: Say) -> dict[str, Any]:
    say(what)
    async with worker(module, mode, task) as process:
        return await process.answer()


async def _engine(task: Task, home: Path, say: Say) -> dict[str, Any]:
    """Throughput, memory, disk and restore."""
    told = await _answer("engine_worker", "drain", task, "one worker, all events", say)
    leads = told["leads"]
    on_disk = await asyncio.to_thread(_bytes_in, home / "engine")
    compacted = await asyncio.to_thread(_compacted_bytes, home / "engine")
    elsewhere = msgspec.structs.replace(task, home=str(home / "restored"))
    restored = await _answer("engine_worker", "restore", elsewhere, "restoring from the changelog", say)
    return {
        "events": told["events"],
        "leads": leads,
        "outputs": told["outputs"],
        "forwarded": told["forwarded"],
        "late": told["late"],
        "seconds": told["seconds"],
        "events_per_second": told["events"] / told["seconds"],
        "cpu_us_per_event": told["cpu_seconds"] * 1e6 / told["events"],
        "peak_memory_bytes": told["peak_bytes"],
        "disk_bytes_per_lead": on_disk / leads,
        "disk_bytes_per_lead_compacted": compacted / leads,
        "restore_seconds": restored["seconds"],
        "restore_leads_per_second": leads / restored["seconds"],
    }


async def _stages(task: Task, home: Path, options: Options, say: Say) -> dict[str, float]:
    again = msgspec.structs.replace(
        task, name="stages", home=str(home / "stages"), stages=True, most=min(options.events, STAGES_MOST)
    )
    await topics.create(again.settings)
    told = await _answer("engine_worker", "drain", again, "processor time by stage", say)
    stages: dict[str, float] = told["stages_us"]
    return stages


async def _profile(task: Task, home: Path, options: Options, say: Say) -> str:
    again = msgspec.structs.replace(
        task, name="profile", home=str(home / "profile"), profile=True, most=min(options.events // 2, 40_000)
    )
    await topics.create(again.settings)
    told = await _answer("engine_worker", "drain", again, "profile", say)
    return str(told["profile"])


async def _latency(task: Task, home: Path, options: Options, full: float, say: Say) -> dict[str, float]:
    quiet = msgspec.structs.replace(task, name="quiet", prefix="quiet.", home=str(home / "quiet"))
    await topics.create(quiet.settings)
    rate = max(LATENCY_LEAST, full / 10)
    say(f"latency at {rate:,.0f} events a second, for {options.latency_s:.0f} s")

    def endless() -> Iterator[Message]:
        while True:
            yield from traffic(options.events, options.leads)

    async with worker("engine_worker", "serve", quiet) as process:
        await process.answer()
        found = await latency(quiet.settings, endless(), rate, options.latency_s)
        process.finish()
    told: dict[str, float] = msgspec.to_builtins(found)
    return told


async def _stock(task: Task, home: Path, options: Options, say: Say) -> dict[str, Any]:
    stock = msgspec.structs.replace(
        task, name="stock", home=str(home / "stock"), most=min(options.stock_events, options.events)
    )
    told = await _answer("stock_worker", "drain", stock, f"stock Faust, {stock.most:,} events", say)
    return {
        "events": told["events"],
        "seconds": told["seconds"],
        "events_per_second": told["events"] / told["seconds"],
        "peak_memory_bytes": told["peak_bytes"],
    }


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _compacted_bytes(folder: Path) -> int:
    """Return what the rows take once RocksDB has merged its files."""
    memory = Memory(64 * MIB, 64 * MIB)
    for path in sorted(folder.glob("*/tables/*.db")):
        database = memory.open(path)
        database.flush()
        database.compact_range(None, None)
        database.close()
    return sum(path.stat().st_size for path in folder.rglob("*.sst"))
