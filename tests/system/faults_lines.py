"""A worker is killed before each line of a step and of a take-over, one life after the other."""

import asyncio
import random
import shutil
import signal
from pathlib import Path

from tests.kafka import Kafka
from tests.system.dying_worker import TAKE_OVER, Line, name_of
from tests.system.faults_scene import Outcome, Scene
from tests.system.faults_worker import WORKER, Worker

RUNS = 3
"""So many runs have each line once; one has a third of them."""
OFTEN = 4
"""A line is come to up to so often before it is the end; there are four lanes, whose steps overlap."""
WIPED = 0.2
"""Chance that the disk is lost too, where the line is one of a step."""


async def killed_at_each_line(kafka: Kafka, home: Path, seed: int = 1) -> Outcome:
    """SIGKILL before a line, for every third line; each life goes on with what the one before left."""
    chance = random.Random(seed)
    async with Scene(kafka.address, home, seed=seed, events=9_000, step_records=10) as scene:
        worker = await scene.worker(_program("note", str(home / "lines")))
        lines = await _lines(scene, worker, home / "lines")
        mine = lines[seed % RUNS :: RUNS]
        of_a_take_over = {name_of(function) for function in TAKE_OVER}
        wipes = 0
        for function, line in mine:
            if function in of_a_take_over or chance.random() < WIPED:
                await asyncio.to_thread(shutil.rmtree, worker.data)
                wipes += 1
            worker.program = _program("die", function, str(line), str(1 + chance.randrange(OFTEN)))
            await worker.start()
            status = await worker.ended()
            assert status == -signal.SIGKILL, f"{function}, line {line}: {status}: {worker.said()[-3_000:]}"
        assert await scene.share() < 1, "it had done everything before it came to the last line"
        worker.program = WORKER
        await worker.start()
        return await scene.finish(f"killed before {len(mine)} of {len(lines)} lines, {wipes} times with the disk")


def _program(*arguments: str) -> tuple[str, ...]:
    return ("-m", "tests.system.dying_worker", *arguments)


async def _lines(scene: Scene, worker: Worker, file: Path) -> list[Line]:
    """Return the lines that steps and take-overs have, in order; two lives come to them, both without a disk."""
    await scene.at(0.02)
    await worker.stop()
    await asyncio.to_thread(shutil.rmtree, worker.data)
    await worker.start()
    await scene.at(await scene.share() + 0.01)
    await worker.stop()
    notes = (await asyncio.to_thread(file.read_text)).splitlines()
    found = {(function, int(line)) for function, line in (note.split() for note in notes)}
    return sorted(found)
