"""The last days of a lead: the facts it can fold again, and copies of its core to fold them from."""

from bisect import insort
from collections.abc import Iterator
from typing import Final

import msgspec

from app.domain import journey, series
from app.domain.facts import Fact
from app.domain.series import Rows
from app.domain.state import Copy, Core, Extras, Hot, Touch

LOG_PREFIX: Final = "l|"
LOG_LIMIT: Final = 2_000
COPY_PREFIX: Final = "c|"
_FACTS: Final = msgspec.msgpack.Decoder(Fact)
_SPANS: Final = msgspec.msgpack.Decoder(tuple[int, int])
_SPANS_KEPT: Final = 500
"""Visits of late events that later ones may still join."""


def remember(hot: Hot, fact: Fact, rows: Rows) -> None:
    """Keep a fact for as long as it may have to be folded again; at 2,000 facts the log is sealed early."""
    if len(hot.log) >= LOG_LIMIT:
        _seal(hot, rows)
    series.append(hot.log, fact, rows, LOG_PREFIX)


def _seal(hot: Hot, rows: Rows) -> None:
    """Begin the log anew. No earlier core can come back then, and so touches beyond the newest 500 are not needed."""
    hot.log = series.replace(hot.log, [], rows, LOG_PREFIX)
    touches = hot.core.touches
    series.drop_blocks(
        touches, rows, journey.TOUCH_PREFIX, lambda block: len(touches) - len(block) >= journey.TOUCHES_KEPT
    )
    for old in hot.copies:
        if old.row:
            rows.put(old.row, None)
    hot.copies = []
    copy(hot, rows)
    hot.sealed = hot.core.at


def copy(hot: Hot, rows: Rows) -> None:
    """Keep the core as it is now."""
    core = hot.core
    if not core.first_seen:
        hot.copies.append(Copy(-1, "", ""))
        return
    row = _new_row(hot)
    rows.put(row, msgspec.msgpack.encode(core))
    hot.copies.append(Copy(core.at, core.event_id, row))


def _new_row(hot: Hot) -> str:
    hot.copied += 1
    return f"{COPY_PREFIX}{hot.copied - 1:06d}"


def trim(hot: Hot, rows: Rows, oldest: int) -> None:
    """Forget what no fact from `oldest` (ms) on needs: all copies before the newest that is older, and their facts."""
    while len(hot.copies) > 1 and hot.copies[1].at < oldest:
        gone = hot.copies.pop(0)
        if gone.row:
            rows.put(gone.row, None)
    if not hot.copies:
        return
    start = hot.copies[0].key
    series.drop_blocks(hot.log, rows, LOG_PREFIX, lambda block: _FACTS.decode(block[-1]).key <= start)
    hot.conversions = [entry for entry in hot.conversions if entry[0] >= start[0]]


def rewind(hot: Hot, rows: Rows, first: tuple[int, str], late: list[Fact]) -> tuple[tuple[int, str], list[Fact]]:
    """Bring back the core from before `first`.

    Returns its clock and the facts to fold from there, the late ones among them.
    """
    base = max((known for known in hot.copies if known.key < first), key=lambda known: known.key)
    for known in hot.copies:
        if known.key > base.key and known.row:
            rows.put(known.row, None)
    hot.copies = [known for known in hot.copies if known.key <= base.key]
    hot.core = _load(base, rows)
    facts = series.read(hot.log, rows, LOG_PREFIX, _FACTS.decode)
    return base.key, sorted([*(fact for fact in facts if fact.key > base.key), *late], key=lambda fact: fact.key)


def rewrite(hot: Hot, rows: Rows, redone: list[Fact], old: Core) -> None:
    """Write the log with the facts that were folded again, and delete blocks that only the old core had."""
    taken = {fact.id for fact in redone}
    kept = [fact for fact in series.read(hot.log, rows, LOG_PREFIX, _FACTS.decode) if fact.id not in taken]
    hot.log = series.replace(hot.log, [*kept, *redone], rows, LOG_PREFIX)
    for prefix, now, before in (
        (journey.TOUCH_PREFIX, hot.core.touches, old.touches),
        (journey.SESSION_PREFIX, hot.core.closed_sessions, old.closed_sessions),
    ):
        for number in range(now.end, before.end):
            rows.put(f"{prefix}{number:06d}", None)


def each_copy(hot: Hot, rows: Rows) -> Iterator[Core]:
    """Yield the core of every copy, and write it back as the caller leaves it."""
    for index, known in enumerate(hot.copies):
        core = _load(known, rows)
        yield core
        row = known.row or _new_row(hot)
        rows.put(row, msgspec.msgpack.encode(core))
        hot.copies[index] = Copy(known.at, known.event_id, row)


def _load(known: Copy, rows: Rows) -> Core:
    if not known.row:
        return Core()
    raw = rows.get(known.row)
    assert raw is not None, f"the copy {known.row} is gone"
    return msgspec.msgpack.decode(raw, type=Core)


class LateVisit(msgspec.Struct, frozen=True):
    """What a fact that came too late changes about the visits."""

    fresh: bool
    """It is a visit of its own."""
    longer: int
    """ms by which it lengthens one."""
    span: int
    """ms of that visit now."""


def late_visit(core: Core, extras: Extras, fact: Fact, rows: Rows) -> LateVisit | None:
    """Return the visit that a late session event joins within the idle span, or a new one; None for other events."""
    if not fact.visit:
        return None
    closed = series.read(core.closed_sessions, rows, journey.SESSION_PREFIX, _SPANS.decode)
    spans = [*extras.sessions[::-1], *closed]
    if core.session is not None:
        spans.append((core.session.start, core.session.last))
    for start, last in spans:
        if start - journey.IDLE_MS < fact.at < last + journey.IDLE_MS:
            longer = max(start - fact.at, fact.at - last, 0)
            if longer:
                _keep_span(extras, min(start, fact.at), max(last, fact.at))
            return LateVisit(fresh=False, longer=longer, span=last - start + longer)
    _keep_span(extras, fact.at, fact.at)
    return LateVisit(fresh=True, longer=0, span=0)


def late_touch(core: Core, extras: Extras, fact: Fact, rows: Rows, *, joined: bool) -> Touch | None:
    """Return the touch that a late fact makes, kept among the extras; `joined`: it is part of an earlier visit.

    As in order, an event of a visit that tells nothing other than the touch before it makes none.
    """
    if fact.touch is None or (joined and not fact.told and not fact.referrer):
        return None
    touch = journey.touch_from(fact)
    if joined:
        earlier = [known for known in journey.all_touches(core, extras.touches, rows) if known.key < touch.key]
        if earlier and earlier[-1].compared == touch.compared:
            return None
    insort(extras.touches, touch, key=lambda known: known.key)
    del extras.touches[: -journey.TOUCHES_KEPT]
    return touch


def _keep_span(extras: Extras, start: int, last: int) -> None:
    extras.sessions.append((start, last))
    del extras.sessions[:-_SPANS_KEPT]


def apply_visit(core: Core, visit: LateVisit | None, touch: Touch | None) -> None:
    """Count a late visit and touch."""
    if visit is not None:
        core.sessions += visit.fresh
        core.visit_ms += visit.longer
        core.longest_visit = max(core.longest_visit, visit.span)
    if touch is not None and (core.first_touch is None or touch.key < core.first_touch.key):
        core.first_touch = touch
