"""What a worker asks of the broker before it processes anything: that the topics are as lanes need them."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    for_code,
)

from app.engine.transactions import Transactions
from app.settings import Settings
from app.topics import Topic, TopicsError, admin, check_there, topics

log = logging.getLogger(__name__)

UNLIMITED: Final = -1


class StartupError(TopicsError):
    """Topics would lose or double something; says of each what was found, what is expected, and how to mend it."""


class Found(msgspec.Struct, frozen=True):
    """A topic as the broker has it."""

    name: str
    partitions: int
    copies: int
    """The fewest that a partition has."""
    config: Mapping[str, str]
    """Options in force; those that the broker does not tell are absent."""


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with a topic."""

    topic: str
    what: str
    """The option, as Kafka calls it."""
    found: str
    expected: str
    why: str
    fix: str
    """A command, with Kafka's own tools."""

    def __str__(self) -> str:
        return (
            f"{self.topic}: {self.what} is {self.found}, expected {self.expected}: {self.why}. To mend it: {self.fix}"
        )


async def check(settings: Settings, wanted: Sequence[Topic] | None = None) -> None:
    """Compare every topic with what the settings and the lanes need. What the broker does not tell is logged.

    Raises:
        TopicsError: no broker answers, or topics are missing or have another number of partitions.
        StartupError: a topic's copies or options are not what is needed.
    """
    specs = tuple(wanted) if wanted is not None else topics(settings).all()
    async with admin(settings) as client:
        found = {topic.name: topic for topic in await _look(client, [spec.name for spec in specs])}
        check_there(settings, specs, {name: topic.partitions for name, topic in found.items()})
        options = await _options(client, list(found))
    found = {name: msgspec.structs.replace(topic, config=options[name]) for name, topic in found.items()}
    silent = sorted(
        {option for spec in specs for option in _needed(settings, spec) if option not in options[spec.name]}
    )
    if silent:
        log.warning("the broker does not tell %s of some topics: not checked", ", ".join(silent))
    faults = [fault for spec in specs for fault in faults_of(settings, spec, found[spec.name])]
    if faults:
        raise StartupError("topics are not as lanes need them:\n" + "\n".join(f"- {fault}" for fault in faults))
    if settings.exactly_once:
        await _check_transactions(settings)


async def _check_transactions(settings: Settings) -> None:
    """Have the broker begin a transaction, of nobody's. Raises StartupError: it does not."""
    name = f"{settings.app_id}/start"
    try:
        async with Transactions(settings, name):
            pass
    except TransactionalIdAuthorizationFailed as error:
        raise StartupError(
            f"processing_guarantee exactly_once: this user may not write transactions. To mend it: kafka-acls.sh --add "
            f"--transactional-id {settings.app_id}/ --resource-pattern-type prefixed --operation Describe --operation "
            "Write, with --allow-principal of the worker's user"
        ) from error
    except TimeoutError as error:
        raise StartupError(
            f"processing_guarantee exactly_once: no transaction began within {settings.request_timeout_ms} ms; has "
            "__transaction_state as many copies in sync as transaction.state.log.min.isr wants?"
        ) from error
    except KafkaError as error:
        raise StartupError(
            f"processing_guarantee exactly_once: this broker begins no transaction ({type(error).__name__}). Use a "
            f"Kafka with transaction.max.timeout.ms of {settings.transaction_timeout_ms} or more, or at_least_once"
        ) from error


def faults_of(settings: Settings, spec: Topic, found: Found) -> Iterator[Fault]:
    """Yield what is wrong with a topic of which the number of partitions is right."""
    if found.copies < settings.replication_factor:
        yield Fault(
            spec.name,
            "replication factor",
            str(found.copies),
            f"{settings.replication_factor} or more (replication_factor)",
            "a broker that is lost would take records with it that were acknowledged",
            f"kafka-reassign-partitions.sh with {settings.replication_factor} replicas for each of its partitions, "
            "or lower replication_factor",
        )
    for option, need in _needed(settings, spec).items():
        value = found.config.get(option)
        if value is not None and not need.holds(value):
            yield Fault(spec.name, option, value, need.expected, need.why, _alter(settings, spec, option, need.value))
    synced = int(found.config.get("min.insync.replicas", 1))
    if synced > found.copies:
        yield Fault(
            spec.name,
            "min.insync.replicas",
            str(synced),
            f"{found.copies} at most, the number of copies",
            "no record could ever be written",
            _alter(settings, spec, "min.insync.replicas", str(settings.min_insync_replicas)),
        )


class _Need(msgspec.Struct, frozen=True):
    """What an option of a topic must be."""

    value: str
    why: str
    at_least: bool = True
    """A number that may also be larger, or -1 for no limit; else a set of words."""
    setting: str = ""
    """Which of ours it comes from."""

    @property
    def expected(self) -> str:
        or_more = " or more" if self.at_least else ""
        return f"{self.value}{or_more}" + (f" ({self.setting})" if self.setting else "")

    def holds(self, found: str) -> bool:
        if self.at_least:
            return int(found) == UNLIMITED or int(found) >= int(self.value)
        return {word.strip() for word in found.split(",")} == set(self.value.split(","))


_KEPT_BY_KEY: Final = "the newest record of each key must stay, however old it is"
_KEPT_BY_TIME: Final = "records of one key must not replace each other"


def _needed(settings: Settings, spec: Topic) -> dict[str, _Need]:
    """Return the options that matter, with what they must be at least."""
    needed = {
        "cleanup.policy": _Need(
            spec.cleanup, _KEPT_BY_KEY if spec.cleanup == "compact" else _KEPT_BY_TIME, at_least=False
        ),
        "max.message.bytes": _Need(str(spec.max_bytes), "larger batches would be refused and end the worker"),
        "min.insync.replicas": _Need(
            str(settings.min_insync_replicas),
            "records would count as written while fewer copies have them",
            setting="min_insync_replicas",
        ),
    }
    if spec.compaction_lag_ms is not None:
        needed["min.compaction.lag.ms"] = _Need(
            str(spec.compaction_lag_ms), "a lane must find whole what others appended a moment ago"
        )
    if spec.deletions_kept_ms is not None:
        needed["delete.retention.ms"] = _Need(
            str(spec.deletions_kept_ms), "a worker with an older local copy would keep rows that were deleted"
        )
    if spec.retention_ms is not None:
        needed["retention.ms"] = _Need(
            str(spec.retention_ms), "records could go before they are read", setting=_retention(spec)
        )
    return needed


def _retention(spec: Topic) -> str:
    if spec.name.endswith("leads.commands"):
        return "commands_retention_ms"
    return "outputs_retention_ms" if spec.written_by_lanes else "events_retention_ms"


def _alter(settings: Settings, spec: Topic, option: str, value: str) -> str:
    server = settings.brokers[0]
    return (
        f"kafka-configs.sh --bootstrap-server {server} --alter --entity-type topics --entity-name {spec.name} "
        f"--add-config {option}={value}"
    )


async def _look(client: Any, names: Sequence[str]) -> list[Found]:
    """Return the topics that are there, without their options."""
    there = set(await client.list_topics())
    known = [name for name in names if name in there]
    described = await client.describe_topics(known) if known else []
    return [
        Found(
            entry["topic"],
            len(entry["partitions"]),
            min((len(partition["replicas"]) for partition in entry["partitions"]), default=0),
            {},
        )
        for entry in described
        if not entry["error_code"]
    ]


async def _options(client: Any, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the options that the broker tells of each topic. Raises StartupError: it may not be asked."""
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    options: dict[str, dict[str, str]] = {}
    for response in await client.describe_configs(asked):
        for code, message, _, name, entries, *_ in response.resources:
            error = for_code(code)
            if error is TopicAuthorizationFailedError:
                raise StartupError(
                    f"{name}: this user may not see its options. To mend it: kafka-acls.sh --add --topic {name} "
                    "--operation Describe --operation DescribeConfigs, with --allow-principal of the worker's user"
                )
            if code:
                raise StartupError(f"{name}: the broker does not tell the topic's options: {error.__name__}: {message}")
            options[name] = {entry[0]: entry[1] for entry in entries if entry[1] is not None}
    return options
