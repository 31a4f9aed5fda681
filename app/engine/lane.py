"""One lane: it owns one partition of a table and takes step after step, each of them all or nothing."""

import asyncio
import contextlib
import logging
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from app.engine.abreast import Abreast
from app.engine.changelog import Changelog
from app.engine.clock import LaneClock
from app.engine.fitting import Fitting
from app.engine.inbox import Chunk, Inbox, check_whole, sift
from app.engine.kafka import Log
from app.engine.lanespec import LaneSpec
from app.engine.metrics import Metric
from app.engine.pace import Pace
from app.engine.plan import Plan, Planner, Sends
from app.engine.program import Program, Record, Step
from app.engine.protocol import META_KEY, Meta, decode_meta, encode_meta
from app.engine.store import PartitionRows
from app.engine.turns import Turns

log = logging.getLogger(__name__)


STEPS_IN_A_ROW: Final = 20
"""After so many steps with input, or as long as these may hold the event loop, one without, when more waits: so that
due leads come to it under any load."""
QUIET_MS: Final = 20 * 60_000
"""A lane that has appended nothing for so long appends its meta row, and so finds what a former owner appended after it
before compaction, which waits an hour, may keep that in place of the lane's own rows."""
FIRST_STEP_RECORDS: Final = 500


class Lane:
    """Runs a program over one partition's inputs (docs/decisions/0002 has the order of things and why)."""

    def __init__(
        self,
        spec: LaneSpec,
        partition: int,
        program: Program,
        changelog: Changelog,
        outputs: Log,
        highwater: Callable[[str], int | None],
        readable: Callable[[str], int | None],
        wall_ms: Callable[[], int],
        changed: Callable[[], None],
        turns: Turns | None = None,
    ) -> None:
        """Args, of those that do not speak for themselves.

        highwater: returns the offset after the last record of an input; None while it is not known for certain.
        readable: returns the offset after the last record that can be read; None before the first fetch.
        changed: called when something changed that others may wait for.
        """
        self.spec = spec
        self.partition = partition
        self.name = spec.lane_name(partition)
        self.program = program
        self.meter = changelog.meter
        self.counts: Counter[str] = Counter()
        """What the program's steps counted since this lane was opened."""
        self.meta = Meta()
        self.resting = False
        """No records wait and `idle` had nothing to do."""
        self.idle_event = asyncio.Event()
        """Set while the lane rests."""
        self._changelog = changelog
        self._outputs = outputs
        self._clock = LaneClock(spec.topics, highwater, wall_ms)
        self._wall_ms = wall_ms
        self._changed = changed
        self._planner = Planner(self.name, partition, spec.partitions, keeps_outbox=not outputs.atomic)
        self._turns = turns if turns is not None else Turns(pause=0.0, beside_events=0.0)
        self._pace = Pace(spec.step_records, FIRST_STEP_RECORDS, spec.step_s)
        """Of records in a step with input."""
        self._fitting = Fitting(spec, program, self.meter, self.counts)
        self._epoch = 0
        self._appended_at = 0
        """UTC ms."""
        self._waiting = Inbox(spec.topics, spec.channels, wall_ms)
        self._abreast = Abreast([topic for topic in spec.topics if topic not in spec.channels], readable)
        self._work = asyncio.Event()
        self._closing = False

    # --- seen from outside

    @property
    def next_offsets(self) -> dict[str, int]:
        """Next offset of each input topic, as of the last durable step."""
        return self.meta.next

    @property
    def rows(self) -> PartitionRows:
        """The lane's rows."""
        return self._changelog.rows

    @property
    def due_wait_ms(self) -> int:
        """How long the row that was due first has been waiting, ms; 0 when none is due."""
        due = self.rows.next_due()
        return 0 if due is None else max(0, self._wall_ms() - due)

    def full(self, topic: str) -> bool:
        """Whether enough records wait: two steps of them, yet a quarter of one of each topic: others wait for it."""
        most, count = self._pace.most, self._waiting.count(topic)
        return count >= 2 * most or (self._waiting.records >= 2 * most and count >= max(1, most // 4))

    def offer(self, chunk: Chunk) -> None:
        """Take a chunk to be processed; chunks of a topic come in order."""
        self._waiting.put(chunk)
        self._wake()

    def close(self) -> None:
        """Stop after the current step; what waits is dropped and will be read again."""
        self._closing = True
        self._wake()

    # --- life

    async def open(self, earliest: Callable[[], Awaitable[dict[str, int]]]) -> dict[str, int]:
        """Take the partition over and return the offset to read each topic from.

        The changelog is read to its end and marked (rule 3), then what the last step may not have sent is sent again.

        Raises:
            LogError, KafkaError, TimeoutError: the changelog or the broker is not usable.
        """
        started = time.perf_counter()
        self._epoch = await self._changelog.take_over()
        self._appended_at = self._wall_ms()
        self.meta = decode_meta(self.rows.meta)
        self.program.opened(self.rows)
        sends = self._planner.stored(self.meta, self.program, self.rows)
        await self._send_stored(sends)
        self.meter.recovered(time.perf_counter() - started, resent=sum(map(len, sends.values())))
        first = await earliest()
        starts = {topic: max(self.meta.next.get(topic, 0), first.get(topic, 0)) for topic in self.spec.topics}
        for topic, start in starts.items():
            lost = start - self.meta.next.get(topic, start)
            if lost:
                log.error("%s/%d: %d records were removed before they were read", topic, self.partition, lost)
                self.meter.metrics.add(Metric.EXPIRED, lost)
        self.meta = msgspec.structs.replace(self.meta, next=starts, outbox=[])
        return starts

    async def run(self) -> None:
        """Process what is offered until closed."""
        steps, since = 0, time.monotonic()
        in_a_row_s = math.inf if self.spec.step_s is None else STEPS_IN_A_ROW * self.spec.step_s
        try:
            while not self._closing:
                worked = False
                missing_s = self._abreast.wait_s(self._waiting, self.meta.next, time.monotonic())
                ready = self._waiting.ready(held=missing_s > 0)
                if not ready or steps >= STEPS_IN_A_ROW or time.monotonic() - since >= in_a_row_s:
                    steps, since = 0, time.monotonic()
                    worked = await self._idle()
                if ready:
                    steps += 1
                    self._turns.leave(self.name)
                    self._turns.busy(self.name, busy=True)
                    more = self._abreast.more(self._waiting)
                    await self._process(self._waiting.take(self._pace.most, more, held=missing_s > 0))
                    self._turns.busy(self.name, busy=False)
                elif not worked and missing_s > 0:
                    await self._wait_for_inputs(missing_s)
                elif not worked:
                    await self._rest()
                self.meter.beat()
        finally:
            self._turns.leave(self.name)
            self._turns.busy(self.name, busy=False)

    async def _process(self, chunks: list[Chunk]) -> None:
        before = self.meta.step
        check_whole(chunks, self.meta.next)
        await self._step_over([record for chunk in chunks for record in chunk.records])
        now = self._wall_ms()
        for chunk in chunks:
            chunk.done()
            if self.meta.step > before:
                first, last = chunk.records[0], chunk.records[-1]
                self.meter.arrived(first.timestamp, last.timestamp, len(chunk.records), now)
        self._changed()

    async def _step_over(self, records: list[Any]) -> None:
        began = time.perf_counter()
        fresh, following, got = self._sift(records)
        if following == self.meta.next:
            self.meter.stepped(0, len(records))
            return
        with self.meter.timed("fold"):
            step = self.program.step(fresh, self.rows) if fresh else Step()
            plan = self._plan(step, following, got)
        filled = self._fitting.share(plan)
        if len(records) <= self._pace.most:  # else it is half of one that was too large, which has told all of it
            self._pace.took(time.perf_counter() - began, full=len(fresh) >= self._pace.most, share=filled)
        if filled > 1 and len(records) > 1:
            half = len(records) // 2
            self._fitting.halved()
            await self._step_over(records[:half])
            await self._step_over(records[half:])
            return
        if filled > 1 and fresh:
            plan = self._fitting.single(plan, fresh[0], self.rows, lambda step: self._plan(step, following, got))
        self.meter.stepped(len(fresh), len(records))
        await self._take(plan)

    def _sift(self, records: list[Any]) -> tuple[list[Record], dict[str, int], dict[str, int]]:
        """Return the records that are new, and the offsets and channel positions after them."""
        sifted = sift(records, self.meta, self.spec.app_id, self.spec.channels)
        for topic, timestamp in {record.topic: record.timestamp for record in records}.items():
            self._clock.read(topic, timestamp)
        return sifted

    async def _idle(self) -> bool:
        """Do work that is due without input, if it is this lane's turn; return whether it did some."""
        if not self._turns.take(self.name, self._work.set):
            return False
        began = time.perf_counter()
        plan = self._idle_plan()
        self._turns.took(time.perf_counter() - began)
        if plan is None:
            return False
        self.meter.metrics.add(Metric.IDLE_STEPS)
        await self._take(plan)
        self.meter.fired(plan.step.due, self._wall_ms())
        self._changed()
        return True

    def _idle_plan(self) -> Plan | None:
        """Return a step without input, laid out, empty after a long silence; None when nothing is due."""
        clock = self._clock.now(self.meta.next)
        plan = self._fitting.idle(self.rows, clock, lambda step: self._plan(step, self.meta.next, self.meta.got))
        if plan is None and self._wall_ms() - self._appended_at >= QUIET_MS:
            return self._plan(Step(), self.meta.next, self.meta.got)
        return plan

    async def _rest(self) -> None:
        if not self.resting and not self._turns.waits(self.name):
            self.resting = True
            self.idle_event.set()
            self._changed()
        await self._woken(self._patience_s())

    async def _wait_for_inputs(self, most_s: float) -> None:
        """Hold back what waits until more comes; what becomes due meanwhile is not held back."""
        began = time.monotonic()
        await self._woken(min(most_s, self._patience_s()))
        self.meter.metrics.add(Metric.INPUTS_AWAITED, time.monotonic() - began)

    async def _woken(self, most_s: float) -> None:
        """Return when something came, or after so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most_s):
                await self._work.wait()
        self._work.clear()

    def _patience_s(self) -> float:
        """Return how long to rest unless records come: not beyond the moment at which the next row is due."""
        due = self.rows.next_due()
        left_ms = 0 if due is None else self._clock.ms_until(due)
        # One that is due and may not be taken yet waits for the clock, that is for what is read meanwhile.
        return min(self.spec.idle_s, left_ms / 1_000) if left_ms > 0 else self.spec.idle_s

    def _wake(self) -> None:
        self.resting = False
        self.idle_event.clear()
        self._work.set()

    # --- a step

    def _plan(self, step: Step, following: dict[str, int], got: dict[str, int]) -> Plan:
        return self._planner.plan(step, self.meta, self._epoch, following, got)

    async def _take(self, plan: Plan) -> None:
        self.resting = False
        self.idle_event.clear()
        if self._outputs.atomic:
            await self._changelog.append(plan.rows, plan.meta.stamp, lambda: self._send_within(plan))
        else:
            await self._changelog.append(plan.rows, plan.meta.stamp)
        self._appended_at = self._wall_ms()
        self.meta = msgspec.structs.replace(plan.meta, outbox=[])
        self.counts.update(plan.step.counts)
        self.meter.metrics.counted(plan.step.counts)
        if plan.step.commit is not None:
            plan.step.commit()
        if plan.sends and not self._outputs.atomic:
            with self.meter.timed("outbox"):
                await self._send(plan.sends)

    async def _send_within(self, plan: Plan) -> None:
        """Send what belongs to the step's transaction."""
        moved = {
            (topic, self.partition): offset
            for topic, offset in plan.meta.next.items()
            if offset != self.meta.next[topic]
        }
        await asyncio.gather(self._send(plan.sends), self._outputs.commit_offsets(moved))

    async def _send_stored(self, sends: Sends) -> None:
        """Send the outbox of a step that was none with it; where that can be noted in the same transaction, note it."""
        if not self._outputs.atomic:
            await self._send(sends)
        elif sends:
            sent = msgspec.structs.replace(self.meta, epoch=self._epoch, outbox=[])
            await self._changelog.append([(META_KEY, encode_meta(sent))], sent.stamp, lambda: self._send(sends))

    async def _send(self, sends: Sends) -> None:
        await asyncio.gather(*(self._outputs.send(*to, rows) for to, rows in sends.items()))
