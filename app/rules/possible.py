"""Whether anything that a lead may do or be could make conditions true together. Never wrong when it says no.

What cannot be told, it takes for possible: different deeds, traits and pages may always come together.
"""

from collections.abc import Callable, Sequence
from math import inf
from typing import Any, Final

import msgspec

from app.domain import rulebook as r
from app.domain.matching import passes
from app.domain.score import ENGAGEMENT, FIT, TOTAL
from app.domain.wording import deed
from app.rules.ranges import NATURAL, Range, grade_parts, interest_range, of_test, outside, score_range

Goal = tuple[r.Condition, bool]
"""A condition, and whether it or its contrary is wanted."""
Stages = frozenset[str | None]
"""Stages that the lead may be on at the moment; None = it has none yet."""
ELSEWHERE: Final = "a condition on the stage that no other stage meets"

_DEEPEST: Final = 100
"""Alternatives within alternatives that are followed; what lies deeper is taken for possible."""
_BOUNDS: Final = ("ge", "gt", "le", "lt")


class Budget:
    """How much may still be looked at; what a file has beyond that is taken for possible."""

    def __init__(self, steps: int = 100_000) -> None:
        self._steps = steps

    def spent(self) -> bool:
        """Take a step; whether there was none left."""
        self._steps -= 1
        return self._steps < 0


class Deed(msgspec.Struct, frozen=True):
    """So often a lead did something, or less often."""

    tracker: str
    times: int
    within: float = inf
    """ms."""
    since: str | None = None


class Facts:
    """What has to be true of a lead so far."""

    def __init__(self, rules: r.Rules, stages: Stages) -> None:
        self.rules = rules
        self.stages = stages
        self.numbers: dict[tuple[str, Any], Range] = {}
        """What is asked about, and over which time → what it has to lie between."""
        self.truths: dict[str, bool] = {}
        self.words: dict[str, frozenset[str]] = {}
        """The grade or channel → what it has to be one of."""
        self.done: list[Deed] = []
        self.undone: list[Deed] = []
        """Deeds that were done less often than that."""
        self.silent: list[tuple[str, int]] = []
        """(tracker, ms): it was done, but so long ago at least."""

    def copy(self) -> "Facts":
        """Return the same, to be added to."""
        other = Facts(self.rules, self.stages)
        other.numbers, other.truths, other.words = dict(self.numbers), dict(self.truths), dict(self.words)
        other.done, other.undone, other.silent = list(self.done), list(self.undone), list(self.silent)
        return other


def impossible(goals: Sequence[Goal], rules: r.Rules, stages: Stages, budget: Budget) -> str | None:
    """Return why no lead that is on one of the stages can meet all the goals at a moment; None when one may."""
    return _meet(list(goals), Facts(rules, stages), budget, 0)


def _meet(goals: list[Goal], facts: Facts, budget: Budget, depth: int) -> str | None:
    """Take the goals up into the facts, those with alternatives last."""
    later: list[Goal] = []
    while goals:
        condition, wanted = goals.pop()
        if budget.spent():
            return None
        choices = _choices(condition, wanted=wanted)
        if choices is None:
            why = _TAKE[type(condition)](condition, wanted, facts)
            if why is not None:
                return why
        elif len(choices) == 1:
            goals += choices[0]
        else:
            later.append((condition, wanted))
    why = _contradiction(facts)
    if why is not None or not later or depth >= _DEEPEST:
        return why
    condition, wanted = later.pop()
    reasons = []
    for choice in _choices(condition, wanted=wanted) or ():
        why = _meet([*choice, *later], facts.copy(), budget, depth + 1)
        if why is None:
            return None
        reasons.append(why)
    return "; ".join(dict.fromkeys(reasons[:3]))


def _choices(condition: r.Condition, *, wanted: bool) -> list[list[Goal]] | None:
    """Return the ways to come to a goal, each with what it takes; None when it is to be taken up as it is."""
    if isinstance(condition, r.Not):
        return [[(condition.part, not wanted)]]
    if isinstance(condition, r.All | r.AnyOf):
        parts = [(part, wanted) for part in condition.parts]
        return [parts] if isinstance(condition, r.All) is wanted else [[part] for part in parts]
    if not wanted and type(condition) in _NUMBERS:
        test: r.Test = condition.test  # type: ignore[union-attr]
        set_bounds = [name for name in _BOUNDS if getattr(test, name) is not None]
        if len(set_bounds) > 1:
            single = [r.Test(**{name: getattr(test, name)}) for name in set_bounds]
            return [[(msgspec.structs.replace(condition, test=one), False)] for one in single]
    return None


# --- taking up --------------------------------------------------------------------------------------------------------


def _number(c: Any, wanted: bool, facts: Facts) -> str | None:
    key, label, start = _NUMBERS[type(c)](c, facts.rules)
    asked = of_test(c.test) if wanted else outside(c.test)[0]
    before = facts.numbers.get(key, Range())
    now = facts.numbers[key] = before.both(asked)
    if now.empty:
        return f"{label} {asked}" if before == Range() else f"{label} {before} and {asked}"
    if start.both(now).empty:
        return f"{label} {now}, and it is always {start}"
    return None


def _grade(c: r.GradeIs, wanted: bool, facts: Facts) -> str | None:
    known = frozenset(grade_parts(facts.rules))
    if not known:
        return "a grade, and there are none" if wanted else None
    return _word("grade", known & set(c.grades) if wanted else known - set(c.grades), facts)


def _channel(c: r.ChannelIs, wanted: bool, facts: Facts) -> str | None:
    names = c.test.one_of if c.test.one_of is not None else (c.test.equals,)
    if not wanted or not all(isinstance(name, str) for name in names):
        return None
    return _word(f"{c.which} channel", frozenset(names), facts)


def _word(what: str, names: frozenset[str], facts: Facts) -> str | None:
    before = facts.words.get(what)
    now = facts.words[what] = names if before is None else before & names
    return None if now else f"{what} is one thing and another"


def _stage(c: r.StageIs, wanted: bool, facts: Facts) -> str | None:
    met = frozenset(name for name in facts.stages if (name is not None and passes(c.test, name)) is wanted)
    facts.stages = met
    return None if met else ELSEWHERE


def _truth(what: str, value: bool, facts: Facts) -> str | None:
    if facts.truths.setdefault(what, value) is not value:
        return f"{what} is true and false"
    return None


def _did(c: r.Did, wanted: bool, facts: Facts) -> str | None:
    told = Deed(c.tracker, c.at_least, inf if c.within is None else c.within, c.since)
    (facts.done if wanted is not c.negated else facts.undone).append(told)
    return None


def _last(c: r.LastIs, wanted: bool, facts: Facts) -> str | None:
    if wanted:
        facts.done.append(Deed(c.tracker, 1))
        facts.silent.append((c.tracker, c.older_than))
    return None


def _sequence(c: r.Sequence, wanted: bool, facts: Facts) -> str | None:
    if wanted:
        facts.done += [Deed(tracker, c.trackers.count(tracker), c.within) for tracker in c.trackers]
    return None


_NUMBERS: Final[dict[type, Callable[[Any, r.Rules], tuple[tuple[str, Any], str, Range]]]] = {
    r.ScoreIs: lambda c, rules: (("score", c.name), c.name, score_range(rules, c.name)),
    r.InterestIs: lambda c, rules: (("interest", c.category), f"interest in {c.category}", interest_range(rules)),
    r.OrdersAre: lambda c, _: (("orders", c.within or inf), "orders", NATURAL),
    r.RevenueIs: lambda c, _: (("revenue", c.within or inf), "revenue", NATURAL),
    r.CartValueIs: lambda *_: (("cart_value", None), "cart_value", NATURAL),
    r.SessionsAre: lambda *_: (("sessions", None), "sessions", NATURAL),
    r.VisitDurationIs: lambda *_: (("visit_duration", None), "visit_duration in ms", NATURAL),
    r.PageDurationIs: lambda c, _: (("page_duration", c.path), "page_duration in ms", NATURAL),
}
"""What a condition on a number is about, its name, and what it always lies between."""
_TAKE: Final[dict[type, Callable[[Any, bool, Facts], str | None]]] = {
    **dict.fromkeys(_NUMBERS, _number),
    r.GradeIs: _grade,
    r.ChannelIs: _channel,
    r.StageIs: _stage,
    r.Known: lambda c, wanted, facts: _truth("known", c.value is wanted, facts),
    r.Mailable: lambda c, wanted, facts: _truth("mailable", c.value is wanted, facts),
    r.Did: _did,
    r.LastIs: _last,
    r.Sequence: _sequence,
    r.TraitIs: lambda c, wanted, _: _never(c.where) if wanted else None,
}
_COUNTED: Final = ("orders", "sessions", "visit_duration", "page_duration")
_WINDOWED: Final = ("orders", "revenue")


# --- do they agree? ---------------------------------------------------------------------------------------------------


def _contradiction(facts: Facts) -> str | None:
    return _numbers_apart(facts) or _grade_apart(facts) or _deeds_apart(facts)


def _numbers_apart(facts: Facts) -> str | None:
    for (what, over), between in facts.numbers.items():
        if what in _COUNTED and between.both(NATURAL).whole().empty:
            return f"{what} {between}"
        # What is done within a time is done within every longer one.
        windows = [key for key in facts.numbers if what in _WINDOWED and key[0] == what and key[1] > over]
        at_least = Range(between.low, above=between.above)
        most = [Range(high=other.high, below=other.below) for other in (facts.numbers[key] for key in windows)]
        if any(at_least.both(one).empty for one in most):
            return f"more {what} within a time than within a longer one"
    scores = {over: between for (what, over), between in facts.numbers.items() if what == "score"}
    total = scores.get(TOTAL)
    if total is not None and total.both(score_range(facts.rules, TOTAL, scores)).empty:
        return f"score {total}, while the scores it is made of do not allow that"
    return None


def _grade_apart(facts: Facts) -> str | None:
    grades = facts.words.get("grade")
    if grades is None:
        return None
    parts = grade_parts(facts.rules)
    asked = [
        score_range(facts.rules, name).both(facts.numbers.get(("score", name), Range())) for name in (FIT, ENGAGEMENT)
    ]
    for grade in grades:
        if not any(band.both(here).empty for band, here in zip(parts[grade], asked, strict=True)):
            return None
    return "a grade that fit and engagement never make: " + " or ".join(sorted(grades))


def _deeds_apart(facts: Facts) -> str | None:
    for one in facts.done:
        tracker = facts.rules.trackers.get(one.tracker)
        why = tracker and (_never(tracker.pattern.where) or _never(tracker.pattern.also))
        if why:
            return f"did {deed(one.tracker, facts.rules)}, where {why}"
        for other in facts.undone:
            if one.tracker == other.tracker and one.times >= other.times and _lies_in(one, other):
                return f"did {deed(one.tracker, facts.rules)} and did it not"
        for name, ago in facts.silent:
            if name == one.tracker and one.within <= ago:
                return f"did {deed(one.tracker, facts.rules)} lately and long ago only"
    return None


def _lies_in(one: Deed, other: Deed) -> bool:
    """Whether everything that counts for one deed counts for the other."""
    if other.since is not None:
        return one.since == other.since
    return other.within == inf if one.since is not None else one.within <= other.within


def _never(where: r.Where) -> str | None:
    """Return which field's test no value passes; None when each may be passed."""
    for name, test in where.fields:
        if of_test(test).empty:
            return f"{name} {of_test(test)}"
        if test.one_of is not None and test.none_of is not None and not _beside(test.one_of, test.none_of):
            return f"{name} is one of what it must not be"
        asks = any(getattr(test, bound) is not None for bound in ("equals", "one_of", "glob", "contains", *_BOUNDS))
        if test.exists is False and asks:
            return f"{name} is not there and is something"
    return None


def _beside(wanted: tuple[Any, ...], refused: tuple[Any, ...]) -> bool:
    """Whether one of the wanted values is not refused in the very same form."""
    same = {(type(value), value) for value in refused}
    return any((type(value), value) not in same for value in wanted)
