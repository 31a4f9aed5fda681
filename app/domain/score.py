"""Scores of a lead at a moment, and when they will cross a threshold (SEMANTICS §3, §4)."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from app.domain.crossing import (
    DIGITS,
    Groups,
    bounds,
    fading_sum,
    fading_time,
    first_change,
    first_fall,
    only_falls,
    slopes,
)
from app.domain.matching import matches
from app.domain.rulebook import Rules, Test
from app.domain.signals import Amount, units_at
from app.domain.state import Core, Latest

TOTAL: Final = "score"
FIT: Final = "fit"
ENGAGEMENT: Final = "engagement"
_NOISE: Final = 1e-12
"""More than floating point can err by in a sum of points."""


def clamp(value: float, low: float | None, high: float | None) -> float:
    """Return `value` within [low, high]; None = no bound."""
    if low is not None and value < low:
        return low
    return high if high is not None and value > high else value


class Board:
    """The scores of one lead, from the moment `now` on."""

    def __init__(self, core: Core, rules: Rules, now: int, *, fit: float | None = None) -> None:
        self.core = core
        self.rules = rules
        self.now = now
        self._groups: dict[str, Groups] = {}
        self._values: dict[str, float] = {}
        self._falling: dict[str, Groups | None] = {}
        self._fit = fit
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

    def value(self, name: str) -> float:
        """Return a score now, rounded to 9 decimals: `score`, `fit` or a named one."""
        value = self._values.get(name)
        if value is None:
            value = self._values[name] = self.value_after(name, 0)
        return value

    def value_after(self, name: str, after: int) -> float:
        """Return a score `after` ms from now if nothing happens, rounded to 9 decimals."""
        if name == TOTAL:
            at = self.value_after if after else lambda part, _: self.value(part)
            parts = [weight * at(part, after) for part, weight in self.rules.total.items()]
            return round(clamp(math.fsum(parts), 0.0, 100.0), DIGITS)
        if name == FIT:
            return self.fit()
        score = self.rules.scores.get(name)
        if score is None:
            return 0.0
        return round(clamp(fading_sum(self.groups(name), after), score.min, score.max), DIGITS)

    def interest(self, category: str) -> float:
        """Return the fading score of a category, compared without regard to case; rounded to 9 decimals."""
        return round(fading_sum(self._interest_groups(category), 0), DIGITS)

    def interests(self) -> list[tuple[str, float]]:
        """Return every category with its score, highest first, then by name."""
        scores = []
        for category, amounts in self.core.interests.items():
            scores.append((category, round(fading_sum(self._amount_groups(amounts.items()), 0), DIGITS)))
        return sorted(scores, key=lambda row: (-row[1], row[0]))

    def grade(self, after: int = 0) -> str | None:
        """Return the grade, `A1` to `D4`; None without declared thresholds."""
        rules = self.rules
        if not rules.grades_fit or not rules.grades_engagement:
            return None
        engagement = self.value_after(ENGAGEMENT, after) if after else self.value(ENGAGEMENT)
        return _rung(rules.grades_fit, self.fit()) + _rung(rules.grades_engagement, engagement)

    # --- when? Each answer is UTC ms, after now and within `span` ms of it; None = none. ------------------------------

    def next_score_change(self, name: str, test: Test, span: int | None) -> int | None:
        """Return when `test` of a score may first differ from now. May be early, never late; so are the two below."""
        if name == FIT or (name != TOTAL and name not in self.rules.scores):
            return None
        falling = self._falling_groups(name)
        fading = fading_time(self.groups(part) for part in self._parts(name)) if falling is None else 0

        def one(side: Test, span: int | None) -> int | None:
            def truth(after: int) -> bool:
                return within(side, self.value_after(name, after))

            if falling is not None:
                return _fall(falling, self.value(name), side, truth, span)
            return first_change(
                truth,
                lambda a, b: _may_change(side, *self._score_bounds(name, a, b)),
                lambda a, b: self._one_way(name, a, b),
                fading if span is None else min(span, fading),
            )

        return self._first(test, span, one)

    def next_grade_change(self, span: int | None) -> int | None:
        """Return when the grade may first differ from now."""
        if ENGAGEMENT not in self.rules.scores or not self.rules.grades_fit:
            return None
        value = self.value(ENGAGEMENT)
        thresholds = [threshold for threshold, _ in self.rules.grades_engagement]
        # Only the rung that it is on, and the one above, can be next.
        nearest = [
            max((threshold for threshold in thresholds if threshold <= value), default=None),
            min((threshold for threshold in thresholds if threshold > value), default=None),
        ]
        moments = [
            self.next_score_change(ENGAGEMENT, Test(ge=threshold), span)
            for threshold in nearest
            if threshold is not None
        ]
        return min((at for at in moments if at is not None), default=None)

    def next_interest_change(self, category: str, test: Test, span: int | None) -> int | None:
        """Return when `test` of an interest may first differ from now."""
        groups = self._interest_groups(category)
        falls = only_falls(groups)
        value = round(fading_sum(groups, 0), DIGITS)

        def one(side: Test, span: int | None) -> int | None:
            def truth(after: int) -> bool:
                return within(side, round(fading_sum(groups, after), DIGITS))

            if falls:
                return _fall(groups, value, side, truth, span)
            fading = fading_time([groups])
            return first_change(
                truth,
                lambda a, b: _may_change(side, *bounds(groups, a, b)),
                lambda a, b: _one_sign(*slopes(groups, a, b)),
                fading if span is None else min(span, fading),
            )

        return self._first(test, span, one)

    def _first(self, test: Test, span: int | None, one: Callable[[Test, int | None], int | None]) -> int | None:
        """Return the first moment that `one` finds for a side of the test: it cannot differ before one of them does."""
        earliest: int | None = None
        for side in _sides(test):
            found = one(side, span)
            if found is not None:
                earliest = span = found
        return None if earliest is None else self.now + earliest

    def _one_way(self, name: str, a: int, b: int) -> bool:
        """Return whether a score only falls, or only rises, from `a` to `b`; limits do not change that."""
        weights = self.rules.total if name == TOTAL else {name: 1.0}
        low = high = 0.0
        for part in self._parts(name):
            ends = [weights[part] * slope for slope in slopes(self.groups(part), a, b)]
            low, high = min(low, *ends), max(high, *ends)
        return _one_sign(low, high)

    def _parts(self, name: str) -> list[str]:
        names: Iterable[str] = self.rules.total if name == TOTAL else (name,)
        return [part for part in names if part in self.rules.scores]

    def _falling_groups(self, name: str) -> Groups | None:
        """Return a score as one sum that only falls; None when it may rise, or its limits hold it."""
        if name not in self._falling:
            self._falling[name] = self._total_falling() if name == TOTAL else self._score_falling(name)
        return self._falling[name]

    def _score_falling(self, name: str) -> Groups | None:
        score, groups = self.rules.scores[name], self.groups(name)
        stays = groups.get(None, 0.0)
        if not only_falls(groups) or (score.min is not None and stays < score.min):
            return None
        return groups if score.max is None or fading_sum(groups, 0) <= score.max else None

    def _total_falling(self) -> Groups | None:
        merged: Groups = {None: 0.0}
        for part, weight in self.rules.total.items():
            groups: Groups | None = {None: self.fit()} if part == FIT else {}
            if part in self.rules.scores:
                groups = self._falling_groups(part)
            if groups is None or weight < 0:
                return None
            for half_life, points in groups.items():
                merged[half_life] = merged.get(half_life, 0.0) + weight * points
        return merged if merged[None] >= 0 and fading_sum(merged, 0) <= 100.0 else None

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
        low, high = bounds(self.groups(name), a, b)
        return clamp(low, score.min, score.max), clamp(high, score.min, score.max)


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


def _sides(test: Test) -> list[Test]:
    """Return the thresholds of a test, each as a test of its own."""
    sides = [
        Test(ge=test.ge) if test.ge is not None else None,
        Test(gt=test.gt) if test.gt is not None else None,
        Test(le=test.le) if test.le is not None else None,
        Test(lt=test.lt) if test.lt is not None else None,
    ]
    if isinstance(test.equals, int | float):
        sides += [Test(ge=test.equals), Test(le=test.equals)]
    return [side for side in sides if side is not None]


def _fall(groups: Groups, value: float, side: Test, truth: Callable[[int], bool], span: int | None) -> int | None:
    """Return the first ms at which a value that only falls crosses a threshold: leaves it, or comes under it, once."""
    upper = side.le if side.le is not None else side.lt
    if within(side, value) != (upper is None):
        return None
    bound = upper if upper is not None else side.ge if side.ge is not None else side.gt
    assert bound is not None
    return first_fall(groups, bound, side.ge is not None or side.lt is not None, truth, span)


def _may_change(side: Test, low: float, high: float) -> bool:
    """Return whether a threshold lies among the values from `low` to `high`, rounded as they are compared."""
    return within(side, round(low - _NOISE, DIGITS)) != within(side, round(high + _NOISE, DIGITS))


def _one_sign(low: float, high: float) -> bool:
    return low >= 0 or high <= 0
