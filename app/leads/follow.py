"""The walk over a partition's leads whose rules have changed: a piece at a time, between chunks, through crashes."""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from app.domain.state import Hot
from app.engine.program import Rows
from app.leads.rows import hot_of, hot_rows

_ROW: Final = b"\x01rules-follow"
EVERYBODY: Final = b""
"""What the keys of all leads start with."""
_READS: Final = 16
"""A piece reads so many times as many rows as it may take leads: most rows are no leads, or have been looked at."""


class Follow(msgspec.Struct, frozen=True):
    """How far the walk has come."""

    left: tuple[bytes, ...]
    """What the keys of leads start with that are still to be looked at, the first of them now."""
    since: int
    """UTC ms; when the newest of the rules came into force: the walk waits until the lane's clock is there."""
    after: bytes | None = None
    """Key of the last row looked at."""


def follow_too(walk: Follow | None, prefixes: Iterable[bytes], since: int) -> Follow | None:
    """Return the walk that goes over these leads too, from their first one on."""
    left = dict.fromkeys((*(walk.left if walk is not None else ()), *prefixes))
    if not left:
        return walk
    return Follow((EVERYBODY,) if EVERYBODY in left else tuple(left), max(since, walk.since if walk is not None else 0))


def next_leads(walk: Follow, rows: Rows, most: int, wanted: Callable[[Hot], bool]) -> tuple[list[Hot], Follow | None]:
    """Return about the next `most` leads that are wanted, and how far the walk is then; None at its end."""
    found: list[Hot] = []
    after = walk.after
    for _ in range(_READS):
        read = rows.scan(walk.left[0], after, most)
        found += [hot for hot in (hot_of(row) for _, row in hot_rows(read)) if wanted(hot)]
        if len(read) < most:
            left = walk.left[1:]
            return found, Follow(left, walk.since) if left else None
        after = read[-1][0]
        if len(found) >= most:
            break
    return found, msgspec.structs.replace(walk, after=after)


def load_follow(rows: Rows) -> Follow | None:
    """Return the walk that was under way; None when there was none."""
    raw = rows.get(_ROW)
    return None if raw is None else msgspec.msgpack.decode(raw, type=Follow)


def store_follow(staged: dict[bytes, bytes | None], walk: Follow | None) -> None:
    """Stage how far the walk is; None = it is over."""
    staged[_ROW] = None if walk is None else msgspec.msgpack.encode(walk)
