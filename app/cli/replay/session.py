"""A worker in this process, with a broker, topics and a data directory of its own, and what talks to it."""

import asyncio
import contextlib
import logging
import shutil
import tempfile
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from aiokafka.errors import KafkaError

from agents.leads import leads
from app import topics
from app.cli.replay.outputs import Outputs, Take
from app.cli.replay.publish import Message, Publisher
from app.domain.rulebook import Rules
from app.embedded import EmbeddedBroker, settings_for, without_security
from app.engine.lanes import Engine
from app.engine.worker import App, WorkerError, build, running
from app.settings import Settings

log = logging.getLogger(__name__)

IDLE_LEADS: Final = 500
"""Leads that a lane folds in one step after `advance`: as many as do not keep the worker from its heartbeats."""


_KEPT: Final = dict.fromkeys(
    ("events_retention_ms", "commands_retention_ms", "outputs_retention_ms"), topics.FOREVER_MS
)
"""A broker removes records by their timestamps, which here are of the past; the topics go with the replay."""


_ALONE: Final[dict[str, Any]] = {"processing_guarantee": Settings().processing_guarantee, "instance_id": ""}
"""Settings of workers that others read and follow; the embedded broker has no transactions."""


def _no_clock() -> int:
    """Return a time before all events: `advance` is the only clock of what happened long ago, or runs fast."""
    return 0


class Session:
    """The running worker."""

    def __init__(self, app: App, publisher: Publisher, outputs: Outputs) -> None:
        self._app = app
        self._publisher = publisher
        self._outputs = outputs

    @property
    def engine(self) -> Engine:
        """The worker's lanes."""
        return self._app.intake

    @property
    def counts(self) -> Counter[str]:
        """What the lanes counted since the worker started."""
        return sum((lane.counts for lane in self.engine.lanes.values()), Counter[str]())

    async def publish(self, messages: Iterable[Message], progress: Callable[[int], None] | None = None) -> int:
        """Publish messages and return, when lanes have processed them all, how many; `progress` is told what is left.

        Raises:
            WorkerError: the worker went down.
            KafkaError: the broker did not take them.
        """
        count = await self._publisher.send(messages)
        await self._drained(progress)
        return count

    async def advance(self, to: int, *, snapshot: bool = False) -> None:
        """Have every lane fold up to `to` (UTC ms), and return when it is done. Raises as `publish` does."""
        await self._publisher.advance(to, snapshot=snapshot)
        await self._drained(None)

    async def take_outputs(self) -> None:
        """Take what lanes sent so far. Raises OutputsError."""
        await self._outputs.catch_up(list(self.engine.lanes.values()))

    async def _drained(self, progress: Callable[[int], None] | None) -> None:
        drained = asyncio.create_task(self.engine.drained(self._publisher.ends, progress))
        crashed = asyncio.create_task(self._app._crashed.wait())
        try:
            await asyncio.wait({drained, crashed}, return_when=asyncio.FIRST_COMPLETED)
            if not drained.done():
                raise WorkerError(self._app.crash_reason) from self._app.crash_reason
            await drained
        finally:
            for task in (drained, crashed):
                task.cancel()
            await asyncio.gather(drained, crashed, return_exceptions=True)


class Place:
    """A broker, topics and a data directory that are this process's own; workers come and go in it."""

    def __init__(self, settings: Settings, publisher: Publisher, outputs: Outputs) -> None:
        self.settings = settings
        self.publisher = publisher
        self._outputs = outputs

    @contextlib.asynccontextmanager
    async def session(self, rules: Sequence[Rules], *, replay: bool) -> AsyncIterator[Session]:
        """Run a worker; in `replay` it folds only when told to advance.

        Raises:
            WorkerError: it went down.
        """
        app = build(msgspec.structs.replace(self.settings, replay=replay), [leads(rules)], clock=_no_clock)
        async with running(app):
            yield Session(app, self.publisher, self._outputs)


@contextlib.asynccontextmanager
async def place(base: Settings, broker: str | None, take: Take) -> AsyncIterator[Place]:
    """Set up what a worker needs, and leave nothing behind.

    Args:
        base: settings; what concerns the broker, the worker's name and its data is replaced.
        broker: its address, `host:port`; None = the embedded one.
        take: gets every output record.

    Raises:
        EmbeddedError: the embedded broker cannot run here.
        TopicsError: the broker cannot be reached, or does not create the topics.
    """
    name = f"replay-{uuid.uuid4().hex[:12]}"
    data = await asyncio.to_thread(tempfile.mkdtemp, prefix="leadstream-data-")
    try:
        async with contextlib.AsyncExitStack() as stack:
            if broker is None:
                base = without_security(base)
            address = broker or (await stack.enter_async_context(EmbeddedBroker())).address
            settings = settings_for(
                address,
                base,
                app_id=name,
                topic_prefix=f"{name}.",
                data_dir=Path(data),
                idle_leads=IDLE_LEADS,
                **_ALONE,
                **_KEPT,
            )
            if broker is not None:
                await topics.describe(settings)  # one that does not take us has nothing to remove either
                stack.push_async_callback(_remove_topics, settings)
            await topics.create(settings)
            publisher = await stack.enter_async_context(Publisher(settings))
            outputs = await stack.enter_async_context(Outputs(settings, take))
            yield Place(settings, publisher, outputs)
    finally:
        await asyncio.to_thread(shutil.rmtree, data, ignore_errors=True)


async def _remove_topics(settings: Settings) -> None:
    """Delete the topics that were made for the run; its consumer group, then empty, expires by itself."""
    try:
        async with topics.admin(settings) as client:
            there = [name for name in await client.list_topics() if name.startswith(settings.topic_prefix)]
            await client.delete_topics(there)
    except (topics.TopicsError, KafkaError, OSError, TimeoutError) as error:
        log.warning("topics %s* are left on the broker: %r", settings.topic_prefix, error)
