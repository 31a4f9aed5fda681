"""Faults of compaction: under a worker that restores, and beyond what a worker's disk of long ago has."""

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from app import topics
from app.engine.kafka import Logged
from app.engine.store import WHOLE_KEY, Memory, PartitionRows
from app.topics import DELETIONS_KEPT_MS, HOUR_MS
from tests.engine.broker_io import read_all
from tests.kafka import Kafka
from tests.system.faults_scene import Outcome, Scene
from tests.system.faults_worker import Worker, total
from tests.system.killing import StuckError, databases, local_rows

CLEANS_AT_ONCE = {"log.cleaner.backoff.ms": "100"}
"""Of the brokers: compaction looks for work all the time, not every 15 s."""
CLEANED_S = 60.0
LONG_AGO_MS = 48 * HOUR_MS


async def under_restore(kafka: Kafka, home: Path, seed: int = 1) -> Outcome:
    """A worker without a disk is frozen while it reads the changelog; that is compacted meanwhile."""
    async with Scene(kafka.address, home, seed=seed, backlog=0.7) as scene:
        await _options(scene, HOUR_MS)
        worker = await scene.worker()
        await scene.at(0.6)
        await worker.lose()
        await worker.start()
        await worker.has(1, "opening")
        worker.signal(signal.SIGSTOP)
        told = await _compacted(scene, DELETIONS_KEPT_MS, lambda _: True)
        await scene.load()
        worker.signal(signal.SIGCONT)
        scene.supervise(worker)
        return await scene.finish(told)


async def beyond_a_disk(kafka: Kafka, home: Path, seed: int = 1) -> Outcome:
    """A worker comes back with a disk of long ago; what it missed is compacted away, also that rows were deleted."""
    async with Scene(kafka.address, home, seed=seed, events=6_000, backlog=0.85) as scene:
        await _options(scene, HOUR_MS)
        first = await scene.worker()
        await scene.at(0.4)
        await first.stop()
        old = {key for partition in range(scene.settings.partitions) for key in _rows(first, partition)}
        second = await scene.worker()
        await scene.at(0.84)
        deleted = old - scene.follower.leads().keys()
        # They go with the second compaction that meets them.
        await _compacted(scene, 0, lambda _: True)
        await scene.load()
        await scene.drained()
        deleted -= scene.follower.leads().keys()
        assert deleted, "no row of the old disk was deleted"
        told = await _compacted(scene, 0, lambda records: bool(deleted - {record.key for record in records}))
        await second.stop()
        _age(first, LONG_AGO_MS)
        await first.start()
        await first.has(scene.settings.partitions)
        rows = total(await first.metrics(), "leadstream_recovered_rows_total")
        return await scene.finish(f"{told}; {len(deleted)} rows of the old disk were deleted since; {rows} rows read")


def _rows(worker: Worker, partition: int) -> dict[bytes, bytes]:
    ((_, rows),) = local_rows([worker.home], partition)
    return rows


def _age(worker: Worker, by_ms: int) -> None:
    """Have the worker's disk say that it was last used so much earlier."""
    for path in databases(worker.home):
        database = Memory(8 << 20, 8 << 20).open(path)
        before = PartitionRows(database).whole_at
        database[WHOLE_KEY] = b"%d" % (before - by_ms)
        database.close()


async def _options(scene: Scene, lag_ms: int, deletions_ms: int = DELETIONS_KEPT_MS) -> None:
    """Give the changelog small segments that may be compacted after `lag_ms`, deletions after `deletions_ms` more."""
    changelog = topics.changelog(scene.settings, "leads")
    options = {
        **changelog.config,
        "min.insync.replicas": "1",
        "segment.ms": "200",
        "min.cleanable.dirty.ratio": "0.0001",
        "min.compaction.lag.ms": str(lag_ms),
        "delete.retention.ms": str(deletions_ms),
    }
    client = AIOKafkaAdminClient(bootstrap_servers=list(scene.settings.brokers))
    await client.start()
    try:
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, changelog.name, options)])
    finally:
        await client.close()


async def _compacted(scene: Scene, deletions_ms: int, done: Callable[[Sequence[Logged]], bool]) -> str:
    """Have the changelog compacted now, and say what that did; later it is kept as workers want it again."""
    name = topics.changelog(scene.settings, "leads").name
    before = len(await read_all(scene.outside, name))
    await _options(scene, 0, deletions_ms)
    deadline = time.monotonic() + CLEANED_S
    after, last = before, 0
    while True:
        records = await read_all(scene.outside, name)
        after, last = len(records), after
        if after < before and after == last and done(records):
            break
        if time.monotonic() > deadline:
            raise StuckError(f"the changelog is not compacted: {before} records, then {after}")
        await asyncio.sleep(1)
    await _options(scene, HOUR_MS)
    return f"the changelog was compacted from {before:,} to {after:,} records"
