"""Scores of a lead at a moment, and when they will cross a threshold (SEMANTICS §3, §4)."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from app.domain.crossing import DIGITS, Groups, bounds, fading_sum, fading_time, first_change, first_fall, only_falls
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

    def __init__(self, core: Core, rules: Rules, now: int) -> None:
        self.core = core
        self.rules = rules
        self.now = now
        self._groups: dict[str, Groups] = {}
        self._values: dict[str, float] = {}
        self._falling: dict[str, Groups | None] = {}
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
        """Return when `test` of a score first differs from now. May be early, never late; so are the two below."""
        if name == FIT or (name != TOTAL and name not in self.rules.scores):
            return None

        def truth(after: int) -> bool:
            return within(test, self.value_after(name, after))

        falling = self._falling_groups(name)
        if falling is not None and _one_sided(test):
            return self._fall(falling, self.value(name), test, truth, span)
        found = first_change(
            truth,
            lambda a, b: _may_change(test, *self._score_bounds(name, a, b)),
            _shorter(span, fading_time(self.groups(part) for part in self._parts(name))),
        )
        return None if found is None else self.now + found

    def next_grade_change(self, span: int | None) -> int | None:
        """Return when the grade first differs from now."""
        if ENGAGEMENT not in self.rules.scores or not self.rules.grades_fit:
            return None
        thresholds = [threshold for threshold, _ in self.rules.grades_engagement]
        value = self.value(ENGAGEMENT)
        reached = [threshold for threshold in thresholds if value >= threshold]
        if self._falling_groups(ENGAGEMENT) is not None:
            return self.next_score_change(ENGAGEMENT, Test(ge=max(reached)), span) if reached else None
        tests = [Test(ge=threshold) for threshold in thresholds]
        found = first_change(
            self.grade,
            lambda a, b: any(_may_change(test, *self._score_bounds(ENGAGEMENT, a, b)) for test in tests),
            _shorter(span, fading_time([self.groups(ENGAGEMENT)])),
        )
        return None if found is None else self.now + found

    def next_interest_change(self, category: str, test: Test, span: int | None) -> int | None:
        """Return when `test` of an interest first differs from now."""
        groups = self._interest_groups(category)

        def truth(after: int) -> bool:
            return within(test, round(fading_sum(groups, after), DIGITS))

        if only_falls(groups) and _one_sided(test):
            return self._fall(groups, round(fading_sum(groups, 0), DIGITS), test, truth, span)
        found = first_change(
            truth, lambda a, b: _may_change(test, *bounds(groups, a, b)), _shorter(span, fading_time([groups]))
        )
        return None if found is None else self.now + found

    def _fall(
        self, groups: Groups, value: float, test: Test, truth: Callable[[int], bool], span: int | None
    ) -> int | None:
        upper = test.le if test.le is not None else test.lt
        # A falling value leaves a lower bound once, and comes under an upper bound once.
        if within(test, value) != (upper is None):
            return None
        bound = upper if upper is not None else test.ge if test.ge is not None else test.gt
        assert bound is not None
        found = first_fall(groups, bound, test.ge is not None or test.lt is not None, truth, span)
        return None if found is None else self.now + found

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


def _one_sided(test: Test) -> bool:
    return test.equals is None and sum(bound is not None for bound in (test.ge, test.gt, test.le, test.lt)) == 1


def _may_change(test: Test, low: float, high: float) -> bool:
    """Return whether `test` may differ among the values from `low` to `high`, rounded as they are compared."""
    low, high = round(low - _NOISE, DIGITS), round(high + _NOISE, DIGITS)
    if low == high:
        return False
    holds = within(test, low)
    if holds != within(test, high):
        return True
    # Both ends outside: what lies between may still be inside.
    limits = (test.ge, test.gt, test.le, test.lt, test.equals)
    return not holds and any(limit is not None and low < limit < high for limit in limits)


def _shorter(span: int | None, fading: int) -> int:
    return fading if span is None else min(span, fading)
