"""When a condition may next differ if nothing happens (SEMANTICS §4, §8).

Each condition answers for itself, a composition from its parts. An answer may be early, never late: whoever asks looks
again at that moment.
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any, Final

from app.domain import rulebook as r
from app.domain.conditions import Holds, Moment, sequence_start, test_of
from app.domain.crossing import thresholds
from app.domain.plan import Plan
from app.domain.score_changes import next_grade_change, next_interest_change, next_score_change

Look = Callable[[Moment, int | None], int | None]
"""Takes a moment, and the last ms of interest (None = all); returns the first moment after it, and not after that ms,
at which something may differ; None = none."""


def next_change(condition: r.Condition, moment: Moment, until: int | None) -> int | None:
    """Return the first moment after now, and not after `until`, at which a condition may differ; None = none."""
    look = look_of(condition, moment.reader.plan)
    return None if look is None else look(moment, until)


def look_of(condition: r.Condition, plan: Plan) -> Look | None:
    """Return `next_change` of a condition as a function, made once; None when no passing of time can change it."""
    if id(condition) in plan.by_events:
        return None
    known = plan.looks.get(id(condition))
    if known is None:
        known = plan.looks[id(condition)] = (condition, _compiled(condition, plan))
    return known[1]


def _compiled(condition: r.Condition, plan: Plan) -> Look:
    if isinstance(condition, r.All | r.AnyOf):
        parts = [(test_of(part, plan), look_of(part, plan)) for part in condition.parts]
        return _composition(parts, decides=isinstance(condition, r.AnyOf))
    if isinstance(condition, r.Not):
        look = look_of(condition.part, plan)
        assert look is not None, "time changes it, so it changes its part"
        return look
    return _within(_leaf(condition))


def _leaf(condition: r.Condition) -> Look:
    if isinstance(condition, r.ScoreIs):
        name, score_limits = condition.name, thresholds(condition.test)
        return lambda moment, until: next_score_change(moment.board, name, score_limits, _span(moment, until))
    if isinstance(condition, r.InterestIs):
        category, limits = condition.category, thresholds(condition.test)
        return lambda moment, until: next_interest_change(moment.board, category, limits, _span(moment, until))
    if isinstance(condition, r.GradeIs):
        return lambda moment, until: next_grade_change(moment.board, _span(moment, until))
    return functools.partial(_LOOKS[type(condition)], condition)


def _within(look: Look) -> Look:
    def within(moment: Moment, until: int | None) -> int | None:
        at = look(moment, until)
        return None if at is None or (until is not None and at > until) else at

    return within


def _composition(parts: Iterable[tuple[Holds, Look | None]], *, decides: bool) -> Look:
    """Return when a composition may differ, of which one part that is `decides` makes it so.

    While some parts are, each of them has to change first: the last of these moments. While none is, the first part
    that changes does it.
    """
    every = tuple(parts)
    looks = tuple(look for _, look in every if look is not None)

    def look(moment: Moment, until: int | None) -> int | None:
        latest: int | None = None
        for test, part in every:
            if test(moment) == decides:
                at = None if part is None else part(moment, until)
                if at is None:
                    return None
                if latest is None or at > latest:
                    latest = at
        return latest if latest is not None else first_of(looks, moment, until)

    return look


def first_of(looks: Iterable[Look], moment: Moment, until: int | None) -> int | None:
    """Return the first moment that any of these names, and not after `until`; None = none."""
    earliest: int | None = None
    for look in looks:
        at = look(moment, until)
        if at is not None:
            earliest = until = at
    return earliest


def _span(moment: Moment, until: int | None) -> int | None:
    return None if until is None else until - moment.now


def _did_next(c: r.Did, moment: Moment, _: int | None) -> int | None:
    """A window lets go of the occurrence that makes the number full; nothing else changes without an event."""
    times = moment.times(c.tracker)
    if c.within is None or len(times) < c.at_least:
        return None
    ends = times[-c.at_least] + c.within
    return ends if ends > moment.now else None


def _last_next(c: r.LastIs, moment: Moment, _: int | None) -> int | None:
    times = moment.times(c.tracker)
    if not times:
        return None
    absent = times[-1] + c.older_than
    return absent if absent > moment.now else None


def _sequence_next(c: r.Sequence, moment: Moment, _: int | None) -> int | None:
    start = sequence_start(c, moment)
    if start is None:
        return None
    ends = start + c.within
    return ends if ends > moment.now else None


def _window_next(c: r.OrdersAre | r.RevenueIs, moment: Moment, _: int | None) -> int | None:
    if c.within is None:
        return None
    return moment.purchases.next_gone(c.within, moment.now)


_LOOKS: Final[dict[type, Callable[[Any, Moment, int | None], int | None]]] = {
    r.Did: _did_next,
    r.LastIs: _last_next,
    r.Sequence: _sequence_next,
    r.OrdersAre: _window_next,
    r.RevenueIs: _window_next,
}
