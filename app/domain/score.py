"""Scores of a lead at a moment, and when they will cross a threshold (SEMANTICS §3, §4).

A score is a sum of terms that each fade by their half-life: grouped by half-life it is Σ c_h · 2^(−Δ/h), so a crossing
can be bounded: what rises and what falls between two moments is known from the two ends alone.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from app.domain.matching import matches
from app.domain.rulebook import Rules, Score, Test
from app.domain.signals import Amount, units_at
from app.domain.state import Core, Latest

DIGITS: Final = 9
"""Values are compared after rounding, so that the order of a sum never decides."""
_NOTHING: Final = 10.0 ** -(DIGITS + 1)
_NOISE: Final = 1e-12
"""More than floating point can err by in a sum of points."""
_STEPS: Final = 4_000
TOTAL: Final = "score"
FIT: Final = "fit"

Groups = dict[int | None, float]
"""Half-life (ms; None = never fades) → points at the board's moment."""


def clamp(value: float, low: float | None, high: float | None) -> float:
    """Return `value` within [low, high]; None = no bound."""
    if low is not None and value < low:
        return low
    return high if high is not None and value > high else value


def _sum(groups: Groups, after: int) -> float:
    return math.fsum(
        points if half_life is None else points * 2.0 ** (-after / half_life) for half_life, points in groups.items()
    )


def _bounds(groups: Groups, a: int, b: int) -> tuple[float, float]:
    """Return what the sum lies between from `a` to `b`: rising parts at one end, falling ones at the other."""
    low = high = 0.0
    for half_life, points in groups.items():
        at_a = points if half_life is None else points * 2.0 ** (-a / half_life)
        at_b = points if half_life is None else points * 2.0 ** (-b / half_life)
        low += min(at_a, at_b)
        high += max(at_a, at_b)
    return low, high


class Board:
    """The scores of one lead, from the moment `now` on."""

    def __init__(self, core: Core, rules: Rules, now: int) -> None:
        self.core = core
        self.rules = rules
        self.now = now
        self._groups: dict[str, Groups] = {}
        self._fit: float | None = None
        self._points: dict[str, float] | None = None

    def points(self) -> dict[str, float]:
        """Return the faded points of each signal that has occurred."""
        if self._points is None:
            signals = self.rules.signals
            self._points = {
                name: signals[name].points * units_at(amount, signals[name].half_life, self.now)
                for name, amount in self.core.signals.items()
                if name in signals
            }
        return self._points

    def groups(self, name: str) -> Groups:
        """Return a named score's points by half-life, unclamped."""
        groups = self._groups.get(name)
        if groups is None:
            groups = {}
            points = self.points()
            for signal in self.rules.scores[name].signals:
                if signal in points:
                    half_life = self.rules.signals[signal].half_life
                    groups[half_life] = groups.get(half_life, 0.0) + points[signal]
            self._groups[name] = groups
        return groups

    def fit(self) -> float:
        """Return the points for traits, clamped; they do not fade."""
        if self._fit is None:
            fit = self.rules.fit
            if fit is None:
                self._fit = 0.0
            else:
                traits = self.core.traits
                value = math.fsum(row.points for row in fit.traits if matches(row.where, lambda n: trait(traits, n)))
                self._fit = round(clamp(value, fit.min, fit.max), DIGITS)
        return self._fit

    def value(self, name: str, after: int = 0) -> float:
        """Return a score `after` ms from the board's moment, rounded to 9 decimals: `score`, `fit` or a named one."""
        if name == TOTAL:
            return round(clamp(self._total(lambda part: self.value(part, after)), 0.0, 100.0), DIGITS)
        if name == FIT:
            return self.fit()
        score = self.rules.scores.get(name)
        if score is None:
            return 0.0
        return round(clamp(_sum(self.groups(name), after), score.min, score.max), DIGITS)

    def interest(self, category: str, after: int = 0) -> float:
        """Return the fading score of a category, compared without regard to case; rounded to 9 decimals."""
        return round(_sum(self._interest_groups(category), after), DIGITS)

    def interests(self) -> list[tuple[str, float]]:
        """Return every category with its score, highest first, then by name."""
        scores = []
        for category, amounts in self.core.interests.items():
            scores.append((category, round(_sum(self._amount_groups(amounts.items()), 0), DIGITS)))
        return sorted(scores, key=lambda row: (-row[1], row[0]))

    def grade(self, after: int = 0) -> str | None:
        """Return the grade, `A1` to `D4`; None without declared thresholds."""
        rules = self.rules
        if not rules.grades_fit or not rules.grades_engagement:
            return None
        letter = _rung(rules.grades_fit, self.fit())
        digit = _rung(rules.grades_engagement, self.value("engagement", after))
        return letter + digit

    def next_score_change(self, name: str, test: Test, span: int | None) -> int | None:
        """Return the first ms within `span` ms after now at which `test` of a score differs from now; None = none.

        `span` None = ever. May be early, never late; so are the two below.
        """
        if name == FIT:
            return None
        names = [part for part in (self.rules.total if name == TOTAL else (name,)) if part in self.rules.scores]
        weights = self.rules.total if name == TOTAL else {}
        return self._first_change(
            lambda after: within(test, self.value(name, after)),
            lambda a, b: _may_change(test, *self._score_bounds(name, a, b)),
            _shorter(span, _fading_time([self.groups(part) for part in names])),
            one_way=_one_sided(test) and _all_fall([(self.groups(part), weights.get(part, 1.0)) for part in names]),
        )

    def next_grade_change(self, span: int | None) -> int | None:
        """Return the first ms within `span` after now at which the grade differs; None = none."""
        if "engagement" not in self.rules.scores:
            return None
        tests = [Test(ge=threshold) for threshold, _ in self.rules.grades_engagement]
        return self._first_change(
            self.grade,
            lambda a, b: any(_may_change(test, *self._score_bounds("engagement", a, b)) for test in tests),
            _shorter(span, _fading_time([self.groups("engagement")])),
            one_way=_all_fall([(self.groups("engagement"), 1.0)]),
        )

    def next_interest_change(self, category: str, test: Test, span: int | None) -> int | None:
        """Return the first ms within `span` after now at which `test` of an interest differs; None = none."""
        groups = self._interest_groups(category)
        return self._first_change(
            lambda after: within(test, round(_sum(groups, after), DIGITS)),
            lambda a, b: _may_change(test, *_bounds(groups, a, b)),
            _shorter(span, _fading_time([groups])),
            one_way=_one_sided(test) and _all_fall([(groups, 1.0)]),
        )

    def _total(self, part: Callable[[str], float]) -> float:
        return math.fsum(weight * part(name) for name, weight in self.rules.total.items())

    def _interest_groups(self, category: str) -> Groups:
        wanted = category.casefold()
        found = [
            item
            for known, amounts in self.core.interests.items()
            if known.casefold() == wanted
            for item in amounts.items()
        ]
        return self._amount_groups(found)

    def _amount_groups(self, amounts: Iterable[tuple[str, Amount]]) -> Groups:
        groups: Groups = {}
        for name, amount in amounts:
            signal = self.rules.signals.get(name)
            if signal is not None:
                points = signal.points * units_at(amount, signal.half_life, self.now)
                groups[signal.half_life] = groups.get(signal.half_life, 0.0) + points
        return groups

    def _score_bounds(self, name: str, a: int, b: int) -> tuple[float, float]:
        if name == TOTAL:
            low = high = 0.0
            for part, weight in self.rules.total.items():
                ends = [weight * value for value in self._score_bounds(part, a, b)]
                low += min(ends)
                high += max(ends)
            return clamp(low, 0.0, 100.0), clamp(high, 0.0, 100.0)
        if name == FIT:
            return self.fit(), self.fit()
        score = self.rules.scores.get(name)
        if score is None:
            return 0.0, 0.0
        low, high = _bounds(self.groups(name), a, b)
        return _clamped(score, low), _clamped(score, high)

    def _first_change(
        self, truth: Callable[[int], object], may_change: Callable[[int, int], bool], span: int, *, one_way: bool
    ) -> int | None:
        """Return the first ms in (now, now + span] at which `truth` differs from now.

        Intervals in which the bounds allow no change are passed over, the others halved down to 1 ms, the earlier half
        first. A truth that changes `one_way` only is known from its end. When it takes too many steps the interval's
        beginning is returned: early, never late.
        """
        if span <= 0 or not may_change(0, span):
            return None
        before = truth(0)
        if one_way:
            if truth(span) == before:
                return None
            return self.now + _bisect(truth, before, span)
        steps = 0
        todo = _doubling(span)
        while todo:
            a, b = todo.pop()
            if not may_change(a, b):
                continue
            if b - a <= 1:
                if truth(b) != before:
                    return self.now + b
                continue
            steps += 1
            if steps > _STEPS:
                return self.now + max(a, 1)
            middle = (a + b) // 2
            todo += [(middle, b), (a, middle)]
        return None


def _bisect(truth: Callable[[int], object], before: object, span: int) -> int:
    """Return the first ms in (0, span] at which a truth that changes once differs from `before`."""
    low, high = 0, min(span, 60_000)
    while high < span and truth(high) == before:
        low, high = high, min(high * 8, span)
    while high - low > 1:
        middle = (low + high) // 2
        if truth(middle) == before:
            low = middle
        else:
            high = middle
    return high


def _doubling(span: int) -> list[tuple[int, int]]:
    """Return intervals that cover (0, span], each twice as long as the one before; the first is last in the list."""
    intervals = []
    begin, width = 0, 60_000
    while begin < span:
        intervals.append((begin, min(begin + width, span)))
        begin, width = begin + width, width * 2
    return intervals[::-1]


def _shorter(span: int | None, fading: int) -> int:
    return fading if span is None else min(span, fading)


def _one_sided(test: Test) -> bool:
    return sum(bound is not None for bound in (test.ge, test.gt, test.le, test.lt, test.equals)) == 1 and (
        test.equals is None
    )


def _all_fall(weighted: Iterable[tuple[Groups, float]]) -> bool:
    """Return whether no term rises, so that the sum can only fall."""
    return all(
        points * weight >= 0
        for groups, weight in weighted
        for half_life, points in groups.items()
        if half_life is not None
    )


def _clamped(score: Score, value: float) -> float:
    return clamp(value, score.min, score.max)


def _rung(thresholds: tuple[tuple[float, str], ...], value: float) -> str:
    """Return the name of the highest threshold reached; the lowest rung when none is."""
    return next((name for threshold, name in thresholds if value >= threshold), thresholds[-1][1])


def trait(traits: Mapping[str, Latest], name: str) -> object:
    """Return a trait's newest value; None when it is not known."""
    latest = traits.get(name)
    return None if latest is None else latest.value


def within(test: Test, value: float) -> bool:
    """Return whether a number is within a test's bounds."""
    return (
        (test.ge is None or value >= test.ge)
        and (test.gt is None or value > test.gt)
        and (test.le is None or value <= test.le)
        and (test.lt is None or value < test.lt)
        and (test.equals is None or value == test.equals)
    )


def _may_change(test: Test, low: float, high: float) -> bool:
    """Return whether `test` may differ among the values from `low` to `high`, rounded as they are compared."""
    low, high = round(low - _NOISE, DIGITS), round(high + _NOISE, DIGITS)
    if low == high:
        return False
    holds = within(test, low)
    if holds != within(test, high):
        return True
    # Both ends outside: what lies between may still be inside.
    bounds = (test.ge, test.gt, test.le, test.lt, test.equals)
    return not holds and any(bound is not None and low < bound < high for bound in bounds)


def _fading_time(sums: Iterable[Groups]) -> int:
    """Return the ms after which everything that fades has faded to nothing."""
    longest = 0.0
    for groups in sums:
        for half_life, points in groups.items():
            if half_life is not None and abs(points) > _NOTHING:
                longest = max(longest, half_life * (math.log2(abs(points) / _NOTHING) + 1))
    return math.ceil(longest)
