"""When a sum of fading terms crosses a threshold, to the millisecond (SEMANTICS §4).

Two ways. A curve whose terms only fall crosses once: Newton's method finds where. What may rise and fall is searched
by intervals: between two moments it lies between what its ends allow; where that leaves a doubt the interval is halved.
"""

import math
from collections.abc import Callable, Iterable
from typing import Final

DIGITS: Final = 9
"""Values are compared after rounding, so that the order of a sum never decides."""
_NOTHING: Final = 10.0 ** -(DIGITS + 1)
_HALF_DIGIT: Final = 0.5 * 10.0**-DIGITS
_LN2: Final = math.log(2.0)
_STEPS: Final = 4_000
_NEWTON_STEPS: Final = 200

Groups = dict[int | None, float]
"""Half-life (ms; None = never fades) → points now."""

Truth = Callable[[int], object]
"""What holds so many ms from now."""


def fading_sum(groups: Groups, after: int) -> float:
    """Return Σ points · 2^(−after/half-life)."""
    return math.fsum(
        points if half_life is None else points * 2.0 ** (-after / half_life) for half_life, points in groups.items()
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


def first_fall(groups: Groups, below: float, strictly: bool, truth: Truth, span: int | None) -> int | None:
    """Return the first ms in (0, span] at which a sum that only falls is below a threshold, as it is rounded.

    `strictly`: below it; else at it or below. `truth` is true from then on, or no longer, and decides the millisecond.
    None = never, or not within `span`.
    """
    target = below - _HALF_DIGIT if strictly else below + _HALF_DIGIT
    stays = groups.get(None, 0.0)
    if target <= stays:
        return None
    before = truth(0)
    if span is not None and truth(span) == before:
        return None
    fading = [(half_life, points) for half_life, points in groups.items() if half_life is not None and points]
    return _settle(truth, before, math.ceil(_newton(fading, target - stays)), span)


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


def _settle(truth: Truth, before: object, guess: int, span: int | None) -> int:
    """Return the first ms at which a truth that changes once differs from `before`, near `guess`."""
    low = high = max(guess, 1)
    step = 1
    if truth(high) == before:
        while truth(high) == before:
            low, high = high, high + step
            step *= 2
        if span is not None:
            high = min(high, span)
    else:
        while low > 0 and truth(low) != before:
            low, high = max(low - step, 0), low
            step *= 2
    return _bisect(truth, before, low, high)


def _bisect(truth: Truth, before: object, low: int, high: int) -> int:
    """Return the first ms in (low, high] at which a truth that changes once differs from `before`."""
    while high - low > 1:
        middle = (low + high) // 2
        if truth(middle) == before:
            low = middle
        else:
            high = middle
    return high


def slopes(groups: Groups, a: int, b: int) -> tuple[float, float]:
    """Return what the sum's slope lies between from `a` to `b`, but for a factor of ln 2."""
    falls: Groups = {half_life: -points / half_life for half_life, points in groups.items() if half_life is not None}
    return bounds(falls, a, b)


def first_change(
    truth: Truth, may_change: Callable[[int, int], bool], one_way: Callable[[int, int], bool], span: int
) -> int | None:
    """Return the first ms in (0, span] at which a value is on another side of a threshold than now; None = none.

    Intervals in which `may_change` sees no chance are passed over. One in which the value goes `one_way` is known from
    its ends; the others are halved, the earlier half first. When that takes too many steps the interval's beginning is
    returned: early, never late.
    """
    if span <= 0 or not may_change(0, span):
        return None
    before = truth(0)
    steps = 0
    todo = _doubling(span)
    while todo:
        a, b = todo.pop()
        if not may_change(a, b):
            continue
        if b - a <= 1 or one_way(a, b):
            if truth(b) != before:
                return _bisect(truth, before, a, b)
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
