"""Faults of brokers: one of three killed, the only one paused at work and while a worker takes over, compaction."""

import asyncio
import shutil
import signal
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from app import topics
from app.topics import HOUR_MS
from tests.engine.broker_io import read_all
from tests.kafka import Kafka
from tests.system.faults_scene import Outcome, Scene
from tests.system.killing import StuckError

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
    async with Scene(kafka.address, home, seed=seed, **_time_outs(pause_s)) as scene:
        worker = await scene.worker()
        await scene.at(0.5)
        worker.signal(signal.SIGKILL)
        await worker.ended()
        await asyncio.to_thread(shutil.rmtree, worker.data)
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


CLEANS_AT_ONCE = {"log.cleaner.backoff.ms": "100"}
"""Of the brokers: compaction looks for work all the time, not every 15 s."""


async def compacted_under_restore(kafka: Kafka, home: Path, seed: int = 1) -> Outcome:
    """A worker without a disk is stopped while it reads the changelog; that is compacted meanwhile."""
    async with Scene(kafka.address, home, seed=seed) as scene:
        await _options(scene, HOUR_MS)
        worker = await scene.worker()
        await scene.at(0.6)
        worker.signal(signal.SIGKILL)
        await worker.ended()
        await asyncio.to_thread(shutil.rmtree, worker.data)
        await worker.start()
        await worker.has(1, "opening")
        worker.signal(signal.SIGSTOP)
        told = await _compacted(scene)
        worker.signal(signal.SIGCONT)
        scene.supervise(worker)
        return await scene.finish(told)


async def compacted_beyond_a_disk(kafka: Kafka, home: Path, seed: int = 1) -> Outcome:
    """A worker comes back with a disk of long ago; what it missed, also what was deleted, is compacted away."""
    async with Scene(kafka.address, home, seed=seed) as scene:
        await _options(scene, HOUR_MS)
        first = await scene.worker()
        await scene.at(0.3)
        await first.stop()
        second = await scene.worker()
        await scene.drained()
        told = await _compacted(scene)
        await second.stop()
        await first.start()
        return await scene.finish(told)


async def _options(scene: Scene, lag_ms: int) -> None:
    """Give the changelog small segments that may be compacted after `lag_ms`; deletions are then forgotten at once."""
    changelog = topics.changelog(scene.settings, "leads")
    options = {
        **changelog.config,
        "min.insync.replicas": "1",
        "segment.ms": "200",
        "min.cleanable.dirty.ratio": "0.0001",
        "min.compaction.lag.ms": str(lag_ms),
        "delete.retention.ms": "0",
    }
    client = AIOKafkaAdminClient(bootstrap_servers=list(scene.settings.brokers))
    await client.start()
    try:
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, changelog.name, options)])
    finally:
        await client.close()


async def _compacted(scene: Scene) -> str:
    """Have the changelog compacted now, and say what that did; later it is kept for an hour again, as workers want."""
    name = topics.changelog(scene.settings, "leads").name
    before = len(await read_all(scene.outside, name))
    await _options(scene, 0)
    deadline = time.monotonic() + 30
    after, last = before, 0
    while after > before / 2 or after != last:
        if time.monotonic() > deadline:
            raise StuckError(f"the changelog is not compacted: {before} records, then {after}")
        await asyncio.sleep(1)
        after, last = len(await read_all(scene.outside, name)), after
    await _options(scene, HOUR_MS)
    return f"the changelog was compacted from {before:,} to {after:,} records"
