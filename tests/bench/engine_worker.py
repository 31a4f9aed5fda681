"""The worker of Leadstream under the bench, in a process of its own: `drain`, `restore` or `serve`."""

import asyncio
import logging
import os
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from agents.leads import leads
from app.engine.changelog import Changelog
from app.engine.lanes import Engine
from app.engine.worker import build, running
from app.rules import load
from tests.bench.place import Task
from tests.bench.stages import Clocks, Profile, Stopwatch, per_event


def say(told: dict[str, Any]) -> None:
    """Answer with one line of JSON."""
    sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
    sys.stdout.buffer.flush()


def peak_bytes() -> int:
    """Return the most memory that this process ever had."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


async def drain(task: Task) -> None:
    """Process the events that are there; tell how long it took."""
    ends = {(topic, partition): end for topic, partition, end in task.ends}
    total = sum(ends.values())
    enough = max(0, total - task.most) if task.most else 0
    stopwatch, profile = Stopwatch(), Profile()
    if task.stages:
        stopwatch.attach()
    async with running(build(task.settings, [leads([load(Path(task.rules))])])) as engine:
        if task.profile:
            profile.start()
        stopwatch.reset()  # lanes that were opened first are at work already
        start, began = Clocks(), time.perf_counter()
        before = _left(engine, ends)
        waiting = asyncio.create_task(engine.drained(ends))
        while (left := _left(engine, ends)) > enough and not waiting.done():
            await asyncio.wait({waiting}, timeout=0.02)
        seconds = time.perf_counter() - began
        end = Clocks()
        events = before - left
        stages = per_event(stopwatch, start, end, events) if task.stages else {}
        if enough:
            waiting.cancel()
        else:
            await waiting
        counts = sum((lane.counts for lane in engine.lanes.values()), Counter[str]())
        say(
            {
                "events": events,
                "seconds": seconds,
                "cpu_seconds": (end.process - start.process) / 1e9,
                "peak_bytes": peak_bytes(),
                "leads": counts["leads"],
                "outputs": counts["segment_changes"] + counts["conversions"] + counts["revisions"],
                "forwarded": counts["forwarded"],
                "late": counts["late"],
                "stages_us": stages,
                "profile": profile.text() if task.profile else "",
            }
        )
        if enough:  # what is left over need not be processed
            sys.stdout.flush()
            os._exit(0)


def _left(engine: Engine, ends: dict[tuple[str, int], int]) -> int:
    return sum(end - engine.lanes[partition].next_offsets[topic] for (topic, partition), end in ends.items())


async def restore(task: Task) -> None:
    """Rebuild all rows from the changelog on an empty disk; tell how long lanes took."""
    spans: list[tuple[float, float]] = []
    take_over = Changelog.take_over

    async def timed(changelog: Changelog) -> int:
        began = time.perf_counter()
        epoch = await take_over(changelog)
        spans.append((began, time.perf_counter()))
        return epoch

    setattr(Changelog, "take_over", timed)  # noqa: B010 - an assignment is no method to the type checker
    async with running(build(task.settings, [leads([load(Path(task.rules))])])):
        seconds = max(end for _, end in spans) - min(began for began, _ in spans)
        say({"seconds": seconds, "peak_bytes": peak_bytes()})


async def serve(task: Task) -> None:
    """Work until the input is closed."""
    async with running(build(task.settings, [leads([load(Path(task.rules))])])):
        say({"ready": True})
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Do what the arguments say: mode, task as JSON."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    task = msgspec.json.decode(sys.argv[2], type=Task)
    uvloop.run({"drain": drain, "restore": restore, "serve": serve}[sys.argv[1]](task))


if __name__ == "__main__":
    main()
