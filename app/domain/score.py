"""Scores of a lead at a moment, and when they will cross a threshold (SEMANTICS §3, §4)."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from app.domain.crossing import (
    DIGITS,
    Groups,
    Threshold,
    bounds,
    fading_sum,
    fading_time,
    first_change,
    first_fall,
    only_falls,
    over,
    slopes,
)
from app.domain.matching import matches
from app.domain.rulebook import Rules, Signal, Test
from app.domain.signals import UNTOLD, Amount, parts_at, units_at
from app.domain.state import Core, Latest

TOTAL: Final = "score"
FIT: Final = "fit"
ENGAGEMENT: Final = "engagement"


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
            members, signals = self.rules.scores[name].signals, self.rules.signals
            amounts = self.core.signals
            for signal, points in self.points().items():
                if signal in members:
                    amount = amounts[signal]
                    if amount.older is None and amount.half_life != UNTOLD:
                        groups[amount.half_life] = groups.get(amount.half_life, 0.0) + points
                    else:
                        self._add(groups, signals[signal], amount, points)
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
        return round(self._plain(name, after), DIGITS)

    def _plain(self, name: str, after: int) -> float:
        if name == TOTAL:
            parts = [weight * self._plain(part, after) for part, weight in self.rules.total.items()]
            return clamp(math.fsum(parts), 0.0, 100.0)
        if name == FIT:
            return self.fit()
        score = self.rules.scores.get(name)
        if score is None:
            return 0.0
        return clamp(fading_sum(self.groups(name), after), score.min, score.max)

    def interest(self, category: str) -> float:
        """Return the fading score of a category, compared without regard to case; rounded to 9 decimals."""
        return round(fading_sum(self._interest_groups(category), 0), DIGITS)

    def interests(self) -> list[tuple[str, float]]:
        """Return every category with its score, highest first, then by name."""
        scores = []
        for category, amounts in self.core.interests.items():
            scores.append((category, round(fading_sum(self._amount_groups(amounts.items()), 0), DIGITS)))
        return sorted(scores, key=lambda row: (-row[1], row[0]))

    def grade(self) -> str | None:
        """Return the grade, `A1` to `D4`; None without declared thresholds."""
        rules = self.rules
        if not rules.grades_fit or not rules.grades_engagement:
            return None
        return _rung(rules.grades_fit, self.fit()) + _rung(rules.grades_engagement, self.value(ENGAGEMENT))

    # --- when? Each answer is UTC ms, after now and within `span` ms of it; None = none. ------------------------------

    def next_score_change(self, name: str, test: Test, span: int | None) -> int | None:
        """Return when `test` of a score may first differ from now. May be early, never late; so are the two below."""
        if name == FIT or (name != TOTAL and name not in self.rules.scores):
            return None
        falling = self._falling_groups(name)
        return self._first(
            thresholds(test),
            self.value(name),
            falling,
            lambda after: self.value_after(name, after),
            lambda a, b: self._score_bounds(name, a, b),
            lambda a, b: self._one_way(name, a, b),
            fading_time(self.groups(part) for part in self._parts(name)) if falling is None else 0,
            span,
        )

    def next_grade_change(self, span: int | None) -> int | None:
        """Return when the grade may first differ from now."""
        if ENGAGEMENT not in self.rules.scores or not self.rules.grades_fit:
            return None
        value = self.value(ENGAGEMENT)
        rungs = [threshold for threshold, _ in self.rules.grades_engagement]
        # Only the rung that it is on, and the one above, can be next.
        reached = [rung for rung in rungs if rung <= value]
        above = [rung for rung in rungs if rung > value]
        test = Test(ge=max(reached, default=None), lt=min(above, default=None))
        return self.next_score_change(ENGAGEMENT, test, span)

    def next_interest_change(self, category: str, test: Test, span: int | None) -> int | None:
        """Return when `test` of an interest may first differ from now."""
        groups = self._interest_groups(category)
        falls = only_falls(groups)
        return self._first(
            thresholds(test),
            round(fading_sum(groups, 0), DIGITS),
            groups if falls else None,
            lambda after: round(fading_sum(groups, after), DIGITS),
            lambda a, b: bounds(groups, a, b),
            lambda a, b: _one_sign(*slopes(groups, a, b)),
            0 if falls else fading_time([groups]),
            span,
        )

    def _first(
        self,
        limits: Iterable[Threshold],
        value: float,
        falling: Groups | None,
        value_after: Callable[[int], float],
        bounds_of: Callable[[int, int], tuple[float, float]],
        one_way: Callable[[int, int], bool],
        fading: int,
        span: int | None,
    ) -> int | None:
        """Return the first moment at which the value comes to another side of a threshold: nothing differs before."""
        earliest: int | None = None
        for limit in limits:
            if falling is not None:
                if not over(limit, value):
                    continue
                found = first_fall(falling, limit, value_after, span)
            else:
                shorter = fading if span is None else min(span, fading)
                found = first_change(limit, value_after, bounds_of, one_way, shorter)
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
                self._add(groups, signal, amount, signal.points * units_at(amount, signal.half_life, self.now))
        return groups

    def _add(self, groups: Groups, signal: Signal, amount: Amount, points: float) -> None:
        """Add an amount's points now, by what they fade by: its own half-life, and those that it had before."""
        if amount.older is None:
            half_life = signal.half_life if amount.half_life == UNTOLD else amount.half_life
            groups[half_life] = groups.get(half_life, 0.0) + points
        else:
            for half_life, units in parts_at(amount, signal.half_life, self.now):
                groups[half_life] = groups.get(half_life, 0.0) + signal.points * units

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


def _rung(rungs: tuple[tuple[float, str], ...], value: float) -> str:
    """Return the name of the highest rung reached; the lowest when none is."""
    for threshold, name in rungs:
        if value >= threshold:
            return name
    return rungs[-1][1]


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


def thresholds(test: Test) -> list[Threshold]:
    """Return the thresholds of a test."""
    found: list[Threshold] = []
    if test.ge is not None:
        found.append((test.ge, True))
    if test.gt is not None:
        found.append((test.gt, False))
    if test.le is not None:
        found.append((test.le, False))
    if test.lt is not None:
        found.append((test.lt, True))
    if isinstance(test.equals, int | float):
        found += [(test.equals, True), (test.equals, False)]
    return found


def _one_sign(low: float, high: float) -> bool:
    return low >= 0 or high <= 0
