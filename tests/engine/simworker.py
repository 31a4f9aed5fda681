"""One life of a lane: what it appends, sends and reads goes through the world, where it may die."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from app.engine.kafka import Log, Logged, Row
from app.engine.program import Record
from app.engine.protocol import Headers
from app.engine.store import PartitionRows
from tests.engine.simdisk import MemoryRows

if TYPE_CHECKING:
    from tests.engine.simworld import World

Place = tuple[str, int]
"""Topic and partition."""
Packet = tuple[str, int, Sequence[Row]]
"""What is on its way to the broker: topic, partition, rows."""


class CrashError(Exception):
    """The process of a lane died here."""


class Entry(Record, frozen=True, gc=False):
    """One record of a log in memory."""

    headers: Headers = ()


class Worker:
    """One life of a lane on one machine."""

    def __init__(self, world: "World", partition: int, machine: int) -> None:
        self.world = world
        self.partition = partition
        self.machine = machine
        self.dead = False
        self.positions: dict[str, int] = {}
        """Where the lane's consumer reads on, once the lane is open."""
        self.disk = world.disks[partition, machine]
        self.rows = MemoryRows(self.disk, self.may_die)
        log = MemoryLog(world, self)
        changelog = world.changelog_type(world.settings, world.changelog, partition, log, self.rows, self._wiped)
        self.lane = world.lane_type(
            world.spec,
            partition,
            world.make(partition),
            changelog,
            log,
            lambda topic: len(world.logs[topic, partition]),
            lambda _: 0,  # no input waits for another: whatever order they come in must be right
            lambda: world.now,
            lambda: None,
        )
        self.task = asyncio.get_running_loop().create_task(self._live())

    async def _live(self) -> None:
        starts = await self.lane.open(self._earliest)
        # What the group has committed is a hint; a consumer may be further back.
        self.positions = {topic: self.world.chance.choice((at, at // 2)) for topic, at in starts.items()}
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
