"""What a worker finds wrong with a broker's topics before it processes anything."""

import asyncio
import logging
import sys
from typing import Any

import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from app import topics
from app.engine import startup
from app.engine.startup import Found, faults_of
from app.settings import Settings
from app.topics import Topic
from tests.engine.conftest import NewSettings
from tests.engine.test_worker import environment
from tests.processes import LEADSTREAM, ROOT


async def alter(settings: Settings, topic: Topic, **changes: str | None) -> None:
    """Change options of a topic (`_` for `.`); None removes one."""
    config = {**topic.config, "min.insync.replicas": "1"}
    config.update({name.replace("_", "."): value for name, value in changes.items()})  # type: ignore[misc]
    client = AIOKafkaAdminClient(bootstrap_servers=list(settings.brokers))
    await client.start()
    try:
        kept = {name: value for name, value in config.items() if value is not None}
        (told,) = await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, kept)])
        assert [entry[0] for entry in told.resources] == [0], told
    finally:
        await client.close()


async def worker_says(settings: Settings) -> tuple[int | None, str]:
    """Run a worker process: its exit status and what it said."""
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, *LEADSTREAM, "worker"),
        cwd=ROOT,
        env={name: value for name, value in environment(settings).items() if name != "LEADSTREAM_LOG_LEVEL"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(40):
            said, _ = await worker.communicate()
    finally:
        if worker.returncode is None:
            worker.kill()
            await worker.wait()
    return worker.returncode, said.decode()


async def test_topics_that_were_made_by_the_program_are_right(
    new_settings: NewSettings, caplog: pytest.LogCaptureFixture
) -> None:
    settings = await new_settings(partitions=2)
    with caplog.at_level(logging.WARNING, logger="app"):
        await startup.check(settings)
    assert caplog.messages == []


ALTERED: list[tuple[str, dict[str, str | None], str]] = [
    ("changelog", {"cleanup_policy": "delete"}, "cleanup.policy is delete, expected compact: the newest record"),
    ("profiles", {"cleanup_policy": "compact,delete"}, "cleanup.policy is compact,delete, expected compact: "),
    ("web", {"cleanup_policy": "compact"}, "cleanup.policy is compact, expected delete: records of one key"),
    ("changelog", {"max_message_bytes": "1048588"}, "max.message.bytes is 1048588, expected 10485760 or more: larger"),
    ("commands", {"max_message_bytes": "1048588"}, "max.message.bytes is 1048588, expected 10485760 or more: larger"),
    ("crm", {"max_message_bytes": "1048588"}, "max.message.bytes is 1048588, expected 8388608 or more: larger"),
    (
        "changelog",
        {"min_compaction_lag_ms": "60000"},
        "min.compaction.lag.ms is 60000, expected 3600000 or more: a lane",
    ),
    (
        "changelog",
        {"delete_retention_ms": "3600000"},
        "delete.retention.ms is 3600000, expected 86400000 or more: a worker with an older local copy",
    ),
    (
        "commands",
        {"retention_ms": "3600000"},
        "retention.ms is 3600000, expected 604800000 or more (commands_retention_ms): records could go",
    ),
    (
        "changelog",
        {"min_insync_replicas": "2"},
        "min.insync.replicas is 2, expected 1 at most, the number of copies: no record could ever be written",
    ),
]


@pytest.mark.parametrize(("name", "changes", "said"), ALTERED, ids=[f"{a} {next(iter(b))}" for a, b, _ in ALTERED])
async def test_an_option_that_would_lose_something_is_told_with_its_topic_and_a_command(
    kafka_settings: NewSettings, name: str, changes: dict[str, str | None], said: str
) -> None:
    settings = await kafka_settings(partitions=1)
    topic: Topic = getattr(topics.topics(settings), name)
    await alter(settings, topic, **changes)
    with pytest.raises(startup.StartupError) as error:
        await startup.check(settings)
    (option,) = changes
    (line,) = str(error.value).splitlines()[1:]
    assert line.startswith(f"- {topic.name}: {said}")
    fix = f"kafka-configs.sh --bootstrap-server {settings.brokers[0]} --alter --entity-type topics --entity-name "
    assert f"To mend it: {fix}{topic.name} --add-config {option.replace('_', '.')}=" in line


async def test_more_than_is_needed_is_right(kafka_settings: NewSettings) -> None:
    settings = await kafka_settings(partitions=1)
    known = topics.topics(settings)
    await alter(settings, known.web, retention_ms="-1", max_message_bytes="20000000")
    await alter(settings, known.changelog, min_compaction_lag_ms="7200000", max_message_bytes="20000000")
    await startup.check(settings)


async def test_fewer_copies_than_configured_are_told_of_every_topic(kafka_settings: NewSettings) -> None:
    settings = await kafka_settings(partitions=1)
    wants = msgspec.structs.replace(settings, replication_factor=3, min_insync_replicas=2)
    with pytest.raises(startup.StartupError) as error:
        await startup.check(wants)
    lines = str(error.value).splitlines()[1:]
    for topic in topics.topics(settings).all():
        copies, synced = (line for line in lines if line.startswith(f"- {topic.name}: "))
        assert "replication factor is 1, expected 3 or more (replication_factor): " in copies
        assert "kafka-reassign-partitions.sh with 3 replicas" in copies
        assert "min.insync.replicas is 1, expected 2 or more (min_insync_replicas): " in synced


async def test_another_number_of_partitions_is_told(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=2)
    with pytest.raises(topics.TopicsError, match=r"every topic must have 3 partitions, but .*events\.web has 2, "):
        await startup.check(msgspec.structs.replace(settings, partitions=3))


async def test_a_worker_that_finds_a_fault_ends_before_it_processes_anything(kafka_settings: NewSettings) -> None:
    settings = await kafka_settings(partitions=1)
    changelog = topics.topics(settings).changelog
    await alter(settings, changelog, cleanup_policy="delete", max_message_bytes="1000012")
    status, said = await worker_says(settings)
    assert status == 1
    assert said.splitlines()[0] == "Error: topics are not as lanes need them:"
    assert [line.split(" is ")[0] for line in said.splitlines()[1:]] == [
        f"- {changelog.name}: cleanup.policy",
        f"- {changelog.name}: max.message.bytes",
    ]
    assert not list(settings.data_dir.glob("*")), "it opened its databases"


async def test_a_broker_without_transactions_is_refused_in_one_line(embedded_settings: NewSettings) -> None:
    settings = await embedded_settings(partitions=1, processing_guarantee="exactly_once")
    status, said = await worker_says(settings)
    assert status == 1
    (line,) = [line for line in said.splitlines() if line.startswith("Error: ")]
    assert line.startswith("Error: processing_guarantee exactly_once: this broker begins no transaction (UnknownError)")
    assert line.endswith("or at_least_once")


async def test_a_broker_that_gives_transactions_less_time_than_a_worker_may_need_is_refused(
    kafka_settings: NewSettings,
) -> None:
    settings = await kafka_settings(partitions=1, processing_guarantee="exactly_once")
    await startup.check(settings)
    patient = msgspec.structs.replace(settings, request_timeout_ms=600_100)
    with pytest.raises(startup.StartupError, match=r"transaction\.max\.timeout\.ms of 900150 or more"):
        await startup.check(patient)


async def test_a_broker_that_does_not_tell_is_told_of_and_passes(
    embedded_settings: NewSettings, caplog: pytest.LogCaptureFixture
) -> None:
    settings = await embedded_settings(partitions=1, app_id="bare")
    bare = Topic(name=f"{settings.topic_prefix}bare", key="", value="", what="", retention_ms=1)
    client = AIOKafkaAdminClient(bootstrap_servers=list(settings.brokers))
    await client.start()
    try:
        await client.create_topics([NewTopic(bare.name, 1, 1)])
    finally:
        await client.close()
    with caplog.at_level(logging.WARNING, logger="app"):
        await startup.check(settings, [bare])
    assert caplog.messages == [
        "the broker does not tell cleanup.policy, max.message.bytes, min.insync.replicas, retention.ms of some topics: "
        "not checked"
    ]


def found(topic: Topic, **changes: Any) -> Found:
    return Found(topic.name, 8, changes.pop("copies", 3), {**topic.config, "min.insync.replicas": "2", **changes})


@pytest.mark.parametrize("topic", topics.topics(Settings()).all(), ids=lambda topic: topic.name)
def test_a_topic_as_the_program_makes_it_has_no_fault(topic: Topic) -> None:
    assert list(faults_of(Settings(), topic, found(topic))) == []


def test_the_fix_of_an_option_is_a_command_that_sets_what_is_needed() -> None:
    web = topics.topics(Settings()).web
    (fault,) = faults_of(Settings(), web, found(web, **{"retention.ms": "1000"}))
    assert fault.fix == (
        "kafka-configs.sh --bootstrap-server 127.0.0.1:9092 --alter --entity-type topics --entity-name events.web "
        "--add-config retention.ms=604800000"
    )
