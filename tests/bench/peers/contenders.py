"""Who is compared: how each is started, and how its changelog is read."""

import asyncio
import struct
import sys
from collections.abc import Callable, Collection
from typing import Any

import msgspec

from app import topics as topic_data
from app.topics import create
from tests.bench.peers import install
from tests.bench.peers.engine_worker import settings_of, topic
from tests.bench.peers.job import State, decode_state
from tests.bench.peers.oracle import Lead
from tests.bench.peers.telling import Task

Named = tuple[str, Lead]
# Numbers as Java's DataOutputStream writes them.
_HEAD, _LENGTH, _COUNT = struct.Struct(">dqh"), struct.Struct(">H"), struct.Struct(">i")


class Contender(msgspec.Struct, frozen=True):
    """One of them."""

    name: str
    command: Callable[[], list[str]]
    changelog: Callable[[Task], str]
    """Its topic."""
    row: Callable[[Any], Named | None]
    """The lead of a changelog record (aiokafka's), None of one that is no lead's."""
    share: float = 0.5
    """Part of the events that it gets."""
    warm: float = 0.3
    """Part of those that does not count: JIT, caches, groups that form."""
    workers: int = 1
    changes: dict[str, Any] = {}
    """Of the task."""

    async def prepare(self, task: Task) -> None:
        """Create the topics that must be there."""
        wanted = [topic(task.output, sent=True)]
        if self.command is _engine:
            wanted.append(topic_data.changelog(settings_of(task), "leads"))
        await create(settings_of(task), wanted)

    async def argv(self) -> list[str]:
        """Return its command; what it needs is installed first. Raises InstallError."""
        return await asyncio.to_thread(self.command)


def _engine() -> list[str]:
    return [sys.executable, "-m", "tests.bench.peers.engine_worker"]


def _faust() -> list[str]:
    return [sys.executable, "-m", "tests.bench.peers.faust_worker"]


def _quix() -> list[str]:
    return [str(install.quix()), "-m", "tests.bench.peers.quix_worker"]


def _plain(record: Any) -> Named | None:
    return None if record.key[:1] == b"\0" else (record.key.decode(), _lead(decode_state(record.value)))


def _of_quix(record: Any) -> Named | None:
    # Keys are `<record key>|<serialized key of the row>`; offsets and the like are in families of their own.
    if dict(record.headers).get("__column_family__", b"default") != b"default":
        return None
    return record.key.rpartition(b"|")[0].decode(), _lead(decode_state(record.value))


def _of_streams(record: Any) -> Named | None:
    score, at, kinds = _HEAD.unpack_from(record.value)
    place, counts = _HEAD.size, {}
    for _ in range(kinds):
        (length,) = _LENGTH.unpack_from(record.value, place)
        end = place + _LENGTH.size + length
        (counts[record.value[place + _LENGTH.size : end].decode()],) = _COUNT.unpack_from(record.value, end)
        place = end + _COUNT.size
    return record.key.decode(), Lead(at, score, counts)


def _lead(state: State) -> Lead:
    return Lead(state.at, state.score, state.counts)


def _varied(contender: Contender, name: str, **changes: Any) -> Contender:
    return msgspec.structs.replace(contender, name=name, **changes)


def contenders(workers: int, only: Collection[str]) -> list[Contender]:
    """Return those that are named, all without `only`; Leadstream also with two workers if wanted.

    Kafka Streams without the 100 ms for which its producer waits is there only when it is named.
    """
    one = Contender("Leadstream", _engine, lambda task: f"{task.name}-leads-changelog", _plain)
    faust = Contender("stock Faust", _faust, lambda task: f"{task.name}-leads-changelog", _plain, share=1 / 80)
    quix = Contender(
        "Quix Streams",
        _quix,
        lambda task: f"changelog__{task.name}--{task.source}--default",
        _of_quix,
        share=1 / 6,
    )
    streams = Contender(
        "Kafka Streams",
        install.streams,
        lambda task: f"{task.name}-leads-changelog",
        _of_streams,
        share=1.0,
        warm=0.65,  # a JVM compiles for the first half a minute: as many events count as of Leadstream, later ones
    )
    several = [_varied(one, f"{one.name}, 2 workers", workers=2)] if workers > 1 else []
    cached = _varied(streams, f"{streams.name}, cache", changes={"cached": True})
    linger = _varied(streams, f"{streams.name}, linger 5 ms", changes={"options": {"producer.linger.ms": "5"}})
    chosen = [one, *several, faust, quix, streams, cached]
    return [one for one in [*chosen, linger] if one.name in only] if only else chosen
