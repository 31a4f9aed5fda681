"""The worker of Leadstream under the soak: at each line of its input it says how it is."""

import asyncio
import os
import sys
import time
from pathlib import Path

import msgspec
import uvloop

from agents.leads import leads
from app.engine.worker import build, running
from app.rules import load
from tests.bench.engine_worker import peak_bytes, say
from tests.bench.place import Task


async def serve(task: Task) -> None:
    """Work until the input is closed."""
    async with running(build(task.settings, [leads([load(Path(task.rules))])])) as engine:
        say({"ready": True})
        while await asyncio.to_thread(sys.stdin.readline):
            counts = [lane.counts for lane in engine.lanes.values()]
            say(
                {
                    "done": sum(count["events"] for count in counts),
                    "leads": sum(count["leads"] for count in counts),
                    "rss": _rss(),
                    "objects": sys.getallocatedblocks(),
                    "files": _files(),
                    "tasks": len(asyncio.all_tasks()),
                    "cpu": time.process_time(),
                    "peak": peak_bytes(),
                }
            )


def _files() -> int:
    """Return how many files are open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _rss() -> int:
    """Return the bytes of memory in use."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    uvloop.run(serve(msgspec.json.decode(sys.argv[2], type=Task)))
