"""Scores of a lead at a moment, and when they will cross a threshold (SEMANTICS §3, §4)."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from app.domain.crossing import (
    DIGITS,
    Groups,
    Threshold,
    Value,
    bounds,
    fading_sum,
    fading_time,
    first_change,
    first_fall,
    only_falls,
    over,
    slopes,
)
from app.domain.matching import matcher
from app.domain.rulebook import Rules, Signal, Test
from app.domain.signals import UNTOLD, Amount, faded, parts_at
from app.domain.state import Core, Latest

TOTAL: Final = "score"
FIT: Final = "fit"
ENGAGEMENT: Final = "engagement"


def clamp(value: float, low: float | None, high: float | None) -> float:
    """Return `value` within [low, high]; None = no bound."""
    if low is not None and value < low:
        return low
    return high if high is not None and value > high else value


class Scoring:
    """A brand's scores, laid out so that a board is worked out in one walk over what the lead did."""

    def __init__(self, rules: Rules) -> None:
        self.worth = {
            name: (signal, tuple(score.name for score in rules.scores.values() if name in score.signals))
            for name, signal in rules.signals.items()
        }
        """Signal → itself, and the scores that it adds to."""
        rows = rules.fit.traits if rules.fit is not None else ()
        self.fit = tuple((row.points, matcher(row.where)) for row in rows)
        rungs = [rung for rung, _ in rules.grades_engagement]
        above = [None, *rungs]
        self.rungs = [(rung, thresholds(Test(ge=rung, lt=higher))) for rung, higher in zip(rungs, above, strict=False)]
        """Of the grade's engagement, the highest first: (threshold, the limits between which the grade stays)."""
        self.below_rungs = thresholds(Test(lt=above[-1]))
        self.fit_of_nobody = Board(Core(), rules, 0, scoring=self)._points_for_traits()
        """Of a lead of which no trait is known."""


class Board:
    """The scores of one lead, from the moment `now` on."""

    def __init__(
        self, core: Core, rules: Rules, now: int, *, fit: float | None = None, scoring: Scoring | None = None
    ) -> None:
        self.core = core
        self.rules = rules
        self.now = now
        self._scoring = scoring if scoring is not None else Scoring(rules)
        self._groups: dict[str, Groups] | None = None
        self._unrounded: dict[str, float] = {}
        self._values: dict[str, float] = {}
        self._falling: dict[str, Groups | None] = {}
        self._fit = fit
        self._grade: str | None = None

    def groups(self, name: str) -> Groups:
        """Return a named score's points by half-life, unclamped."""
        if self._groups is None:
            self._groups = self._by_half_life()
        return self._groups[name]

    def _by_half_life(self) -> dict[str, Groups]:
        found: dict[str, Groups] = {name: {} for name in self.rules.scores}
        worth, now = self._scoring.worth, self.now
        for name, amount in self.core.signals.items():
            known = worth.get(name)
            if known is None:
                continue
            signal, scores = known
            if amount.older is not None:
                for score in scores:
                    self._add(found[score], signal, amount)
                continue
            half_life = signal.half_life if amount.half_life == UNTOLD else amount.half_life
            points = signal.points * faded(amount.units, amount.ref, half_life, now)
            for score in scores:
                groups = found[score]
                groups[half_life] = groups.get(half_life, 0.0) + points
        return found

    def fit(self) -> float:
        """Return the points for traits, clamped; they do not fade."""
        if self._fit is None:
            self._fit = self._points_for_traits() if self.core.traits else self._scoring.fit_of_nobody
        return self._fit

    def _points_for_traits(self) -> float:
        fit, traits = self.rules.fit, self.core.traits
        if fit is None:
            return 0.0

        def get(name: str) -> object:
            return trait(traits, name)

        value = math.fsum([points for points, test in self._scoring.fit if test is None or test(get)])
        return round(clamp(value, fit.min, fit.max), DIGITS)

    def value(self, name: str) -> float:
        """Return a score now, rounded to 9 decimals: `score`, `fit` or a named one."""
        value = self._values.get(name)
        if value is None:
            value = self._values[name] = round(self._now(name), DIGITS)
        return value

    def _now(self, name: str) -> float:
        """Return a score now, within its limits, not rounded."""
        value = self._unrounded.get(name)
        if value is None:
            if name == TOTAL:
                value = clamp(
                    math.fsum([weight * self._now(part) for part, weight in self.rules.total.items()]), 0.0, 100.0
                )
            elif name in self.rules.scores:
                score = self.rules.scores[name]
                value = clamp(math.fsum(self.groups(name).values()), score.min, score.max)
            else:
                value = self.fit() if name == FIT else 0.0
            self._unrounded[name] = value
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
        if self._grade is None and rules.grades_fit and rules.grades_engagement:
            self._grade = _rung(rules.grades_fit, self.fit()) + _rung(rules.grades_engagement, self.value(ENGAGEMENT))
        return self._grade

    # --- when? Each answer is UTC ms, after now and within `span` ms of it; None = none. ------------------------------

    def next_score_change(self, name: str, limits: Sequence[Threshold], span: int | None) -> int | None:
        """Return when a score may first be on another side of a limit than now.

        May be early, never late; so are the two below.
        """
        if name == FIT or (name != TOTAL and name not in self.rules.scores):
            return None
        falling = self._falling_groups(name)

        def value_after(after: int) -> float:
            return self.value_after(name, after)

        if falling is not None:
            return self._first_fall(
                falling, limits, self.value(name), lambda after: self.value_after(name, after), span
            )
        return self._first_change(
            limits,
            lambda after: self.value_after(name, after),
            lambda a, b: self._score_bounds(name, a, b),
            lambda a, b: self._one_way(name, a, b),
            fading_time(self.groups(part) for part in self._parts(name)),
            span,
        )

    def next_grade_change(self, span: int | None) -> int | None:
        """Return when the grade may first differ from now."""
        if ENGAGEMENT not in self.rules.scores or not self.rules.grades_fit:
            return None
        value = self.value(ENGAGEMENT)
        # Only the rung that it is on, and the one above, can be next.
        limits = next((limits for rung, limits in self._scoring.rungs if value >= rung), self._scoring.below_rungs)
        return self.next_score_change(ENGAGEMENT, limits, span)

    def next_interest_change(self, category: str, limits: Sequence[Threshold], span: int | None) -> int | None:
        """Return when an interest may first be on another side of a limit than now."""
        groups = self._interest_groups(category)

        def value_after(after: int) -> float:
            return round(fading_sum(groups, after), DIGITS)

        if only_falls(groups):
            return self._first_fall(groups, limits, value_after(0), value_after, span)
        return self._first_change(
            limits,
            value_after,
            lambda a, b: bounds(groups, a, b),
            lambda a, b: _one_sign(*slopes(groups, a, b)),
            fading_time([groups]),
            span,
        )

    def _first_fall(
        self, falling: Groups, limits: Sequence[Threshold], value: float, value_after: Value, span: int | None
    ) -> int | None:
        """Return the first moment at which a value that only falls gets below a limit: nothing differs before."""
        earliest: int | None = None
        for limit in limits:
            if over(limit, value):
                found = first_fall(falling, limit, value_after, span)
                if found is not None:
                    earliest = span = found
        return None if earliest is None else self.now + earliest

    def _first_change(
        self,
        limits: Sequence[Threshold],
        value_after: Value,
        bounds_of: Callable[[int, int], tuple[float, float]],
        one_way: Callable[[int, int], bool],
        fading: int,
        span: int | None,
    ) -> int | None:
        """Return the first moment at which a value comes to another side of a limit; `fading`: ms until it stays."""
        shorter = fading if span is None else min(span, fading)
        earliest: int | None = None
        for limit in limits:
            found = first_change(limit, value_after, bounds_of, one_way, shorter)
            if found is not None:
                earliest = shorter = found
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
                self._add(groups, signal, amount)
        return groups

    def _add(self, groups: Groups, signal: Signal, amount: Amount) -> None:
        """Add an amount's points now, by what they fade by: its own half-life, and those that it had before."""
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
