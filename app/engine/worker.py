"""The composition root: settings and agents in, a Faust app out. Nothing is built at import; every name is pinned."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final

import faust
import uvloop
from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped
from yarl import URL

from app import topics as topic_data
from app.engine import heap, startup
from app.engine.datadir import owned
from app.engine.lanes import Engine, LaneAgent
from app.engine.program import ProgramFactory
from app.engine.store import LeadStore
from app.engine.transport import credentials
from app.engine.web import serving
from app.settings import Settings
from app.topics import Topic

log = logging.getLogger(__name__)

CHUNK_BUFFER: Final = 64
"""Chunks between the consumer and the lanes; the lanes' own room is what holds the consumer back."""


class WorkerError(RuntimeError):
    """The worker went down."""

    def __init__(self, reason: BaseException | None, when: str = "") -> None:
        """Say what ended it."""
        name, text = type(reason).__name__, str(reason)
        because = text if name in text else f"{name}: {text}" if text else name
        super().__init__(f"the worker went down{when}: {because}")


class StrictRecovery(Recovery):  # type: ignore[misc]
    """Faust's recovery, except that a time-out is a crash instead of a silent end (mode reports it as a stop)."""

    async def _wait(self, coro: Any, timeout: Any = None) -> None:  # noqa: ASYNC109 - Faust's
        signalled = self.signal_recovery_start
        result = await self.wait_first(coro, signalled, timeout=timeout)
        if result.stopped and not self.should_stop:
            error = TimeoutError(f"recovery: no answer from the broker within {timeout} s")
            await self.app.crash(error)
            raise error
        if result.stopped:
            raise ServiceStopped
        if signalled in result.done:
            raise RebalanceAgain


class StrictTableManager(TableManager):  # type: ignore[misc]
    """Faust's table manager with `StrictRecovery`."""

    _recovery: Any = None

    async def on_start(self) -> None:
        """Start as Faust does, without the second it sleeps first: agents are waited for by the subscriber anyway."""
        await self._update_channels()
        await self.recovery.start()

    @property
    def recovery(self) -> Any:
        """Recovery service of the tables."""
        if self._recovery is None:
            self._recovery = StrictRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery


class LaneTable(faust.Table):  # type: ignore[misc]
    """A table whose rows lanes own; Faust assigns its partitions together with those of the inputs."""

    def __init__(self, app: Any, *, store_options: dict[str, Any], **options: Any) -> None:
        self._store_options = store_options
        super().__init__(app, **options)

    def _new_store(self) -> LeadStore:
        return LeadStore(
            URL("rocksdb://"), self.app, self, table_name=self.name, loop=self.loop, options=self._store_options
        )


class App(faust.App):  # type: ignore[misc]
    """A Faust app with an engine of lanes."""

    intake: Engine

    async def on_start(self) -> None:
        """Connect the engine's producers before anything else starts."""
        await self.intake.log.__aenter__()
        await super().on_start()

    async def on_stop(self) -> None:
        """Close the lanes while their stores and connections are still there."""
        await self.intake.pause()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(self.conf.broker_request_timeout):
                await self.consumer.commit()
        await super().on_stop()
        await self.intake.log.__aexit__(None, None, None)


class Builder:
    """What an agent module gets to declare its lanes with."""

    def __init__(self, app: App, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.topics = topic_data.topics(settings)

    def lane_agent(self, name: str, topics: Sequence[Topic], program_factory: ProgramFactory, table: str) -> LaneAgent:
        """Declare an agent: one lane a partition reads that partition of all `topics` and keeps its rows in `table`.

        Topics that lanes write (`Topic.written_by_lanes`) are read as exactly-once channels.
        """
        app, settings = self.app, self.settings
        changelog = topic_data.changelog(settings, table)
        agent = LaneAgent(settings, name, topics, program_factory, changelog)
        engine = app.intake
        engine.add(agent)
        store_options = {
            "block_cache_bytes": settings.block_cache_bytes,
            "write_buffer_bytes": settings.write_buffer_bytes,
            "on_ready": lambda owned: engine.ready(agent, owned),
        }
        declared = LaneTable(
            app,
            name=table,
            key_type=bytes,
            value_type=bytes,
            partitions=settings.partitions,
            changelog_topic=app.topic(
                changelog.name, key_type=bytes, value_type=bytes, partitions=settings.partitions, acks=False
            ),
            store_options=store_options,
        )
        app.tables.add(declared)
        agent.store = declared.data
        source = app.topic(
            *agent.topics, key_serializer="raw", value_serializer="raw", allow_empty=True, maxsize=CHUNK_BUFFER
        )

        @app.agent(source, name=name)  # type: ignore[untyped-decorator]
        async def lanes(stream: Any) -> None:
            async for event in stream.noack().events():
                engine.dispatch(event)

        return agent


Agents = Callable[[Builder, Settings], Any]
"""An agent module's function: declares lanes on the builder."""
Prepare = Callable[[], Awaitable[Sequence[Agents]]]


def build(settings: Settings, agents: Sequence[Agents], clock: Callable[[], int] | None = None) -> App:
    """Return the app of one worker. `app.intake` is its `Engine`.

    Args:
        settings: of this worker.
        agents: what it runs.
        clock: the wall clock, UTC ms, where it is not to be the machine's.
    """
    engine = Engine(settings, clock) if clock is not None else Engine(settings)
    app = App(
        settings.app_id,
        broker=[URL(f"batched://{address}") for address in settings.brokers],
        broker_credentials=credentials(settings),
        autodiscover=False,
        datadir=settings.data_dir,
        store="memory://",
        debug=False,
        version=1,
        topic_partitions=settings.partitions,
        topic_replication_factor=settings.replication_factor,
        topic_allow_declare=True,
        topic_disable_leader=True,
        table_standby_replicas=0,
        web_enabled=False,
        web_tables_enabled=False,
        web_router_enabled=False,
        TableManager=StrictTableManager,
        broker_session_timeout=settings.session_timeout_ms / 1000,
        broker_heartbeat_interval=min(3.0, settings.session_timeout_ms / 4000),
        broker_rebalance_timeout=settings.rebalance_timeout_ms / 1000,
        broker_request_timeout=settings.request_timeout_ms / 1000,
        broker_commit_interval=settings.commit_ms / 1000,
        broker_max_poll_records=settings.poll_records,
        broker_max_poll_interval=max(300.0, settings.rebalance_timeout_ms / 500),
        consumer_max_fetch_size=4 * 1024 * 1024,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=settings.instance_id or None,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        processing_guarantee="at_least_once",
    )
    app.intake = engine
    engine.bind(app)
    builder = Builder(app, settings)
    for declare in agents:
        declare(builder, settings)
    return app


@contextlib.asynccontextmanager
async def running(app: App) -> AsyncIterator[Engine]:
    """Run the app inside this process and event loop; topics must exist. Yields when all its lanes are open.

    Raises:
        BaseException: what ended a lane or the app while it was opening.
    """
    app.finalize()
    with heap.kept(), owned(app.intake.settings.data_dir):
        async with _running(app) as engine:
            yield engine


@contextlib.asynccontextmanager
async def _running(app: App) -> AsyncIterator[Engine]:
    starting = asyncio.create_task(_started(app))
    opened = asyncio.create_task(app.intake.opened())
    crashed = asyncio.create_task(_crashed(app))
    try:
        await asyncio.wait({opened, crashed}, return_when=asyncio.FIRST_COMPLETED)
        if crashed.done():
            raise WorkerError(app.crash_reason, " while it started") from app.crash_reason
        await opened
        yield app.intake
    finally:
        for task in (opened, crashed):
            task.cancel()
        await app.stop()
        starting.cancel()
        await asyncio.gather(starting, opened, crashed, return_exceptions=True)


async def _started(app: App) -> None:
    """Start the app; what goes wrong while it starts is its end too, not only the end of this task."""
    try:
        await app.start()
    except Exception as error:
        await app.crash(error)
        raise


async def _crashed(app: App) -> None:
    await app._crashed.wait()


async def serve(settings: Settings, agents: Sequence[Agents] | Prepare) -> None:
    """Run a worker until SIGTERM or SIGINT, then drain and stop. It answers on the settings' `web_port` all the while.

    `agents` may be what makes them once the topics are found to be as they must.

    Raises:
        OSError: that port cannot be listened on.
        SettingsError: a file of the settings cannot be read or used, or another worker has the data directory.
        TopicsError: the broker or its topics are not what is needed.
        WorkerError: it went down by itself.
    """
    await startup.check(settings)
    with owned(settings.data_dir):
        await _serve(build(settings, await agents() if callable(agents) else agents))


async def _serve(app: App) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, told.set)
    try:
        stop = asyncio.create_task(told.wait())
        crashed = asyncio.create_task(_crashed(app))
        with heap.kept():
            async with serving(app.intake):
                starting = asyncio.create_task(_started(app))
                await asyncio.wait({stop, crashed}, return_when=asyncio.FIRST_COMPLETED)
                await app.stop()
                await asyncio.gather(starting, return_exceptions=True)
        if crashed.done():
            raise WorkerError(app.crash_reason) from app.crash_reason
        crashed.cancel()
        stop.cancel()
    finally:
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(name)


def run(settings: Settings, agents: Sequence[Agents] | Prepare) -> None:
    """Run a worker; blocks until it is told to stop. Raises as `serve` does."""
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    uvloop.run(serve(settings, agents))
