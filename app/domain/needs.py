"""What is missing to a number that a condition asks about: the least that makes the condition true, or untrue."""

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Final, Literal

import msgspec

from app.domain.attribution.currency import exponent
from app.domain.crossing import DIGITS
from app.domain.explain import limits, most, plain, unrounded
from app.domain.rulebook import Rules, Test
from app.domain.score import TOTAL, Board, within

POINTS: Final = "points"
TIMES: Final = "occurrences"
SECONDS: Final = "seconds"
_NOISE: Final = 1e-10
"""More than floating point can err by, and less than scores are compared by."""

More = Literal["more", "less", ""]


class Need(msgspec.Struct, frozen=True):
    """Something that is missing: so much more or less of something, or something else than it is."""

    of: str
    """What it is missing of: a score, a deed, `orders`, a trait; as the rules call it."""
    amount: float | None = None
    """How much; None when it is nothing that is counted."""
    unit: str = ""
    """Of the amount: `points`, `occurrences`, `orders`, `sessions`, `seconds` or a currency."""
    way: More = "more"
    """`more` has to come, or `less` is wanted; empty without an amount."""
    when: str = ""
    """Of occurrences: within or since when they count."""
    wanted: str = ""
    """Without an amount: what it should be."""
    by: tuple[tuple[str, float], ...] = ()
    """Of the total: the named scores that alone can bring it, each with the points that it takes there."""


class Grid(msgspec.Struct, frozen=True):
    """The steps that a number goes in: of 10^−digits."""

    digits: int

    def number(self, steps: int) -> float:
        """Return so many steps as a number."""
        return float(Decimal(steps).scaleb(-self.digits))

    def nearest(self, value: float) -> int:
        """Return the steps of a number, the nearest where it lies between two."""
        return round(self._exact(value))

    def ceil(self, value: float) -> int:
        """Return the least steps that are not below a number."""
        return math.ceil(self._exact(value))

    def lowest(self, test: Test) -> int | None:
        """Return the least steps that meet the lower bounds of a test; None = no lower bound."""
        found = [self.ceil(test.ge)] if test.ge is not None else []
        found += [math.floor(self._exact(test.gt)) + 1] if test.gt is not None else []
        return max(found, default=None)

    def highest(self, test: Test) -> int | None:
        """Return the most steps that meet the upper bounds of a test; None = no upper bound."""
        found = [math.floor(self._exact(test.le))] if test.le is not None else []
        found += [self.ceil(test.lt) - 1] if test.lt is not None else []
        return min(found, default=None)

    def _exact(self, value: float) -> Decimal:
        return Decimal(repr(value)).scaleb(self.digits)


SCORE_GRID: Final = Grid(DIGITS)
COUNT_GRID: Final = Grid(0)


def money_grid(currency: str) -> Grid:
    """Return the grid of amounts in a currency's major units."""
    return Grid(exponent(currency))


def target(test: Test, value: float, grid: Grid, *, wanted: bool) -> int | None:
    """Return the steps nearest to `value` at which a test is what is wanted; None when nothing is, or it is already."""
    if within(test, value) is wanted:
        return None
    low, high = grid.lowest(test), grid.highest(test)
    if wanted:
        goals = [low] if low is not None and value < grid.number(low) else [high]
    else:
        goals = [None if low is None else low - 1, None if high is None else high + 1]
    here = grid.nearest(value)
    meeting = [goal for goal in goals if goal is not None and within(test, grid.number(goal)) is wanted]
    return min(meeting, key=lambda goal: abs(goal - here), default=None)


def number_needs(
    test: Test, value: float, grid: Grid, of: str, unit: str, *, wanted: bool, per_unit: int = 1, when: str = ""
) -> tuple[Need, ...]:
    """Return what is missing to a plain number; `per_unit` steps of the value are one of the unit.

    Nothing when nothing is missing, or when no number would do.
    """
    goal = target(test, value, grid, wanted=wanted)
    if goal is None:
        return ()
    steps = goal - grid.nearest(value)
    return (Need(of, grid.number(abs(steps)) / per_unit, unit, "more" if steps > 0 else "less", when),)


def score_needs(board: Board, name: str, test: Test, *, wanted: bool) -> tuple[Need, ...]:
    """Return the points that are missing to a score, before its limits: those that it takes to come back within them.

    Nothing when nothing is missing, or the score's limits keep it from ever being so.
    """
    goal = target(test, board.value(name), SCORE_GRID, wanted=wanted)
    return () if goal is None else _points_to(board, name, goal)


def _points_to(board: Board, name: str, goal: int) -> tuple[Need, ...]:
    (low, _), high = limits(board.rules, name), most(board.rules, name)
    at = SCORE_GRID.number(goal)
    if (low is not None and at < low) or (high is not None and at > high):
        return ()
    steps = goal - SCORE_GRID.nearest(plain(board, name))
    by = tuple(_ways(board, at)) if name == TOTAL and steps > 0 else ()
    return (Need(name, SCORE_GRID.number(abs(steps)), POINTS, "more" if steps > 0 else "less", by=by),)


def _ways(board: Board, total: float) -> Iterator[tuple[str, float]]:
    """Yield each part that alone can bring the total so far, with the points that it takes there."""
    missing = total - plain(board, TOTAL)
    for name, weight in board.rules.total.items():
        if weight <= 0:
            continue
        to = unrounded(board, name) + missing / weight
        high = most(board.rules, name)
        if high is None or to <= high + _NOISE:
            yield name, SCORE_GRID.number(SCORE_GRID.ceil(round(to - plain(board, name), DIGITS + 2)))


# --- grades -----------------------------------------------------------------------------------------------------------


def every_grade(rules: Rules) -> tuple[str, ...]:
    """Return every grade that the rules know."""
    return tuple(letter + digit for _, letter in rules.grades_fit for _, digit in rules.grades_engagement)


def grade_needs(board: Board, grades: tuple[str, ...]) -> tuple[Need, ...]:
    """Return the points of fit and engagement that are missing to the nearest of these grades.

    The one that takes no points away and the fewest in all. Nothing when none of them can be reached.
    """
    found = []
    for grade in grades:
        parts = [
            _band_needs(board, "fit", board.rules.grades_fit, grade[:1]),
            _band_needs(board, "engagement", board.rules.grades_engagement, grade[1:]),
        ]
        if all(part is not None for part in parts):
            found.append(tuple(need for part in parts if part for need in part))
    return min(found, key=_effort, default=())


def _band_needs(board: Board, name: str, rungs: tuple[tuple[float, str], ...], wanted: str) -> tuple[Need, ...] | None:
    """Return what is missing to a rung; None when it cannot be reached."""
    index = next((index for index, (_, rung) in enumerate(rungs) if rung == wanted), None)
    if index is None:
        return None
    lowest = index == len(rungs) - 1
    band = Test(ge=None if lowest else rungs[index][0], lt=rungs[index - 1][0] if index else None)
    if within(band, board.value(name)):
        return ()
    return score_needs(board, name, band, wanted=True) or None


def _effort(needs: tuple[Need, ...]) -> tuple[bool, float]:
    return any(need.way == "less" for need in needs), math.fsum(need.amount or 0.0 for need in needs)
