"""Rules published while workers run: a record on the topic `rules`, then a switch for every lane."""

from collections.abc import Callable
from typing import Final

import msgspec
import orjson

from app.domain.outputs import iso
from app.domain.partition import partition_of
from app.engine.clock import wall_ms
from app.engine.kafka import Log
from app.leads.commands import Switch, encode
from app.rules.version import Version
from app.settings import Settings
from app.sources.times import read_time
from app.topics import check_there, describe, topics

SCHEMA: Final = 1
FORMER: Final = 1_000
"""Versions of a brand that are remembered by name."""

Progress = Callable[[int, int], None]
"""Told (switches that lanes have been sent, lanes)."""


class PublishError(RuntimeError):
    """A version is not published; says why."""


class Former(msgspec.Struct, frozen=True):
    """A version that was published once."""

    version: str
    sha256: str


class Published(msgspec.Struct, frozen=True):
    """A record of the topic `rules`: the version of a brand that was published last."""

    schema: int
    brand: str
    version: str
    sha256: str
    at: str
    """ISO 8601; a later one holds."""
    rules: str
    """Text of the file."""
    rates: str | None
    """Text of the rates that it names."""
    former: list[Former]
    """Those before it, the newest first."""

    @property
    def switch(self) -> Switch:
        """What tells a lane of it."""
        return Switch(int(read_time(self.at) or 0), Version(self.brand, self.version, self.rules, self.rates))


class Outcome(msgspec.Struct, frozen=True):
    """What publishing did."""

    published: Published
    former: str | None
    """The version before it; None when it is the brand's first, or was published before already."""
    repeated: bool
    """It was the newest already: only the lanes were told again, which changes nothing for those that know."""


async def publish(
    settings: Settings, version: Version, progress: Progress, now_ms: Callable[[], int] = wall_ms
) -> Outcome:
    """Publish a version that has been checked, and send every lane its switch; may be repeated at any point.

    `now_ms` is the wall clock, UTC ms.

    Raises:
        PublishError: the version's name was used for something else; nothing is sent.
        TopicsError, KafkaError, LogError, TimeoutError: of the broker; what is done so far stays, and publishing the
            same again completes it.
    """
    known = topics(settings)
    check_there(settings, (known.rules, known.commands), await describe(settings))
    async with Log(settings) as log:
        place = (known.rules.name, partition_of(version.brand.encode(), settings.partitions))
        last = (await _read(log, *place)).get(version.brand)
        _check_name(version, last)
        repeated = last is not None and last.sha256 == version.sha256
        if last is None or not repeated:
            former = last
            last = _next(version, former, now_ms())
            await _keep(log, *place, last)
            held = (await _read(log, *place))[version.brand]
            if held != last:
                await _keep(log, *place, held)  # the newest record is what compaction leaves
                raise PublishError(
                    f"brand {version.brand}: {held.version} was published by somebody else at the same moment, "
                    f"and lanes have not been told of {version.version}. Publish again what is to hold."
                )
            name = former.version if former is not None else None
        else:
            name = None
        value = encode(last.switch)
        for partition in range(settings.partitions):
            await log.append(known.commands.name, partition, [(None, value, [])])
            progress(partition + 1, settings.partitions)
    return Outcome(last, name, repeated)


async def read_published(settings: Settings) -> dict[str, Switch]:
    """Return what was published last, by brand.

    Raises:
        TopicsError: no broker answers, or the topic is not there.
        KafkaError, TimeoutError: of the broker.
    """
    rules = topics(settings).rules
    check_there(settings, (rules,), await describe(settings))
    found: dict[str, Published] = {}
    async with Log(settings) as log:
        for partition in range(settings.partitions):
            found |= await _read(log, rules.name, partition)
    return {brand: published.switch for brand, published in found.items()}


async def _keep(log: Log, topic: str, partition: int, published: Published) -> None:
    await log.append(topic, partition, [(published.brand.encode(), orjson.dumps(msgspec.to_builtins(published)), [])])


async def _read(log: Log, topic: str, partition: int) -> dict[str, Published]:
    """Return each brand's record of a partition: the newest by its time; what is no such record is passed over."""
    found: dict[str, Published] = {}
    async with log.reader(topic, partition) as reader:
        await reader.seek(0)
        while (records := await reader.next()) is not None:
            for record in records:
                published = _decoded(record.value)
                if published is not None and (published.brand not in found or published.at > found[published.brand].at):
                    found[published.brand] = published
    return found


def _decoded(value: bytes | None) -> Published | None:
    try:
        return msgspec.json.decode(value or b"", type=Published)
    except msgspec.MsgspecError:
        return None


def _check_name(version: Version, last: Published | None) -> None:
    if last is None:
        return
    for known in (Former(last.version, last.sha256), *last.former):
        if known.version == version.version and known.sha256 != version.sha256:
            raise PublishError(
                f"brand {version.brand}: version {version.version} was published before with other content. "
                "Outputs name their rules by it: give what has changed a `version` of its own."
            )


def _next(version: Version, last: Published | None, now: int) -> Published:
    former: list[Former] = []
    if last is not None:
        now = max(now, last.switch.at + 1)
        former = [one for one in (Former(last.version, last.sha256), *last.former) if one.version != version.version]
    at = iso(now)
    assert at is not None
    return Published(
        SCHEMA, version.brand, version.version, version.sha256, at, version.text, version.rates, former[:FORMER]
    )
