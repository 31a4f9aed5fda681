"""When a score will cross a threshold if nothing happens (SEMANTICS §4).

Each answer is UTC ms, after the board's moment and within `span` ms of it; None = none. It may be early, never late.
"""

from collections.abc import Callable, Iterable, Sequence

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
from app.domain.score import ENGAGEMENT, FIT, TOTAL, Board, clamp


def next_score_change(board: Board, name: str, limits: Sequence[Threshold], span: int | None) -> int | None:
    """Return when a score may first be on another side of a limit than now."""
    if name == FIT or (name != TOTAL and name not in board.rules.scores):
        return None
    falling = _falling_groups(board, name)

    def value_after(after: int) -> float:
        return board.value_after(name, after)

    if falling is not None:
        return _first_fall(board, falling, limits, board.value(name), value_after, span)
    return _first_change(
        board,
        limits,
        value_after,
        lambda a, b: _score_bounds(board, name, a, b),
        lambda a, b: _one_way(board, name, a, b),
        fading_time(board.groups(part) for part in _parts(board, name)),
        span,
    )


def next_grade_change(board: Board, span: int | None) -> int | None:
    """Return when the grade may first differ from now."""
    if ENGAGEMENT not in board.rules.scores or not board.rules.grades_fit:
        return None
    value = board.value(ENGAGEMENT)
    # Only the rung that it is on, and the one above, can be next.
    limits = next((limits for rung, limits in board.scoring.rungs if value >= rung), board.scoring.below_rungs)
    return next_score_change(board, ENGAGEMENT, limits, span)


def next_interest_change(board: Board, category: str, limits: Sequence[Threshold], span: int | None) -> int | None:
    """Return when an interest may first be on another side of a limit than now."""
    groups = board.interest_groups(category)

    def value_after(after: int) -> float:
        return round(fading_sum(groups, after), DIGITS)

    if only_falls(groups):
        return _first_fall(board, groups, limits, value_after(0), value_after, span)
    return _first_change(
        board,
        limits,
        value_after,
        lambda a, b: bounds(groups, a, b),
        lambda a, b: _one_sign(*slopes(groups, a, b)),
        fading_time([groups]),
        span,
    )


def _first_fall(
    board: Board, falling: Groups, limits: Sequence[Threshold], value: float, value_after: Value, span: int | None
) -> int | None:
    """Return the first moment at which a value that only falls gets below a limit: nothing differs before."""
    earliest: int | None = None
    for limit in limits:
        if over(limit, value):
            found = first_fall(falling, limit, value_after, span)
            if found is not None:
                earliest = span = found
    return None if earliest is None else board.now + earliest


def _first_change(
    board: Board,
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
    return None if earliest is None else board.now + earliest


def _one_way(board: Board, name: str, a: int, b: int) -> bool:
    """Return whether a score only falls, or only rises, from `a` to `b`; limits do not change that."""
    weights = board.rules.total if name == TOTAL else {name: 1.0}
    low = high = 0.0
    for part in _parts(board, name):
        ends = [weights[part] * slope for slope in slopes(board.groups(part), a, b)]
        low, high = min(low, *ends), max(high, *ends)
    return _one_sign(low, high)


def _parts(board: Board, name: str) -> list[str]:
    names: Iterable[str] = board.rules.total if name == TOTAL else (name,)
    return [part for part in names if part in board.rules.scores]


def _falling_groups(board: Board, name: str) -> Groups | None:
    """Return a score as one sum that only falls; None when it may rise, or its limits hold it."""
    if name not in board.falling:
        board.falling[name] = _total_falling(board) if name == TOTAL else _score_falling(board, name)
    return board.falling[name]


def _score_falling(board: Board, name: str) -> Groups | None:
    score, groups = board.rules.scores[name], board.groups(name)
    stays = groups.get(None, 0.0)
    if not only_falls(groups) or (score.min is not None and stays < score.min):
        return None
    return groups if score.max is None or fading_sum(groups, 0) <= score.max else None


def _total_falling(board: Board) -> Groups | None:
    merged: Groups = {None: 0.0}
    for part, weight in board.rules.total.items():
        groups: Groups | None = {None: board.fit()} if part == FIT else {}
        if part in board.rules.scores:
            groups = _falling_groups(board, part)
        if groups is None or weight < 0:
            return None
        for half_life, points in groups.items():
            merged[half_life] = merged.get(half_life, 0.0) + weight * points
    return merged if merged[None] >= 0 and fading_sum(merged, 0) <= 100.0 else None


def _score_bounds(board: Board, name: str, a: int, b: int) -> tuple[float, float]:
    if name == TOTAL:
        low = high = 0.0
        for part, weight in board.rules.total.items():
            ends = [weight * value for value in _score_bounds(board, part, a, b)]
            low += min(ends)
            high += max(ends)
        return clamp(low, 0.0, 100.0), clamp(high, 0.0, 100.0)
    if name == FIT:
        return board.fit(), board.fit()
    score = board.rules.scores.get(name)
    if score is None:
        return 0.0, 0.0
    low, high = bounds(board.groups(name), a, b)
    return clamp(low, score.min, score.max), clamp(high, score.min, score.max)


def _one_sign(low: float, high: float) -> bool:
    return low >= 0 or high <= 0
