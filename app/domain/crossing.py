"""When a sum of fading terms crosses a threshold, to the millisecond (SEMANTICS §4).

Two ways. A curve whose terms only fall crosses once: Newton's method finds where. What may rise and fall is searched
by intervals: between two moments it lies between what its ends allow; where that leaves a doubt the interval is halved.
"""

import math
from collections.abc import Callable, Iterable
from typing import Final

from app.domain.rulebook import Test

DIGITS: Final = 9
"""Values are compared after rounding, so that the order of a sum never decides."""
_NOTHING: Final = 10.0 ** -(DIGITS + 1)
_HALF_DIGIT: Final = 0.5 * 10.0**-DIGITS
_NOISE: Final = 1e-12
"""More than floating point can err by in a sum of points."""
_LN2: Final = math.log(2.0)
_STEPS: Final = 4_000
_NEWTON_STEPS: Final = 200

Groups = dict[int | None, float]
"""Half-life (ms; None = never fades) → points now."""

Threshold = tuple[float, bool]
"""A limit, and whether a value at it is over it: `ge` and `lt` have (limit, True), `gt` and `le` (limit, False)."""

Value = Callable[[int], float]
"""A value so many ms from now, rounded as it is compared."""


def fading_sum(groups: Groups, after: int) -> float:
    """Return Σ points · 2^(−after/half-life)."""
    return math.fsum(
        [points if half_life is None else points * 2.0 ** (-after / half_life) for half_life, points in groups.items()]
    )


def bounds(groups: Groups, a: int, b: int) -> tuple[float, float]:
    """Return what the sum lies between from `a` to `b`: rising parts at one end, falling ones at the other."""
    low = high = 0.0
    for half_life, points in groups.items():
        at_a = points if half_life is None else points * 2.0 ** (-a / half_life)
        at_b = points if half_life is None else points * 2.0 ** (-b / half_life)
        low += min(at_a, at_b)
        high += max(at_a, at_b)
    return low, high


def only_falls(groups: Groups) -> bool:
    """Return whether no term rises."""
    return all(points >= 0 for half_life, points in groups.items() if half_life is not None)


def fading_time(sums: Iterable[Groups]) -> int:
    """Return the ms after which everything that fades has faded to nothing."""
    longest = 0.0
    for groups in sums:
        for half_life, points in groups.items():
            if half_life is not None and abs(points) > _NOTHING:
                longest = max(longest, half_life * (math.log2(abs(points) / _NOTHING) + 1))
    return math.ceil(longest)


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


def over(limit: Threshold, value: float) -> bool:
    """Return whether a value is over a threshold."""
    return value >= limit[0] if limit[1] else value > limit[0]


def first_fall(groups: Groups, limit: Threshold, value: Value, span: int | None) -> int | None:
    """Return the first ms in (0, span] at which a sum that only falls, and is over a threshold, no longer is.

    `value`, which is the sum as it is compared, decides the millisecond. None = never, or not within `span`.
    """
    target = limit[0] - _HALF_DIGIT if limit[1] else limit[0] + _HALF_DIGIT
    stays = groups.get(None, 0.0)
    if target <= stays or (span is not None and over(limit, value(span))):
        return None
    fading = [(half_life, points) for half_life, points in groups.items() if half_life is not None and points]
    return _settle(limit, value, math.ceil(_newton(fading, target - stays)), span)


def _newton(fading: list[tuple[int, float]], target: float) -> float:
    """Return where Σ points · 2^(−t/half-life) = target: from the left, as a convex curve never overshoots."""
    t = 0.0
    for _ in range(_NEWTON_STEPS):
        value = slope = 0.0
        for half_life, points in fading:
            term = points * 2.0 ** (-t / half_life)
            value += term
            slope += term / half_life
        if value <= target or slope <= 0.0:
            break
        step = (value - target) / (slope * _LN2)
        t += step
        if step < 0.25:
            break
    return t


def _settle(limit: Threshold, value: Value, guess: int, span: int | None) -> int:
    """Return the first ms at which a falling value is no longer over a threshold, near `guess`."""
    low = high = max(guess, 1)
    step = 1
    if over(limit, value(high)):
        while over(limit, value(high)):
            low, high = high, high + step
            step *= 2
        if span is not None:
            high = min(high, span)
    else:
        while low > 0 and not over(limit, value(low)):
            low, high = max(low - step, 0), low
            step *= 2
    return _bisect(limit, value, low, high, before=True)


def _bisect(limit: Threshold, value: Value, low: int, high: int, *, before: bool) -> int:
    """Return the first ms in (low, high] at which a value that goes one way is on the other side of a threshold."""
    while high - low > 1:
        middle = (low + high) // 2
        if over(limit, value(middle)) == before:
            low = middle
        else:
            high = middle
    return high


def slopes(groups: Groups, a: int, b: int) -> tuple[float, float]:
    """Return what the sum's slope lies between from `a` to `b`, but for a factor of ln 2."""
    falls: Groups = {half_life: -points / half_life for half_life, points in groups.items() if half_life is not None}
    return bounds(falls, a, b)


def first_change(
    limit: Threshold,
    value: Value,
    bounds_of: Callable[[int, int], tuple[float, float]],
    one_way: Callable[[int, int], bool],
    span: int,
) -> int | None:
    """Return the first ms in (0, span] at which a value is on another side of a threshold than now; None = none.

    Intervals whose bounds are on one side are passed over. One in which it goes `one_way` is known from its ends,
    the others are halved, the earlier half first. When that takes too many steps the interval's beginning is returned:
    early, never late.
    """
    if span <= 0:
        return None
    before = over(limit, value(0))
    steps = 0
    todo = _doubling(span)
    while todo:
        a, b = todo.pop()
        low, high = bounds_of(a, b)
        if over(limit, round(low - _NOISE, DIGITS)) == over(limit, round(high + _NOISE, DIGITS)):
            continue
        if b - a <= 1 or one_way(a, b):
            if over(limit, value(b)) != before:
                return _bisect(limit, value, a, b, before=before)
            continue
        steps += 1
        if steps > _STEPS:
            return max(a, 1)
        middle = (a + b) // 2
        todo += [(middle, b), (a, middle)]
    return None


def _doubling(span: int) -> list[tuple[int, int]]:
    """Return intervals that cover (0, span], each twice as long as the one before; the first is last in the list."""
    intervals = []
    begin, width = 0, 60_000
    while begin < span:
        intervals.append((begin, min(begin + width, span)))
        begin, width = begin + width, width * 2
    return intervals[::-1]
