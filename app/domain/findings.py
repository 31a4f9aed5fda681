"""What each condition looks at in a lead, and what is missing to it there."""

from bisect import bisect_right
from collections.abc import Callable
from typing import Any, Final

import msgspec

from app.domain import rulebook as r
from app.domain.attribution.money import to_major
from app.domain.conditions import Moment, cart_minor
from app.domain.matching import matches, passes
from app.domain.needs import (
    COUNT_GRID,
    POINTS,
    SCORE_GRID,
    SECONDS,
    TIMES,
    Need,
    every_grade,
    grade_needs,
    money_grid,
    number_needs,
    score_needs,
)
from app.domain.score import trait, within
from app.domain.state import OrderState
from app.domain.wording import asked, deed, when

_MS: Final = 1_000
"""ms in a second."""


class Finding(msgspec.Struct, frozen=True):
    """What is to be told of one condition beside its truth."""

    value: Any = None
    """What it looked at: a number, a text, a truth; of traits a mapping."""
    unit: str = ""
    or_more: bool = False
    """The value is at least that: no more was kept."""
    needs: tuple[Need, ...] = ()


NOTHING: Final = Finding()


# --- what the lead did ------------------------------------------------------------------------------------------------


def _did(c: r.Did, moment: Moment, wanted: bool) -> Finding:
    times = moment.times(c.tracker)
    after = -1
    if c.since is not None:
        marks = moment.times(c.since)
        after = marks[-1] if marks else -1
    if c.within is not None:
        after = max(after, moment.now - c.within)
    count = len(times) - bisect_right(times, after)
    needs = number_needs(
        r.Test(ge=c.at_least),
        count,
        COUNT_GRID,
        deed(c.tracker, moment.rules),
        TIMES,
        wanted=wanted is not c.negated,
        when=when(c, moment.rules),
    )
    tracker = moment.rules.trackers.get(c.tracker)
    return Finding(count, TIMES, or_more=tracker is not None and count >= tracker.depth, needs=needs)


def _last(c: r.LastIs, moment: Moment, wanted: bool) -> Finding:
    times, name = moment.times(c.tracker), deed(c.tracker, moment.rules)
    if not times:
        needs = (Need(name, 1, TIMES), _silence(name, c.older_than)) if wanted else ()
        return Finding(None, SECONDS, needs=needs)
    age = moment.now - times[-1]
    if not wanted:
        return Finding(age / _MS, SECONDS, needs=(Need(name, 1, TIMES),) if age >= c.older_than else ())
    return Finding(age / _MS, SECONDS, needs=(_silence(name, c.older_than - age),) if age < c.older_than else ())


def _silence(name: str, ms: int) -> Need:
    return Need(f"time without {name}", ms / _MS, SECONDS)


def _sequence(c: r.Sequence, moment: Moment, wanted: bool) -> Finding:
    """How far the sequence has come within its window, by the earliest way."""
    reached = moment.now - c.within
    done = 0
    for tracker in c.trackers:
        times = moment.times(tracker)
        index = bisect_right(times, reached)
        if index == len(times):
            break
        reached, done = times[index], done + 1
    needs = tuple(Need(deed(tracker, moment.rules), 1, TIMES) for tracker in c.trackers[done:]) if wanted else ()
    return Finding(done, "steps", needs=needs)


# --- what the lead has ------------------------------------------------------------------------------------------------


def _orders(c: r.OrdersAre, moment: Moment, wanted: bool) -> Finding:
    count = sum(1 for _ in _orders_within(c.within, moment))
    return _counted(c.test, count, "orders", "orders", wanted)


def _revenue(c: r.RevenueIs, moment: Moment, wanted: bool) -> Finding:
    minor = _revenue_of(_orders_within(c.within, moment), moment)
    return _money(c.test, minor, "revenue", moment, wanted)


def window_flip(c: r.OrdersAre | r.RevenueIs, moment: Moment) -> int | None:
    """Return when the windows that end make orders or revenue come to the other side of a test; None = never."""
    assert c.within is not None
    revenue = isinstance(c, r.RevenueIs)
    ends = sorted(
        (order.at + c.within, _revenue_of([order], moment) if revenue else 1)
        for order in _orders_within(c.within, moment)
    )
    left = sum(worth for _, worth in ends)

    def holds(total: int) -> bool:
        return within(c.test, moment.in_major(total) if revenue else total)

    before = holds(left)
    for index, (end, worth) in enumerate(ends):
        left -= worth
        last_of_its_time = index + 1 == len(ends) or ends[index + 1][0] != end
        if last_of_its_time and holds(left) is not before:
            return end
    return None


def _revenue_of(orders: list[OrderState], moment: Moment) -> int:
    """Return minor units of the rules' currency; what has no known rate is left out."""
    reader = moment.reader
    return sum(reader.in_rules_currency(order.remaining, order.currency, order.at) or 0 for order in orders)


def _orders_within(window: int | None, moment: Moment) -> list[OrderState]:
    return [
        order
        for order in moment.core.orders.values()
        if order.counts and order.at <= moment.now and (window is None or moment.now - order.at < window)
    ]


def _cart_value(c: r.CartValueIs, moment: Moment, wanted: bool) -> Finding:
    return _money(c.test, cart_minor(moment.core, moment.reader), "cart value", moment, wanted)


def _money(test: r.Test, minor: int, of: str, moment: Moment, wanted: bool) -> Finding:
    currency = moment.rules.currency
    value = to_major(minor, currency)
    return Finding(value, currency, needs=number_needs(test, value, money_grid(currency), of, currency, wanted=wanted))


def _counted(test: r.Test, value: int, of: str, unit: str, wanted: bool) -> Finding:
    return Finding(value, unit, needs=number_needs(test, value, COUNT_GRID, of, unit, wanted=wanted))


def _duration(test: r.Test, ms: int, of: str, wanted: bool) -> Finding:
    needs = number_needs(test, ms, COUNT_GRID, of, SECONDS, wanted=wanted, per_unit=_MS)
    return Finding(ms / _MS, SECONDS, needs=needs)


def _visit_duration(c: r.VisitDurationIs, moment: Moment, wanted: bool) -> Finding:
    return _duration(c.test, moment.core.longest_visit, "time in the longest visit", wanted)


def _page_duration(c: r.PageDurationIs, moment: Moment, wanted: bool) -> Finding:
    ms = sum(ms for path, ms in moment.core.page_ms.items() if passes(c.path, path))
    return _duration(c.test, ms, f"time on pages whose path {asked(c.path)}", wanted)


# --- what the lead is -------------------------------------------------------------------------------------------------


def _score(c: r.ScoreIs, moment: Moment, wanted: bool) -> Finding:
    board = moment.board
    return Finding(board.value(c.name), POINTS, needs=score_needs(board, c.name, c.test, wanted=wanted))


def _grade(c: r.GradeIs, moment: Moment, wanted: bool) -> Finding:
    grade = moment.board.grade()
    if (grade in c.grades) is wanted:
        return Finding(grade)
    others = tuple(known for known in every_grade(moment.rules) if known not in c.grades)
    return Finding(grade, needs=grade_needs(moment.board, c.grades if wanted else others))


def _interest(c: r.InterestIs, moment: Moment, wanted: bool) -> Finding:
    value = moment.board.interest(c.category)
    of = f"interest in {c.category}"
    return Finding(value, POINTS, needs=number_needs(c.test, value, SCORE_GRID, of, POINTS, wanted=wanted))


def _trait(c: r.TraitIs, moment: Moment, wanted: bool) -> Finding:
    traits = moment.core.traits

    def value(name: str) -> Any:
        return trait(traits, name)

    told = {name: value(name) for name, _ in c.where.fields}
    if matches(c.where, value) is wanted:
        return Finding(told)
    if not wanted:
        return Finding(told, needs=(Need("trait", way="", wanted="another"),))
    missing = [(name, one) for name, one in c.where.fields if not passes(one, told[name])]
    return Finding(told, needs=tuple(Need(f"trait {name}", way="", wanted=asked(one)) for name, one in missing))


def _channel(c: r.ChannelIs, moment: Moment, wanted: bool) -> Finding:
    touch = moment.core.first_touch if c.which == "first" else moment.core.last_touch
    passing = touch is not None and passes(c.test, touch.channel)
    return _fact(touch and touch.channel, f"{c.which} channel", asked(c.test), passing, wanted)


def _stage(c: r.StageIs, moment: Moment, wanted: bool) -> Finding:
    passing = moment.stage is not None and passes(c.test, moment.stage)
    return _fact(moment.stage, "stage", asked(c.test), passing, wanted)


def _known(c: r.Known, moment: Moment, wanted: bool) -> Finding:
    what = "a user id, address or phone number" if c.value is wanted else "no user id, address or phone number"
    return _fact(moment.known, "known", what, moment.known is c.value, wanted)


def _mailable(c: r.Mailable, moment: Moment, wanted: bool) -> Finding:
    mailable = not moment.core.mail_blocked
    what = "leave to be mailed" if c.value is wanted else "no leave to be mailed"
    return _fact(mailable, "mailable", what, mailable is c.value, wanted)


def _fact(value: Any, of: str, should_be: str, passing: bool, wanted: bool) -> Finding:
    if passing is wanted:
        return Finding(value)
    other = should_be if wanted or of in ("known", "mailable") else f"not: {should_be}"
    return Finding(value, needs=(Need(of, way="", wanted=other),))


Find = Callable[[Any, Moment, bool], Finding]
"""Takes a condition, the moment, and which truth of it is wanted."""

FINDINGS: Final[dict[type, Find]] = {
    r.ScoreIs: _score,
    r.GradeIs: _grade,
    r.InterestIs: _interest,
    r.Did: _did,
    r.LastIs: _last,
    r.Sequence: _sequence,
    r.TraitIs: _trait,
    r.OrdersAre: _orders,
    r.RevenueIs: _revenue,
    r.CartValueIs: _cart_value,
    r.SessionsAre: lambda c, m, wanted: _counted(c.test, m.core.sessions, "sessions", "sessions", wanted),
    r.VisitDurationIs: lambda c, m, wanted: _duration(
        c.test, m.core.longest_visit, "time in the longest visit", wanted
    ),
    r.PageDurationIs: _page_duration,
    r.ChannelIs: _channel,
    r.Known: _known,
    r.Mailable: _mailable,
    r.StageIs: _stage,
}
"""By the condition's type; compositions have no finding of their own."""
