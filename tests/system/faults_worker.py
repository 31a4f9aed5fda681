"""One worker process of a fault: started, signalled, asked over HTTP, and started again when it dies."""

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from app.embedded import dying_with_us
from app.settings import Settings
from tests.engine.scrape import Samples, free_port, scrape
from tests.engine.scrape import health as asked
from tests.processes import LEADSTREAM, ROOT, environment
from tests.system.killing import SHOP, StuckError

WORKER = (*LEADSTREAM, "worker")
END_S = 60.0
"""A worker that ends takes no longer."""


class Worker:
    """A worker with a data directory, a port and a log of its own."""

    def __init__(self, settings: Settings, home: Path) -> None:
        self.home = home
        self.data = home / "data"
        self.program: tuple[str, ...] = WORKER
        """What Python runs in the lives to come."""
        self.port = free_port()
        changes: dict[str, Any] = {"data_dir": self.data, "web_port": self.port, "rules": (str(SHOP),)}
        self._given = environment(msgspec.structs.replace(settings, **changes))
        self._life_from = 0
        self._process: asyncio.subprocess.Process | None = None

    @property
    def log(self) -> Path:
        """What all its lives said."""
        return self.home / "worker.log"

    @property
    def pid(self) -> int:
        """Process id of the present life."""
        assert self._process is not None
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Exit status of the last life; None while it runs, or before it ever did."""
        return self._process.returncode if self._process is not None else None

    async def start(self) -> None:
        """Begin a life."""
        await asyncio.to_thread(self.data.mkdir, parents=True, exist_ok=True)
        with self.log.open("ab") as said:
            self._life_from = said.tell()
            self._process = await asyncio.create_subprocess_exec(
                *(*dying_with_us(), sys.executable, *self.program),
                cwd=ROOT,
                env={**os.environ, **self._given},
                stdout=said,
                stderr=said,
            )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def ended(self, within_s: float = END_S) -> int:
        """Return the exit status when it has ended. Raises StuckError."""
        assert self._process is not None
        try:
            async with asyncio.timeout(within_s):
                return await self._process.wait()
        except TimeoutError as error:
            raise StuckError(f"a worker did not end in {within_s:.0f} s: {self.said()[-3_000:]}") from error

    async def lose(self) -> None:
        """Kill it, and its disk with it."""
        self.signal(signal.SIGKILL)
        await self.ended()
        await asyncio.to_thread(shutil.rmtree, self.data)

    async def stop(self) -> None:
        """Tell it to stop; it must end well."""
        self.signal(signal.SIGTERM)
        status = await self.ended()
        assert status == 0, f"a worker ended with {status}: {self.said()[-3_000:]}"

    async def destroy(self) -> None:
        """End it in any case."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def said(self) -> str:
        """What the present life, or the last, has said."""
        with self.log.open("rb") as log:
            log.seek(self._life_from)
            return log.read().decode(errors="replace")

    def last_words(self) -> str:
        """The last line in which it said why it went down; empty when it did not."""
        lines = [line for line in self.said().splitlines() if line.startswith("Error: ") or "Error(" in line]
        return lines[-1] if lines else ""

    async def lanes(self) -> dict[str, int]:
        """How many lanes are open and opening; neither while it does not answer."""
        try:
            async with asyncio.timeout(5):
                _, told = await asked(self.port, "ready")
        except (OSError, TimeoutError):
            return {"open": 0, "opening": 0}
        found: dict[str, int] = told["lanes"]
        return found

    async def has(self, least: int, state: str = "open", within_s: float = END_S) -> None:
        """Return when at least so many lanes are open (or opening). Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while (await self.lanes()).get(state, 0) < least:
                assert self.status is None, f"a worker went down: {self.said()[-3_000:]}"
                await asyncio.sleep(0.02)

    async def metrics(self) -> Samples:
        """What it counted since its start."""
        return await scrape(self.port)


def total(samples: Samples, name: str) -> int:
    """The sum of a metric over its labels."""
    return int(sum(value for (found, _), value in samples.items() if found == name))
