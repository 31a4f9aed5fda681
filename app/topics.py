"""Every topic as data, and how a broker is brought to have them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, TopicAlreadyExistsError, for_code

from app.connection import BrokerError, client_options, reach
from app.settings import MIB, Settings

HOUR_MS: Final = 3_600_000
DELETIONS_KEPT_MS: Final = 24 * HOUR_MS
"""For how long at least a changelog tells that a row was deleted; Kafka's default."""
FOREVER_MS: Final = 2**63 - 1
INPUT_BYTES: Final = 8 * MIB
"""What `events.*` admit: a message above 1,000,000 bytes is rejected by the lane, not lost by the broker."""
VERSION_BYTES: Final = 8 * MIB
"""What `rules` admits: a version with its rates, as JSON."""


class TopicsError(RuntimeError):
    """The broker's topics are not what the program needs; says which and what to do."""


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One topic."""

    name: str
    """With the prefix of the settings."""
    key: str
    """What its key is."""
    value: str
    """What its value is."""
    what: str
    """What it is for."""
    retention_ms: int | None = None
    """None = kept for ever (compacted topics)."""
    cleanup: Literal["delete", "compact"] = "delete"
    max_bytes: int = MIB
    """Largest record batch, bytes."""
    written_by_lanes: bool = False
    """Every record that a lane sends has `{lane, epoch, seq}` headers and no other program may forge them."""
    compaction_lag_ms: int | None = None
    deletions_kept_ms: int | None = None
    """How long compaction keeps the null of a key that was deleted."""
    any_time: bool = False
    """Records may carry any timestamp; Kafka 4 refuses those that are more than an hour ahead unless it is told so."""

    @property
    def config(self) -> dict[str, str]:
        """Topic options as the broker takes them, without min.insync.replicas."""
        options = {"cleanup.policy": self.cleanup, "max.message.bytes": str(self.max_bytes)}
        if self.retention_ms is not None:
            options["retention.ms"] = str(self.retention_ms)
        if self.compaction_lag_ms is not None:
            options["min.compaction.lag.ms"] = str(self.compaction_lag_ms)
        if self.deletions_kept_ms is not None:
            options["delete.retention.ms"] = str(self.deletions_kept_ms)
        if self.any_time:
            options["message.timestamp.after.max.ms"] = str(FOREVER_MS)
        return options


class Topics(msgspec.Struct, frozen=True, kw_only=True):
    """All topics of one installation."""

    web: Topic
    email: Topic
    cart: Topic
    crm: Topic
    commands: Topic
    segments: Topic
    conversions: Topic
    profiles: Topic
    merged: Topic
    rejected: Topic
    erased: Topic
    rules: Topic
    models: Topic
    changelog: Topic

    @property
    def inputs(self) -> tuple[Topic, ...]:
        """The five topics that a lane of the leads agent reads."""
        return (self.web, self.email, self.cart, self.crm, self.commands)

    def all(self) -> tuple[Topic, ...]:
        """Every topic, inputs first."""
        return tuple(getattr(self, field) for field in self.__struct_fields__)

    def named(self, name: str) -> Topic | None:
        """Return the topic of this full name, if it is one of them."""
        return next((topic for topic in self.all() if topic.name == name), None)


def changelog(settings: Settings, table: str) -> Topic:
    """Return the changelog topic of a lanes' table; a step of a lane is one batch of it."""
    return Topic(
        name=f"{settings.topic_prefix}{settings.app_id}-{table}-changelog",
        key="row's key",
        value="row, or null when deleted",
        what=f"Every change of the {table} table, one record batch a step; a worker rebuilds its state from it.",
        cleanup="compact",
        compaction_lag_ms=HOUR_MS,
        deletions_kept_ms=DELETIONS_KEPT_MS,
        max_bytes=settings.largest_batch_bytes,
    )


def topics(settings: Settings) -> Topics:
    """Return every topic under the names and limits of the settings."""

    def events(name: str, what: str) -> Topic:
        return Topic(
            name=f"{settings.topic_prefix}events.{name}",
            key="identifier, bare",
            value="JSON, Segment spec",
            what=what,
            retention_ms=settings.events_retention_ms,
            max_bytes=INPUT_BYTES,
            any_time=True,
        )

    def output(name: str, key: str, value: str, what: str, **options: Any) -> Topic:
        settled: dict[str, Any] = {
            "retention_ms": settings.outputs_retention_ms,
            "written_by_lanes": True,
            # Each output stands in the batch of its step. One that its topic did not take would end its lane for ever.
            "max_bytes": settings.largest_batch_bytes,
        }
        return Topic(name=f"{settings.topic_prefix}{name}", key=key, value=value, what=what, **{**settled, **options})

    kept: dict[str, Any] = {"retention_ms": None, "cleanup": "compact"}
    return Topics(
        web=events("web", "What trackers on websites and in apps saw."),
        email=events("email", "What mailers report: sent, delivered, opened, clicked, bounced."),
        cart=events("cart", "What the shop reports: carts, checkouts, orders, refunds."),
        crm=events("crm", "Conversations, sales feedback, offline orders, traits."),
        commands=output(
            "leads.commands",
            "identifier, bare",
            "command, msgpack",
            "What lanes tell each other: forwarded events, link, point, absorb, erase; and what operators tell them.",
            retention_ms=settings.commands_retention_ms,
        ),
        segments=output("leads.segments", "brand/lead_id", "JSON, segment_change", "Each change of stage or segments."),
        conversions=output(
            "leads.conversions", "brand/lead_id", "JSON, conversion", "Each conversion and each revision of its credit."
        ),
        profiles=output(
            "leads.profiles",
            "brand/lead_id",
            "JSON, profile; null when the lead is gone",
            "Each lead as it is.",
            **kept,
        ),
        merged=output("leads.merged", "absorbed lead_id", "JSON, lead_merged", "Which lead became part of which."),
        rejected=output(
            "events.rejected", "as it came", "JSON, why and the original", "Messages that are no events, never lost."
        ),
        erased=output(
            "leads.erased", "hashed identifier", "time of the erasure", "Erasures, read before a rebuild.", **kept
        ),
        rules=output(
            "rules",
            "brand",
            "JSON, version of the rules",
            "The rules published last.",
            **kept,
            written_by_lanes=False,
            max_bytes=VERSION_BYTES,
        ),
        models=output("attribution.models", "brand/goal", "JSON, model", "Data-driven models, by version.", **kept),
        changelog=changelog(settings, "leads"),
    )


async def create(settings: Settings, wanted: Sequence[Topic] | None = None) -> list[str]:
    """Create the topics that are missing and check the ones that are there; may be repeated.

    Returns:
        Names of the topics that were created.

    Raises:
        TopicsError: a topic has another number of partitions, or the broker refused.
    """
    specs = tuple(wanted) if wanted is not None else topics(settings).all()
    async with admin(settings) as client:
        there = await _partition_counts(client, [spec.name for spec in specs])
        missing = [spec for spec in specs if spec.name not in there]
        for spec in missing:
            await _create_one(client, settings, spec)
        there = await _settled(client, specs)
    _check_counts(settings, specs, there)
    return [spec.name for spec in missing]


async def describe(settings: Settings) -> dict[str, int]:
    """Return the number of partitions of each of the program's topics that the broker has.

    Raises:
        TopicsError: the broker cannot be reached.
    """
    async with admin(settings) as client:
        return await _partition_counts(client, [spec.name for spec in topics(settings).all()])


def check_there(settings: Settings, specs: Sequence[Topic], there: Mapping[str, int]) -> None:
    """Check the numbers of partitions that a broker has by topic; a topic that is not there is absent.

    Raises:
        TopicsError: one is missing or has another number of partitions.
    """
    absent = [spec.name for spec in specs if spec.name not in there]
    if absent:
        raise TopicsError(f"missing topics: {', '.join(absent)}. Create them with `leadstream topics create`.")
    _check_counts(settings, specs, there)


@contextlib.asynccontextmanager
async def admin(settings: Settings) -> AsyncIterator[Any]:
    """Yield an admin client (aiokafka's) of the settings' brokers.

    Raises:
        TopicsError: no broker takes it; says why.
        SettingsError: a file of the settings cannot be read or used.
    """
    try:
        await reach(settings)
    except BrokerError as error:
        raise TopicsError(str(error)) from error
    client = AIOKafkaAdminClient(**client_options(settings))
    try:
        await client.start()
        yield client
    except KafkaConnectionError as error:
        raise TopicsError(f"no Kafka broker answers at {', '.join(settings.brokers)}: {error}") from error
    finally:
        await client.close()


async def _partition_counts(client: Any, names: Sequence[str]) -> dict[str, int]:
    there = set(await client.list_topics())
    known = [name for name in names if name in there]
    described = await client.describe_topics(known) if known else []
    return {entry["topic"]: len(entry["partitions"]) for entry in described if not entry["error_code"]}


async def _create_one(client: Any, settings: Settings, spec: Topic) -> None:
    config = {**spec.config, "min.insync.replicas": str(settings.min_insync_replicas)}
    request = NewTopic(spec.name, settings.partitions, settings.replication_factor, topic_configs=config)
    response = await client.create_topics([request])
    for name, code, *rest in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise TopicsError(f"{name}: the broker does not create it: {error.__name__}: {rest[0] if rest else ''}")


async def _settled(client: Any, specs: Sequence[Topic], patience_s: float = 10.0) -> dict[str, int]:
    """Wait until every topic shows in the broker's metadata, which may lag behind its creation."""
    deadline = asyncio.get_running_loop().time() + patience_s
    while True:
        there = await _partition_counts(client, [spec.name for spec in specs])
        if len(there) == len(specs) or asyncio.get_running_loop().time() > deadline:
            return there
        await asyncio.sleep(0.1)


def _check_counts(settings: Settings, specs: Sequence[Topic], there: Mapping[str, int]) -> None:
    wrong = [(spec.name, there.get(spec.name, 0)) for spec in specs if there.get(spec.name) != settings.partitions]
    if wrong:
        found = ", ".join(f"{name} has {count}" for name, count in wrong)
        raise TopicsError(
            f"every topic must have {settings.partitions} partitions, but {found}. A lane reads the same partition of "
            "all its topics: set `partitions` to what they have, or create them anew under another `topic_prefix`."
        )
