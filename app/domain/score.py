"""Scores of a lead at a moment (SEMANTICS §3). When they will cross a threshold is `app.domain.score_changes`."""

import math
from collections.abc import Iterable, Mapping
from typing import Final

from app.domain.crossing import DIGITS, Groups, fading_sum, thresholds
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
        self.scoring = scoring if scoring is not None else Scoring(rules)
        self._groups: dict[str, Groups] | None = None
        self._unrounded: dict[str, float] = {}
        self._values: dict[str, float] = {}
        self.falling: dict[str, Groups | None] = {}
        """Scores as sums that only fall, once they have been asked for (`app.domain.score_changes`)."""
        self._fit = fit
        self._grade: str | None = None

    def groups(self, name: str) -> Groups:
        """Return a named score's points by half-life, unclamped."""
        if self._groups is None:
            self._groups = self._by_half_life()
        return self._groups[name]

    def _by_half_life(self) -> dict[str, Groups]:
        found: dict[str, Groups] = {name: {} for name in self.rules.scores}
        worth, now = self.scoring.worth, self.now
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
            self._fit = self._points_for_traits() if self.core.traits else self.scoring.fit_of_nobody
        return self._fit

    def _points_for_traits(self) -> float:
        fit, traits = self.rules.fit, self.core.traits
        if fit is None:
            return 0.0

        def get(name: str) -> object:
            return trait(traits, name)

        value = math.fsum([points for points, test in self.scoring.fit if test is None or test(get)])
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
        return round(fading_sum(self.interest_groups(category), 0), DIGITS)

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

    def interest_groups(self, category: str) -> Groups:
        """Return the points of a category, compared without regard to case, by half-life."""
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
