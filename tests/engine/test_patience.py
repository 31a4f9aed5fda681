"""A broker that does not answer: what is said of it, where it is waited for, and how a worker says that it ended."""

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, NotEnoughReplicasError, RequestTimedOutError

from app import topics
from app.embedded import EmbeddedBroker, settings_for
from app.engine.kafka import Log, Reader
from app.engine.patience import within
from app.engine.protocol import FencedError
from app.engine.worker import WorkerError
from app.settings import Settings


async def test_what_takes_too_long_is_named_with_the_time() -> None:
    with pytest.raises(TimeoutError, match=r"^events.web/3: nobody came within 0.01 s$"):
        async with within(0.01, "events.web/3: nobody came"):
            await asyncio.Event().wait()


@pytest.mark.parametrize("error", [TimeoutError(), KafkaTimeoutError(), RequestTimedOutError()], ids=repr)
async def test_a_time_out_that_says_nothing_is_named_too(error: Exception) -> None:
    with pytest.raises(TimeoutError, match=r"^a/0: no answer within 40 s$") as told:
        async with within(40.0, "a/0: no answer"):
            raise error
    assert told.value.__cause__ is error


@pytest.mark.parametrize("error", [TimeoutError("b/1: slow"), NotEnoughReplicasError(), ValueError("no")], ids=repr)
async def test_what_says_something_is_left_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as told:
        async with within(40.0, "a/0: no answer"):
            raise error
    assert told.value is error


async def test_who_is_cancelled_meanwhile_is_cancelled() -> None:
    waiting = asyncio.Event()

    async def wait() -> None:
        async with within(40.0, "a/0: no answer"):
            waiting.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[tuple[Settings, EmbeddedBroker]]:
    """A broker that will stand still, and how to reach it."""
    async with EmbeddedBroker() as running:
        settings = settings_for(
            running.address,
            app_id="still",
            data_dir=tmp_path,
            partitions=1,
            request_timeout_ms=3_000,
            session_timeout_ms=3_000,
        )
        await topics.create(settings)
        try:
            yield settings, running
        finally:
            signal_to(running, signal.SIGCONT)
    # What clients leave of connections to a broker that does not answer is not to be found in the middle of an import.
    gc.collect()


def signal_to(broker: EmbeddedBroker, number: signal.Signals) -> None:
    assert broker.pid is not None
    os.kill(broker.pid, number)
    if number == signal.SIGSTOP:
        os.waitid(os.P_PID, broker.pid, os.WSTOPPED | os.WNOWAIT)  # on a busy machine it may go on for a moment


async def said(wait: Awaitable[object]) -> str:
    with pytest.raises(TimeoutError) as told:
        await wait
    return str(told.value)


CHANGELOG = "still-leads-changelog"


async def test_an_append_a_send_and_a_read_say_what_they_waited_for(broker: tuple[Settings, EmbeddedBroker]) -> None:
    settings, running = broker
    segments = topics.topics(settings).segments.name
    async with Log(settings) as log, log.reader(CHANGELOG, 0) as reader:
        await log.append(CHANGELOG, 0, [(b"a", b"1", [])])
        await log.send(segments, 0, [(b"a", b"1", [])])
        await reader.seek(0)
        assert [record.key for record in await reader.next() or []] == [b"a"]
        signal_to(running, signal.SIGSTOP)
        assert await asyncio.gather(
            said(log.append(CHANGELOG, 0, [(b"a", b"2", []), (b"b", b"2", [])])),
            said(log.send(segments, 0, [(b"a", b"2", [])])),
            said(reader.next()),
        ) == [
            "still-leads-changelog/0: 2 records were not acknowledged within 3 s",
            "leads.segments/0: 1 records were not acknowledged within 3 s",
            "still-leads-changelog/0: nothing came from 1 on within 3 s",
        ]
        signal_to(running, signal.SIGCONT)
        await asyncio.gather(
            log.append(CHANGELOG, 0, [(b"c", b"3", [])]), log.send(segments, 0, [(b"c", b"3", [])]), reader.next()
        )


async def test_a_reader_that_got_no_answer_ends_with_that_and_not_as_if_it_were_cancelled(
    broker: tuple[Settings, EmbeddedBroker],
) -> None:
    settings, running = broker
    reader = Reader(settings, CHANGELOG, 0)

    async def read() -> None:
        async with reader:
            await reader.seek(0)
            assert await reader.next() is None
            # Its fetch fails before it gives up, and then waits to be tried again: so it is found when it is stopped.
            reader._consumer._fetcher._retry_backoff = 60.0
            signal_to(running, signal.SIGSTOP)
            try:
                await reader.next()
            finally:
                signal_to(running, signal.SIGCONT)
                await reader._consumer._client.force_metadata_update()  # else it is stopped while it connects anew

    with pytest.raises(TimeoutError, match=r"^still-leads-changelog/0: nothing came from 0 on within 3 s$"):
        await read()
    connections = reader._consumer._client._conns.values()
    assert connections
    assert not any(connection.connected() for connection in connections), "it hung up all the same"


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (TimeoutError("a/0: 3 records were not acknowledged within 40 s"), "TimeoutError: a/0: 3 records were not"),
        (TimeoutError(), "TimeoutError"),
        (FencedError("a/0: epoch 5 owns it, not 4"), "FencedError: a/0: epoch 5 owns it, not 4"),
        (KafkaConnectionError("no broker"), "KafkaConnectionError: no broker"),
        (NotEnoughReplicasError(), "[Error 19] NotEnoughReplicasError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_worker_that_went_down_names_once_what_ended_it(reason: Exception, told: str) -> None:
    assert str(WorkerError(reason)).startswith(f"the worker went down: {told}")
    assert str(WorkerError(reason)).count(type(reason).__name__) == 1
    assert str(WorkerError(reason, " while it started")).startswith(f"the worker went down while it started: {told}")
