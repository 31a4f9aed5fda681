"""Whether a worker is alive and whether it is at work: what a supervisor asks, answered with the reasons why not."""

import time
from collections.abc import Iterator

import msgspec

from app.engine.lanes import Engine
from app.engine.meters import Reading
from app.engine.metrics import Metric


class LaneStatus(msgspec.Struct, frozen=True):
    """One lane of the worker."""

    agent: str
    partition: int
    open: bool
    """False while it takes its partition over."""
    lag: int
    """Records of its inputs that are not processed yet, as far as the broker told."""
    quiet_s: float
    """Seconds since it last came around: finished a step, rested, or read on in its changelog."""
    recovered_rows: int
    """Changelog records it read to take its partition over."""


class Status(msgspec.Struct, frozen=True):
    """A worker as it is now."""

    rebalancing: bool
    """It has no assignment of the consumer group, or one that is being changed."""
    unpolled_s: float
    """Seconds since the consumer last asked what to fetch."""
    lanes: list[LaneStatus] = []
    failure: str = ""
    """What ends the worker: it is going down."""


def status(engine: Engine) -> Status:
    """Return how the engine's worker is."""
    now = time.monotonic()
    lags = _lags(engine)
    lanes = [
        LaneStatus(
            agent.name,
            partition,
            partition in agent.lanes,
            sum(lag for (topic, of), lag in lags.items() if of == partition and topic in agent.topics),
            now - meter.beat_at,
            meter.recovered_rows,
        )
        for agent in engine.agents.values()
        for partition, meter in sorted(agent.meters.items())
    ]
    failure = "" if engine.ending is None else repr(engine.ending)
    return Status(engine.rebalancing, now - engine.polled_at, lanes, failure)


def why_not_live(now: Status, patience_s: float) -> list[str]:
    """Return why the worker should be started anew; nothing when it is well.

    A lane that has nothing to do comes around all the same, so one that did not for `patience_s` is stuck. So is a
    consumer that has lanes to feed and did not poll.
    """
    if now.failure:
        return [f"going down: {now.failure}"]
    if now.rebalancing:
        return []
    why = [
        f"lane {lane.agent}/{lane.partition} has not moved for {lane.quiet_s:.0f} s, {lane.lag} records behind"
        for lane in now.lanes
        if lane.quiet_s > patience_s
    ]
    if now.lanes and now.unpolled_s > patience_s:
        why.append(f"the consumer has not polled for {now.unpolled_s:.0f} s")
    return why


def why_not_ready(now: Status) -> list[str]:
    """Return why the worker is not at work on all of its partitions; nothing when it is, or when it has none."""
    if now.failure:
        return [f"going down: {now.failure}"]
    if now.rebalancing:
        return ["rebalancing: no partitions are assigned"]
    return [
        f"lane {lane.agent}/{lane.partition} is taking its partition over, {lane.recovered_rows} changelog rows so far"
        for lane in now.lanes
        if not lane.open
    ]


def readings(engine: Engine) -> Iterator[Reading]:
    """Yield the gauges: lag by partition, how long due leads wait, lanes by state."""
    for (topic, partition), lag in sorted(_lags(engine).items()):
        yield Metric.LAG, (topic, str(partition)), lag
    waits: dict[int, float] = {}
    for agent in engine.agents.values():
        for partition, lane in agent.lanes.items():
            waits[partition] = max(waits.get(partition, 0.0), lane.due_wait_ms / 1_000)
    for partition, wait in sorted(waits.items()):
        yield Metric.DUE_WAIT, (str(partition),), wait
    lanes = open_lanes = 0
    for agent in engine.agents.values():
        lanes += len(agent.meters)
        open_lanes += len(agent.lanes)
    yield Metric.LANES, ("open",), open_lanes
    yield Metric.LANES, ("opening",), lanes - open_lanes


def _lags(engine: Engine) -> dict[tuple[str, int], int]:
    """Return how far open lanes are behind, by (topic, partition); without those of which no fetch told the end."""
    lags: dict[tuple[str, int], int] = {}
    for agent in engine.agents.values():
        for lane in agent.lanes.values():
            for topic, following in lane.next_offsets.items():
                end = engine.highwater(topic, lane.partition)
                if end is not None:
                    lags[topic, lane.partition] = max(0, end - following)
    return lags
