"""The worker of Leadstream under the bench of due leads: it says when the first were taken, and when all were."""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import uvloop

from agents.leads import leads
from app.engine.lanes import Engine
from app.engine.worker import build, running
from app.rules import load
from tests.bench.due_store import now_ms
from tests.bench.engine_worker import peak_bytes, say
from tests.bench.place import Task

LOOK_S = 0.01


async def serve(task: Task) -> None:
    """Work until the input is closed; all leads that are due at the start are awaited."""
    began_ms, began = now_ms(), time.perf_counter()
    async with running(build(task.settings, [leads([load(Path(task.rules))])])) as engine:
        opened, spent = time.perf_counter(), time.process_time()
        say({"opened": True})
        await _until(lambda: taken(engine) > 0)
        say({"first_s": time.perf_counter() - opened, "first_from_start_s": time.perf_counter() - began})
        await _until(lambda: all((lane.rows.next_due() or began_ms + 1) > began_ms for lane in engine.lanes.values()))
        say(
            {
                "all_s": time.perf_counter() - opened,
                "cpu_s": time.process_time() - spent,
                "taken": taken(engine),
                "peak_bytes": peak_bytes(),
            }
        )
        await asyncio.to_thread(sys.stdin.read)


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - nothing tells when
        await asyncio.sleep(LOOK_S)


def taken(engine: Engine) -> int:
    """Return how many due leads were taken."""
    return sum(lane.counts["due"] for lane in engine.lanes.values())


if __name__ == "__main__":
    uvloop.run(serve(msgspec.json.decode(sys.argv[2], type=Task)))
