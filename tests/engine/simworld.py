"""A broker and disks that are lists and dicts, real lanes over them, and a seed that decides what happens next.

Everything a lane waits for waits in `World.pending`; one thing at a time goes on, drawn from the seed. A lane may die at
each of them, and at each local write: what it had on its way to the broker then arrives, arrives later, or never.
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from app import topics
from app.engine.changelog import Changelog
from app.engine.kafka import Log, Logged, Row
from app.engine.lane import Chunk, Lane, LaneSpec
from app.engine.program import Program, Record
from app.engine.protocol import FencedError, Headers
from app.engine.store import PartitionRows
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


@dataclass
class Waiting:
    """Something that a worker waits for."""

    worker: "Worker | None"
    """None: nobody any more."""
    point: str
    future: asyncio.Future[int]
    packet: tuple[str, int, Sequence[Row]] | None = None
    """What is on its way to the broker: topic, partition, rows."""
    answer: int = 0


class Worker:
    """One life of a lane on one machine."""

    def __init__(self, world: "World", partition: int, machine: int) -> None:
        self.world = world
        self.partition = partition
        self.machine = machine
        self.dead = False
        self.positions: dict[str, int] = {}
        """Where the lane's consumer reads on, once the lane is open."""
        disk = world.disks[partition, machine]
        self.rows = MemoryRows(disk, self.may_die)
        log = MemoryLog(world, self)
        changelog = world.changelog_type(world.settings, world.changelog, partition, log, self.rows, self._wiped)
        self.lane = world.lane_type(
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

    def die(self) -> None:
        """End here and now."""
        self.dead = True
        self.task.cancel()

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
        return await self._world.point(self._worker, "append", (topic, partition, rows))

    async def send(self, topic: str, partition: int, rows: Sequence[Row]) -> None:
        half = len(rows) // 2 if self._world.chance.random() < 0.2 else 0
        for part in (rows[:half], rows[half:]):
            if part:
                await self._world.point(self._worker, "send", (topic, partition, part))

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
        changelog_type: type[Changelog] = Changelog,
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
        self.pending: list[Waiting] = []
        self.changelog = topics.changelog(settings, "leads").name
        self.lane_type = lane_type
        self.changelog_type = changelog_type
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

    async def point(self, worker: Worker, name: str, packet: tuple[str, int, Sequence[Row]] | None = None) -> int:
        """Wait until it is this one's turn, or die; a packet arrives at the broker, and its base offset is returned."""
        if worker.dead:
            raise CrashError(name)
        waiting = Waiting(worker, name, asyncio.get_running_loop().create_future(), packet)
        self.pending.append(waiting)
        return await waiting.future

    def crashes_at(self, point: str) -> bool:
        """Draw whether a worker dies at this point."""
        if self.crashes.total() < self.most_crashes and self.chance.random() < self.crash:
            self.crashes[point] += 1
            return True
        return False

    # --- what happens

    async def run(self) -> "World":
        """Let things happen until there is nothing left to do."""
        rest = 0
        while rest < ROUNDS_OF_REST:
            self._bury()
            rest = 0 if self._something() else rest + 1
            await asyncio.sleep(0)
        return self

    def close(self) -> None:
        """End every lane."""
        for worker in [*self.owners.values(), *self.zombies]:
            worker.die()

    def _something(self) -> bool:
        """Do one thing; return whether there was one to do."""
        chance = self.chance
        vacant = [p for p in range(self.settings.partitions) if p not in self.owners]
        if vacant and chance.random() < 0.3:
            self._start(chance.choice(vacant))
        elif self.owners and chance.random() < self.zombie and self.crashes.total() < self.most_crashes:
            self._replace(chance.choice(sorted(self.owners)))
        elif self.pending and chance.random() < 0.8:
            self._go_on(self.pending.pop(chance.randrange(len(self.pending))))
        elif not self._feed():
            return bool(self.pending or vacant)
        return True

    def _start(self, partition: int) -> None:
        """Have a partition that nobody has taken over by a machine that has no lane of it."""
        taken = {zombie.machine for zombie in self.zombies if zombie.partition == partition}
        machine = self.chance.choice([m for m in range(MACHINES) if m not in taken])
        if self.crash:
            self.disks[partition, machine].suffer(self.chance)
        self.owners[partition] = Worker(self, partition, machine)

    def _replace(self, partition: int) -> None:
        """Give the partition to the other machine while its owner does not know yet."""
        for zombie in self.zombies:
            if zombie.partition == partition:
                zombie.die()
        former = self.owners.pop(partition)
        self.zombies = [zombie for zombie in self.zombies if not zombie.dead] + [former]
        self._start(partition)

    def _go_on(self, waiting: Waiting) -> None:
        worker, packet, future = waiting.worker, waiting.packet, waiting.future
        if worker is None or worker.dead:  # of what it had on its way, some arrives after all
            if packet is not None and self.chance.random() < 0.5:
                self.arrive(*packet)
            future.cancel()
        elif self.crashes_at(waiting.point + (" on its way" if packet else " acknowledged")):
            if packet is not None:
                self.pending.append(waiting)
            worker.die()
        elif packet is not None:
            waiting.answer = self.arrive(*packet)
            if self.chance.random() < self.repeats:  # the acknowledgement was lost, the producer tries again
                waiting.answer = self.arrive(*packet)
            if self.chance.random() < self.repeats:  # and once more, some time later
                self.pending.append(Waiting(None, "repeat", asyncio.Future(), packet))
            waiting.packet = None
            self.pending.append(waiting)
        elif not future.done():
            future.set_result(waiting.answer)

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
