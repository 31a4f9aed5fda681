"""Real workers that are killed with SIGKILL while an outsider follows their changelog."""

import asyncio
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from aiokafka import AIOKafkaProducer

from app import topics
from app.domain.reader import Reader as RulesReader
from app.engine.kafka import Reader
from app.engine.program import Record
from app.engine.protocol import EPOCH_KEY, META_KEY, StaleKeys, decode_meta, sender_of, stamp_of
from app.engine.store import Memory, PartitionRows
from app.leads.commands import Advance, encode
from app.rules import load
from app.settings import Settings
from tests.engine.onepiece import Told
from tests.processes import LEADSTREAM, ROOT, environment

SHOP = ROOT / "tests" / "rules" / "shop.yaml"
SWEEP = b"\x01sweep"
PATIENCE_S = 60.0


def readers() -> dict[str, RulesReader]:
    """The shop's rules."""
    return {"default": RulesReader(load(SHOP))}


class StuckError(AssertionError):
    """The workers do not come on."""


class Follower:
    """What the changelog says, read from outside."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._commands = topics.topics(settings).commands.name
        self._stack = AsyncExitStack()
        self._readers: list[Reader] = []
        self._stale = [StaleKeys() for _ in range(settings.partitions)]
        self.rows: list[dict[bytes, bytes]] = [{} for _ in range(settings.partitions)]

    async def __aenter__(self) -> Self:
        name = topics.changelog(self._settings, "leads").name
        for partition in range(self._settings.partitions):
            reader = await self._stack.enter_async_context(Reader(self._settings, name, partition))
            await reader.seek(0)
            self._readers.append(reader)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def look(self) -> None:
        """Read what is new."""
        await asyncio.gather(*map(self._read, self._readers, self._stale, self.rows))

    async def _read(self, reader: Reader, stale: StaleKeys, rows: dict[bytes, bytes]) -> None:
        while (records := await reader.next()) is not None:
            for record in records:
                if not stale.accept(record.key, stamp_of(record.headers)):
                    continue
                if record.value is None:
                    rows.pop(record.key, None)
                else:
                    rows[record.key] = record.value

    async def drained_now(self, ends: dict[tuple[str, int], int]) -> bool:
        """Look, then say whether all is processed."""
        await self.look()
        return self.drained(ends)

    def drained(self, ends: dict[tuple[str, int], int]) -> bool:
        """Whether lanes processed everything up to `ends`, what they told each other too, and no sweep goes on."""
        metas = [decode_meta(rows.get(META_KEY)) for rows in self.rows]
        if any(metas[partition].next.get(topic, 0) < end for (topic, partition), end in ends.items()):
            return False
        lanes = [f"{self._commands}/{self._settings.app_id}/leads/{partition}" for partition in range(len(metas))]
        received = all(
            receiver.got.get(lanes[sender], 0) >= meta.sent.get(f"{self._commands}/{partition}", 0)
            for sender, meta in enumerate(metas)
            for partition, receiver in enumerate(metas)
        )
        return received and not any(SWEEP in rows for rows in self.rows)

    def leads(self) -> dict[bytes, bytes]:
        """All rows that are not the engine's."""
        return {key: value for rows in self.rows for key, value in rows.items() if key not in (META_KEY, EPOCH_KEY)}


class Workers:
    """Worker processes, each with a data directory of its own; one that dies is started again."""

    def __init__(self, settings: Settings, count: int) -> None:
        self._settings = settings
        self.homes = [settings.data_dir / f"worker{n}" for n in range(count)]
        self._processes: list[asyncio.subprocess.Process] = []
        self._lives_from: dict[Path, int] = {}
        """Where the present life begins in each log."""
        self.kills = 0
        self.wipes = 0

    async def __aenter__(self) -> Self:
        for home in self.homes:
            self._processes.append(await self._start(home))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _start(self, home: Path) -> asyncio.subprocess.Process:
        await asyncio.to_thread(home.mkdir, parents=True, exist_ok=True)
        settings = self._settings
        own = msgspec.structs.replace(settings, data_dir=home / "data", rules=(str(SHOP),))
        with (home / "worker.log").open("ab") as said:
            self._lives_from[home] = said.tell()
            return await asyncio.create_subprocess_exec(
                *(sys.executable, *LEADSTREAM, "worker"),
                cwd=ROOT,
                env={**os.environ, **environment(own)},
                stdout=said,
                stderr=said,
            )

    async def kill(self, chance: random.Random, *, wipe: bool) -> None:
        """Kill one of them, maybe lose its disk, and start it again."""
        number = chance.randrange(len(self.homes))
        process = self._processes[number]
        process.send_signal(signal.SIGKILL)
        await process.wait()
        self.kills += 1
        if wipe:
            await asyncio.to_thread(shutil.rmtree, self.homes[number] / "data", ignore_errors=True)
            self.wipes += 1
        self._processes[number] = await self._start(self.homes[number])

    async def stop(self) -> None:
        """Tell all to stop, once they work; they must end well."""
        deadline = time.monotonic() + PATIENCE_S
        while not all("open at epoch" in self._said_since(home) for home in self.homes):
            self.check()
            if time.monotonic() > deadline:
                raise StuckError(f"a worker gets no partition: {self.said()}")
            await asyncio.sleep(0.05)
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            code = await asyncio.wait_for(process.wait(), 30)
            if code != 0:
                raise StuckError(f"a worker ended with {code}: {self.said()}")

    def check(self) -> None:
        """Raise StuckError when a worker went down by itself."""
        if any(process.returncode is not None for process in self._processes):
            raise StuckError(f"a worker went down: {self.said()}")

    def _said_since(self, home: Path) -> str:
        return (home / "worker.log").read_bytes()[self._lives_from[home] :].decode(errors="replace")

    def said(self) -> str:
        """The last words of each."""
        return "\n".join((home / "worker.log").read_text(errors="replace")[-3_000:] for home in self.homes)


def databases(home: Path, partition: int | str = "*") -> list[Path]:
    """Return where a worker keeps its copy of a partition, of each if none is given."""
    return sorted(home.glob(f"data/*/tables/leads-{partition}.db"))


def local_rows(homes: Sequence[Path], partition: int) -> list[tuple[int, dict[bytes, bytes]]]:
    """Return (next changelog offset, rows) of each local copy of a partition that workers left."""
    found = []
    for home in homes:
        for path in databases(home, partition):
            database = Memory(8 << 20, 8 << 20).open(path)
            rows = PartitionRows(database)
            found.append((rows.next_offset, dict(rows.scan(b"", limit=1_000_000))))
            database.close()
    return found


async def publish(settings: Settings, records: Sequence[Record], ends: dict[tuple[str, int], int]) -> None:
    """Publish records where they say they stand, and note the ends."""
    producer = AIOKafkaProducer(bootstrap_servers=list(settings.brokers), linger_ms=5)
    await producer.start()
    try:
        for record in records:
            await producer.send(
                record.topic,
                key=record.key,
                value=record.value,
                partition=record.partition,
                timestamp_ms=record.timestamp,
            )
            ends[record.topic, record.partition] = record.offset + 1
        await producer.flush()
    finally:
        await producer.stop()


async def advance(settings: Settings, to: int, ends: dict[tuple[str, int], int]) -> None:
    """Tell every lane to fold up to a time (UTC ms) and to send every lead's profile."""
    commands = topics.topics(settings).commands.name
    producer = AIOKafkaProducer(bootstrap_servers=list(settings.brokers))
    await producer.start()
    try:
        for partition in range(settings.partitions):
            sent = await producer.send_and_wait(commands, encode(Advance(to, snapshot=True)), partition=partition)
            ends[commands, partition] = sent.offset + 1
    finally:
        await producer.stop()


class Received(msgspec.Struct):
    """What a consumer of the outputs has in the end."""

    told: Told
    """Each output once."""
    repeats: int
    """How many came again."""


async def receive(settings: Settings) -> Received:
    """Read all outputs as a consumer does: repeats are known by their header and must be the same bytes; no gaps.

    Raises:
        AssertionError: a gap, or one header or id with two contents.
    """
    known = topics.topics(settings)
    told: Told = Counter()
    repeats = 0
    for topic in (known.segments, known.conversions, known.profiles, known.rejected):
        for partition in range(settings.partitions):
            contents: dict[tuple[str, int], object] = {}
            highest: Counter[str] = Counter()
            async with Reader(settings, topic.name, partition) as reader:
                await reader.seek(0)
                while (records := await reader.next()) is not None:
                    for record in records:
                        sender = sender_of(record.headers)
                        assert sender is not None, "an output without a lane's header"
                        lane, seq = sender
                        content = (record.key, record.value, tuple(record.headers))
                        assert contents.setdefault(sender, content) == content, f"{sender} has two contents"
                        assert seq <= highest[lane] + 1, f"{topic.name}/{partition}: {lane} skips to {seq}"
                        if seq == highest[lane] + 1:
                            highest[lane] = seq
                            told[topic.name.removeprefix(settings.topic_prefix), record.key, record.value] += 1
                        else:
                            repeats += 1
    return Received(told, repeats)


async def drained(follower: Follower, workers: Workers, ends: dict[tuple[str, int], int]) -> None:
    """Return when the workers have processed everything. Raises StuckError."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        await follower.look()
        if follower.drained(ends):
            return
        workers.check()
        if time.monotonic() > deadline:
            raise StuckError(f"not processed within {PATIENCE_S:.0f} s: {workers.said()}")
        await asyncio.sleep(0.02)
