"""Why this score: every line that it is the sum of, down to the total (SEMANTICS §3)."""

import math
from typing import Final

import msgspec

from app.domain.crossing import DIGITS
from app.domain.matching import matches
from app.domain.reader import is_dwell
from app.domain.score import FIT, TOTAL, Board, clamp, trait
from app.domain.signals import units_at

LIMITS: Final = "limits"


class SignalLine(msgspec.Struct, frozen=True):
    """What one signal contributes."""

    signal: str
    count: int
    last_at: int
    """ms."""
    raw_points: float
    """Points of everything that counted, without fading."""
    points: float
    """Points now."""
    caps: tuple[str, ...]
    """What held it back: `once`, `max_per_day 10`, `max 5 a view`."""


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
        points = [line.points for line in self.signals] + [line.points for line in self.lines]
        return round(math.fsum(points), DIGITS)


def explain(board: Board) -> list[Explained]:
    """Return every named score, then `fit`, then the total, each with what it is made of at the board's moment."""
    named = [_named(board, name) for name in board.rules.scores]
    return [*named, _fit(board), _total(board)]


def _named(board: Board, name: str) -> Explained:
    score = board.rules.scores[name]
    lines = tuple(_signal(board, signal) for signal in score.signals if signal in board.core.signals)
    plain = math.fsum(line.points for line in lines)
    return Explained(name, lines, _clamp_line(plain, clamp(plain, score.min, score.max)), board.value(name))


def _signal(board: Board, name: str) -> SignalLine:
    signal = board.rules.signals[name]
    amount = board.core.signals[name]
    caps: list[str] = []
    if signal.once:
        caps.append("once")
    if signal.max_per_day is not None:
        caps.append(f"max_per_day {signal.max_per_day}")
    if signal.points_per is not None and signal.points_per.max is not None:
        caps.append(f"max {signal.points_per.max:g} {'a view' if is_dwell(signal) else 'each'}")
    return SignalLine(
        signal=name,
        count=amount.count,
        last_at=amount.last,
        raw_points=signal.points * amount.raw,
        points=signal.points * units_at(amount, signal.half_life, board.now),
        caps=tuple(caps),
    )


def _fit(board: Board) -> Explained:
    fit = board.rules.fit
    if fit is None:
        return Explained(FIT, (), (), 0.0)
    traits = board.core.traits
    lines = tuple(
        Line(", ".join(name for name, _ in row.where.fields), row.points)
        for row in fit.traits
        if matches(row.where, lambda n: trait(traits, n))
    )
    plain = math.fsum(line.points for line in lines)
    return Explained(FIT, (), lines + _clamp_line(plain, clamp(plain, fit.min, fit.max)), board.fit())


def _total(board: Board) -> Explained:
    lines = tuple(
        Line(f"{weight:g} · {name}", weight * board.value(name)) for name, weight in board.rules.total.items()
    )
    plain = math.fsum(line.points for line in lines)
    return Explained(TOTAL, (), lines + _clamp_line(plain, clamp(plain, 0.0, 100.0)), board.value(TOTAL))


def _clamp_line(plain: float, clamped: float) -> tuple[Line, ...]:
    """Return the line that limits add, when they change something."""
    return (Line(LIMITS, clamped - plain),) if clamped != plain else ()
