"""Whether a condition holds at a moment (SEMANTICS §8). When that may next change is `app.domain.next_change`."""

import functools
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Any, Final

from app.domain import rulebook as r
from app.domain.attribution.money import to_major
from app.domain.matching import matcher, passer, passes
from app.domain.plan import Plan
from app.domain.purchases import Purchases
from app.domain.reader import Reader
from app.domain.score import Board, trait, within
from app.domain.state import Core


class Moment:
    """One lead at one moment."""

    def __init__(
        self,
        core: Core,
        reader: Reader,
        now: int,
        *,
        known: bool,
        fit: float | None = None,
        first: "Moment | None" = None,
    ) -> None:
        """`fit`: the points for the traits, where they have been worked out before; `first`: another of this state."""
        self.core = core
        self.reader = reader
        self.rules = reader.rules
        self.now = now
        self.known = known
        self.stage = core.stage
        """The current stage, which conditions may look at; another while groups are worked out."""
        self.lasting: dict[int, bool] = {} if first is None else first.lasting
        """What conditions say that time cannot change, by identity; shared by the moments of one state."""
        self._first = first
        self._purchases: Purchases | None = None
        self._fit = fit
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
        other = Moment(self.core, self.reader, now, known=self.known, first=self._first or self)
        other._board = Board(self.core, self.rules, now, fit=self.board.fit(), scoring=self.reader.scoring)
        return other

    @property
    def board(self) -> Board:
        """The scores from this moment on."""
        if self._board is None:
            self._board = Board(self.core, self.rules, self.now, fit=self._fit, scoring=self.reader.scoring)
        return self._board

    @property
    def purchases(self) -> Purchases:
        """The orders that count; laid out once for the moments of one state."""
        first = self._first or self
        if first._purchases is None:
            first._purchases = Purchases(self.core, self.reader)
        return first._purchases

    def times(self, tracker: str) -> list[int]:
        """Return the newest times of a tracker, ascending, none later than now."""
        times = self.core.trackers.get(tracker, [])
        return times if not times or times[-1] <= self.now else times[: bisect_right(times, self.now)]

    def in_major(self, minor: int) -> float:
        """Return minor units of the rules' currency in major ones."""
        return to_major(minor, self.rules.currency)


Holds = Callable[[Moment], bool]
"""A condition as a function."""


def holds(condition: r.Condition, moment: Moment) -> bool:
    """Return whether a condition holds."""
    return test_of(condition, moment.reader.plan)(moment)


def test_of(condition: r.Condition, plan: Plan) -> Holds:
    """Return a condition as a function of the moment: a tree of rules is walked once, not at every look."""
    known = plan.tests.get(id(condition))
    if known is None:
        test = _compiled(condition, plan)
        if isinstance(condition, _COSTLY) and id(condition) in plan.lasting:
            test = _remembered(id(condition), test)
        known = plan.tests[id(condition)] = (condition, test)
    return known[1]


def _compiled(condition: r.Condition, plan: Plan) -> Holds:
    if isinstance(condition, r.All):
        return _every([test_of(part, plan) for part in condition.parts])
    if isinstance(condition, r.AnyOf):
        return _some([test_of(part, plan) for part in condition.parts])
    if isinstance(condition, r.Not):
        part = test_of(condition.part, plan)
        return lambda moment: not part(moment)
    if isinstance(condition, r.ScoreIs):
        return _score_test(condition.name, condition.test)
    if isinstance(condition, r.TraitIs):
        return _trait_test(condition)
    if isinstance(condition, r.ChannelIs):
        return _channel_test(condition)
    return functools.partial(_HOLDS[type(condition)], condition)


def _remembered(name: int, test: Holds) -> Holds:
    def remembered(moment: Moment) -> bool:
        held = moment.lasting.get(name)
        if held is None:
            held = moment.lasting[name] = test(moment)
        return held

    return remembered


def _every(parts: list[Holds]) -> Holds:
    def every(moment: Moment) -> bool:
        for part in parts:  # noqa: SIM110  all() would make a generator at each look
            if not part(moment):
                return False
        return True

    return every


def _some(parts: list[Holds]) -> Holds:
    def some(moment: Moment) -> bool:
        for part in parts:  # noqa: SIM110  any() would make a generator at each look
            if part(moment):
                return True
        return False

    return some


def _score_test(name: str, test: r.Test) -> Holds:
    if test == r.Test(ge=test.ge) and test.ge is not None:
        at_least = test.ge
        return lambda moment: moment.board.value(name) >= at_least
    if test == r.Test(lt=test.lt) and test.lt is not None:
        below = test.lt
        return lambda moment: moment.board.value(name) < below
    return lambda moment: within(test, moment.board.value(name))


def _trait_test(condition: r.TraitIs) -> Holds:
    test = matcher(condition.where)

    def passing(moment: Moment) -> bool:
        traits = moment.core.traits
        return test is None or test(lambda name: trait(traits, name))

    return passing


def _channel_test(condition: r.ChannelIs) -> Holds:
    test, first = passer(condition.test), condition.which == "first"

    def passing(moment: Moment) -> bool:
        touch = moment.core.first_touch if first else moment.core.last_touch
        return touch is not None and test(touch.channel)

    return passing


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
    return within(c.test, moment.purchases.number(c.within, moment.now))


def _revenue(c: r.RevenueIs, moment: Moment) -> bool:
    return within(c.test, moment.in_major(moment.purchases.revenue(c.within, moment.now)))


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


_HOLDS: Final[dict[type, Callable[[Any, Moment], bool]]] = {
    r.GradeIs: lambda c, m: m.board.grade() in c.grades,
    r.InterestIs: lambda c, m: within(c.test, m.board.interest(c.category)),
    r.Did: _did,
    r.LastIs: _last,
    r.Sequence: _sequence,
    r.OrdersAre: _orders,
    r.RevenueIs: _revenue,
    r.CartValueIs: _cart_value,
    r.SessionsAre: lambda c, m: within(c.test, m.core.sessions),
    r.VisitDurationIs: lambda c, m: within(c.test, m.core.longest_visit),
    r.PageDurationIs: _page_duration,
    r.Known: lambda c, m: m.known == c.value,
    r.Mailable: lambda c, m: (not m.core.mail_blocked) == c.value,
    r.StageIs: lambda c, m: m.stage is not None and passes(c.test, m.stage),
}
_COSTLY: Final = (r.TraitIs, r.RevenueIs, r.CartValueIs, r.PageDurationIs)
"""Conditions that are worth remembering where only another state of the lead can change them."""
