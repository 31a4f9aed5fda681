"""Scores: every occurrence with its points, faded one by one and added."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from app.domain.event import Event
from app.domain.rulebook import Rules, Signal
from tests.system.oracle.matching import Reader, distinct, dotted, folded, holds
from tests.system.oracle.visits import Journey, seconds_of

DIGITS = 9
"""Every score is rounded to so many decimals before it is compared."""


@dataclass(frozen=True)
class Worth:
    """Points from a time on."""

    signal: str
    points: float
    at: int
    half_life: int | None
    event: Event

    def now(self, now: int) -> float:
        """What is left of them."""
        return self.points if self.half_life is None else self.points * 2.0 ** (-(now - self.at) / self.half_life)


def local_midnight(at: int, zone: str) -> int:
    """The start of the day that a moment is in."""
    local = datetime.fromtimestamp(at / 1000, UTC).astimezone(ZoneInfo(zone))
    return round(local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0).timestamp()) * 1000


def worths_of(signal: Signal, events: list[Event], journey: Journey, reader: Reader) -> Iterator[Worth]:
    """Every occurrence of a signal that counts."""
    matching = [event for event in events if reader.matches(signal.pattern, event)]
    per = signal.points_per
    if per is not None and signal.pattern.kind == "page_engaged" and per.property == "duration":
        yield from dwell_worths(signal, matching, journey)
        return
    if per is not None:
        for event in matching:
            told = dotted(event.properties, per.property)
            if isinstance(told, int | float) and not isinstance(told, bool) and told > 0:
                yield Worth(signal.name, units(signal, told), event.at, signal.half_life, event)
        return
    if signal.once:
        matching = matching[:1]
    days: dict[int, int] = {}
    for event in matching:
        at = event.at
        if signal.max_per_day is not None:
            at = local_midnight(at, reader.rules.timezone)
            days[at] = days.get(at, 0) + 1
            if days[at] > signal.max_per_day:
                continue
        yield Worth(signal.name, signal.points, at, signal.half_life, event)


def dwell_worths(signal: Signal, matching: list[Event], journey: Journey) -> Iterator[Worth]:
    """Points of dwell: summed per page view, before the floor."""
    for view in journey.views():
        dwells = [event for event in view.dwells if event in matching]
        if dwells:
            seconds = sum(seconds_of(event) for event in dwells)
            yield Worth(signal.name, units(signal, seconds), view.event.at, signal.half_life, dwells[0])


def units(signal: Signal, amount: float) -> float:
    """Points of a number."""
    assert signal.points_per is not None
    points = math.floor(amount / signal.points_per.each) * signal.points_per.points
    return points if signal.points_per.max is None else min(points, signal.points_per.max)


def clamped(value: float, low: float | None, high: float | None) -> float:
    """A value within its bounds."""
    value = value if low is None else max(low, value)
    return value if high is None else min(high, value)


class Scores:
    """All scores of a lead as functions of the time."""

    def __init__(
        self, events: list[Event], journey: Journey, reader: Reader, traits: dict[str, object], rules: Rules
    ) -> None:
        self.rules = rules
        self.worths = [
            worth for signal in rules.signals.values() for worth in worths_of(signal, events, journey, reader)
        ]
        self.fit = 0.0
        if rules.fit is not None:
            got = sum(line.points for line in rules.fit.traits if holds(line.where, lambda name: dotted(traits, name)))
            self.fit = clamped(got, rules.fit.min, rules.fit.max)
        self.interests: dict[str, list[Worth]] = {}
        if rules.interests is not None:
            for worth in self.worths:
                if worth.signal in rules.interests.signals:
                    for category in categories(worth.event, rules.interests.by):
                        self.interests.setdefault(category, []).append(worth)

    def interest(self, category: str) -> list[Worth]:
        """What a category got, however it was written."""
        return [worth for told, worths in self.interests.items() if folded(told) == category for worth in worths]

    def bounds(self, name: str, start: int, end: int) -> tuple[float, float]:
        """Between what a score, as it is compared, lies on [start, end]: P(end) − N(start) and P(start) − N(end)."""
        low, high = self._bounds(name, start, end)
        return round(low, DIGITS), round(high, DIGITS)

    def _bounds(self, name: str, start: int, end: int) -> tuple[float, float]:
        if name == "fit":
            return self.fit, self.fit
        if name == "score":
            parts = [(w, self._bounds(part, start, end)) for part, w in self.rules.total.items()]
            low = sum(min(w * one, w * other) for w, (one, other) in parts)
            high = sum(max(w * one, w * other) for w, (one, other) in parts)
            return clamped(low, 0, 100), clamped(high, 0, 100)
        if name.startswith("interest:"):
            return between(self.interest(name.removeprefix("interest:")), start, end)
        score = self.rules.scores[name]
        low, high = between([worth for worth in self.worths if worth.signal in score.signals], start, end)
        return clamped(low, score.min, score.max), clamped(high, score.min, score.max)

    def value(self, name: str, now: int) -> float:
        """A score, as it is compared."""
        return self.bounds(name, now, now)[0]

    def crossings(self, name: str, threshold: float, start: int, end: int) -> Iterator[int]:
        """Every ms in (start, end] at which a score stands otherwise to the threshold than 1 ms before."""
        low, high = self.bounds(name, start, end)
        if threshold < low or threshold > high or low == high:
            return
        if end - start <= 1:
            if side(self.value(name, start), threshold) != side(self.value(name, end), threshold):
                yield end
            return
        middle = (start + end) // 2
        yield from self.crossings(name, threshold, start, middle)
        yield from self.crossings(name, threshold, middle, end)

    def grade(self, now: int) -> str | None:
        """Fit letter and engagement digit."""
        if not self.rules.grades_fit:
            return None
        engagement = self.value("engagement", now)
        letter = next((letter for least, letter in self.rules.grades_fit if self.fit >= least), "D")
        digit = next((digit for least, digit in self.rules.grades_engagement if engagement >= least), "4")
        return letter + digit


def side(value: float, threshold: float) -> int:
    """Below, at or above."""
    return (value > threshold) - (value < threshold)


def between(worths: list[Worth], start: int, end: int) -> tuple[float, float]:
    """Bounds of a sum of points on [start, end]."""
    low = math.fsum(worth.now(end if worth.points > 0 else start) for worth in worths)
    high = low if start == end else math.fsum(worth.now(start if worth.points > 0 else end) for worth in worths)
    return low, high


def categories(event: Event, by: str) -> list[str]:
    """The distinct values of a product's field in an event."""
    listed = event.properties.get("products")
    products = listed if isinstance(listed, list) else []
    told = [event.properties.get(by), *(product.get(by) for product in products if isinstance(product, dict))]
    return distinct(value for value in told if isinstance(value, str) and value)
