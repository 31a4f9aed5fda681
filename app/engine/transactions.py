"""One lane's appends as Kafka transactions: a step's batch, its outbox and its offsets, all of it or nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import ClassVar, Final, Self

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import ProducerFenced

from app.engine.kafka import Log
from app.engine.patience import within
from app.engine.protocol import FencedError
from app.settings import Settings

END_S: Final = 5.0
"""How long a lane that ends tries to abort, then to close its connection; whoever takes over aborts all the same."""
RETRY_MS: Final = 20
"""A broker that is still busy with the last transaction, or looks this one up for the first time, says so, and is asked
again after this time; aiokafka's own 100 ms were most of what such a step took."""


def lane_log(log: Log, settings: Settings, lane: str) -> AbstractAsyncContextManager[Log]:
    """Return what a lane appends with, to be entered before it takes over: the worker's log, or transactions."""
    return Transactions(settings, lane) if settings.exactly_once else contextlib.nullcontext(log)


class Transactions(Log):
    """Appends of one lane. `async with` fences the lane's former owner, and aborts what that one left open.

    The broker knows the lane by its name, whichever worker has it: from then on whatever the former owner tries fails.
    """

    atomic: ClassVar[bool] = True

    def __init__(self, settings: Settings, lane: str) -> None:
        super().__init__(settings)
        self._lane = lane

    async def __aenter__(self) -> Self:
        producer = AIOKafkaProducer(
            **self._options(),
            transactional_id=self._lane,
            transaction_timeout_ms=self._settings.transaction_timeout_ms,
            retry_backoff_ms=RETRY_MS,
        )
        try:
            async with within(self._timeout_s, f"{self._lane}: its former owner was not fenced"):
                await producer.start()
        except BaseException:
            await producer.stop()
            raise
        self._steps = self._outputs = producer
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_S):
                await self._steps.stop()

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Commit, at the end, all that is appended and sent within; abort it when something goes wrong.

        Raises:
            FencedError: another worker has the lane; nothing of it is there.
            KafkaError, TimeoutError: it is there as a whole or not at all, and unknown which.
        """
        try:
            async with within(self._timeout_s, f"{self._lane}: a transaction was not committed"):
                await self._steps.begin_transaction()
                yield
                await self._commit()
        except ProducerFenced as error:
            raise FencedError(
                f"{self._lane}: another worker took it over, or a transaction was open for more than "
                f"{self._settings.transaction_timeout_ms} ms"
            ) from error
        except BaseException:
            await self._abort()
            raise

    async def commit_offsets(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """Have the group know with the transaction how far this lane's inputs are processed."""
        if offsets:
            await self._steps.send_offsets_to_transaction(
                {TopicPartition(*at): offset for at, offset in offsets.items()}, self._settings.app_id
            )

    async def _commit(self) -> None:
        await self._steps.commit_transaction()

    async def _abort(self) -> None:
        """Let consumers read on at once; one that is left open holds them up until it is taken over or times out."""
        with contextlib.suppress(Exception):  # the lane ends with what went wrong before
            async with asyncio.timeout(END_S):
                await self._steps.abort_transaction()
