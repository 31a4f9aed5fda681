"""A list that grows at its end, written as a short tail in the hot row and full blocks in rows of their own.

Items stay encoded until somebody reads them: a usual event adds one and looks at none, and copying bytes costs nothing.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol, TypeVar

import msgspec

T = TypeVar("T")

BLOCK: Final = 8
"""Items that stay in the hot row until they fill a block."""
_ENCODER: Final = msgspec.msgpack.Encoder()
_BLOCKS: Final = msgspec.msgpack.Decoder(list[msgspec.Raw])


class Rows(Protocol):
    """The rows of one lead, by name."""

    def get(self, name: str) -> bytes | None:
        """Return a row; None when there is none."""

    def put(self, name: str, value: bytes | None) -> None:
        """Write a row; None deletes it."""


class Series(msgspec.Struct, array_like=True):
    """Where the items are: blocks `first` to `end` − 1 in rows, the newest in `tail`."""

    first: int = 0
    end: int = 0
    spilled: int = 0
    """Items in the blocks."""
    tail: list[msgspec.Raw] = []

    def __len__(self) -> int:
        return self.spilled + len(self.tail)


def append(series: Series, item: Any, rows: Rows, prefix: str, block: int = BLOCK) -> None:
    """Add an item at the end; a full tail moves into a row."""
    series.tail.append(msgspec.Raw(_ENCODER.encode(item)))
    if len(series.tail) >= block:
        rows.put(f"{prefix}{series.end:06d}", _ENCODER.encode(series.tail))
        series.end += 1
        series.spilled += len(series.tail)
        series.tail = []


def _block(series_prefix: str, number: int, rows: Rows) -> list[msgspec.Raw]:
    raw = rows.get(f"{series_prefix}{number:06d}")
    return [] if raw is None else _BLOCKS.decode(raw)


def read(series: Series, rows: Rows, prefix: str, decode: Callable[[msgspec.Raw], T]) -> list[T]:
    """Return every item, oldest first, each as `decode` makes it from msgpack."""
    items: list[T] = []
    for number in range(series.first, series.end):
        items.extend(map(decode, _block(prefix, number, rows)))
    items.extend(map(decode, series.tail))
    return items


def replace(series: Series, items: Iterable[Any], rows: Rows, prefix: str, block: int = BLOCK) -> Series:
    """Return a series of `items` instead of `series`; its blocks are written anew, leftover ones deleted."""
    fresh = Series(first=series.first, end=series.first)
    for item in items:
        append(fresh, item, rows, prefix, block)
    for number in range(fresh.end, series.end):
        rows.put(f"{prefix}{number:06d}", None)
    return fresh


def drop_blocks(series: Series, rows: Rows, prefix: str, unneeded: Callable[[list[msgspec.Raw]], bool]) -> None:
    """Delete the oldest blocks as long as `unneeded(items)` says so."""
    while series.first < series.end:
        items = _block(prefix, series.first, rows)
        if not unneeded(items):
            return
        rows.put(f"{prefix}{series.first:06d}", None)
        series.first += 1
        series.spilled -= len(items)
