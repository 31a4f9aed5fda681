"""What is measured of a contender: throughput with the check of what it did, restore, disk, latency."""

import asyncio
import contextlib
import shutil
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from app.engine.protocol import sender_of
from app.settings import Settings
from app.topics import admin, create
from tests.bench.peers.contenders import Contender
from tests.bench.peers.engine_worker import settings_of, topic
from tests.bench.peers.job import HALF_LIFE_MS, POINTS, THRESHOLD
from tests.bench.peers.load import place_of, probes, put, whole
from tests.bench.peers.oracle import Truth
from tests.bench.peers.runner import PATIENCE_S, PeerError, Told, Worker, started
from tests.bench.peers.telling import Task
from tests.bench.traffic import Message

Say = Callable[[str], None]
LEAST: float = 0.2
"""The least part that must be left for figures to mean something."""
COMMIT_MS = 2_000
"""Of Quix Streams (whose default is 5 s) and Kafka Streams (30 s): that of Leadstream; stock Faust has 2.8 s."""
LOOK_S = 0.1
WARM_S = 5.0
SETTLE_S = 2.0


class Throughput(msgspec.Struct):
    """One run of one contender."""

    events: int
    """Processed between two commits: the first after the warm-up, and the last."""
    all_events: int
    seconds: float
    cpu_seconds: float
    memory_bytes: int
    disk_bytes: int
    leads: int
    changelog_records: int
    crossings: int

    @property
    def enough(self) -> bool:
        """Whether there are enough events that count."""
        return self.events >= LEAST * self.all_events

    @property
    def per_second(self) -> float:
        """Events a second of time that passed."""
        return self.events / self.seconds

    @property
    def per_core(self) -> float:
        """Events a second of processor time of the workers."""
        return self.events / self.cpu_seconds


class Restore(msgspec.Struct):
    """A start with an empty state directory."""

    leads: int
    seconds: float
    """That restoring took, as the worker tells."""
    serving_seconds: float
    """From the start of the process until it is open, all in all."""


class Latency(msgspec.Struct):
    """From the producer's call until a consumer has the record that came of it."""

    rate: float
    samples: int
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    """Processor time of the worker, an event."""


class Bench:
    """One broker, the events on it, and contenders one after the other."""

    def __init__(self, broker: str, home: Path, messages: Sequence[Message], say: Say) -> None:
        self._broker = broker
        self._home = home
        self._messages = messages
        self._say = say
        self._truths: dict[int, Truth] = {}
        self._run = 0

    def count(self, contender: Contender) -> int:
        """Return how many events the contender gets."""
        return max(1_000, int(len(self._messages) * contender.share))

    async def _source(self, count: int) -> str:
        """Return a topic with the first so many events."""
        name = f"events-{count}"
        if count not in self._truths:
            self._say(f"publishing {count:,} events")
            settings = settings_of(self._task("load", name))
            await create(settings, [topic(name)])
            await put(settings, name, self._messages[:count])
            self._truths[count] = await asyncio.to_thread(Truth, self._messages[:count])
        return name

    def _task(self, name: str, source: str, **changes: Any) -> Task:
        home, output = str(self._home / name), f"{name}-out"
        told = Task(
            broker=self._broker,
            name=name,
            source=source,
            output=output,
            home=home,
            commit_ms=COMMIT_MS,
            half_life_ms=HALF_LIFE_MS,
            threshold=THRESHOLD,
            points=POINTS,
        )
        return msgspec.structs.replace(told, **changes)

    def _named(self, contender: Contender) -> str:
        self._run += 1
        return f"{''.join(filter(str.isalnum, contender.name)).lower()}-{self._run}"

    async def throughput(self, contender: Contender) -> tuple[Throughput, Task]:
        """Run the contender over the events that are there and check what it did.

        Raises:
            AssertionError: it did something else than the job.
            PeerError, InstallError: it did not run.
        """
        count = self.count(contender)
        task = self._task(self._named(contender), await self._source(count), **contender.changes)
        truth = self._truths[count]
        command = await contender.argv()
        await contender.prepare(task)
        if contender.workers > 1:
            task = msgspec.structs.replace(task, source=f"{task.name}-events")
            await create(settings_of(task), [topic(task.source)])
        async with contextlib.AsyncExitStack() as stack:
            workers = [
                await stack.enter_async_context(started(contender.name, command, _own(task, number)))
                for number in range(contender.workers)
            ]
            if contender.workers > 1:
                await self._put_before(workers, task, count)
            begin = await _committed(settings_of(task), workers, int(count * contender.warm))
            end = await _committed(settings_of(task), workers, count)
        told = _once(await whole(settings_of(task), task.output))
        rows = [contender.row(row) for row in await whole(settings_of(task), contender.changelog(task))]
        leads = dict(row for row in rows if row is not None)
        truth.check([orjson.loads(record.value) for record in told], leads)
        homes = [Path(_own(task, number).home) for number in range(len(workers))]
        disk = await asyncio.to_thread(_bytes_in, homes)
        return Throughput(
            events=count - sum(one.events for one in begin),
            all_events=count,
            seconds=max(one.last for one in end) - max(one.at for one in begin),
            cpu_seconds=sum(one.cpu for one in end) - sum(one.cpu for one in begin),
            memory_bytes=sum(worker.memory for worker in workers),
            disk_bytes=disk,
            leads=len(leads),
            changelog_records=len(rows),
            crossings=len(told),
        ), task

    async def _put_before(self, workers: Sequence[Worker], task: Task, count: int) -> None:
        """Publish events for several workers when each has its partitions: else the first one would do them alone."""
        await asyncio.gather(*(worker.until(lambda told: told.open) for worker in workers))
        await asyncio.sleep(SETTLE_S)
        with contextlib.ExitStack() as stack:
            for worker in workers:
                stack.enter_context(worker.paused())
            await put(settings_of(task), task.source, self._messages[:count])

    async def restore(self, contender: Contender, task: Task, leads: int) -> Restore:
        """Start the contender again without its local state."""
        await asyncio.to_thread(shutil.rmtree, task.home, ignore_errors=True)
        async with started(contender.name, await contender.argv(), task) as worker:
            told = await worker.until(lambda told: told.open and told.restore > 0)
            return Restore(leads, told.restore, worker.opened - worker.began)

    async def latency(self, contender: Contender, rate: float, seconds: float) -> Latency:
        """Publish events one by one to a worker without backlog; each is a new lead's and has it cross."""
        name = self._named(contender)
        task = self._task(name, f"{name}-events", **contender.changes)
        settings = settings_of(task)
        command = await contender.argv()
        await create(settings, [topic(task.source)])
        await contender.prepare(task)
        sent: dict[bytes, float] = {}
        taken: list[float] = []
        consumer = AIOKafkaConsumer(
            task.output, bootstrap_servers=task.broker, auto_offset_reset="earliest", fetch_max_wait_ms=20
        )
        producer = AIOKafkaProducer(bootstrap_servers=task.broker)
        await consumer.start()
        await producer.start()
        async with started(contender.name, command, task) as worker:
            await worker.until(lambda told: told.open)
            watching = asyncio.create_task(_watch(consumer, sent, taken))
            before = worker.told
            try:
                began = time.perf_counter()
                for number, probe in enumerate(islice(probes(), int(rate * (WARM_S + seconds)))):
                    await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
                    assert probe.key is not None
                    if number == int(rate * WARM_S):
                        before = worker.told
                    if number >= int(rate * WARM_S):
                        sent[probe.key] = time.perf_counter()
                    await producer.send(task.source, key=probe.key, value=probe.value, partition=place_of(probe.key))
                real = number / (time.perf_counter() - began)
                cpu_s = worker.told.cpu - before.cpu
                await asyncio.sleep(SETTLE_S)
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
                await producer.stop()
                await consumer.stop()
        assert not sent, f"{contender.name}: {len(sent)} of {len(sent) + len(taken)} records did not come"
        taken.sort()
        count = len(taken)
        return Latency(real, count, taken[count // 2], taken[int(count * 0.99)], 1000 * cpu_s / count)


def _once(records: Sequence[Any]) -> list[Any]:
    """Return the records without repeats, as far as headers say which those are.

    A lane that is handed to another worker sends what its last step sent again; whoever reads drops it by its header.
    """
    found: dict[Any, Any] = {}
    for record in records:
        sender = sender_of(record.headers)
        found.setdefault((record.partition, sender if sender is not None else record.offset), record)
    return list(found.values())


def _own(task: Task, number: int) -> Task:
    """Return the task of one of several workers, which have directories of their own."""
    return task if not number else msgspec.structs.replace(task, home=f"{task.home}-{number}")


async def _committed(settings: Settings, workers: Sequence[Worker], least: int) -> list[Told]:
    """Return where the workers were when the group had committed at least so many events.

    Only what is committed counts: some contenders do much of their work when they commit.

    Raises:
        PeerError: a worker ended, or they do not come to that.
    """
    deadline = time.monotonic() + PATIENCE_S
    async with admin(settings) as client:
        while True:
            places = await client.list_consumer_group_offsets(settings.app_id)
            count = sum(max(0, place.offset) for at, place in places.items() if "changelog" not in at.topic)
            if count >= least:
                return [worker.told for worker in workers]
            for worker in workers:
                worker.check()
            if time.monotonic() > deadline:
                raise PeerError(f"{workers[0].name} has committed {count:,} events; {workers[0].told}")
            await asyncio.sleep(LOOK_S)


async def _watch(consumer: Any, sent: dict[bytes, float], taken: list[float]) -> None:
    async for record in consumer:
        began = sent.pop(record.key, None)
        if began is not None:
            taken.append((time.perf_counter() - began) * 1000)


def _bytes_in(folders: Sequence[Path]) -> int:
    return sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())
