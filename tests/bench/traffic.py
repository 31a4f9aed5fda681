"""The sample shop's mix of messages, for as many leads and events as are wanted, made fast from templates."""

import re
from collections import Counter
from collections.abc import Iterator

import msgspec

from app.cli.traffic import history
from app.sources.segment import peek

END = 1_795_132_800_000
"""UTC ms, 2026-11-20: the end of the sample's ninety days."""
SEED = 7
TEMPLATES = 20_000
"""Messages that are made by the sample's generator; the others are copies of them under other identifiers."""

_MARK = b"\x00"
_PROBE = b"zq0q0z"
_NAME = re.compile(rb'("(?:anonymousId|userId|messageId)":"[^"]+)"')
_ADDRESS = re.compile(rb"([A-Za-z0-9_.+-]+)(@[a-z0-9.-]+)")
_PHONE = re.compile(rb'"phone":"[^"]*"')


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message to publish."""

    topic: str
    """Without a prefix."""
    key: bytes | None
    value: bytes
    record_at: int
    """UTC ms."""


class _Template(msgspec.Struct, frozen=True):
    topic: str
    key: list[bytes]
    value: list[bytes]
    record_at: int


def traffic(events: int, leads: int) -> Iterator[Message]:
    """Yield `events` messages of about as many leads as are wanted, in order of arrival; the same every time.

    Of the sample's people some make many messages and most a few; where more leads are wanted than that gives, a share
    of the messages comes from people who are seen once. Copies of a template are other people's, so no two messages
    have the same id, save where a tracker of the sample sent one twice.
    """
    copies = max(1, -(-events // TEMPLATES))
    templates = _templates(-(-events // copies), leads / events)
    left = events
    for template in templates:
        for copy in range(min(copies, left)):
            tag = b"c%d" % copy
            key = tag.join(template.key) if template.key else None
            yield Message(template.topic, key, tag.join(template.value), template.record_at)
        left -= min(copies, left)


def _templates(count: int, leads_per_event: float) -> list[_Template]:
    # The generator makes about as many as it is asked for.
    lines = list(history(SEED, END, events=count + count // 20 + 100))[:count]
    keys = [peek(value).key for _, value in lines]
    by_lead = Counter(key for key in keys if key is not None)
    known = len(by_lead) / len(lines)
    singles = max(0.0, (leads_per_event - known) / (1 - known)) * len(lines)
    seen_once: set[str] = set()
    for key in sorted(by_lead, key=lambda key: (-by_lead[key], key))[::7] + sorted(by_lead):
        if singles <= 0:
            break
        if key not in seen_once:
            seen_once.add(key)
            singles -= by_lead[key] - 1
    templates: list[_Template] = []
    before = 0
    for number, ((topic, value), key) in enumerate(zip(lines, keys, strict=True)):
        templates.append(_template(topic, value, b"n%d" % number if key in seen_once else b"", before))
        before = templates[-1].record_at
    return templates


def _template(topic: str, value: bytes, own: bytes, before: int) -> _Template:
    """Return a message with gaps in its identifiers, filled with `own` already where that is given.

    One that does not say when it was sent came with the one before it, at `before`.
    """
    value = _PHONE.sub(b'"phone":null', value)
    value = _NAME.sub(rb"\1" + own + _MARK + b'"', value)
    value = _ADDRESS.sub(rb"\1" + own + _MARK + rb"\2", value)
    told = peek(value.replace(_MARK, _PROBE))
    key = told.key.encode().split(_PROBE) if told.key is not None else []
    return _Template(topic, key, value.split(_MARK), told.record_at or before)
