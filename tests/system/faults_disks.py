"""The local disk is full: a file system of a few MiB where root may mount one, else a limit on the size of files."""

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.kafka import Kafka
from tests.system.faults_scene import Outcome, Scene
from tests.system.faults_worker import Worker

DISK = "48m"
SMALL_FILES = 200_000
"""Bytes that a file may have under the limit: less than the logs of a database, more than what a worker says."""
FULL = ("No space left on device", "File too large")


async def disk_full(kafka: Kafka, home: Path, seed: int = 1) -> Outcome:
    """There is no room for what a worker writes; it dies loudly, and with room again a restart is exact."""
    data = home / "worker0" / "data"
    data.mkdir(parents=True)
    with _small_disk(data) as mounted:
        async with Scene(kafka.address, home, seed=seed, write_buffer_bytes=1 << 20) as scene:
            worker = await scene.worker()
            await scene.at(0.1)
            with _full(worker, mounted=mounted):
                status = await worker.ended()
                scene.died(worker, status)
                assert any(words in worker.said() for words in FULL), worker.said()[-3_000:]
            assert await scene.share() < 1, "it had done everything before its disk was full"
            await worker.start()
            return await scene.finish("a full file system" if mounted else "a limit on the size of files")


@contextlib.contextmanager
def _small_disk(at: Path) -> Iterator[bool]:
    """Mount a small file system in memory, if that is allowed; yield whether it is."""
    mounted = False
    if os.geteuid() == 0:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", str(at)],
            capture_output=True,
            check=False,
        )
        mounted = done.returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(at)], check=True)


@contextlib.contextmanager
def _full(worker: Worker, *, mounted: bool) -> Iterator[None]:
    """Leave no room."""
    if not mounted:
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (SMALL_FILES, SMALL_FILES))
        yield  # the next life has no limit
        return
    filler = worker.data / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
    yield
    filler.unlink()
