"""Models that share credit by a touch's place in the path or its age (SEMANTICS §6)."""

from collections.abc import Callable, Sequence

import msgspec

from app.domain.rulebook import Attribution, CustomModel

DIRECT = "Direct"


class PathTouch(msgspec.Struct, frozen=True):
    """What a model sees of a touch."""

    age: int
    """ms from the touch to the conversion."""
    channel: str


Weights = list[float]
Model = Callable[[Sequence[PathTouch], Attribution], Weights]


def _one(n: int, index: int) -> Weights:
    return [1.0 if i == index else 0.0 for i in range(n)]


def _ends(n: int, first: float, middle: float, last: float) -> Weights:
    """Weight the first and last touch, `middle` shared equally by the others; n ≥ 3.

    All weights are n − 2 times as large, so that sharing divides nothing and ties of remainders stay ties.
    """
    return [first * (n - 2), *([middle] * (n - 2)), last * (n - 2)]


def first(path: Sequence[PathTouch], _: Attribution) -> Weights:
    """All to the first touch."""
    return _one(len(path), 0)


def last(path: Sequence[PathTouch], _: Attribution) -> Weights:
    """All to the last touch."""
    return _one(len(path), len(path) - 1)


def last_non_direct(path: Sequence[PathTouch], _: Attribution) -> Weights:
    """All to the last touch that is not Direct; to the last when all are."""
    told = [i for i, touch in enumerate(path) if touch.channel != DIRECT]
    return _one(len(path), told[-1] if told else len(path) - 1)


def linear(path: Sequence[PathTouch], _: Attribution) -> Weights:
    """The same to each."""
    return [1.0] * len(path)


def time_decay(path: Sequence[PathTouch], attribution: Attribution) -> Weights:
    """2^(−age/half-life); taken relative to the youngest, so that old paths do not underflow."""
    youngest = min(touch.age for touch in path)
    weights: Weights = [2.0 ** (-(touch.age - youngest) / attribution.half_life) for touch in path]
    return weights


def position(path: Sequence[PathTouch], _: Attribution) -> Weights:
    """40 / 20 shared / 40; two touches: 50 / 50."""
    n = len(path)
    return [1.0] * n if n <= 2 else _ends(n, 40, 20, 40)


def j_shaped(path: Sequence[PathTouch], _: Attribution) -> Weights:
    """20 / 20 shared / 60; two touches: 25 / 75."""
    n = len(path)
    return [1.0] if n == 1 else [25.0, 75.0] if n == 2 else _ends(n, 20, 20, 60)


def inverse_j(path: Sequence[PathTouch], _: Attribution) -> Weights:
    """60 / 20 shared / 20; two touches: 75 / 25."""
    n = len(path)
    return [1.0] if n == 1 else [75.0, 25.0] if n == 2 else _ends(n, 60, 20, 20)


def custom(path: Sequence[PathTouch], weights: CustomModel) -> Weights:
    """First, middle (shared) and last weights of the rules; what sums to zero is shared equally."""
    n = len(path)
    if n == 1:
        return [1.0]
    shares = [weights.first, weights.last] if n == 2 else _ends(n, weights.first, weights.middle, weights.last)
    return shares if sum(shares) > 0 else [1.0] * n


MODELS: dict[str, Model] = {
    "first": first,
    "last": last,
    "last_non_direct": last_non_direct,
    "linear": linear,
    "time_decay": time_decay,
    "position": position,
    "j_shaped": j_shaped,
    "inverse_j": inverse_j,
}


def weigh(path: Sequence[PathTouch], attribution: Attribution) -> dict[str, Weights]:
    """Return the weights of every model, unnormalised, one per touch; an unattributed path has one weight of 1."""
    if not path:
        names = [*MODELS, "custom"] if attribution.custom else list(MODELS)
        return {name: [1.0] for name in names}
    weights = {name: model(path, attribution) for name, model in MODELS.items()}
    if attribution.custom is not None:
        weights["custom"] = custom(path, attribution.custom)
    return weights
