"""What every fault happens to: a shop's traffic under way on Apache Kafka, workers, and what must come of it."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from app import topics
from app.embedded import settings_for
from app.engine.program import Record
from app.engine.protocol import META_KEY, decode_meta
from tests.engine.onepiece import OnePiece
from tests.system.faults_worker import WORKER, Worker
from tests.system.killing import Follower, StuckError, advance, readers, receive
from tests.system.kills import Variant, compare, compare_disks
from tests.system.shop_slices import UNTIL, shop_slices

PATIENT_MS = 400_000
"""How long the outsiders, who publish and look, wait for a broker: longer than any fault lasts."""
TAKES_S = 90.0
"""What is left is processed within this once the fault is over."""
EVENTS = 3_500


class Outcome(msgspec.Struct):
    """What came of a fault; that it is there says that nothing was lost."""

    events: int
    leads: int
    outputs: int
    repeats: int
    """Outputs that came again, the same in every byte."""
    deaths: list[str]
    """Last words of workers that died of it."""
    told: str = ""
    """What was measured."""
    seconds: float = 0.0


class Scene:
    """Traffic, workers and an outsider; `finish` compares all with a fold in one piece."""

    def __init__(
        self,
        broker: str,
        home: Path,
        *,
        seed: int = 1,
        events: int = EVENTS,
        backlog: float = 1.0,
        rate: float = 0.0,
        **changes: Any,
    ) -> None:
        """Args.

        backlog: the share of the events that is published before anything else; the rest is `load`.
        rate: events a second of the load; 0: as fast as it goes.
        """
        own = f"f{uuid.uuid4().hex[:8]}"
        plain: dict[str, Any] = {
            "app_id": own,
            "topic_prefix": f"{own}.",
            "data_dir": home,
            "step_records": 40,
            "session_timeout_ms": 3_000,
            "rebalance_timeout_ms": 10_000,
            "request_timeout_ms": 20_000,
            "events_retention_ms": topics.FOREVER_MS,
            "block_cache_bytes": 8 << 20,
            "write_buffer_bytes": 4 << 20,
        }
        self.settings = settings_for("", **{**plain, **changes, "brokers": tuple(broker.split(","))})
        self.outside = msgspec.structs.replace(self.settings, request_timeout_ms=PATIENT_MS)
        self.workers: list[Worker] = []
        self.deaths: list[str] = []
        self.ends: dict[tuple[str, int], int] = {}
        (self._slice,) = shop_slices(self.settings, seed, events, 1)
        for record in self._slice.records:
            self.ends[record.topic, record.partition] = record.offset + 1
        self.events = len(self._slice.records)
        self.follower = Follower(self.outside)
        self._backlog = round(self.events * backlog)
        self._rate = rate
        self._began = time.monotonic()
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await topics.create(self.settings)
        await self._stack.enter_async_context(self.follower)
        await self._publish(self._slice.records[: self._backlog])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in self.workers:
            await worker.destroy()
        await self._stack.aclose()

    def load(self) -> asyncio.Task[None]:
        """Begin to publish what is no backlog, at the rate that was asked for; the task ends when all is there."""
        task = asyncio.create_task(self._publish(self._slice.records[self._backlog :]))
        self._tasks.append(task)
        return task

    async def worker(self, program: tuple[str, ...] = WORKER) -> Worker:
        """Start another worker."""
        worker = Worker(self.settings, self.settings.data_dir / f"worker{len(self.workers)}")
        worker.program = program
        self.workers.append(worker)
        await worker.start()
        return worker

    def supervise(self, worker: Worker) -> None:
        """From now on, start it again whenever it dies; it must die with status 1 and say why."""
        self._tasks.append(asyncio.create_task(self._supervise(worker)))

    async def _supervise(self, worker: Worker) -> None:
        while True:
            status = await worker.ended(10_000)
            if status == 0:
                return
            self.died(worker, status)
            await asyncio.sleep(0.5)
            await worker.start()

    def died(self, worker: Worker, status: int) -> None:
        """Note a death, which must be a loud one."""
        assert status == 1, f"a worker ended with {status}: {worker.said()[-3_000:]}"
        assert worker.last_words(), f"it does not say why: {worker.said()[-3_000:]}"
        self.deaths.append(worker.last_words())

    async def _publish(self, records: Sequence[Record]) -> None:
        if not records:
            return
        producer = AIOKafkaProducer(
            bootstrap_servers=list(self.settings.brokers),
            linger_ms=5,
            enable_idempotence=True,
            request_timeout_ms=PATIENT_MS,
        )
        await producer.start()
        began = time.monotonic()
        try:
            sent = []
            for number, record in enumerate(records):
                ahead = number / self._rate - (time.monotonic() - began) if self._rate else 0
                if ahead > 0.02:
                    await asyncio.sleep(ahead)
                to = {"partition": record.partition, "timestamp_ms": record.timestamp}
                sent.append(await producer.send(record.topic, key=record.key, value=record.value, **to))
            landed = [(await future).offset for future in sent]
            assert landed == [record.offset for record in records], "the traffic itself was doubled"
        finally:
            await producer.stop()

    # --- looking

    def processed(self) -> dict[tuple[str, int], int]:
        """How far the lanes are, by the changelog, on the topics that have traffic: next offsets."""
        metas = [decode_meta(rows.get(META_KEY)) for rows in self.follower.rows]
        return {(topic, partition): metas[partition].next.get(topic, 0) for topic, partition in self.ends}

    async def share(self) -> float:
        """The share of the traffic that is processed."""
        await self.follower.look()
        return sum(self.processed().values()) / self.events

    async def at(self, share: float) -> None:
        """Return when so much is processed, and not all of it. Raises StuckError."""
        await self._until(lambda: self._beyond(share), TAKES_S)
        assert await self.share() < 1, "it was over too soon"

    async def _beyond(self, share: float) -> bool:
        return await self.share() >= share

    async def drained(self, within_s: float = TAKES_S) -> None:
        """Return when everything is processed. Raises StuckError."""
        await self._until(lambda: self.follower.drained_now(self.ends), within_s)

    async def _until(self, condition: Callable[[], Awaitable[bool]], within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not await condition():
            for task in self._tasks:
                if task.done():
                    task.result()
            if time.monotonic() > deadline:
                words = "\n".join(worker.said()[-2_000:] for worker in self.workers)
                raise StuckError(f"{await self.share():.0%} after {within_s:.0f} s: {words}")
            await asyncio.sleep(0.02)

    async def committed(self) -> dict[tuple[str, int], int]:
        """Offsets that the group has committed on the topics that have traffic; 0 where it has none."""
        client = AIOKafkaAdminClient(bootstrap_servers=list(self.settings.brokers))
        await client.start()
        try:
            found = await client.list_consumer_group_offsets(self.settings.app_id)
        finally:
            await client.close()
        told = {(tp.topic, tp.partition): max(0, meta.offset) for tp, meta in found.items()}
        return {at: told.get(at, 0) for at in self.ends}

    async def steps(self) -> list[list[float]]:
        """When each partition's lane took steps: times of the changelog's records, s since 1970, in order."""
        name = topics.changelog(self.settings, "leads").name
        consumer = AIOKafkaConsumer(
            bootstrap_servers=list(self.settings.brokers), auto_offset_reset="earliest", enable_auto_commit=False
        )
        await consumer.start()
        try:
            places = [TopicPartition(name, partition) for partition in range(self.settings.partitions)]
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            found: list[list[float]] = [[] for _ in places]
            while any([await consumer.position(place) < ends[place] for place in places]):
                for place, records in (await consumer.getmany(timeout_ms=200)).items():
                    found[place.partition] += [one.timestamp / 1_000 for one in records if one.key == META_KEY]
        finally:
            await consumer.stop()
        return found

    # --- the end

    async def finish(self, told: str = "", within_s: float = TAKES_S) -> Outcome:
        """Process the rest, have every lead's profile sent, stop, and compare.

        Raises:
            AssertionError: something was lost, doubled or told two ways; StuckError, one of them: no progress.
        """
        await self.drained(within_s)
        await advance(self.settings, UNTIL, self.ends)
        oracle = OnePiece(self.settings, readers())
        oracle.take(self._slice.records)
        oracle.advance(UNTIL)
        await self.drained(within_s)
        for worker in self.workers:
            if worker.status is None:
                await worker.has(0)
                await worker.stop()
        await self.follower.look()
        received = await receive(self.outside)
        compare(Variant(replay=False), received.told, oracle, self.follower)
        compare_disks(self.follower, [worker.home for worker in self.workers])
        return Outcome(
            events=self.events,
            leads=len(oracle.leads),
            outputs=received.told.total(),
            repeats=received.repeats,
            deaths=self.deaths,
            told=told,
            seconds=time.monotonic() - self._began,
        )


def longest_stop(steps: list[list[float]], start: float, end: float) -> float:
    """The longest time, s, that a partition stood still in steady load, of those that touch the window."""
    gaps = [after - before for times in steps for before, after in pairwise(times) if before < end and after > start]
    return max(gaps, default=0.0)
