"""Lanes on a real broker without Faust and its consumer group: a crash is cheap, so it can be input data."""

import asyncio
import contextlib
import random
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from app.engine.changelog import Changelog
from app.engine.inbox import Chunk
from app.engine.kafka import Log, Row
from app.engine.lane import Lane
from app.engine.lanespec import LaneSpec
from app.engine.program import Program
from app.engine.protocol import Stamp
from app.engine.store import Memory, PartitionRows
from app.engine.transactions import Transactions, lane_log
from app.settings import Settings
from app.topics import changelog, topics
from tests.engine.broker_io import Ends


class CrashError(Exception):
    """The process died here."""


@dataclass
class Crash:
    """Die at the `nth` time a lane comes to `point`; `wipe` loses the local disk with it."""

    point: str
    nth: int
    wipe: bool = False

    def here(self, point: str) -> None:
        if self.point == point:
            self.nth -= 1
            if self.nth == 0:
                raise CrashError(point)


class CrashingLog(Log):
    crash: Crash | None = None

    async def append(self, topic: str, partition: int, rows: Sequence[Row]) -> int:
        if self.crash:
            self.crash.here("before append")
        base = await super().append(topic, partition, rows)
        if self.crash:
            self.crash.here("after append")
        return base

    async def send(self, topic: str, partition: int, rows: Sequence[Row]) -> None:
        if self.crash:
            self.crash.here("before send")
        await super().send(topic, partition, rows)
        if self.crash:
            self.crash.here("after send")


class CrashingTransactions(Transactions, CrashingLog):
    """A lane's transactions; a process that dies ends none of them."""

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        async with super().transaction():
            yield
        if self.crash:
            self.crash.here("after commit")

    async def _commit(self) -> None:
        if self.crash:
            self.crash.here("before commit")
        await super()._commit()

    async def _abort(self) -> None:
        if not self.crash:
            await super()._abort()


class CrashingRows(PartitionRows):
    crash: Crash | None = None

    def write(self, rows: Any, last_offset: int, stamp: Stamp, whole_at: int | None = None) -> None:
        if self.crash:
            self.crash.here("before write")
        super().write(rows, last_offset, stamp, whole_at)
        if self.crash:
            self.crash.here("after write")


class Station:
    """All lanes of one life of a worker, over a data directory that outlives it."""

    def __init__(
        self,
        settings: Settings,
        make: Callable[[int], Program],
        log: Log | None = None,
        clock: Callable[[], int] = lambda: 0,
        partitions: Sequence[int] | None = None,
        fetch: int = 50,
    ) -> None:
        self.settings = settings
        self.lanes: dict[int, Lane] = {}
        self.databases: dict[int, Any] = {}
        self.log = log or Log(settings)
        self.crash: Crash | None = None
        self._make = make
        self._clock = clock
        self._fetch = fetch
        self._partitions = partitions if partitions is not None else range(settings.partitions)
        self._memory = Memory(settings.block_cache_bytes, settings.write_buffer_bytes)
        inputs = topics(settings).inputs
        self.spec = LaneSpec(
            app_id=settings.app_id,
            name="toy",
            topics=tuple(topic.name for topic in inputs),
            channels=frozenset(topic.name for topic in inputs if topic.written_by_lanes),
            partitions=settings.partitions,
            step_records=settings.step_records,
            step_bytes=settings.step_bytes,
            most_bytes=settings.largest_step_bytes,
            idle_leads=settings.idle_leads,
            idle_s=0.01,
        )
        self._follows: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int | None] = {}
        self._consumer: Any = None
        self._stack = contextlib.AsyncExitStack()
        self.tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Station":
        await self.log.__aenter__()
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=list(self.settings.brokers),
            enable_auto_commit=False,
            fetch_max_wait_ms=50,
            isolation_level="read_committed",
        )
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self._stack.aclose()
        for database in self.databases.values():
            database.close()
        await self._consumer.stop()
        await self.log.__aexit__(None, None, None)

    def path(self, partition: int) -> Path:
        return self.settings.data_dir / f"{partition}.db"

    def rows(self, partition: int) -> PartitionRows:
        database = self.databases.pop(partition, None)
        if database is not None:
            database.close()
        self.databases[partition] = self._memory.open(self.path(partition))
        rows = CrashingRows(self.databases[partition])
        rows.crash = self.crash
        return rows

    def wiped(self, partition: int) -> PartitionRows:
        self.databases.pop(partition).close()
        shutil.rmtree(self.path(partition))
        return self.rows(partition)

    async def open(self) -> None:
        """Take all partitions over."""
        starts: dict[TopicPartition, int] = {}
        for partition in self._partitions:
            log = changelog(self.settings, "leads").name
            own = await self._stack.enter_async_context(self._lane_log(partition))
            lane = Lane(
                self.spec,
                partition,
                self._make(partition),
                Changelog(self.settings, log, partition, own, self.rows(partition), partial(self.wiped, partition)),
                own,
                partial(self._end, partition),
                partial(self._readable, partition),
                self._clock,
                lambda: None,
            )
            begins = await lane.open(self._earliest)
            starts.update({TopicPartition(topic, partition): offset for topic, offset in begins.items()})
            self.lanes[partition] = lane
        self._consumer.assign(list(starts))
        for tp, offset in starts.items():
            self._consumer.seek(tp, offset)
        self._follows = dict(starts)

    def _lane_log(self, partition: int) -> AbstractAsyncContextManager[Log]:
        if self.crash and self.settings.exactly_once:
            own = CrashingTransactions(self.settings, self.spec.lane_name(partition))
            own.crash = self.crash
            return own
        return lane_log(self.log, self.settings, self.spec.lane_name(partition))

    def _end(self, partition: int, topic: str) -> int | None:
        return self._ends.get(TopicPartition(topic, partition))

    def _readable(self, partition: int, topic: str) -> int:
        return self._end(partition, topic) or 0

    async def _earliest(self) -> dict[str, int]:
        return dict.fromkeys(self.spec.topics, 0)

    async def feed(self) -> None:
        """Fetch once and offer what came."""
        fetched = await self._consumer.getmany(timeout_ms=20, max_records=self._fetch)
        for tp, records in fetched.items():
            start = self._follows[tp]
            self._follows[tp] = records[-1].offset + 1
            self.lanes[tp.partition].offer(Chunk(tp.topic, tp.partition, start, records, lambda: None))
        self._ends = {tp: self._consumer.highwater(tp) for tp in self._follows}

    async def run(self, ends: Ends) -> None:
        """Run all lanes until everything up to `ends` and all they told each other is processed."""
        self.tasks = self.tasks or [asyncio.create_task(lane.run()) for lane in self.lanes.values()]
        while not self.drained(ends):
            await self.feed()
            for task in self.tasks:
                if task.done():
                    task.result()

    async def rested(self) -> None:
        """Have every lane look for something to do, and return when there is nothing left."""
        for lane in self.lanes.values():
            lane._wake()
        await asyncio.gather(*(lane.idle_event.wait() for lane in self.lanes.values()))

    def drained(self, ends: Ends) -> bool:
        commands = topics(self.settings).commands.name
        arrived = all(self.lanes[p].next_offsets[topic] >= end for (topic, p), end in ends.items())
        received = all(
            self.lanes[q].meta.got.get(f"{commands}/{lane.name}", 0) >= lane.meta.sent.get(f"{commands}/{q}", 0)
            for lane in self.lanes.values()
            for q in self.lanes
        )
        return arrived and received and all(lane.resting for lane in self.lanes.values())

    def counts(self) -> dict[bytes, int]:
        """What the toy counted, by key."""
        return {
            key[1:]: int(value) for lane in self.lanes.values() for key, value in lane.rows.scan(b"k", limit=100_000)
        }


async def live(
    settings: Settings, make: Callable[[int], Program], ends: Ends, crash: Crash | None = None
) -> dict[bytes, int] | None:
    """One life of a worker: the counts when it came to the end of all input, None when it crashed before."""
    log = CrashingLog(settings)
    log.crash = crash
    async with Station(settings, make, log) as station:
        station.crash = crash
        try:
            await station.open()
            await station.run(ends)
        except CrashError:
            return None
        return station.counts()


def crashes(points: Sequence[str], when: range, *, lives: int, seed: int) -> Iterator[Crash]:
    """How each of so many lives ends: at the points in turn, at an `nth` time in `when`, one in five with its disk."""
    chance = random.Random(seed)
    for life in range(lives):
        yield Crash(points[life % len(points)], chance.choice(when), wipe=chance.random() < 0.2)


async def live_on(
    settings: Settings, make: Callable[[int], Program], ends: Ends, deaths: Iterable[Crash]
) -> tuple[dict[bytes, int] | None, Counter[str]]:
    """Life after life of a worker until one comes to the end of all input: its counts, and where the others died.

    The last life, if none of `deaths` is left for it, has no crash.
    """
    died = Counter[str]()
    for crash in deaths:
        counts = await live(settings, make, ends, crash)
        if counts is not None:
            return counts, died
        died[crash.point] += 1
        if crash.wipe:
            shutil.rmtree(settings.data_dir)
    return await live(settings, make, ends), died
