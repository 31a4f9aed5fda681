"""Rows that are to be looked at again at some time, and their index in the order of these times.

The index is local. It follows from the rows alone, is written with them in one batch, and comes back with them when a
changelog is read again; so it is not in the changelog itself (docs/decisions/0012).
"""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

Change = tuple[bytes, bytes | None]
"""A row's key and its new value; None deletes it."""
Read = Callable[[Sequence[bytes]], list[bytes | None]]
"""Returns the stored rows of keys, in their order."""
ReadRange = Callable[[bytes, bytes, int], list[tuple[bytes, bytes]]]
"""Returns at most so many stored rows whose keys are in [start, end), in order."""

TIMED_SUFFIX: Final = b"\x00h"
"""What the keys of timed rows end with, and no other row's."""

_TIME: Final = struct.Struct(">Q")
_MARK: Final = b"\x00"
"""The first byte of every time, and of nothing that msgpack makes of an object or array."""
_AT_ONCE: Final = 1
_INDEX: Final = b"\x00due"
_END: Final = b"\x00duf"
_KEY_AT: Final = len(_INDEX) + _TIME.size
_KNOWN: Final = 4_096
"""Rows, at least, whose time is remembered, and twice as many at most: a write need not read what it replaces."""


def timed(due: int | None, value: bytes) -> bytes:
    """Return a row that is to be looked at again at `due` (UTC ms, above 0); None: never."""
    return _TIME.pack(due or 0) + value


def untimed(row: bytes) -> bytes:
    """Return what was given to `timed`; a row that was written before there were times is returned as it is."""
    return row[_TIME.size :] if row[:1] == _MARK else row


def due_of(row: bytes | None) -> int | None:
    """Return when a timed row is to be looked at again, UTC ms; None: never, or there is no row.

    A row that was written before there were times is due at once.
    """
    if row is None:
        return None
    return (int(_TIME.unpack_from(row)[0]) or None) if row[:1] == _MARK else _AT_ONCE


def _entry(due: int, key: bytes = b"") -> bytes:
    return _INDEX + _TIME.pack(max(0, due)) + key


def _time_of(entry: bytes) -> int:
    return int(_TIME.unpack_from(entry, len(_INDEX))[0])


class DueIndex:
    """The index of one partition's timed rows; every write of rows goes through `changes`, then `written`."""

    def __init__(self, read: Read, read_range: ReadRange) -> None:
        self._read = read
        self._read_range = read_range
        self._known: dict[bytes, int | None] = {}
        """When rows are due, as it is stored: of those noted last."""
        self._known_before: dict[bytes, int | None] = {}
        """The same, of those noted before them."""
        self._first = _INDEX
        """No entry is below it. What was taken leaves tombstones, and a search must not go over them each time."""
        self._exact = False
        """`_first` is an entry, or the end of all."""

    def note(self, key: bytes, row: bytes | None) -> None:
        """Take note of a row as it is stored."""
        if key.endswith(TIMED_SUFFIX):
            self._remember({key: due_of(row)})

    def changes(self, rows: Iterable[Change]) -> tuple[list[Change], Mapping[bytes, int | None]]:
        """Return how these rows change the index, and when they are due from then on; a key's last row counts."""
        after = {key: due_of(row) for key, row in rows if key.endswith(TIMED_SUFFIX)}
        before = {key: known[key] for known in (self._known_before, self._known) for key in after.keys() & known.keys()}
        unknown = [key for key in after if key not in before]
        if unknown:
            before.update(zip(unknown, map(due_of, self._read(unknown)), strict=True))
        changes: list[Change] = []
        for key, due in after.items():
            was = before[key]
            if was != due:
                if was is not None:
                    changes.append((_entry(was, key), None))
                if due is not None:
                    changes.append((_entry(due, key), b""))
        return changes, after

    def written(self, changes: Sequence[Change], after: Mapping[bytes, int | None]) -> None:
        """Take note that what `changes` returned is stored, and the rows with it."""
        self._remember(after)
        for entry, value in changes:
            if value is None:
                self._exact = self._exact and entry != self._first
            elif entry <= self._first:
                self._first, self._exact = entry, True

    def _remember(self, dues: Mapping[bytes, int | None]) -> None:
        self._known.update(dues)
        if len(self._known) >= _KNOWN:
            self._known_before, self._known = self._known, {}

    def earliest(self) -> int | None:
        """Return when the first row is due, UTC ms; None when none ever is."""
        if not self._exact:
            found = self._read_range(self._first, _END, 1)
            self._first, self._exact = found[0][0] if found else _END, True
        return None if self._first == _END else _time_of(self._first)

    def due(self, until: int, limit: int) -> list[tuple[int, bytes]]:
        """Return (time, key) of rows that are due by `until` (UTC ms), the earliest first, at most `limit`."""
        earliest = self.earliest()
        if earliest is None or earliest > until:
            return []
        found = self._read_range(self._first, _entry(until + 1), limit)
        return [(_time_of(entry), entry[_KEY_AT:]) for entry, _ in found]
