"""Messages as real clients sent them, with the events they must become."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.domain.event import Arrival, Event, Page
from app.sources.segment import parse

GOLDEN = Path(__file__).parent.parent / "golden" / "segment"
CLIENTS = ("browser", "node", "python")
RECORD_AT = 1_795_324_230_000  # 2026-11-22T05:10:30Z, after every message's own time


def expected(told: dict[str, Any], message: dict[str, Any]) -> Event:
    """Make the event of a golden entry, which leaves out what is empty; a stray field fails."""
    told = dict(told)
    for field in ("properties", "traits"):
        if told.get(field) == "as sent":
            told[field] = message[field]
    told["ids"] = tuple(told["ids"])
    for field, struct in (("page", Page), ("arrival", Arrival)):
        if field in told:
            told[field] = struct(**told[field])
    return Event(**told)


def test_every_golden_file_has_its_events() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {
        name for client in CLIENTS for name in (f"{client}.jsonl", f"{client}.events.json")
    }


@pytest.mark.parametrize("client", CLIENTS)
def test_a_clients_messages_become_these_events(client: str) -> None:
    lines = (GOLDEN / f"{client}.jsonl").read_bytes().splitlines()
    entries = json.loads((GOLDEN / f"{client}.events.json").read_text())
    assert len(lines) == len(entries)
    for offset, (line, entry) in enumerate(zip(lines, entries, strict=True)):
        event = parse(line, topic="events.web", partition=0, offset=offset, record_at=RECORD_AT)
        assert event == expected(entry, json.loads(line))


@pytest.mark.parametrize("client", CLIENTS)
def test_an_event_travels_as_msgpack(client: str) -> None:
    for line in (GOLDEN / f"{client}.jsonl").read_bytes().splitlines():
        event = parse(line, topic="events.web", partition=0, offset=0, record_at=RECORD_AT)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=Event) == event
