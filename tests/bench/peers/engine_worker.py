"""The job on Leadstream's engine: a program of its own for lanes, all else as in `leadstream worker`."""

import asyncio
import logging
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop

from app.engine.changelog import Changelog
from app.engine.lanes import Engine
from app.engine.program import Output, Record, Rows, Step
from app.engine.worker import Agents, Builder, build, running
from app.settings import Settings
from app.topics import Topic
from tests.bench.peers.job import State, crossing, decode_state, encode_state, take
from tests.bench.peers.load import PARTITIONS
from tests.bench.peers.telling import Task, Teller, task


class Scoring:
    """The program of a lane: a row a lead."""

    def __init__(self, output: str, teller: Teller) -> None:
        self._output = output
        self._teller = teller

    def opened(self, rows: Rows) -> None:
        """Nothing is kept between steps."""

    def step(self, records: Sequence[Record], rows: Rows) -> Step:
        """Fold the records into their leads."""
        by_lead: dict[bytes, list[bytes]] = {}
        for record in records:
            assert record.key is not None
            assert record.value is not None
            by_lead.setdefault(record.key, []).append(record.value)
        changed: dict[bytes, bytes | None] = {}
        outputs: list[Output] = []
        for (key, values), row in zip(by_lead.items(), rows.get_many(list(by_lead)), strict=True):
            state = State() if row is None else decode_state(row)
            outputs += [Output(self._output, key, crossing(key, state)) for value in values if take(state, value)]
            changed[key] = encode_state(state)
        return Step(changed, outputs, commit=lambda: self._teller.took(len(records)))

    def refuse(self, record: Record, rows: Rows, size: int, limit: int) -> Step | None:
        """No row is large."""
        raise NotImplementedError

    def idle(self, rows: Rows, clock: int | None, most: int) -> Step | None:
        """Nothing becomes due."""
        return None

    def render(self, ref: bytes, rows: Rows) -> Output:
        """Outputs are stored whole."""
        raise NotImplementedError


def settings_of(task: Task) -> Settings:
    """Return the defaults, for one broker."""
    return Settings(
        brokers=(task.broker,),
        app_id=task.name,
        partitions=PARTITIONS,
        replication_factor=1,
        min_insync_replicas=1,
        data_dir=Path(task.home),
        log_level="warning",
    )


def topic(name: str, *, sent: bool = False) -> Topic:
    """Return a topic of the comparison. Kafka must not remove its records, which have old times."""
    return Topic(
        name=name, key="lead", value="JSON", what="bench", written_by_lanes=sent, any_time=True, retention_ms=-1
    )


def agent(task: Task, teller: Teller) -> Agents:
    """Return the agent."""

    def declare(builder: Builder, settings: Settings) -> None:
        builder.lane_agent("scoring", [topic(task.source)], lambda _: Scoring(task.output, teller), table="leads")

    return declare


def time_restoring(teller: Teller) -> None:
    """Have the teller know from when to when lanes took their partitions over."""
    spans: list[tuple[float, float]] = []
    take_over = Changelog.take_over

    async def timed(changelog: Changelog) -> int:
        began = time.monotonic()
        epoch = await take_over(changelog)
        spans.append((began, time.monotonic()))
        teller.restore = max(end for _, end in spans) - min(began for began, _ in spans)
        return epoch

    setattr(Changelog, "take_over", timed)  # noqa: B010 - an assignment is no method to the type checker


async def work(task: Task) -> None:
    """Work until SIGTERM or the engine's end."""
    teller = Teller()
    time_restoring(teller)
    teller.start()
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    async with running(build(settings_of(task), [agent(task, teller)])) as engine:
        teller.open = True
        ended: Any = asyncio.create_task(_failed(engine))
        await asyncio.wait({asyncio.create_task(told.wait()), ended}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.cancel():
            await ended


async def _failed(engine: Engine) -> None:
    while engine.failure is None:  # noqa: ASYNC110 - nothing tells when
        await asyncio.sleep(0.5)
    raise engine.failure


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    uvloop.run(work(task()))
