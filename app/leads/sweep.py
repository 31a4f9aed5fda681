"""A walk over a partition's leads that `advance` asks for: a piece at a time, between chunks, and through crashes."""

from typing import Final

import msgspec

from app.engine.program import Rows

_ROW: Final = b"\x01sweep"
"""Brands are text and never start with this byte."""


class Sweep(msgspec.Struct, frozen=True):
    """How far the walk has come."""

    to: int
    """UTC ms up to which each lead is folded."""
    snapshot: bool = False
    """Each lead sends its profile; a walk that does not is, in replay, only over those with facts that wait."""
    after: bytes | None = None
    """Key of the last row looked at."""


def load_sweep(rows: Rows) -> Sweep | None:
    """Return the walk that was under way; None when there was none."""
    raw = rows.get(_ROW)
    return None if raw is None else msgspec.msgpack.decode(raw, type=Sweep)


def store_sweep(staged: dict[bytes, bytes | None], sweep: Sweep | None) -> None:
    """Stage how far the walk is; None = it is over."""
    staged[_ROW] = None if sweep is None else msgspec.msgpack.encode(sweep)
