"""Why this score: every line that it is the sum of, down to the total (SEMANTICS §3)."""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from app.domain.crossing import DIGITS, fading_sum
from app.domain.matching import matches
from app.domain.reader import is_dwell
from app.domain.rulebook import Rules, Signal, TraitPoints
from app.domain.score import FIT, TOTAL, Board, clamp, trait
from app.domain.signals import Amount, units_at
from app.domain.wording import where

LIMITS: Final = "limits"
_CENTS: Final = 2


class Cap(msgspec.Struct, frozen=True):
    """What limits the points of a signal."""

    name: str
    """`once`, `max_per_day`, or `max` of `points_per`."""
    limit: float
    unit: str
    """Of the limit: `occurrences`, `occurrences a day`, `points a page view` or `points an occurrence`."""
    held_back: int | None
    """Occurrences that did not count for it; None where it limits points."""

    def __str__(self) -> str:
        told = "once" if self.name == "once" else f"{self.name} {self.limit:g} {self.unit}"
        return f"{told}: {self.held_back} held back" if self.held_back else told


class SignalLine(msgspec.Struct, frozen=True):
    """What one signal contributes."""

    signal: str
    count: int
    """Occurrences, whatever of them counted."""
    last_at: int
    """ms."""
    half_life: int | None
    """ms; None = never fades."""
    raw_points: float
    """Points of everything that counted, without fading."""
    points: float
    """Points now."""
    caps: tuple[Cap, ...]


class Line(msgspec.Struct, frozen=True):
    """One addend that is no signal: a trait's points, a clamp, a weighted score."""

    what: str
    points: float


class Explained(msgspec.Struct, frozen=True):
    """A score and the lines that sum to it."""

    score: str
    signals: tuple[SignalLine, ...]
    lines: tuple[Line, ...]
    value: float

    def sum(self) -> float:
        """Return the sum of the lines, rounded as scores are compared."""
        return round(math.fsum(self.points()), DIGITS)

    def points(self) -> list[float]:
        """Return the points of every line, those of signals first."""
        return [line.points for line in self.signals] + [line.points for line in self.lines]

    def shown(self) -> list[float]:
        """Return the points of every line in hundredths that sum exactly to the score as it is emitted."""
        return hundredths(self.points(), self.value)


def explain(board: Board) -> list[Explained]:
    """Return every named score, then `fit`, then the total, each with what it is made of at the board's moment."""
    named = [_named(board, name) for name in board.rules.scores]
    return [*named, _fit(board), _total(board)]


def explain_interest(board: Board, category: str) -> Explained:
    """Return the interest in a category, as it is written in the state."""
    lines = tuple(
        _line(board.rules.signals[name], amount, board.now)
        for name, amount in board.core.interests.get(category, {}).items()
        if name in board.rules.signals
    )
    return Explained(category, lines, (), round(math.fsum(line.points for line in lines), DIGITS))


def hundredths(points: Sequence[float], value: float) -> list[float]:
    """Round addends to two decimals so that they sum exactly to `value` as it is emitted (two decimals, half to even).

    Each is rounded down, and what is then missing is given by the hundredth to those that lost most: no addend is off
    by a hundredth or more.
    """
    exact = [Decimal(repr(round(one, DIGITS))).scaleb(_CENTS) for one in points]
    cents = [math.floor(one) for one in exact]
    left = int(Decimal(repr(round(value, _CENTS))).scaleb(_CENTS)) - sum(cents)
    by_loss = sorted(range(len(cents)), key=lambda index: (cents[index] - exact[index], index))
    for index in by_loss[: max(left, 0)]:
        cents[index] += 1
    for index in by_loss[len(by_loss) + left :] if left < 0 else ():
        cents[index] -= 1
    return [cent / 10**_CENTS for cent in cents]


def fit_rows(board: Board) -> list[TraitPoints]:
    """Return the rows of `fit` that the lead's traits pass."""
    fit, traits = board.rules.fit, board.core.traits
    return [] if fit is None else [row for row in fit.traits if matches(row.where, lambda name: trait(traits, name))]


def plain(board: Board, name: str) -> float:
    """Return a score before its own limits: `score`, `fit` or a named one; 0 when it is not declared."""
    if name == TOTAL:
        return math.fsum(weight * unrounded(board, part) for part, weight in board.rules.total.items())
    if name == FIT:
        return math.fsum(row.points for row in fit_rows(board))
    return fading_sum(board.groups(name), 0) if name in board.rules.scores else 0.0


def limits(rules: Rules, name: str) -> tuple[float | None, float | None]:
    """Return the lowest and highest that a score can be; None = no bound."""
    if name == TOTAL:
        return 0.0, 100.0
    declared = rules.fit if name == FIT else rules.scores.get(name)
    return (0.0, 0.0) if declared is None else (declared.min, declared.max)


def most(rules: Rules, name: str) -> float | None:
    """Return the highest that a score can come to: `fit` by its traits, others by their limits; None = no bound."""
    _, high = limits(rules, name)
    if name != FIT or rules.fit is None:
        return high
    return clamp(math.fsum(row.points for row in rules.fit.traits if row.points > 0), rules.fit.min, high)


def unrounded(board: Board, name: str) -> float:
    """Return a score within its limits, not rounded."""
    return clamp(plain(board, name), *limits(board.rules, name))


def _named(board: Board, name: str) -> Explained:
    lines = tuple(
        _line(board.rules.signals[signal], board.core.signals[signal], board.now)
        for signal in board.rules.scores[name].signals
        if signal in board.core.signals
    )
    return Explained(
        name, lines, _limits_line(board, name, math.fsum(line.points for line in lines)), board.value(name)
    )


def _line(signal: Signal, amount: Amount, now: int) -> SignalLine:
    return SignalLine(
        signal=signal.name,
        count=amount.count,
        last_at=amount.last,
        half_life=signal.half_life,
        raw_points=signal.points * amount.raw,
        points=signal.points * units_at(amount, signal.half_life, now),
        caps=tuple(_caps(signal, amount)),
    )


def _caps(signal: Signal, amount: Amount) -> list[Cap]:
    held_back = max(0, amount.count - round(amount.raw))
    if signal.once:
        return [Cap("once", 1, "occurrences", held_back)]
    if signal.max_per_day is not None:
        return [Cap("max_per_day", signal.max_per_day, "occurrences a day", held_back)]
    if signal.points_per is not None and signal.points_per.max is not None:
        unit = "points a page view" if is_dwell(signal) else "points an occurrence"
        return [Cap("max", signal.points_per.max, unit, None)]
    return []


def _fit(board: Board) -> Explained:
    lines = tuple(Line(where(row.where), row.points) for row in fit_rows(board))
    return Explained(FIT, (), lines + _limits_line(board, FIT, math.fsum(line.points for line in lines)), board.fit())


def _total(board: Board) -> Explained:
    weights = board.rules.total
    lines = tuple(Line(f"{weight:g} · {name}", weight * unrounded(board, name)) for name, weight in weights.items())
    return Explained(
        TOTAL, (), lines + _limits_line(board, TOTAL, math.fsum(line.points for line in lines)), board.value(TOTAL)
    )


def _limits_line(board: Board, name: str, points: float) -> tuple[Line, ...]:
    """Return the line that a score's limits add, when they change something."""
    clamped = clamp(points, *limits(board.rules, name))
    return (Line(LIMITS, clamped - points),) if clamped != points else ()
