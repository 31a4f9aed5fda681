"""Facts that a lead has taken in and not folded: in a replay they wait for `advance`, thousands of them at times.

A step that adds to them writes the new ones only: a short tail is in the hot row, full blocks are in rows of their own.
"""

from typing import Final

import msgspec

from app.domain import series
from app.domain.facts import Fact
from app.domain.series import Rows, Series

PREFIX: Final = "p|"
BLOCK: Final = 32
"""Facts in a row. Half as many stand in the hot row on average, and are written at each step."""
_FACTS: Final = msgspec.msgpack.Decoder(Fact)


class Pending(msgspec.Struct, array_like=True):
    """The facts that wait, in the order in which they came."""

    facts: Series = msgspec.field(default_factory=Series)
    earliest: int | None = None
    """UTC ms: time of the earliest; None when there are none."""


def put(pending: Pending, facts: list[Fact], rows: Rows) -> None:
    """Have facts wait too."""
    for fact in facts:
        series.append(pending.facts, fact, rows, PREFIX, BLOCK)
        if pending.earliest is None or fact.at < pending.earliest:
            pending.earliest = fact.at


def take(pending: Pending, fresh: list[Fact], to: int | None, rows: Rows) -> tuple[list[Fact], list[Fact]]:
    """Return the facts up to `to` (UTC ms; None: all) in order, and those that go on waiting but stand nowhere yet.

    They are those that wait and the `fresh` ones. What waits is read only if some of it is not later than `to`.
    """
    if pending.earliest is not None and (to is None or pending.earliest <= to):
        fresh = _empty(pending, rows) + fresh
    ready = sorted((fact for fact in fresh if to is None or fact.at <= to), key=lambda fact: fact.key)
    return ready, [fact for fact in fresh if to is not None and fact.at > to]


def _empty(pending: Pending, rows: Rows) -> list[Fact]:
    facts = series.read(pending.facts, rows, PREFIX, _FACTS.decode)
    pending.facts = series.replace(pending.facts, [], rows, PREFIX)
    pending.earliest = None
    return facts
