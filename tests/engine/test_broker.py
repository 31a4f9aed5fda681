"""What the engine takes for granted of a broker, on both of them."""

import asyncio
import os
import uuid

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.consumer import fetcher
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import OffsetAndMetadata

from app import topics
from app.engine.kafka import Log, Row
from app.engine.protocol import ForeignLogError, LogError, Stamp, size_of
from app.settings import MIB, Settings
from tests.engine.broker_io import publish, read_all
from tests.engine.conftest import BrokerAt, NewSettings

DAY_MS = 86_400_000


def row(key: bytes, value: bytes | None = b"x") -> Row:
    return key, value, [("s", b"\x00")]


def changelog(settings: Settings) -> str:
    return topics.changelog(settings, "leads").name


async def test_an_append_says_where_it_landed(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=2)
    async with Log(settings) as log:
        assert await log.append(changelog(settings), 0, [row(b"a"), row(b"b"), row(b"c")]) == 0
        assert await log.append(changelog(settings), 0, [row(b"d")]) == 3
        assert await log.append(changelog(settings), 1, [row(b"e")]) == 0


async def test_records_come_back_as_they_were_with_headers_and_tombstones(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    rows: list[Row] = [(b"a", b"\x00\xff", [("s", b"1"), ("s", b"2"), ("t", b"")]), (b"b", None, []), (b"", b"", [])]
    async with Log(settings) as log:
        await log.append(changelog(settings), 0, rows)
    found = await read_all(settings, changelog(settings))
    assert [(record.offset, record.key, record.value, list(record.headers)) for record in found] == [
        (0, *rows[0]),
        (1, *rows[1]),
        (2, *rows[2]),
    ]


async def test_what_lanes_append_stands_on_the_broker_as_zstd(
    new_settings: NewSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    codecs: set[int] = set()

    def noting(fetched: bytes) -> MemoryRecords:
        if fetched:
            codecs.add(fetched[22] & 7)  # low byte of the first batch's attributes: 3 is lz4, 4 is zstd
        return MemoryRecords(fetched)

    monkeypatch.setattr(fetcher, "MemoryRecords", noting)
    settings = await new_settings(partitions=1)
    segments = topics.topics(settings).segments.name
    rows = [row(b"%d" % n, b"a value that compresses " * 40) for n in range(100)]
    async with Log(settings) as log:
        await log.append(changelog(settings), 0, rows)
        await log.send(segments, 0, rows)
    for topic in (changelog(settings), segments):
        found = await read_all(settings, topic)
        assert [(record.key, record.value) for record in found] == [(key, value) for key, value, _ in rows]
    assert codecs == {4}


async def test_a_step_of_eight_mebibytes_is_one_batch_and_read_back_whole(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    rows = [row(b"%d" % n, os.urandom(MIB)) for n in range(8)]
    async with Log(settings) as log:
        assert await log.append(changelog(settings), 0, [row(b"first")]) == 0
        assert await log.append(changelog(settings), 0, rows) == 1
    found = await read_all(settings, changelog(settings))
    assert [(record.key, record.value) for record in found[1:]] == [(key, value) for key, value, _ in rows]


@pytest.mark.parametrize("most", [1, 2_000, 2_000_000])
async def test_the_largest_step_is_appended_though_it_does_not_compress(new_settings: NewSettings, most: int) -> None:
    settings = await new_settings(partitions=1, step_bytes=65_536)
    headers = Stamp(1 << 31, 1 << 63).headers()
    rows: list[tuple[bytes, bytes | None]] = []
    nothing = size_of([])
    empty = size_of([(b"000000", b"")]) - nothing
    left = settings.largest_step_bytes - nothing
    while left > empty:
        rows.append((b"%06d" % len(rows), os.urandom(min(most, left - empty))))
        left -= size_of(rows[-1:]) - nothing
    assert 0 <= settings.largest_step_bytes - size_of(rows) <= empty
    async with Log(settings) as log:
        assert await log.append(changelog(settings), 0, [(key, value, headers) for key, value in rows]) == 0
        more = os.urandom(settings.largest_batch_bytes - size_of(rows) + len(rows) * 40)
        too_many = [*rows, (b"more", more)]
        with pytest.raises(LogError, match="do not fit one batch"):
            await log.append(changelog(settings), 0, [(key, value, headers) for key, value in too_many])
    assert len(await read_all(settings, changelog(settings))) == len(rows)


@pytest.mark.differs(on="embedded", why="it takes batches of any size, whatever max.message.bytes of the topic says")
async def test_a_batch_that_is_too_large_is_refused_and_nothing_of_it_is_there(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1, step_bytes=65_536)
    segments = topics.topics(settings).segments.name
    async with Log(msgspec.structs.replace(settings, step_bytes=8 * MIB)) as log:
        with pytest.raises(MessageSizeTooLargeError):
            await log.append(segments, 0, [row(b"%d" % n, os.urandom(MIB // 2)) for n in range(6)])
        assert await log.append(segments, 0, [row(b"a")]) == 0


async def test_a_reader_ends_at_the_last_record_and_goes_on_when_there_is_more(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    async with Log(settings) as log, log.reader(changelog(settings), 0) as reader:
        await reader.seek(0)
        assert await reader.next() is None
        await log.append(changelog(settings), 0, [row(b"a"), row(b"b")])
        assert [record.key for record in await reader.next() or []] == [b"a", b"b"]
        assert await reader.next() is None
        assert await reader.position() == 2
        await log.append(changelog(settings), 0, [row(b"c")])
        assert [record.offset for record in await reader.next() or []] == [2]


@pytest.mark.differs(on="embedded", why="a fetch beyond the end is answered with nothing; where an append lands tells")
async def test_a_reader_beyond_the_end_of_a_log_is_told(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    async with Log(settings) as log, log.reader(changelog(settings), 0) as reader:
        await log.append(changelog(settings), 0, [row(b"a")])
        await reader.seek(7)
        with pytest.raises(ForeignLogError, match="has no offset 7"):
            await reader.next()


@pytest.mark.differs(on="embedded", why="ListOffsets(latest) answers the last batch's base offset + 1")
async def test_the_end_of_a_log_is_listed_rightly(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    async with Log(settings) as log:
        await log.append(changelog(settings), 0, [row(b"a"), row(b"b"), row(b"c")])
    consumer = AIOKafkaConsumer(bootstrap_servers=list(settings.brokers))
    await consumer.start()
    try:
        at = TopicPartition(changelog(settings), 0)
        assert await consumer.beginning_offsets([at]) == {at: 0}
        assert await consumer.end_offsets([at]) == {at: 3}
    finally:
        await consumer.stop()


@pytest.mark.parametrize("at", [0, 1_000, 1_767_225_600_000, 4_102_444_800_000], ids=["1970", "+1s", "2026", "2100"])
async def test_events_keep_the_timestamp_they_were_sent_with(new_settings: NewSettings, at: int) -> None:
    settings = await new_settings(partitions=1, events_retention_ms=topics.FOREVER_MS)
    web = topics.topics(settings).web.name
    producer = AIOKafkaProducer(bootstrap_servers=list(settings.brokers))
    await producer.start()
    try:
        await producer.send_and_wait(web, b"{}", partition=0, timestamp_ms=at)
    finally:
        await producer.stop()
    consumer = AIOKafkaConsumer(web, bootstrap_servers=list(settings.brokers), auto_offset_reset="earliest")
    await consumer.start()
    try:
        assert (await consumer.getone()).timestamp == at
    finally:
        await consumer.stop()


async def test_a_group_keeps_the_offsets_it_committed(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    web = topics.topics(settings).web.name
    await publish(settings, [(web, b"a", b"x")] * 5)
    at = TopicPartition(web, 0)
    for expected, following in ((None, 2), (2, 5)):
        consumer = AIOKafkaConsumer(
            bootstrap_servers=list(settings.brokers), group_id=settings.app_id, enable_auto_commit=False
        )
        await consumer.start()
        try:
            consumer.assign([at])
            assert await consumer.committed(at) == expected
            await consumer.commit({at: OffsetAndMetadata(following, "")})
        finally:
            await consumer.stop()


@pytest.mark.differs(on="embedded", why="no transactions")
async def test_a_transaction_is_seen_whole_or_not_at_all(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    segments = topics.topics(settings).segments.name
    producer = AIOKafkaProducer(
        bootstrap_servers=list(settings.brokers), transactional_id=settings.app_id, request_timeout_ms=5_000
    )
    try:
        await producer.start()
        async with producer.transaction():
            await producer.send(segments, b"kept", partition=0)
        await producer.begin_transaction()
        await producer.send_and_wait(segments, b"dropped", partition=0)
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send(segments, b"kept too", partition=0)
    finally:
        await producer.stop()
    consumer = AIOKafkaConsumer(
        segments,
        bootstrap_servers=list(settings.brokers),
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    await consumer.start()
    try:
        assert [(await consumer.getone()).value for _ in range(2)] == [b"kept", b"kept too"]
    finally:
        await consumer.stop()


@pytest.mark.differs(on="embedded", why="DescribeConfigs tells only what was given when the topic was made")
async def test_a_broker_tells_the_options_of_a_topic_that_was_made_without_any(broker: BrokerAt) -> None:
    name = f"t{uuid.uuid4().hex[:8]}"
    client = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await client.start()
    try:
        await client.create_topics([NewTopic(name, 1, 1)])
        entries: list[tuple[str, str]] = []
        async with asyncio.timeout(20):
            while not entries:  # a broker may not know at once of a topic that it has just made
                (told,) = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
                ((_, _, _, _, entries),) = told.resources
    finally:
        await client.close()
    options = {entry[0]: entry[1] for entry in entries}
    assert options["cleanup.policy"] == "delete"
    assert int(options["retention.ms"]) == 7 * DAY_MS


@pytest.mark.differs(on="embedded", why="it takes any options")
async def test_an_option_that_makes_no_sense_is_refused_with_the_topics_name(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1)
    odd = topics.Topic(name=f"{settings.topic_prefix}odd", key="", value="", what="", max_bytes=-5)
    with pytest.raises(topics.TopicsError, match=rf"{odd.name}: the broker does not create it: InvalidConfig"):
        await topics.create(settings, [odd])


@pytest.mark.differs(on="embedded", why="it makes topics with any number of copies and keeps one")
async def test_more_copies_than_brokers_are_refused_with_the_topics_name(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=1, replication_factor=1)
    wanted = topics.Topic(name=f"{settings.topic_prefix}wanted", key="", value="", what="")
    many = Settings(brokers=settings.brokers, partitions=1, replication_factor=3)
    with pytest.raises(topics.TopicsError, match=rf"{wanted.name}: the broker does not create it: InvalidReplication"):
        await topics.create(many, [wanted])
