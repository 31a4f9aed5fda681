"""Brokers of Apache Kafka on loopback, each a child process that can be paused, killed and started again."""

import asyncio
import base64
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError as ClientError

from app.embedded import dying_with_us, free_port
from tests.kafka.install import Installed, KafkaError, format_storage, installed
from tests.kafka.properties import HOST, Ports, Security, properties

QUICK: Final = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Starts a third sooner and leaves the cores to others; does less under load."""
ARCHIVE: Final = "classes.jsa"
ATTEMPTS: Final = 3
"""A free port may be taken by another between the look and the use."""


def _id() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


class Broker:
    """One broker: its ports, its directory, its process."""

    def __init__(self, number: int, ports: Ports, home: Path) -> None:
        self.number = number
        self.ports = ports
        self.home = home
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """`host:port` for clients."""
        return f"{HOST}:{self.ports.client}"

    @property
    def pid(self) -> int:
        """Process id."""
        assert self.process is not None, "it does not run"
        return self.process.pid

    def spawn(self, command: list[str]) -> None:
        """Start the process; it dies with ours."""
        with (self.home / "broker.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*dying_with_us(), *command, str(self.home / "properties")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home,
                start_new_session=True,
            )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def said(self) -> str:
        """The end of its log."""
        with contextlib.suppress(OSError):
            return (self.home / "broker.log").read_text(errors="replace")[-2_000:].strip()
        return ""


class Kafka:
    """`async with Kafka(brokers=3) as kafka:` runs a cluster in KRaft mode; `kafka.addresses` are for clients.

    Each broker is a controller too. They die with the process (on Linux: the thread) that started them, and nothing of
    them is left. Without `security` anybody on this machine may connect.
    """

    def __init__(
        self,
        brokers: int = 1,
        *,
        port: int | None = None,
        security: Security | None = None,
        quick: bool = False,
        options: Mapping[str, str] | None = None,
        patience_s: float = 90.0,
    ) -> None:
        """Args.

        brokers: how many.
        port: of the first one, the others' follow; None = free ones.
        quick: for tests: start sooner, do less under load.
        options: of the brokers, beside or instead of those in `tests/kafka/properties.py`.
        """
        self._count = brokers
        self._port = port
        self._security = security
        self._quick = quick
        self._options = options or {}
        self._patience_s = patience_s
        self._kafka: Installed | None = None
        self._home: Path | None = None
        self.brokers: list[Broker] = []

    @property
    def addresses(self) -> tuple[str, ...]:
        """`host:port` of every broker, for clients."""
        return tuple(broker.address for broker in self.brokers)

    @property
    def address(self) -> str:
        """All addresses, comma separated."""
        return ",".join(self.addresses)

    async def __aenter__(self) -> Self:
        attempts = ATTEMPTS if self._port is None else 1
        for attempt in range(1, attempts + 1):
            try:
                await self.start()
            except KafkaError as error:
                if attempt == attempts or "Address already in use" not in str(error):
                    raise
            else:
                break
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start all brokers and return when each of them answers and knows the others.

        Raises:
            KafkaError: Kafka cannot be had, or a broker ends at once or does not answer in time.
        """
        self._kafka = await asyncio.to_thread(installed)
        self._home = Path(tempfile.mkdtemp(prefix="leadstream-kafka-"))
        try:
            await asyncio.to_thread(self._prepare, self._kafka, self._home)
            for broker in self.brokers:
                broker.spawn(self._command(self._kafka))
            await self.until_ready()
            await self._until_groups_work()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Kill all brokers and remove their data. May be repeated."""
        await self._record_classes()
        for broker in self.brokers:
            if broker.process is not None:
                broker.process.kill()
        for broker in self.brokers:
            if broker.process is not None:
                await self._ended(broker)
        self.brokers = []
        home, self._home = self._home, None
        if home is not None:
            await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)

    # --- faults

    def pause(self, number: int = 1) -> None:
        """Stop a broker (from 1) in its tracks; its connections stay open and nothing is answered."""
        self._broker(number).signal(signal.SIGSTOP)

    def resume(self, number: int = 1) -> None:
        """Let a paused broker go on."""
        self._broker(number).signal(signal.SIGCONT)

    async def kill(self, number: int = 1) -> None:
        """Kill a broker with SIGKILL; its data stays."""
        broker = self._broker(number)
        broker.signal(signal.SIGKILL)
        await self._ended(broker)

    async def shut_down(self, number: int = 1) -> None:
        """Ask a broker to end, as an operator does; it hands its partitions over first."""
        broker = self._broker(number)
        broker.signal(signal.SIGTERM)
        await self._ended(broker)

    async def restart(self, number: int = 1) -> None:
        """Start a broker that was killed or shut down again, with its data; return when the cluster is whole."""
        assert self._kafka is not None, "the cluster does not run"
        self.brokers[number - 1].spawn(self._command(self._kafka))
        await self.until_ready()

    async def until_ready(self) -> None:
        """Return when all brokers that run answer, each knowing all of them. Raises KafkaError."""
        deadline = time.monotonic() + self._patience_s
        running = [broker for broker in self.brokers if broker.process is not None]
        for broker in running:
            while not await self._knows(broker, len(running)):
                if broker.process is None or broker.process.poll() is not None:
                    raise KafkaError(f"broker {broker.number} of Kafka ended: {broker.said()}")
                if time.monotonic() > deadline:
                    raise KafkaError(f"broker {broker.number} of Kafka does not answer: {broker.said()}")
                await asyncio.sleep(0.05)

    async def _until_groups_work(self) -> None:
        """Have Kafka make its topic of group offsets now; the first group would find no coordinator for a while."""
        deadline = time.monotonic() + self._patience_s
        client = AIOKafkaAdminClient(bootstrap_servers=f"{HOST}:{self.brokers[0].ports.internal}")
        await client.start()
        try:
            while True:
                with contextlib.suppress(ClientError):
                    await client.find_coordinator("ready?")
                    return
                if time.monotonic() > deadline:
                    raise KafkaError(f"Kafka has no coordinator for groups: {self.brokers[0].said()}")
                await asyncio.sleep(0.05)
        finally:
            await client.close()

    # ---

    def _broker(self, number: int) -> Broker:
        return self.brokers[number - 1]

    def _command(self, kafka: Installed) -> list[str]:
        options = [*QUICK] if self._quick else []
        if kafka.archive.exists():
            options += [f"-XX:SharedArchiveFile={kafka.archive}"]
        elif self._count == 1 and self._home is not None:
            options += [f"-XX:ArchiveClassesAtExit={self._home / ARCHIVE}"]
        return [*kafka.java("-XX:+ExitOnOutOfMemoryError", *options), "kafka.Kafka"]

    def _prepare(self, kafka: Installed, home: Path) -> None:
        """Write each broker's properties and format its data directory."""
        ports = [
            Ports(self._port + n if self._port else free_port(), free_port(), free_port()) for n in range(self._count)
        ]
        cluster_id = _id()
        self.brokers = []
        for number in range(1, self._count + 1):
            own = home / f"broker{number}"
            data = own / "data"
            data.mkdir(parents=True)
            (own / "properties").write_text(properties(number, ports, data, self._security, self._options))
            if self._security is not None and self._security.users:
                format_storage(kafka, own / "properties", cluster_id, *self._security.scram_options())
            else:
                # What the storage tool would write, without the time that a JVM takes.
                meta = f"version=1\ncluster.id={cluster_id}\nnode.id={number}\ndirectory.id={_id()}\n"
                (data / "meta.properties").write_text(meta)
                shutil.copy(kafka.checkpoint, data)
            self.brokers.append(Broker(number, ports[number - 1], own))

    async def _knows(self, broker: Broker, count: int) -> bool:
        """Whether the broker answers, and knows `count` brokers."""
        address = f"{HOST}:{broker.ports.internal}"
        try:
            _, writer = await asyncio.open_connection(HOST, broker.ports.internal)
            writer.close()
            await writer.wait_closed()
        except OSError:
            return False
        client = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=5_000)
        try:
            await client.start()
            return len((await client.describe_cluster())["brokers"]) == count
        except (ClientError, OSError, TimeoutError):
            return False
        finally:
            await client.close()

    async def _record_classes(self) -> None:
        """Have the first broker that ever ran leave its classes to those that come: they then start a third sooner."""
        if self._kafka is None or self._home is None or self._kafka.archive.exists() or len(self.brokers) != 1:
            return
        (broker,) = self.brokers
        if broker.process is not None and broker.process.poll() is None:
            self.resume()
            await self.shut_down()
            with contextlib.suppress(OSError):
                await asyncio.to_thread(self._kafka.keep_archive, self._home / ARCHIVE)

    async def _ended(self, broker: Broker) -> None:
        process, broker.process = broker.process, None
        assert process is not None
        deadline = time.monotonic() + self._patience_s
        while process.poll() is None:
            if time.monotonic() > deadline:
                raise KafkaError(f"broker {broker.number} of Kafka does not end")
            await asyncio.sleep(0.02)
