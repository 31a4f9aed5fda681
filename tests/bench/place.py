"""Where a bench's workers run, and what they are told: plain values that go to their processes as JSON."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from app.embedded import settings_for
from app.settings import MIB, Settings

ROOT = Path(__file__).parents[2]


class Task(msgspec.Struct, frozen=True):
    """What one worker process is to do."""

    broker: str
    """`host:port`."""
    name: str
    """Consumer group, and its changelog."""
    prefix: str
    """Of the topics."""
    home: str
    """Data directory."""
    rules: str
    ends: list[tuple[str, int, int]] = []
    """Topic, partition and the offset after its last record."""
    most: int = 0
    """Events after which it may stop."""
    stages: bool = False
    """Measure processor time by stage."""
    profile: bool = False

    exactly_once: bool = False

    cache_mib: int = 0
    """RocksDB's block cache, MiB, with its memtables, at most half of it; 0 = the defaults."""

    @property
    def settings(self) -> Settings:
        """Settings of the worker: the defaults, on the embedded broker."""
        settings = settings_for(
            self.broker,
            app_id=self.name,
            topic_prefix=self.prefix,
            data_dir=Path(self.home),
            log_level="warning",
            processing_guarantee="exactly_once" if self.exactly_once else "at_least_once",
        )
        if not self.cache_mib:
            return settings
        size = self.cache_mib * MIB
        return msgspec.structs.replace(settings, block_cache_bytes=size, write_buffer_bytes=size // 2)


class WorkerFailedError(RuntimeError):
    """A worker of the bench went down; the text is what it said."""


class WorkerProcess:
    """A worker of the bench in a process of its own, which answers with lines of JSON."""

    def __init__(self, module: str, process: asyncio.subprocess.Process) -> None:
        self._module = module
        self._process = process

    async def answer(self) -> dict[str, Any]:
        """Return the next line it says.

        Raises:
            WorkerFailedError: it ended instead.
        """
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise WorkerFailedError(f"{self._module} ended with status {await self._process.wait()}")
        told: dict[str, Any] = msgspec.json.decode(line)
        return told

    def ask(self) -> None:
        """Ask for another answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")

    def kill(self) -> None:
        """End it where it is."""
        self._process.kill()

    def finish(self) -> None:
        """Tell it that it is not needed any longer."""
        assert self._process.stdin is not None
        self._process.stdin.close()


@contextlib.asynccontextmanager
async def worker(module: str, mode: str, task: Task) -> AsyncIterator[WorkerProcess]:
    """Run a worker; it is gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"tests.bench.{module}", mode, msgspec.json.encode(task).decode()),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    try:
        yield WorkerProcess(module, process)
        with contextlib.suppress(TimeoutError):
            process.stdin.close() if process.stdin else None
            async with asyncio.timeout(30):
                await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
