"""Whether a condition holds, and when that may next change if nothing happens (SEMANTICS §4, §8).

Each condition answers both questions; a composition answers the second from its parts. An answer to the second may be
early, never late: whoever asks looks again at that moment.
"""

import functools
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import Any, Final

from app.domain import rulebook as r
from app.domain.attribution.money import to_major
from app.domain.matching import matches, passes
from app.domain.plan import Plan
from app.domain.reader import Reader
from app.domain.score import Board, trait, within
from app.domain.state import Core


class Moment:
    """One lead at one moment."""

    def __init__(
        self, core: Core, reader: Reader, now: int, *, known: bool, lasting: dict[int, bool] | None = None
    ) -> None:
        self.core = core
        self.reader = reader
        self.rules = reader.rules
        self.now = now
        self.known = known
        self.stage = core.stage
        """The current stage, which conditions may look at; another while groups are worked out."""
        self.lasting: dict[int, bool] = {} if lasting is None else lasting
        """What conditions say that time cannot change, by identity; shared by the moments of one state."""
        self._board: Board | None = None
        self._excluded: bool | None = None

    @property
    def excluded(self) -> bool:
        """Whether the lead is in no group: the rules exclude it."""
        if self._excluded is None:
            exclude = self.rules.exclude
            self._excluded = exclude is not None and holds(exclude, self)
        return self._excluded

    def at(self, now: int) -> "Moment":
        """Return the same lead at another moment."""
        other = Moment(self.core, self.reader, now, known=self.known, lasting=self.lasting)
        other._board = Board(self.core, self.rules, now, fit=self.board.fit())
        return other

    @property
    def board(self) -> Board:
        """The scores from this moment on."""
        if self._board is None:
            self._board = Board(self.core, self.rules, self.now)
        return self._board

    def times(self, tracker: str) -> list[int]:
        """Return the newest times of a tracker, ascending, none later than now."""
        times = self.core.trackers.get(tracker, [])
        return times if not times or times[-1] <= self.now else times[: bisect_right(times, self.now)]

    def in_major(self, minor: int) -> float:
        """Return minor units of the rules' currency in major ones."""
        return to_major(minor, self.rules.currency)


# --- does it hold? ---------------------------------------------------------------------------------------------------


def holds(condition: r.Condition, moment: Moment) -> bool:
    """Return whether a condition holds."""
    return test_of(condition, moment.reader.plan)(moment)


def test_of(condition: r.Condition, plan: Plan) -> Callable[[Moment], bool]:
    """Return a condition as a function of the moment: a tree of rules is walked once, not at every look."""
    known = plan.tests.get(id(condition))
    if known is None:
        test = _compiled(condition, plan)
        if isinstance(condition, _COSTLY) and id(condition) in plan.lasting:
            test = _remembered(id(condition), test)
        known = plan.tests[id(condition)] = (condition, test)
    return known[1]


def _compiled(condition: r.Condition, plan: Plan) -> Callable[[Moment], bool]:
    if isinstance(condition, r.All):
        return _every([test_of(part, plan) for part in condition.parts])
    if isinstance(condition, r.AnyOf):
        return _some([test_of(part, plan) for part in condition.parts])
    if isinstance(condition, r.Not):
        part = test_of(condition.part, plan)
        return lambda moment: not part(moment)
    if isinstance(condition, r.ScoreIs):
        return _score_test(condition.name, condition.test)
    return functools.partial(_HOLDS[type(condition)], condition)


def _remembered(name: int, test: Callable[[Moment], bool]) -> Callable[[Moment], bool]:
    def remembered(moment: Moment) -> bool:
        held = moment.lasting.get(name)
        if held is None:
            held = moment.lasting[name] = test(moment)
        return held

    return remembered


def _every(parts: list[Callable[[Moment], bool]]) -> Callable[[Moment], bool]:
    def every(moment: Moment) -> bool:
        for part in parts:  # noqa: SIM110  all() would make a generator at each look
            if not part(moment):
                return False
        return True

    return every


def _some(parts: list[Callable[[Moment], bool]]) -> Callable[[Moment], bool]:
    def some(moment: Moment) -> bool:
        for part in parts:  # noqa: SIM110  any() would make a generator at each look
            if part(moment):
                return True
        return False

    return some


def _score_test(name: str, test: r.Test) -> Callable[[Moment], bool]:
    if test == r.Test(ge=test.ge) and test.ge is not None:
        at_least = test.ge
        return lambda moment: moment.board.value(name) >= at_least
    if test == r.Test(lt=test.lt) and test.lt is not None:
        below = test.lt
        return lambda moment: moment.board.value(name) < below
    return lambda moment: within(test, moment.board.value(name))


def _did(c: r.Did, moment: Moment) -> bool:
    times = moment.times(c.tracker)
    after = -1
    if c.since is not None:
        marks = moment.times(c.since)
        after = marks[-1] if marks else -1
    if c.within is not None:
        after = max(after, moment.now - c.within)
    # An occurrence at t is within d of now while now − t < d; after Y means strictly later.
    done = len(times) - bisect_right(times, after) >= c.at_least
    return done != c.negated


def _last(c: r.LastIs, moment: Moment) -> bool:
    times = moment.times(c.tracker)
    return bool(times) and moment.now - times[-1] >= c.older_than


def sequence_start(c: r.Sequence, moment: Moment) -> int | None:
    """Return the latest time at which a sequence can have begun that is complete now; None when there is none."""
    before: int | None = None
    for tracker in reversed(c.trackers):
        times = moment.times(tracker)
        index = len(times) if before is None else bisect_left(times, before)
        if index == 0:
            return None
        before = times[index - 1]
    return before


def _sequence(c: r.Sequence, moment: Moment) -> bool:
    start = sequence_start(c, moment)
    return start is not None and moment.now - start < c.within


def _orders(c: r.OrdersAre, moment: Moment) -> bool:
    return within(c.test, sum(1 for _ in _orders_within(c.within, moment)))


def _revenue(c: r.RevenueIs, moment: Moment) -> bool:
    total = 0
    for order in _orders_within(c.within, moment):
        total += moment.reader.in_rules_currency(order.remaining, order.currency, order.at) or 0
    return within(c.test, moment.in_major(total))


def _orders_within(window: int | None, moment: Moment) -> Iterable[Any]:
    for order in moment.core.orders.values():
        if order.counts and order.at <= moment.now and (window is None or moment.now - order.at < window):
            yield order


def cart_minor(core: Core, reader: Reader) -> int:
    """Return the cart's value in minor units of the rules' currency; what has no known rate is left out."""
    total = 0
    for line in core.cart.values():
        minor = round(line.quantity * line.price)
        total += reader.in_rules_currency(minor, line.currency, line.at) or 0
    return total


def _cart_value(c: r.CartValueIs, moment: Moment) -> bool:
    return within(c.test, moment.in_major(cart_minor(moment.core, moment.reader)))


def _page_duration(c: r.PageDurationIs, moment: Moment) -> bool:
    return within(c.test, sum(ms for path, ms in moment.core.page_ms.items() if passes(c.path, path)))


def _channel(c: r.ChannelIs, moment: Moment) -> bool:
    touch = moment.core.first_touch if c.which == "first" else moment.core.last_touch
    return touch is not None and passes(c.test, touch.channel)


def _trait(c: r.TraitIs, moment: Moment) -> bool:
    return matches(c.where, lambda name: trait(moment.core.traits, name))


_HOLDS: Final[dict[type, Callable[[Any, Moment], bool]]] = {
    r.GradeIs: lambda c, m: m.board.grade() in c.grades,
    r.InterestIs: lambda c, m: within(c.test, m.board.interest(c.category)),
    r.Did: _did,
    r.LastIs: _last,
    r.Sequence: _sequence,
    r.TraitIs: _trait,
    r.OrdersAre: _orders,
    r.RevenueIs: _revenue,
    r.CartValueIs: _cart_value,
    r.SessionsAre: lambda c, m: within(c.test, m.core.sessions),
    r.VisitDurationIs: lambda c, m: within(c.test, m.core.longest_visit),
    r.PageDurationIs: _page_duration,
    r.ChannelIs: _channel,
    r.Known: lambda c, m: m.known == c.value,
    r.Mailable: lambda c, m: (not m.core.mail_blocked) == c.value,
    r.StageIs: lambda c, m: m.stage is not None and passes(c.test, m.stage),
}
_COSTLY: Final = (r.TraitIs, r.RevenueIs, r.CartValueIs, r.PageDurationIs)
"""Conditions that are worth remembering where only another state of the lead can change them."""


# --- when may that change? -------------------------------------------------------------------------------------------


def next_change(condition: r.Condition, moment: Moment, until: int | None) -> int | None:
    """Return the first moment after now, and not after `until`, at which a condition may differ; None = none."""
    answer = _NEXT.get(type(condition))
    at = answer(condition, moment, until) if answer else None
    return None if at is None or (until is not None and at > until) else at


def _parts(parts: Iterable[r.Condition], moment: Moment, until: int | None, *, decides: bool) -> int | None:
    """Return when a composition may first differ; a part that time cannot change and that `decides` it settles it."""
    by_events = moment.reader.plan.by_events
    fading = []
    for part in parts:
        if id(part) not in by_events:
            fading.append(part)
        elif holds(part, moment) == decides:
            return None
    earliest: int | None = None
    for part in fading:
        at = next_change(part, moment, until)
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
    return min((order.at + c.within for order in _orders_within(c.within, moment)), default=None)


_NEXT: Final[dict[type, Callable[[Any, Moment, int | None], int | None]]] = {
    r.All: lambda c, m, until: _parts(c.parts, m, until, decides=False),
    r.AnyOf: lambda c, m, until: _parts(c.parts, m, until, decides=True),
    r.Not: lambda c, m, until: next_change(c.part, m, until),
    r.ScoreIs: lambda c, m, until: m.board.next_score_change(c.name, c.test, _span(m, until)),
    r.GradeIs: lambda _, m, until: m.board.next_grade_change(_span(m, until)),
    r.InterestIs: lambda c, m, until: m.board.next_interest_change(c.category, c.test, _span(m, until)),
    r.Did: _did_next,
    r.LastIs: _last_next,
    r.Sequence: _sequence_next,
    r.OrdersAre: _window_next,
    r.RevenueIs: _window_next,
}
