"""Between what a number that conditions ask about can lie, whatever a lead does."""

from math import fsum, inf
from typing import Final

import msgspec

from app.domain.crossing import DIGITS
from app.domain.rulebook import Rules, Signal, Test
from app.domain.score import FIT, TOTAL, clamp
from app.domain.wording import number

SLACK: Final = 1e-9
"""Scores are compared after rounding; so much, and no more, a computed range may be wrong by."""

_SHOWN: Final = 6
"""Digits that are shown: without the slack."""


class Range(msgspec.Struct, frozen=True):
    """Numbers from `low` to `high`; an open end is not among them."""

    low: float = -inf
    high: float = inf
    above: bool = False
    """`low` itself is out."""
    below: bool = False
    """`high` itself is out."""

    @property
    def empty(self) -> bool:
        """Whether no number is in it."""
        return self.low > self.high or (self.low == self.high and (self.above or self.below))

    def both(self, other: "Range") -> "Range":
        """Return what is in both."""
        low, above = max((self.low, self.above), (other.low, other.above))
        high, below = min((self.high, not self.below), (other.high, not other.below))
        return Range(low, high, above, not below)

    def whole(self) -> "Range":
        """Return the range of the whole numbers in it."""
        low = self.low if self.low == -inf else _ceil(self.low) + (self.above and _ceil(self.low) == self.low)
        high = self.high if self.high == inf else _floor(self.high) - (self.below and _floor(self.high) == self.high)
        return Range(low, high)

    def __str__(self) -> str:
        low = "" if self.low == -inf else f"{'>' if self.above else '≥'} {number(round(self.low, _SHOWN))}"
        high = "" if self.high == inf else f"{'<' if self.below else '≤'} {number(round(self.high, _SHOWN))}"
        return " and ".join(end for end in (low, high) if end) or "any number"


def _ceil(value: float) -> float:
    return -(-value // 1)


def _floor(value: float) -> float:
    return value // 1


NATURAL: Final = Range(0.0)


def of_test(test: Test) -> Range:
    """Return the numbers that pass the bounds of a test."""
    return (
        Range(low=-inf if test.ge is None else test.ge)
        .both(Range(low=-inf if test.gt is None else test.gt, above=test.gt is not None))
        .both(Range(high=inf if test.le is None else test.le))
        .both(Range(high=inf if test.lt is None else test.lt, below=test.lt is not None))
    )


def outside(test: Test) -> list[Range]:
    """Return the ranges of the numbers that do not pass the bounds of a test."""
    found = [Range(high=test.ge, below=True)] if test.ge is not None else []
    found += [Range(high=test.gt)] if test.gt is not None else []
    found += [Range(low=test.le, above=True)] if test.le is not None else []
    found += [Range(low=test.lt)] if test.lt is not None else []
    return found


def score_range(rules: Rules, name: str, known: dict[str, Range] | None = None) -> Range:
    """Return what `score`, `fit` or a named score lies between; `known` are narrower ranges of the total's parts."""
    if name == TOTAL:
        return _total_range(rules, known or {})
    if name == FIT:
        points = [row.points for row in rules.fit.traits] if rules.fit else []
        low, high = fsum(p for p in points if p < 0), fsum(p for p in points if p > 0)
        limits: tuple[float | None, float | None] = (rules.fit.min, rules.fit.max) if rules.fit else (0.0, 0.0)
    else:
        score = rules.scores.get(name)
        if score is None:
            return Range(0.0, 0.0)
        ends = [signal_range(rules.signals[signal]) for signal in score.signals]
        low, high = fsum(end.low for end in ends), fsum(end.high for end in ends)
        limits = (score.min, score.max)
    return _limited(low, high, *limits)


def signal_range(signal: Signal) -> Range:
    """Return what the points of a signal lie between: of any number of occurrences, one if it counts `once`.

    A measured property may be negative, and what a day's cap left out may be taken back: then nothing is known.
    """
    if not signal.points:
        return Range(0.0, 0.0)
    if signal.points_per is not None or signal.max_per_day is not None:
        return Range()
    most = abs(signal.points) if signal.once else inf
    return Range(-most if signal.points < 0 else 0.0, most if signal.points > 0 else 0.0)


def interest_range(rules: Rules) -> Range:
    """Return what an interest lies between: of its signals every occurrence counts."""
    signals = [rules.signals[name] for name in (rules.interests.signals if rules.interests else ())]
    low = -inf if any(signal.points < 0 or signal.points_per for signal in signals) else -SLACK
    high = inf if any(signal.points > 0 or signal.points_per for signal in signals) else SLACK
    return Range(low, high)


def _total_range(rules: Rules, known: dict[str, Range]) -> Range:
    low = high = 0.0
    for name, weight in rules.total.items():
        part = score_range(rules, name).both(known.get(name, Range()))
        if weight:
            ends = sorted((weight * (part.low - SLACK), weight * (part.high + SLACK)))
            low, high = low + ends[0], high + ends[1]
    return _limited(low, high, 0.0, 100.0)


def _limited(low: float, high: float, least: float | None, most: float | None) -> Range:
    """Return a computed range within a score's limits; the limits themselves are exact."""
    low_end, high_end = clamp(low - SLACK, least, most), clamp(high + SLACK, least, most)
    return Range(min(low_end, round(low_end, DIGITS)), max(high_end, round(high_end, DIGITS)))


def grade_parts(rules: Rules) -> dict[str, tuple[Range, Range]]:
    """Return each grade with the ranges of fit and engagement that make it."""
    return {
        letter + digit: (of_fit, of_engagement)
        for letter, of_fit in _bands(rules.grades_fit).items()
        for digit, of_engagement in _bands(rules.grades_engagement).items()
    }


def _bands(rungs: tuple[tuple[float, str], ...]) -> dict[str, Range]:
    bands, above = {}, inf
    for index, (threshold, name) in enumerate(rungs):
        low = -inf if index == len(rungs) - 1 else threshold
        bands[name] = Range(low, above, below=above != inf)
        above = threshold
    return bands
