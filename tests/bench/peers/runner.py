"""Workers of the comparison as processes: started, watched by what they tell, ended."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec

from app.embedded import dying_with_us
from tests.bench.peers.install import ROOT
from tests.bench.peers.telling import Task

PATIENCE_S = 180.0
"""A worker that does not get on for so long is a fault."""
END_S = 30.0


class PeerError(RuntimeError):
    """A contender went down or stood still; says which."""


class Told(msgspec.Struct, frozen=True):
    """Where a worker was at some moment; times are of the monotonic clock, s, and `cpu` is all its threads' time."""

    at: float = 0.0
    cpu: float = 0.0
    events: int = 0
    last: float = 0.0
    open: bool = False
    restore: float = 0.0


class Worker:
    """One worker process."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.began = time.monotonic()
        self.opened = 0.0
        """When it told that it was open."""
        self.told = Told()
        self.memory = 0
        """Most that it had in memory, bytes."""
        self._process = process
        self._more = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if line.startswith(b"{"):
                self.told = msgspec.json.decode(line, type=Told)
                if self.told.open and not self.opened:
                    self.opened = self.told.at
                self._more.set()

    async def until(self, reached: Callable[[Told], bool]) -> Told:
        """Return the first thing told for which `reached`.

        Raises:
            PeerError: it ended, or did not come to that.
        """
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not reached(self.told):
                    self.check()
                    self._more.clear()
                    await asyncio.wait({asyncio.ensure_future(self._more.wait()), self._reading}, timeout=1)
        except TimeoutError as error:
            raise PeerError(f"{self.name} stands still at {self.told}") from error
        return self.told

    def check(self) -> None:
        """Raise PeerError when it ended."""
        if self._reading.done():
            raise PeerError(f"{self.name} ended with status {self._process.returncode}; its last words are above")

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Have it stand still; shorter than it takes a group to miss it."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    async def end(self) -> None:
        """Ask it to end as an operator does, so that it commits and leaves its group; kill it if it does not."""
        if self._process.returncode is None:
            with contextlib.suppress(OSError):
                self.memory = _most_memory(self.pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_S):
                    await self._process.wait()
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
        await asyncio.gather(self._reading, return_exceptions=True)


def _most_memory(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


@contextlib.asynccontextmanager
async def started(name: str, command: list[str], task: Task) -> AsyncIterator[Worker]:
    """Run a worker; it is gone afterwards, also when the bench is killed."""
    process = await asyncio.create_subprocess_exec(
        *dying_with_us(),
        *command,
        msgspec.json.encode(task).decode(),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    worker = Worker(name, process)
    try:
        yield worker
    finally:
        await worker.end()
