"""All lanes of a worker: opened and closed as partitions come and go, fed with chunks, watched until drained."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from faust.types import TP

from app.engine.changelog import Changelog
from app.engine.clock import wall_ms
from app.engine.inbox import Chunk
from app.engine.kafka import Log
from app.engine.lane import Lane
from app.engine.lanespec import LaneSpec
from app.engine.meters import Meter, Metrics
from app.engine.metrics import Metric
from app.engine.program import Page, ProgramFactory
from app.engine.store import LeadStore
from app.engine.transactions import lane_log
from app.engine.transport import ChunkMessage
from app.engine.turns import Turns
from app.settings import Settings
from app.topics import Topic

log = logging.getLogger(__name__)

STEP_S: Final = 0.1
"""How long a step with input holds the event loop, about: other lanes, fetches and heartbeats wait for it."""
IDLE_STEP_S: Final = 0.005
"""How long a step without input holds the event loop, about: a million leads that are due must not stall events."""


class LaneAgent:
    """One agent's lanes, by partition."""

    def __init__(
        self,
        settings: Settings,
        name: str,
        topics: Sequence[Topic],
        program_factory: ProgramFactory,
        changelog: Topic,
    ) -> None:
        self.name = name
        self.topics = tuple(topic.name for topic in topics)
        self.program_factory = program_factory
        self.changelog = changelog
        self.lanes: dict[int, Lane] = {}
        """Lanes that are open; one that is still taking its partition over is not here yet."""
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.meters: dict[int, Meter] = {}
        """Of lanes that are open or opening."""
        self.store: LeadStore | None = None
        self.pages: dict[str, Page] = {}
        """What the worker's HTTP server answers for this agent, by path: personal data, so not for everybody."""
        self.spec = LaneSpec(
            app_id=settings.app_id,
            name=name,
            topics=self.topics,
            channels=frozenset(topic.name for topic in topics if topic.written_by_lanes),
            partitions=settings.partitions,
            step_records=settings.step_records,
            step_bytes=settings.step_bytes,
            most_bytes=settings.largest_step_bytes,
            idle_leads=settings.idle_leads,
            idle_s=settings.idle_ms / 1000,
            step_s=STEP_S,
            idle_step_s=None if settings.replay else IDLE_STEP_S,
        )


class Engine:
    """The lanes of one worker. It is the intake of the transport and what replay and health checks look at."""

    def __init__(self, settings: Settings, clock: Callable[[], int] = wall_ms) -> None:
        self.settings = settings
        self.agents: dict[str, LaneAgent] = {}
        self.failure: BaseException | None = None
        """What ended a lane; the worker is going down."""
        self.polled_at = time.monotonic()
        """When the consumer last asked what to fetch, or was told that it may."""
        self.metrics = Metrics()
        self.log = Log(settings)
        self._app: Any = None
        self._wall_ms = clock
        self._by_topic: dict[str, LaneAgent] = {}
        self._owned: dict[str, frozenset[int]] = {}
        self._turns = Turns()
        self._drain_s = settings.rebalance_timeout_ms / 2_000
        self._waiters: set[asyncio.Future[None]] = set()

    def bind(self, app: Any) -> None:
        """Say which Faust app the lanes belong to."""
        self._app = app

    def add(self, agent: LaneAgent) -> LaneAgent:
        """Add an agent's lanes; each topic is read by one agent only."""
        taken = [topic for topic in agent.topics if topic in self._by_topic]
        if taken or agent.name in self.agents:
            raise ValueError(f"agent {agent.name}: it exists, or others read {', '.join(taken)}")
        self.agents[agent.name] = agent
        self._by_topic.update(dict.fromkeys(agent.topics, agent))
        return agent

    @property
    def lanes(self) -> dict[int, Lane]:
        """The open lanes of the only agent that has some; ask `agents` when there are several."""
        (agent,) = self.agents.values()
        return agent.lanes

    @property
    def rebalancing(self) -> bool:
        """Before partitions are assigned to every agent, and between their revocation and the next assignment."""
        return not self.agents.keys() <= self._owned.keys()

    @property
    def ending(self) -> BaseException | None:
        """What ends the worker, in a lane or elsewhere; None while nothing does."""
        return self.failure or (self._app.crash_reason if self._app is not None else None)

    # --- intake of the transport

    def takes(self, topic: str) -> bool:
        """Whether lanes read the topic."""
        return topic in self._by_topic

    def wants(self, tp: TP) -> bool:
        """Whether the partition's lane is open and has room."""
        self.polled_at = time.monotonic()
        lane = self._by_topic[tp.topic].lanes.get(tp.partition)
        return lane is not None and not lane.full(tp.topic)

    def positions(self) -> Mapping[TP, int]:
        """Where open lanes read on."""
        return {
            TP(topic, lane.partition): offset for lane in self._all() for topic, offset in lane.next_offsets.items()
        }

    def dispatch(self, event: Any) -> None:
        """Hand a chunk that came through Faust to its lane; one that has no lane now will be read again."""
        message: ChunkMessage = event.message
        lane = self._by_topic[message.topic].lanes.get(message.partition)
        if lane is not None:
            lane.offer(Chunk(message.topic, message.partition, message.start, message.records, event.ack))

    # --- partitions come and go

    def ready(self, agent: LaneAgent, owned: frozenset[int]) -> None:
        """Open the lanes of the partitions that this worker owns now."""
        if not self._owned:
            self.polled_at = time.monotonic()
            self.metrics.add(Metric.REBALANCES)
        self._owned[agent.name] = owned
        for partition in sorted(owned - agent.tasks.keys()):
            agent.meters[partition] = Meter(self.metrics)
            agent.tasks[partition] = asyncio.create_task(
                self._life(agent, partition), name=agent.spec.lane_name(partition)
            )

    async def pause(self) -> None:
        """Close all lanes after their current step; those that do not end in time are cut off, as by a crash."""
        self._owned.clear()
        tasks = [task for agent in self.agents.values() for task in agent.tasks.values()]
        for lane in self._all():
            lane.close()
        for agent in self.agents.values():
            opening = [task for partition, task in agent.tasks.items() if partition not in agent.lanes]
            for task in opening:
                task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._drain_s)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=self._drain_s)
        for agent in self.agents.values():
            agent.tasks.clear()
            agent.lanes.clear()
            agent.meters.clear()

    async def _life(self, agent: LaneAgent, partition: int) -> None:
        """Open and run a lane. Nothing that goes wrong leaves it except as the end of the worker."""
        try:
            async with lane_log(self.log, self.settings, agent.spec.lane_name(partition)) as own:
                lane = await self._opened(agent, partition, own)
                agent.lanes[partition] = lane
                self._changed()
                await lane.run()
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            await self.fail(RuntimeError(f"{agent.spec.lane_name(partition)} was cancelled by nobody: {error!r}"))
        except Exception as error:  # the engine's last line: Faust would acknowledge and go on
            await self.fail(error)

    async def _opened(self, agent: LaneAgent, partition: int, own: Log) -> Lane:
        store = agent.store
        assert store is not None
        changelog = Changelog(
            self.settings,
            agent.changelog.name,
            partition,
            own,
            store.rows(partition),
            lambda: store.wiped(partition),
            agent.meters[partition],
        )
        lane = Lane(
            agent.spec,
            partition,
            agent.program_factory(partition),
            changelog,
            own,
            lambda topic: self._app.consumer.fresh_highwater_of(topic, partition),
            lambda topic: self._app.consumer.readable_end_of(topic, partition),
            self._wall_ms,
            self._changed,
            None if self.settings.replay else self._turns,
        )
        consumer = self._app.consumer
        starts = await lane.open(lambda: consumer.earliest(agent.topics, partition))
        await consumer.seek_lanes({TP(topic, partition): offset for topic, offset in starts.items()})
        log.info("%s: open at epoch %d, step %d", lane.name, changelog.rows.epoch, lane.meta.step)
        return lane

    def highwater(self, topic: str, partition: int) -> int | None:
        """Return the offset after the partition's last record, as the last fetch told it; None before that."""
        found: int | None = self._app.consumer.highwater_of(topic, partition)
        return found

    async def fail(self, error: BaseException) -> None:
        """Bring the worker down: nothing more is acknowledged or sent."""
        if self.failure is None:
            self.failure = error
            self._changed()
            await self._app.crash(error)

    # --- waiting

    async def opened(self) -> None:
        """Return when every partition that this worker owns has an open lane.

        Raises:
            BaseException: what ended a lane.
        """
        await self._until(
            lambda: (
                bool(self._owned)
                and all(self._owned.get(name, frozenset()) <= agent.lanes.keys() for name, agent in self.agents.items())
            )
        )

    async def drained(
        self,
        ends: Mapping[tuple[str, int], int],
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Return when all input is processed, all that lanes told each other is received, and no work is left.

        `ends`: the offset after the last record published, by (topic, partition), as the producer was told, not as the
        broker lists it. `progress` is called with the number of records still to be read. Only for a worker that owns
        all partitions.

        Raises:
            BaseException: what ended a lane.
        """

        def reached() -> bool:
            if progress is not None:
                progress(self._left(ends))
            return self._left(ends) == 0 and self._at_rest() and not self._in_flight()

        await self._until(reached)

    def _left(self, ends: Mapping[tuple[str, int], int]) -> int:
        left = 0
        for (topic, partition), end in ends.items():
            lane = self._by_topic[topic].lanes.get(partition)
            left += max(0, end - (lane.next_offsets[topic] if lane is not None else 0))
        return left

    def _at_rest(self) -> bool:
        return all(
            self._owned.get(name, frozenset()) == agent.lanes.keys()
            and all(lane.resting for lane in agent.lanes.values())
            for name, agent in self.agents.items()
        )

    def _in_flight(self) -> bool:
        """Whether a lane sent another something that is not applied yet."""
        for lane in self._all():
            for channel, sent in lane.meta.sent.items():
                topic, _, partition = channel.rpartition("/")
                reader = self._by_topic.get(topic)
                if reader is None:
                    continue
                receiver = reader.lanes.get(int(partition))
                if receiver is None or receiver.meta.got.get(f"{topic}/{lane.name}", 0) < sent:
                    return True
        return False

    async def _until(self, condition: Callable[[], bool]) -> None:
        while True:
            if self.failure is not None:
                raise self.failure
            if condition():
                return
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    def _changed(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _all(self) -> Iterator[Lane]:
        for agent in self.agents.values():
            yield from list(agent.lanes.values())
