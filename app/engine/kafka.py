"""Kafka as lanes need it: a whole batch appended, a partition read from here to there. aiokafka's Any ends here."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, ClassVar, Final, Self

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from app.connection import client_options
from app.engine.patience import within
from app.engine.protocol import ForeignLogError, Headers, LogError
from app.settings import MIB, Settings

Row = tuple[bytes | None, bytes | None, Headers]
"""Key, value and headers of a record to append."""

COMPRESSION: Final = "zstd"
"""A quarter of the time that aiokafka's lz4 takes, since that is its slowest kind, and smaller."""
OUTPUT_BATCH_BYTES: Final = 900 * 1024
"""Outputs are sent in batches below the 1 MiB that consumers ask for by default; a larger record goes alone."""


class Logged(msgspec.Struct, frozen=True, gc=False):
    """A record of the changelog."""

    offset: int
    key: bytes
    value: bytes | None
    headers: Headers


class Log:
    """Appends for all lanes of a worker: steps over one connection, outputs over another, so that they overlap."""

    atomic: ClassVar[bool] = False
    """Whether all that is appended and sent within `transaction` is there for readers at once, or never."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._timeout_s = settings.request_timeout_ms / 1000
        self._steps: Any = None
        self._outputs: Any = None

    async def __aenter__(self) -> Self:
        self._steps = AIOKafkaProducer(**self._options())
        self._outputs = AIOKafkaProducer(**self._options())
        await self._steps.start()
        await self._outputs.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for producer in (self._outputs, self._steps):
            if producer is not None:
                await producer.stop()

    def _options(self) -> dict[str, Any]:
        return {
            **client_options(self._settings),
            "acks": "all",
            "compression_type": COMPRESSION,
            "linger_ms": 0,
            "max_batch_size": self._settings.largest_batch_bytes,
        }

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """Return what holds together that is appended and sent within it; here nothing does."""
        return contextlib.nullcontext()

    async def commit_offsets(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """Commit next offsets by (topic, partition) to the consumer group, as part of the transaction."""
        raise NotImplementedError("without transactions Faust commits offsets")

    async def append(self, topic: str, partition: int, rows: Sequence[Row]) -> int:
        """Append the rows as one record batch, all or nothing; return its base offset when it is acknowledged.

        Raises:
            LogError: the rows do not fit one batch.
            KafkaError, TimeoutError: it is unknown whether they were appended.
        """
        future = await self._submit(self._steps, topic, partition, rows)
        async with within(self._timeout_s, f"{topic}/{partition}: {len(rows)} records were not acknowledged"):
            return int((await future).offset)

    async def send(self, topic: str, partition: int, rows: Sequence[Row]) -> None:
        """Append the rows in order, in as many batches as it takes, and return when all are acknowledged.

        Raises:
            LogError: a single record is too large.
            KafkaError, TimeoutError: some may not have been appended.
        """
        start = size = 0
        for at, (key, value, _) in enumerate(rows):
            weight = len(key or b"") + len(value or b"") + 128
            if size and size + weight > OUTPUT_BATCH_BYTES:
                await self._sent(topic, partition, rows[start:at])
                start, size = at, 0
            size += weight
        await self._sent(topic, partition, rows[start:])

    async def _sent(self, topic: str, partition: int, rows: Sequence[Row]) -> None:
        # One batch after the other: were one lost and the next one not, the channel would have a gap for ever.
        future = await self._submit(self._outputs, topic, partition, rows)
        async with within(self._timeout_s, f"{topic}/{partition}: {len(rows)} records were not acknowledged"):
            await future

    def reader(self, topic: str, partition: int) -> "Reader":
        """Return a reader of one partition, to be entered."""
        return Reader(self._settings, topic, partition)

    async def _submit(self, producer: Any, topic: str, partition: int, rows: Sequence[Row]) -> Any:
        batch = producer.create_batch()
        for key, value, headers in rows:
            if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
                raise LogError(f"{topic}/{partition}: {len(rows)} records do not fit one batch")
        batch.close()
        async with within(self._timeout_s, f"{topic}/{partition}: {len(rows)} records could not be sent"):
            return await producer.send_batch(batch, topic, partition=partition)


class Reader:
    """Reads one partition of a log outside any group; used at take-over and when an append landed unexpectedly.

    It reads what is committed only: no record of a transaction that was aborted, nothing beyond one that is open.
    """

    def __init__(self, settings: Settings, topic: str, partition: int) -> None:
        self._timeout_s = settings.request_timeout_ms / 1000
        self._at = TopicPartition(topic, partition)
        self._name = f"{topic}/{partition}"
        self._consumer: Any = AIOKafkaConsumer(
            **client_options(settings),
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=20,
            max_partition_fetch_bytes=8 * MIB,
            isolation_level="read_committed",
        )

    async def __aenter__(self) -> Self:
        async with within(self._timeout_s, f"{self._name}: no broker to read it from"):
            await self._consumer.start()
        self._consumer.assign([self._at])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = asyncio.current_task()
        try:
            await self._consumer.stop()
        except asyncio.CancelledError:
            # Of aiokafka's own fetch, which it cancels, when that has just failed. A lane would end and nobody notice.
            if task is not None and task.cancelling():
                raise
            await self._consumer._client.close()

    async def seek(self, offset: int) -> None:
        """Read from `offset` on, or from the log's first record if it begins later."""
        if offset <= 0:
            async with within(self._timeout_s, f"{self._name}: its first offset was not found"):
                await self._consumer.seek_to_beginning(self._at)
        else:
            self._consumer.seek(self._at, offset)

    async def position(self) -> int:
        """Return the offset of the next record."""
        async with within(self._timeout_s, f"{self._name}: no offset to read from"):
            return int(await self._consumer.position(self._at))

    async def next(self, up_to: int | None = None) -> list[Logged] | None:
        """Return the next records, None at the end: at `up_to`, or at the end that the log had after this was called.

        Raises:
            ForeignLogError: the log has no such offset: it begins later, or ends before it.
            TimeoutError: the broker sent nothing for the request time-out, or a transaction stayed open for as long.
        """
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        answered = self._consumer.last_poll_timestamp(self._at)
        # The first answer from now on may have been on its way already; not so when nothing was asked before.
        answers = 0 if answered is not None else 1
        while True:
            position = await self.position()
            if up_to is not None and position >= up_to:
                return None
            try:
                fetched = await self._consumer.getmany(self._at, timeout_ms=20)
            except OffsetOutOfRangeError as error:
                raise ForeignLogError(f"{self._name} has no offset {position}") from error
            records = [
                Logged(record.offset, record.key, record.value, record.headers)
                for record in fetched.get(self._at, ())
                if up_to is None or record.offset < up_to
            ]
            if records:
                return records
            before, answered = answered, self._consumer.last_poll_timestamp(self._at)
            answers += answered != before
            if up_to is None and answers > 1 and position >= self._consumer.highwater(self._at):
                # A fetch tells the end rightly on every broker; ListOffsets does not (docs/decisions/0001). It may be
                # behind us: a new leader learns it late. Where an append lands tells a log that is too short.
                return None
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(f"{self._name}: nothing came from {position} on within {self._timeout_s:g} s")
