"""Steps as Kafka transactions: who reads what is committed sees each output once, and nothing of a step that died."""

import asyncio
import shutil
import time
from collections import Counter

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from app import topics
from app.engine.protocol import META_KEY, FencedError, decode_meta
from app.engine.web import serving
from app.engine.worker import build, running
from app.settings import Settings
from tests.engine.broker_io import publish, read_all, read_once
from tests.engine.conftest import NewSettings
from tests.engine.harness import Crash, CrashError, Station, crashes, live, live_on
from tests.engine.scrape import free_port, scrape
from tests.engine.test_crashes import messages, tens
from tests.engine.test_refused import KEPT, SMALL_STEPS, Sized, kept, sized
from tests.engine.test_takeover import compacted, local
from tests.engine.test_worker import committed
from tests.engine.toy import toy, toy_of

POINTS = (
    *("before append", "after append", "before send", "after send", "before commit", "after commit"),
    *("before write", "after write"),
)


async def uncommitted(settings: Settings, topic: str) -> int:
    """How many records a consumer reads that takes whatever is there, from a topic of one partition."""
    place = TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=list(settings.brokers), auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([place])
        end, found = (await consumer.end_offsets([place]))[place], 0
        while await consumer.position(place) < end:
            found += len((await consumer.getmany(place, timeout_ms=200)).get(place, ()))
    finally:
        await consumer.stop()
    return found


async def test_a_lane_that_crashes_anywhere_sends_nothing_twice(kafka_settings: NewSettings) -> None:
    settings = await kafka_settings(step_records=60, processing_guarantee="exactly_once")
    made, expected = messages(settings, 4_000, seed=2)
    ends = await publish(settings, made)
    deaths = crashes(POINTS, range(5, 16), lives=80, seed=3)
    counts, died = await live_on(settings, toy_of(settings), ends, deaths)
    assert set(died) == set(POINTS)
    assert counts == expected
    segments = topics.topics(settings).segments.name
    told = Counter((record.key, record.value) for record in await read_all(settings, segments))
    assert told == tens(expected), "an output came twice, or never"
    shutil.rmtree(settings.data_dir)
    assert await live(settings, toy_of(settings), ends) == expected, "the changelog alone says the same"


async def test_of_a_step_that_was_not_committed_nothing_is_there(kafka_settings: NewSettings) -> None:
    settings = await kafka_settings(partitions=1, processing_guarantee="exactly_once")
    known = topics.topics(settings)
    changelog = topics.changelog(settings, "leads").name
    ends = await publish(settings, [(known.web.name, b"a", b"x")] * 10)
    # The first transaction is the marker's; the second one's step has all been produced when the lane dies.
    assert await live(settings, toy_of(settings), ends, Crash("before commit", 2)) is None
    assert await uncommitted(settings, known.segments.name) == 1, "the output had been sent"
    async with Station(settings, toy_of(settings)) as next_life:
        await next_life.open()
        assert next_life.counts() == {}
        assert await read_all(settings, known.segments.name) == []
        assert all(record.key != b"ka" for record in await read_all(settings, changelog))
        await next_life.run(ends)
        assert next_life.counts() == {b"a": 10}
    assert [record.value for record in await read_all(settings, known.segments.name)] == [b"10"]


async def test_a_zombie_is_fenced_and_nothing_it_sends_is_there(kafka_settings: NewSettings) -> None:
    settings = await kafka_settings(partitions=1, processing_guarantee="exactly_once")
    other_disk = await kafka_settings(
        partitions=1,
        app_id=settings.app_id,
        topic_prefix=settings.topic_prefix,
        processing_guarantee="exactly_once",
    )
    known = topics.topics(settings)
    ends = await publish(settings, [(known.web.name, b"a", b"x")] * 9)
    async with Station(settings, toy_of(settings)) as old, Station(other_disk, toy_of(settings)) as new:
        await old.open()
        await old.run(ends)
        await new.open()
        before = len(await read_all(settings, topics.changelog(settings, "leads").name))
        ends = await publish(settings, [(known.web.name, b"a", b"x")])
        with pytest.raises(FencedError, match="another worker took it over"):
            await old.run(ends)
        assert len(await read_all(settings, topics.changelog(settings, "leads").name)) == before
        assert await read_all(settings, known.segments.name) == []
        await new.run(ends)
        assert new.counts() == {b"a": 10}
    assert [record.value for record in await read_all(settings, known.segments.name)] == [b"10"]


async def test_a_former_owner_without_transactions_is_fenced_by_the_epoch_and_written_over(
    kafka_settings: NewSettings,
) -> None:
    before = await kafka_settings(partitions=1)
    settings = await kafka_settings(
        partitions=1, app_id=before.app_id, topic_prefix=before.topic_prefix, processing_guarantee="exactly_once"
    )
    known = topics.topics(settings)
    ends = await publish(before, [(known.web.name, b"a", b"x")] * 9)
    async with Station(before, toy_of(before)) as old, Station(settings, toy_of(settings)) as new:
        await old.open()
        await old.run(ends)
        await new.open()
        ends = await publish(settings, [(known.web.name, b"a", b"x"), (known.web.name, b"b", b"x")])
        with pytest.raises(FencedError, match="epoch 2 owns it, not 1"):
            await old.run(ends)
        assert await read_all(settings, known.segments.name) == []
        assert (await compacted(settings))[b"ka"] == b"10", "it had appended its step all the same"
        await new.run(ends)
        assert new.counts() == {b"a": 10, b"b": 1}
        assert await compacted(settings) == local(new)
    shutil.rmtree(before.data_dir)
    async with Station(before, toy_of(before)) as rebuilt:
        await rebuilt.open()
        assert rebuilt.counts() == {b"a": 10, b"b": 1}
    assert [record.value for record in await read_all(settings, known.segments.name)] == [b"10"]


async def test_a_transaction_that_a_dead_owner_left_open_is_aborted_before_the_changelog_is_read(
    kafka_settings: NewSettings,
) -> None:
    settings = await kafka_settings(partitions=1, processing_guarantee="exactly_once", request_timeout_ms=20_000)
    known = topics.topics(settings)
    ends = await publish(settings, [(known.web.name, b"a", b"x")] * 10)
    async with Station(settings, toy_of(settings)) as dead:
        dead.crash = Crash("after send", 1)
        await dead.open()
        with pytest.raises(CrashError):
            await dead.run(ends)
        # It hangs there; whoever reads the changelog to its end now would wait until the broker gives it up.
        shutil.copytree(settings.data_dir, settings.data_dir.with_suffix(".copy"))
        copy = await kafka_settings(
            partitions=1,
            app_id=settings.app_id,
            topic_prefix=settings.topic_prefix,
            processing_guarantee="exactly_once",
        )
        async with Station(copy, toy_of(copy)) as heir:
            await heir.open()
            await heir.run(ends)
            assert heir.counts() == {b"a": 10}
            assert heir.lanes[0].rows.epoch == 2
    assert [record.value for record in await read_all(settings, known.segments.name)] == [b"10"]


async def test_a_step_too_large_for_its_batch_is_halved_into_transactions(
    kafka_settings: NewSettings, caplog: pytest.LogCaptureFixture
) -> None:
    settings = await kafka_settings(
        partitions=1, processing_guarantee="exactly_once", step_bytes=65_536, step_records=2_000
    )
    made = [(topics.topics(settings).web.name, b"%06d" % n * 20, b"x") for n in range(2_000)]
    ends = await publish(settings, made)
    async with Station(settings, toy_of(settings), fetch=2_000) as station:
        await station.open()
        await station.run(ends)
        assert station.lanes[0].counts["steps_halved"] > 0
        assert len(station.counts()) == 2_000
    assert "stale rows" not in caplog.text, "a transaction's marker was taken for somebody's records"


async def test_a_record_that_fits_no_batch_is_refused_once_whatever_dies_meanwhile(
    kafka_settings: NewSettings,
) -> None:
    settings = await kafka_settings(**SMALL_STEPS, processing_guarantee="exactly_once")
    ends = await publish(settings, sized(settings))
    deaths = [Crash(point, nth) for point in ("after append", "after send", "before commit") for nth in (1, 2)]
    await live_on(settings, lambda _: Sized(settings), ends, deaths)
    async with Station(settings, lambda _: Sized(settings)) as station:
        await station.open()
        assert kept(station) == KEPT
    rejected = await read_all(settings, topics.topics(settings).rejected.name)
    assert [(record.key, record.value) for record in rejected] == [(b"b", b"too large"), (b"e", b"too large")]


async def test_the_last_outbox_of_the_days_before_is_sent_once_more_and_never_again(
    kafka_settings: NewSettings,
) -> None:
    before = await kafka_settings(partitions=1)
    settings = await kafka_settings(
        partitions=1,
        app_id=before.app_id,
        topic_prefix=before.topic_prefix,
        data_dir=before.data_dir,
        processing_guarantee="exactly_once",
    )
    known = topics.topics(before)
    ends = await publish(before, [(known.web.name, b"a", b"x")] * 10)
    assert await live(before, toy_of(before), ends, Crash("before send", 1)) is None
    for _ in range(3):
        assert await live(settings, toy_of(settings), ends) == {b"a": 10}
        assert [record.value for record in await read_all(settings, known.segments.name)] == [b"10"]
    assert await live(before, toy_of(before), ends) == {b"a": 10}
    assert await read_once(settings, known.segments.name) == [(b"a", b"10")]


async def test_the_group_knows_the_offsets_of_each_step(kafka_settings: NewSettings) -> None:
    settings = await kafka_settings(partitions=1, processing_guarantee="exactly_once")
    web = topics.topics(settings).web.name
    ends = await publish(settings, [(web, b"a", b"x")] * 7)
    assert await live(settings, toy_of(settings), ends) == {b"a": 7}
    consumer = AIOKafkaConsumer(
        bootstrap_servers=list(settings.brokers), group_id=settings.app_id, enable_auto_commit=False
    )
    await consumer.start()
    try:
        assert await consumer.committed(TopicPartition(web, 0)) == 7
    finally:
        await consumer.stop()


async def test_a_meta_row_keeps_no_outbox_that_was_committed_with_it(kafka_settings: NewSettings) -> None:
    settings = await kafka_settings(partitions=1, processing_guarantee="exactly_once")
    ends = await publish(settings, [(topics.topics(settings).web.name, b"a", b"x")] * 10)
    assert await live(settings, toy_of(settings), ends) == {b"a": 10}
    log = await read_all(settings, topics.changelog(settings, "leads").name)
    metas = [decode_meta(record.value) for record in log if record.key == META_KEY]
    assert metas
    assert metas[-1].sent == {f"{topics.topics(settings).segments.name}/0": 1}
    assert all(meta.outbox == [] for meta in metas)


async def test_a_worker_sends_each_output_once_over_its_restarts(kafka_settings: NewSettings) -> None:
    settings = await kafka_settings(partitions=2, processing_guarantee="exactly_once", web_port=free_port())
    known = topics.topics(settings)
    made, expected = messages(settings, 2_000, seed=31)
    ends = {}
    for start in (0, 1_000):
        ends |= await publish(settings, made[start : start + 1_000])
        async with running(build(settings, [toy])) as engine, serving(engine) as port:
            await engine.drained(ends)
            assert (await scrape(port))["leadstream_outbox_resent_total", ()] == 0
            deadline = time.monotonic() + 20
            while any(lag for (name, _), lag in (await scrape(port)).items() if name == "leadstream_lag"):
                assert time.monotonic() < deadline, "a marker at the end of leads.commands counts as a record"
                await asyncio.sleep(0.05)
        hints = await committed(settings)
        assert {at: hints[at] for at in ends} == ends
    async with Station(settings, toy_of(settings), fetch=2_000) as station:
        await station.open()
        assert station.counts() == expected
    records = Counter((record.key, record.value) for record in await read_all(settings, known.segments.name))
    assert records == tens(expected)


async def test_events_of_a_trackers_transaction_that_was_aborted_do_not_count(kafka_settings: NewSettings) -> None:
    settings = await kafka_settings(partitions=1)
    web = topics.topics(settings).web.name
    producer = AIOKafkaProducer(bootstrap_servers=list(settings.brokers), transactional_id=settings.app_id + "-tracker")
    async with producer, running(build(settings, [toy])) as engine:
        for key, kept in ((b"a", True), (b"b", False), (b"a", True), (b"b", False)):
            await producer.begin_transaction()
            await producer.send_and_wait(web, b"x", key=key, partition=0)
            await (producer.commit_transaction() if kept else producer.abort_transaction())
        await engine.drained({(web, 0): 5})
        deadline = time.monotonic() + 20
        while engine.highwater(web, 0) != 5:
            assert time.monotonic() < deadline, "what was aborted counts as a record that is to come"
            await asyncio.sleep(0.02)
        (lane,) = engine.lanes.values()
        assert (lane.rows.get(b"ka"), lane.rows.get(b"kb")) == (b"2", None)
