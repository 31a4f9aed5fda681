"""A broker and disks that are lists and dicts, real lanes over them, and a seed that decides what happens next.

Everything a lane waits for waits in `World.pending`; one thing at a time goes on, drawn from the seed. A lane may die
at each of them, and at each local write: what it had on its way to the broker then arrives later, or never.
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app import topics
from app.engine.changelog import Changelog
from app.engine.inbox import Chunk
from app.engine.kafka import Row
from app.engine.lane import Lane
from app.engine.lanespec import LaneSpec
from app.engine.program import Program
from app.engine.protocol import FencedError
from app.settings import Settings
from tests.engine.simdisk import Disk
from tests.engine.simworker import CrashError, Entry, Packet, Place, Worker

MACHINES = 2
ROUNDS_OF_REST = 12
"""Passes of the event loop without anything to do, after which nothing more will come."""


@dataclass
class Waiting:
    """Something that a worker waits for."""

    worker: Worker | None
    """None: nobody any more."""
    point: str
    future: asyncio.Future[int]
    packet: Packet | None = None
    """What arrives at the broker when it goes on."""
    answer: int = 0


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
        """Chance to die at each point."""
        self.zombie = zombie
        self.repeats = repeats
        self.most_crashes = 12
        self.now = 0
        """The wall clock of all machines, UTC ms."""
        self.until = 0
        """When the world ends."""

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
            most_bytes=settings.largest_step_bytes,
            idle_leads=2,
            idle_s=3_600,
        )

    # --- what workers call

    def arrive(self, topic: str, partition: int, rows: Sequence[Row]) -> int:
        """Append rows to a log and return the offset of the first."""
        log = self.logs[topic, partition]
        base = len(log)
        for key, value, headers in rows:
            log.append(Entry(topic, partition, len(log), 0, key, value, headers))
        return base

    def publish(self, topic: str, partition: int, key: bytes | None, value: bytes, timestamp: int = 0) -> Entry:
        """Append a record of an outsider."""
        log = self.logs[topic, partition]
        log.append(Entry(topic, partition, len(log), timestamp, key, value))
        return log[-1]

    async def point(self, worker: Worker, name: str, packet: Packet | None = None) -> int:
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

    async def run(self, most: int | None = None) -> "World":
        """Let things happen until there is nothing left to do, or `most` of them."""
        rest = things = 0
        while rest < ROUNDS_OF_REST and (most is None or things < most):
            self._bury()
            things += 1
            rest = 0 if self._something() else rest + 1
            await asyncio.sleep(0)
        return self

    async def take_over_again(self) -> None:
        """End everyone, and have new machines take all partitions over without faults."""
        await self.end()
        self.disks = {at: Disk() for at in self.disks}
        self.crash = self.zombie = self.repeats = 0
        await self.run()

    async def end(self) -> None:
        """End every lane."""
        workers = [*self.owners.values(), *self.zombies]
        for worker in workers:
            worker.die()
        await asyncio.gather(*(worker.task for worker in workers), return_exceptions=True)

    def _something(self) -> bool:
        """Do one thing; return whether there was one to do."""
        chance = self.chance
        vacant = [p for p in range(self.settings.partitions) if p not in self.owners]
        if vacant and chance.random() < 0.3:
            self._start(chance.choice(vacant))
        elif self.owners and chance.random() < self.zombie and self.crashes.total() < self.most_crashes:
            self._replace(chance.choice(sorted(self.owners)))
        elif self.now < self.until and chance.random() < 0.05:
            self._let_time_pass()
        elif self.pending and chance.random() < 0.8:
            self._go_on(self.pending.pop(chance.randrange(len(self.pending))))
        elif not self._feed():
            return bool(self.pending or vacant) or self._let_time_pass()
        return True

    def _let_time_pass(self) -> bool:
        """Move the wall clock on and have every lane look at it; False when the world has come to its end."""
        if self.now >= self.until:
            return False
        self.now = min(self.until, self.now + self.chance.randint(1, max(1, (self.until - self.now) // 3)))
        for worker in [*self.owners.values(), *self.zombies]:
            worker.lane._work.set()
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
        if self.chance.random() < 0.2:
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
            if isinstance(error, FencedError):  # also an owner, by one who is none any more but took over after it
                self.fenced += 1
            elif error is not None and not isinstance(error, CrashError):
                raise error
            if worker in self.zombies:
                self.zombies.remove(worker)
            else:
                del self.owners[worker.partition]
