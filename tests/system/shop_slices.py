"""The traffic of a shop for the tests that kill workers: every lead under one identifier, in slices of time."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import msgspec
import orjson

from app import topics
from app.cli.traffic import history
from app.domain.event import Event
from app.domain.identity import owner
from app.domain.partition import murmur2
from app.engine.program import Record
from app.settings import Settings
from app.sources.segment import parse

END = 2_000_000_000_000
"""UTC ms, 2033-05-18: ahead of any wall clock, so that no timer fires by one."""
DAYS = 20
UNTIL = END + 60 * 86_400_000


class Slice(msgspec.Struct, frozen=True):
    """Records, in order of event time, and the time to which leads are folded after them."""

    records: Sequence[Record]
    advance_to: int
    """UTC ms."""


def shop_slices(settings: Settings, seed: int, events: int, count: int) -> list[Slice]:
    """Return some traffic as `count` slices; records stand where they will be published, in order of time, then id.

    A lead has one topic and one partition, so that its events cannot overtake each other; a fifth of the leads have a
    partition that is not theirs. Messages name one identifier only: links are another matter.
    """
    messages = sorted(_messages(seed, events), key=lambda message: message[:2])
    cuts = [len(messages) * n // count for n in range(count + 1)]
    names = [topic.name for topic in topics.topics(settings).inputs[:4]]
    ends: dict[tuple[str, int], int] = {}
    slices = []
    for start, end in pairwise(cuts):
        records = []
        for at, _, key, value in messages[start:end]:
            draw = murmur2(b"place of " + key.encode())
            home = owner(key, settings.partitions) + (1 if draw % 5 == 0 else 0)
            topic, partition = names[draw // 5 % len(names)], home % settings.partitions
            offset = ends.get((topic, partition), 0)
            ends[topic, partition] = offset + 1
            records.append(Record(topic, partition, offset, at, None, value))
        slices.append(Slice(records, messages[end][0] - 1 if end < len(messages) else UNTIL))
    return slices


def _messages(seed: int, events: int) -> Iterator[tuple[int, str, str, bytes]]:
    """Yield (event time, event id, lead, message); of what is no event, the message before decides time and place."""
    at, name, key = END - DAYS * 86_400_000, "", ""
    for topic, line in history(seed, END, days=DAYS, events=events):
        value = _under_one_name(line)
        event = parse(value, topic=topic, partition=0, offset=0, record_at=END)
        if isinstance(event, Event):
            assert len(event.ids) == 1, event.ids
            at, name, key = event.at, event.id, event.key
        yield at, name, key, value


def _under_one_name(line: bytes) -> bytes:
    """Return the message with its strongest identifier only; what is no message stays as it is."""
    try:
        message = orjson.loads(line)
    except orjson.JSONDecodeError:
        return line
    if not isinstance(message, dict) or message.get("type") == "alias":
        return line if not isinstance(message, dict) else b"{}"
    holders = [message.get("traits"), message.get("context", {}).get("traits"), message.get("properties")]
    given: list[dict[str, Any]] = [holder for holder in holders if isinstance(holder, dict)]
    weaker = ["phone"]
    if message.get("userId") not in (None, "undefined"):
        weaker += ["email", "recipient"]
        message.pop("anonymousId", None)
    elif any(holder.get(name) for holder in given for name in ("email", "recipient")):
        message.pop("anonymousId", None)
    for holder in given:
        for name in weaker:
            holder.pop(name, None)
    return orjson.dumps(message)
