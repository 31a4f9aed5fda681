"""Faults of brokers: one of three killed, the only one paused at work and while a worker takes over."""

import asyncio
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.kafka import Kafka
from tests.system.faults_scene import Outcome, Scene

SHORT_PAUSE_S = 10.0
SHORT: dict[str, Any] = {"session_timeout_ms": 3_000, "request_timeout_ms": 5_000}
"""Time-outs that a short pause exceeds."""
AS_SHIPPED: dict[str, Any] = {"session_timeout_ms": 30_000, "request_timeout_ms": 40_000}
LONG_PAUSE_S = 60.0
"""From here on the time-outs are those that the program comes with."""


async def one_of_three_killed(kafka: Kafka, home: Path, seed: int = 1) -> Outcome:
    """One of three brokers is killed under load, and comes back while the load goes on."""
    changes: dict[str, Any] = {"replication_factor": 3, "min_insync_replicas": 2, "session_timeout_ms": 10_000}
    async with Scene(kafka.address, home, seed=seed, events=6_000, backlog=0, rate=200, **changes) as scene:
        worker = await scene.worker()
        await worker.has(scene.settings.partitions)
        scene.supervise(worker)
        scene.load()
        await scene.at(0.1)
        killed = 1 + seed % 3
        since = time.time()
        await kafka.kill(killed)
        await asyncio.sleep(4)
        await kafka.restart(killed)
        back = time.time() - since
        await scene.drained()
        steps = await scene.steps()
        outcome = await scene.finish()
    longest = max(b - a for times in steps for a, b in pairwise(times) if b > since)
    outcome.told = f"broker {killed} was away for {back:.0f} s; a partition stood still for at most {longest:.1f} s"
    return outcome


async def paused_at_work(kafka: Kafka, home: Path, seed: int = 1, pause_s: float = SHORT_PAUSE_S) -> Outcome:
    """The broker answers nothing for longer than every time-out while there is work."""
    async with Scene(kafka.address, home, seed=seed, **_time_outs(pause_s)) as scene:
        worker = await scene.worker()
        scene.supervise(worker)
        await scene.at(0.2)
        await _pause(kafka, pause_s)
        return await scene.finish(f"paused for {pause_s:.0f} s at work", within_s=2 * pause_s + 60)


async def paused_at_take_over(kafka: Kafka, home: Path, seed: int = 1, pause_s: float = SHORT_PAUSE_S) -> Outcome:
    """The broker answers nothing for longer than every time-out while a worker without a disk takes over."""
    async with Scene(kafka.address, home, seed=seed, backlog=0.6, **_time_outs(pause_s)) as scene:
        worker = await scene.worker()
        await scene.at(0.5)
        await worker.lose()
        await scene.load()
        await worker.start()
        await worker.has(1, "opening")
        await _pause(kafka, pause_s, lambda: scene.supervise(worker))
        return await scene.finish(f"paused for {pause_s:.0f} s during recovery", within_s=2 * pause_s + 60)


def _time_outs(pause_s: float) -> dict[str, Any]:
    return AS_SHIPPED if pause_s >= LONG_PAUSE_S else SHORT


async def _pause(kafka: Kafka, pause_s: float, then: Any = None) -> None:
    kafka.pause()
    try:
        if then is not None:
            then()
        await asyncio.sleep(pause_s)
    finally:
        kafka.resume()
    await kafka.until_ready()
