"""A broker and disks that are lists and dicts, real lanes over them, and a seed that decides what happens next.

Everything a lane waits for waits in `World.pending`; one thing at a time goes on, drawn from the seed. A lane may die at
each of them, and at each local write: what it had on its way to the broker then arrives, arrives later, or never.
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from app import topics
from app.engine.changelog import Changelog
from app.engine.kafka import Log, Logged, Row
from app.engine.lane import Chunk, Lane, LaneSpec
from app.engine.program import Program, Record
from app.engine.protocol import FencedError, Headers, Stamp
from app.engine.store import OFFSET_KEY, STAMP_KEY, PartitionRows
from app.settings import Settings
from tests.engine.simdisk import Disk, MemoryRows

Place = tuple[str, int]
"""Topic and partition."""
MACHINES = 2
ROUNDS_OF_REST = 12
"""Passes of the event loop without anything to do, after which nothing more will come."""


class CrashError(Exception):
    """The process of a lane died here."""


class Entry(Record, frozen=True, gc=False):
    """One record of a log in memory."""

    headers: Headers = ()


class Worker:
    """One life of a lane on one machine."""

    def __init__(self, world: "World", partition: int, machine: int, lane_type: type[Lane]) -> None:
        self.world = world
        self.partition = partition
        self.machine = machine
        self.dead = False
        self.positions: dict[str, int] = {}
        """Where the lane's consumer reads on, once the lane is open."""
        disk = world.disks[partition, machine]
        self.rows = MemoryRows(disk, self.may_die)
        log = MemoryLog(world, self)
        changelog = Changelog(world.settings, world.changelog, partition, log, self.rows, self._wiped)
        self.lane = lane_type(
            world.spec,
            partition,
            world.make(partition),
            changelog,
            log,
            lambda topic: len(world.logs[topic, partition]),
            lambda: 0,
            lambda: None,
        )
        self.task = asyncio.get_running_loop().create_task(self._live())

    async def _live(self) -> None:
        self.positions = await self.lane.open(self._earliest)
        await self.lane.run()

    async def _earliest(self) -> dict[str, int]:
        await self.world.point(self, "earliest")
        return dict.fromkeys(self.world.spec.topics, 0)

    def _wiped(self) -> PartitionRows:
        raise AssertionError("a changelog was taken for a foreign one")

    def may_die(self, point: str) -> None:
        """Die here, if the seed says so."""
        if self.dead or self.world.crashes_at(point):
            self.dead = True
            raise CrashError(point)


class MemoryLog(Log):
    """What a worker appends and sends, and how it reads its changelog."""

    def __init__(self, world: "World", worker: Worker) -> None:
        super().__init__(world.settings)
        self._world = world
        self._worker = worker

    async def append(self, topic: str, partition: int, rows: Sequence[Row]) -> int:
        return await self._arrive("append", topic, partition, rows)

    async def send(self, topic: str, partition: int, rows: Sequence[Row]) -> None:
        half = len(rows) // 2 if self._world.chance.random() < 0.2 else 0
        for part in (rows[:half], rows[half:]):
            if part:
                await self._arrive("send", topic, partition, part)

    async def _arrive(self, verb: str, topic: str, partition: int, rows: Sequence[Row]) -> int:
        world = self._world
        await world.point(self._worker, f"{verb} on its way")
        base = world.arrive(topic, partition, rows)
        if world.chance.random() < world.repeats:  # the acknowledgement was lost, the producer tried again
            base = world.arrive(topic, partition, rows)
        await world.point(self._worker, f"{verb} to be acknowledged")
        return base

    def reader(self, topic: str, partition: int) -> Any:
        return MemoryReader(self._world, self._worker, (topic, partition))


class MemoryReader:
    """Reads a log in memory, a few records at a time."""

    def __init__(self, world: "World", worker: Worker, place: Place) -> None:
        self._world = world
        self._worker = worker
        self._log = world.logs[place]
        self._at = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def seek(self, offset: int) -> None:
        assert offset <= len(self._log)
        self._at = offset

    async def position(self) -> int:
        return self._at

    async def next(self, up_to: int | None = None) -> list[Logged] | None:
        await self._world.point(self._worker, "read")
        start, end = self._at, len(self._log) if up_to is None else up_to
        if start >= end:
            return None
        self._at = min(end, start + self._world.chance.choice((1, 2, 5, 50)))
        return [Logged(e.offset, e.key or b"", e.value, e.headers) for e in self._log[start : self._at]]


class World:
    """The logs, the disks, and the lanes that live now."""

    def __init__(
        self,
        seed: int,
        make: Callable[[int], Program],
        settings: Settings,
        *,
        crash: float,
        zombie: float = 0.02,
        repeats: float = 0.05,
        lane_type: type[Lane] = Lane,
    ) -> None:
        self.settings = settings
        self.make = make
        self.chance = random.Random(seed)
        self.crash = crash
        """Chance to die at each point; 0 when there have been enough."""
        self.zombie = zombie
        self.repeats = repeats
        self.most_crashes = 12
        self.crashes: Counter[str] = Counter()
        self.fenced = 0
        self.logs: dict[Place, list[Entry]] = defaultdict(list)
        self.disks = {(p, m): Disk() for p in range(settings.partitions) for m in range(MACHINES)}
        self.owners: dict[int, Worker] = {}
        self.zombies: list[Worker] = []
        self.pending: list[tuple[Worker, str, asyncio.Future[None]]] = []
        self.changelog = topics.changelog(settings, "leads").name
        self._lane_type = lane_type
        inputs = topics.topics(settings).inputs
        self.spec = LaneSpec(
            app_id=settings.app_id,
            name="leads",
            topics=tuple(topic.name for topic in inputs),
            channels=frozenset(topic.name for topic in inputs if topic.written_by_lanes),
            partitions=settings.partitions,
            step_records=settings.step_records,
            step_bytes=settings.step_bytes,
            idle_leads=2,
            idle_s=3_600,
        )

    # --- what workers call

    def arrive(self, topic: str, partition: int, rows: Sequence[Row]) -> int:
        """Append rows to a log and return the offset of the first."""
        log = self.logs[topic, partition]
        base = len(log)
        log += [Entry(topic, partition, base + n, 0, key, value, headers) for n, (key, value, headers) in enumerate(rows)]
        return base

    def publish(self, topic: str, partition: int, key: bytes | None, value: bytes, timestamp: int = 0) -> Entry:
        """Append a record of an outsider."""
        log = self.logs[topic, partition]
        log.append(Entry(topic, partition, len(log), timestamp, key, value))
        return log[-1]

    async def point(self, worker: Worker, name: str) -> None:
        """Wait until it is this one's turn; maybe die instead."""
        if worker.dead:
            raise CrashError(name)
        future = asyncio.get_running_loop().create_future()
        self.pending.append((worker, name, future))
        await future

    def crashes_at(self, point: str) -> bool:
        """Draw whether a worker dies at this point."""
        if self.crashes.total() < self.most_crashes and self.chance.random() < self.crash:
            self.crashes[point] += 1
            return True
        return False

    # --- what happens

    async def run(self) -> None:
        """Let things happen until there is nothing left to do."""
        rest = 0
        while rest < ROUNDS_OF_REST:
            self._bury()
            rest = 0 if self._something() else rest + 1
            await asyncio.sleep(0)

    def _something(self) -> bool:
        """Do one thing; return whether there was one to do."""
        chance = self.chance
        vacant = [p for p in range(self.settings.partitions) if p not in self.owners]
        if vacant and chance.random() < 0.3:
            self._start(chance.choice(vacant), chance.randrange(MACHINES))
        elif self.owners and chance.random() < self.zombie and self.crashes.total() < self.most_crashes:
            self._replace(chance.choice(sorted(self.owners)))
        elif self.pending and chance.random() < 0.8:
            self._go_on(*self.pending.pop(chance.randrange(len(self.pending))))
        elif not self._feed():
            return bool(self.pending or vacant)
        return True

    def _start(self, partition: int, machine: int) -> None:
        disk = self.disks[partition, machine]
        if self.crash:
            disk.suffer(self.chance)
        self.owners[partition] = Worker(self, partition, machine, self._lane_type)

    def _replace(self, partition: int) -> None:
        """Give the partition to the other machine while its owner does not know yet."""
        former = self.owners.pop(partition)
        self.zombies.append(former)
        if sum(zombie.partition == partition for zombie in self.zombies) < MACHINES:
            self._start(partition, 1 - former.machine)
        else:  # both machines have one of their own; the former must end first, as a process does before it restarts
            former.dead = True

    def _go_on(self, worker: Worker, point: str, future: asyncio.Future[None]) -> None:
        if future.done():
            return
        if worker.dead:
            # Of what the dead had on its way, some arrives after all; what it waited for does not matter.
            if point.endswith("on its way") and self.chance.random() < 0.5:
                future.set_result(None)
            else:
                future.set_exception(CrashError(point))
        elif self.crashes_at(point):
            worker.dead = True
            if point.endswith("on its way") and self.chance.random() < 0.7:
                self.pending.append((worker, point, future))
                worker.task.cancel()  # the process is gone, not what it sent
                self._let_arrive(worker)
            else:
                future.set_exception(CrashError(point))
        else:
            future.set_result(None)

    def _feed(self) -> bool:
        """Let one lane's consumer fetch from one topic; now and then it was sent back to what it has read."""
        hungry = [
            (worker, topic)
            for worker in [*self.owners.values(), *self.zombies]
            if not worker.dead
            for topic, at in worker.positions.items()
            if at < len(self.logs[topic, worker.partition])
        ]
        if not hungry:
            return False
        worker, topic = self.chance.choice(hungry)
        log, at = self.logs[topic, worker.partition], worker.positions[topic]
        if self.chance.random() < 0.1:
            at = self.chance.randint(0, at)
        records = log[at : at + self.chance.choice((1, 2, 3, 20))]
        worker.positions[topic] = at + len(records)
        worker.lane.offer(Chunk(topic, worker.partition, at, records, lambda: None))
        return True

    def _bury(self) -> None:
        for worker in [*self.owners.values(), *self.zombies]:
            if not worker.task.done():
                continue
            worker.dead = True
            error = None if worker.task.cancelled() else worker.task.exception()
            if isinstance(error, FencedError):
                assert worker in self.zombies, "the owner was fenced"
                self.fenced += 1
            elif error is not None and not isinstance(error, CrashError):
                raise error
            if worker in self.zombies:
                self.zombies.remove(worker)
            else:
                del self.owners[worker.partition]
