"""Where a lead's rows stand in its partition: side by side, under its brand and key."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from app.domain.groups import due
from app.domain.lead import HOT, Lead
from app.domain.state import Hot
from app.engine.due import TIMED_SUFFIX, timed, untimed
from app.engine.program import Rows

_HOT: Final[msgspec.msgpack.Decoder[Hot]] = msgspec.msgpack.Decoder(Hot)
assert b"\x00" + HOT.encode() == TIMED_SUFFIX, "the hot row says when its lead is due"


def lead_prefix(brand: str, key: str) -> bytes:
    """Return what the keys of a lead's rows start with. A zero byte ends it, so one within is written as two bytes."""
    text = f"{brand}/{key}".encode("utf-8", "surrogatepass")
    return text.replace(b"\x00", b"\x00\x01") + b"\x00"


class LeadRows:
    """The rows of one lead: those of the partition, under what this step has staged."""

    def __init__(self, prefix: bytes, rows: Rows, staged: dict[bytes, bytes | None]) -> None:
        self._prefix = prefix
        self._rows = rows
        self._staged = staged
        self.written = 0
        """Bytes put so far, rows put twice counted twice."""

    def get(self, name: str) -> bytes | None:
        """Return a row by its name; None when there is none."""
        key = self._prefix + name.encode()
        row = self._staged[key] if key in self._staged else self._rows.get(key)
        return untimed(row) if row is not None and name == HOT else row

    def put(self, name: str, value: bytes | None) -> None:
        """Stage a row; None deletes it."""
        self.written += len(value or b"")
        self._staged[self._prefix + name.encode()] = value

    @property
    def hot_key(self) -> bytes:
        """Key of the hot row in the partition."""
        return self._prefix + HOT.encode()

    def time(self, due: int | None) -> None:
        """Have the lead, whose hot row is staged, looked at again at `due` (UTC ms); None: never."""
        key = self.hot_key
        self._staged[key] = timed(due, self._staged[key] or b"")


def its_rows(lead: Lead) -> LeadRows:
    """Return the rows that a lead of this room was made with."""
    assert isinstance(lead.rows, LeadRows)
    return lead.rows


def wakes_at(hot: Hot) -> int | None:
    """Return when time alone may next do something with a lead, UTC ms; None: never."""
    at = due(hot.core.nexts) if hot.core.stage is not None else None
    waiting = hot.pending.earliest
    return waiting if at is None or (waiting is not None and waiting < at) else at


def hot_of(row: bytes) -> Hot:
    """Return what a hot row holds."""
    return _HOT.decode(untimed(row))


def hot_rows(read: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the hot rows of leads among (key, row) of a partition."""
    for key, row in read:
        if key.endswith(TIMED_SUFFIX) and not key.startswith((b"\x00", b"\x01")):
            yield key, row


def leads_of(due: Sequence[tuple[int, bytes]], rows: Rows) -> list[Hot]:
    """Return the leads of hot rows that are due."""
    keys = [key for _, key in due]
    return [hot_of(row or b"") for row in rows.get_many(keys)]


def scan_leads(rows: Rows, after: bytes | None, most: int) -> tuple[list[Hot], bytes | None]:
    """Return the next leads of the partition, and the key to go on after; None at the end."""
    read = rows.scan(b"", after, most)
    return [hot_of(row) for _, row in hot_rows(read)], read[-1][0] if len(read) == most else None
