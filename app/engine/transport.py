"""The `batched://` transport: Faust's aiokafka transport, except that a stream item is a chunk of records."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final, Protocol

from faust import SASLCredentials, SSLCredentials
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from app.connection import password, tls_context
from app.engine.ends import Freshness
from app.engine.membership import InstanceError, watch
from app.engine.patience import within
from app.settings import Settings

NOWHERE: Final = TP("", -1)
"""Polled for when no lane wants records, so that the group does not take this worker for dead."""
CROWDED_POLL_S: Final = 0.02
"""How long a poll lasts while some lane is full: it may have room again at any moment."""


class Intake(Protocol):
    """Who takes chunks; set on the app as `intake`."""

    settings: Settings

    def takes(self, topic: str) -> bool:
        """Whether the topic is read in chunks."""
        ...

    def wants(self, tp: TP) -> bool:
        """Whether there is room for more records of the partition."""
        ...

    def positions(self) -> Mapping[TP, int]:
        """Where each partition with an open lane is to be read from, whatever the group has committed."""
        ...

    async def pause(self) -> None:
        """Finish the steps under way and close all lanes: partitions are being revoked."""
        ...

    async def fail(self, error: BaseException) -> None:
        """End the worker."""
        ...


class ChunkMessage(ConsumerMessage):  # type: ignore[misc]
    """A message that stands for all records fetched together from a partition; its offset is the last one's."""

    __slots__ = ("records", "start")

    records: list[Any]
    start: int


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's consumer thread with the settings' fetch wait (Faust's own is fixed at 1.5 s), reading what is committed.

    Lanes of other workers may send commands in transactions whatever the setting here is: what was aborted has the
    numbers of what was sent in its stead.
    """

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = self.app.intake.settings.fetch_wait_ms
        consumer._isolation_level = "read_committed"
        return consumer

    async def on_start(self) -> None:
        """Start the consumer; its worker ends when the group has another by its name."""
        await super().on_start()
        settings: Settings = self.app.intake.settings
        if settings.instance_id:
            watch(self._consumer._coordinator, settings.instance_id, settings.session_timeout_ms, self._gone)

    def _gone(self, error: InstanceError) -> None:
        asyncio.run_coroutine_threadsafe(self.app.intake.fail(error), self.parent_loop)


class Consumer(driver.Consumer):  # type: ignore[misc]
    """Yields one message a chunk for the topics of the intake; every other topic as Faust does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._intake: Intake = self.app.intake
        self._follows: dict[TP, int] = {}
        """The offset after the last chunk, or the one sought."""
        self._seeks: Counter[TP] = Counter()
        """How often each partition was sought: counted before and after."""
        self._passed: dict[TP, int] = {}
        """The offset up to which chunks have all records, of partitions that seemed to have more."""
        self._freshness = Freshness(self._intake.settings.fetch_wait_ms)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109 - Faust's
        """Fetch once and yield the chunks, then the single messages of other topics."""
        generation, seeks = self.app.consumer_generation_id, self._seeks.copy()
        self._note_passed()
        records, active = await self._wait_next_records(timeout)
        if not records or self.should_stop:
            return
        if not self.flow_active:
            try:
                await self.perform_seek()
            except Exception as error:  # as in Faust: a rebalance is under way, and it seeks again
                self.log.warning("seek while flow is not active: %r", error)
            return
        singly: dict[TP, list[Any]] = {}
        dropped: list[TP] = []
        for tp, fetched in records.items():
            if not self._intake.takes(tp.topic):
                singly[tp] = fetched
            elif self._may_yield(tp, active, generation) and self._seeks[tp] == seeks[tp]:
                yield tp, self._chunk(tp, fetched)
            else:
                dropped.append(tp)
        for tp, record in self.scheduler.iterate(singly):
            if not self._may_yield(tp, active, generation):
                break
            yield tp, self._to_message(tp, record)
        await self._read_again(dropped)

    def _note_passed(self) -> None:
        """Note how far the consumer is where that is beyond the last chunk: what it passed there are no records.

        A producer that uses transactions leaves a marker after each, which nobody gets to see. The chunks of all
        fetches before this one have been handed on, so there is no record in between.
        """
        for tp, following in self._follows.items():
            end = self.highwater_of(tp.topic, tp.partition)
            if end is not None and following < end and self._seeks[tp] % 2 == 0:
                self._passed[tp] = self._position(tp)

    def _position(self, tp: TP) -> int:
        subscription = self._thread._consumer._subscription.subscription
        try:
            position: int = subscription.assignment.state_value(tp).position
        except (AssertionError, AttributeError, KeyError):
            return 0
        return position

    async def _read_again(self, dropped: list[TP]) -> None:
        """Go back for records that were fetched by a poll from before a rebalance or a seek.

        The consumer is beyond them, and a partition may be ours again, its lane open already: nobody else would miss
        them. A partition without a lane yet is sought when that opens.
        """
        again = {tp: self._follows[tp] for tp in dropped if tp in self._follows}
        try:
            await self.seek_lanes(again)
        except Exception as error:
            if self.flow_active:
                raise
            self.log.warning("a rebalance interrupted a seek, and seeks again: %r", error)

    def _may_yield(self, tp: TP, active: set[TP] | None, generation: int) -> bool:
        return bool(
            self.flow_active
            and self.app.consumer_generation_id == generation
            and (active is None or tp in active or tp in self._buffered_partitions)
        )

    def _chunk(self, tp: TP, fetched: list[Any]) -> ChunkMessage:
        first, last = fetched[0].offset, fetched[-1].offset
        message = ChunkMessage(
            topic=tp.topic,
            partition=tp.partition,
            offset=last,
            timestamp=fetched[-1].timestamp / 1000,
            timestamp_type=fetched[-1].timestamp_type,
            headers=None,
            key=None,
            value=None,
            checksum=None,
            serialized_key_size=0,
            serialized_value_size=0,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )
        message.records = fetched
        message.start = self._follows.get(tp, first)
        self._follows[tp] = last + 1
        # Faust takes the distance to the last offset read for records that never came.
        self._read_offset[tp] = last - 1 if last else None
        return message

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's
        """Fetch from the partitions whose lanes have room; poll in any case."""
        if active_partitions is None:
            return await super()._getmany(active_partitions, timeout)
        wanted = {tp for tp in active_partitions if not self._intake.takes(tp.topic) or self._intake.wants(tp)}
        if len(wanted) < len(active_partitions):
            timeout = min(timeout, CROWDED_POLL_S)
        return await super()._getmany(wanted or {NOWHERE}, timeout)

    def _new_offset(self, tp: TP) -> int | None:
        """Return the offset to commit: chunks of a partition complete in order, so the last one's decides."""
        if not self._intake.takes(tp.topic):
            offset: int | None = super()._new_offset(tp)
            return offset
        acked = self._acked[tp]
        if not acked:
            return None
        following = int(max(acked)) + 1
        acked.clear()
        self._acked_index[tp].clear()
        return None if self._intake.settings.exactly_once else following  # else each step commits its own

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit, unless the worker is going down: the consumer's thread then ends by itself and may never answer."""
        return False if self.app._crashed.is_set() else bool(await super()._commit(offsets))

    async def perform_seek(self) -> None:
        """Seek to what the group has committed, then where lanes know better."""
        await super().perform_seek()
        await self.seek_lanes(self._intake.positions())

    async def seek_lanes(self, positions: Mapping[TP, int]) -> None:
        """Read the partitions, as far as they are ours, from these offsets on."""
        ours = self.assignment()
        mine = {tp: offset for tp, offset in positions.items() if tp in ours}
        for tp in mine:
            self._passed.pop(tp, None)
        self._follows.update(mine)
        if mine:
            self._seeks.update(mine.keys())
            try:
                await self.seek_wait(mine)
            finally:
                self._seeks.update(mine.keys())

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let lanes finish and commit what they did before Faust forgets it."""
        await self._intake.pause()
        try:
            async with asyncio.timeout(self.app.conf.broker_request_timeout):
                await self.commit()
        except TimeoutError:
            self.log.warning("offsets were not committed in time; they will be read again and skipped")
        self._follows.clear()
        self._passed.clear()
        await super().on_partitions_revoked(revoked)

    async def commit_and_end_transactions(self) -> None:
        """Do nothing when the worker stops: it has committed, in bounded time, unless it crashed.

        After a crash the consumer's thread has ended, or is about to, and may never answer.
        """

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """Tell Faust's recovery that the changelogs are empty: lanes read them themselves, to the real end."""
        return dict.fromkeys(partitions, 0)

    def highwater_of(self, topic: str, partition: int) -> int | None:
        """Return the offset after the last record, as the last fetch told; None before it, or when it is not ours."""
        tp = TP(topic, partition)
        return self._without_markers(tp, self._told(tp, "highwater"))

    def readable_end_of(self, topic: str, partition: int) -> int | None:
        """Return the offset after the last record that can be read: before it no transaction is under way.

        As the last fetch told; None before it, or when the partition is not ours.
        """
        tp = TP(topic, partition)
        end, stable = self._told(tp, "highwater"), self._told(tp, "last_stable_offset")
        if end is not None and stable is not None and stable >= 0:
            end = min(end, stable)
        return self._without_markers(tp, end)

    def _without_markers(self, tp: TP, end: int | None) -> int | None:
        """Return an end, or where the records before it end when the rest is known to be none."""
        if end is not None and self._passed.get(tp, 0) >= end:
            return min(end, self._follows.get(tp, end))
        return end

    def fresh_highwater_of(self, topic: str, partition: int) -> int | None:
        """Return what `highwater_of` does, while that is recent: None when the broker has not answered for a while."""
        tp = TP(topic, partition)
        answered = self._told(tp, "last_poll_timestamp")
        fresh = self._freshness.fresh(tp, answered, time.time_ns() // 1_000_000)
        return self.highwater_of(topic, partition) if fresh else None

    def _told(self, tp: TP, what: str) -> Any:
        """Return what aiokafka's consumer says of a partition by one of its methods; None when it is not ours."""
        consumer = self._thread._consumer
        if consumer is None:
            return None
        try:
            return getattr(consumer, what)(driver.TopicPartition(tp.topic, tp.partition))
        except (AssertionError, KeyError):
            return None

    async def earliest(self, topics: Iterable[str], partition: int) -> dict[str, int]:
        """Return the first offset that each topic still has in the partition."""
        tps = [TP(topic, partition) for topic in topics]
        what = f"{', '.join(f'{tp.topic}/{tp.partition}' for tp in tps)}: the first offsets were not told"
        async with within(self.app.conf.broker_request_timeout, what):
            found = await self.earliest_offsets(*tps)
        return {tp.topic: offset for tp, offset in found.items() if offset is not None}


class Transport(driver.Transport):  # type: ignore[misc]
    """Entry point `batched` of the group `faust.transports`."""

    Consumer = Consumer


def credentials(settings: Settings) -> Any:
    """Return TLS and login as Faust takes them; None where brokers want neither.

    Raises:
        SettingsError: a file of the settings cannot be read or used.
    """
    tls = tls_context(settings)
    if settings.security_protocol.startswith("SASL_"):
        return SASLCredentials(
            username=settings.sasl_user,
            password=password(settings),
            ssl_context=tls,
            mechanism=settings.sasl_mechanism,
        )
    return None if tls is None else SSLCredentials(tls)
