"""Who earned a conversion: each model's weights, and the money they split."""

from collections.abc import Callable, Sequence
from fractions import Fraction

from app.domain.rulebook import CustomModel
from tests.system.oracle.visits import Touch

Weights = list[Fraction]


def ends(n: int, first: int, middle: int, last: int) -> Weights:
    """Weights of a first, a last and, shared equally, the middle touches."""
    if n == 1:
        return [Fraction(1)]
    if n == 2:
        both = first + last
        return [Fraction(first, both), Fraction(last, both)] if both else [Fraction(1, 2)] * 2
    total = first + middle + last
    if total == 0:
        return [Fraction(1, n)] * n
    return [Fraction(first, total), *[Fraction(middle, total * (n - 2))] * (n - 2), Fraction(last, total)]


def one(n: int, which: int) -> Weights:
    """All to one touch."""
    return [Fraction(number == which) for number in range(n)]


def weights(path: Sequence[Touch], at: int, half_life: int, custom: CustomModel | None) -> dict[str, Weights]:
    """Each model's weights of a path's touches."""
    n = len(path)
    if n == 0:
        return {model: [Fraction(1)] for model in (*MODELS, "last_non_direct", "time_decay", "custom")}
    told = {model: of(n) for model, of in MODELS.items()}
    spoken = [number for number, touch in enumerate(path) if touch.channel != "Direct"]
    told["last_non_direct"] = one(n, spoken[-1] if spoken else n - 1)
    fading = [Fraction(2.0 ** (-(at - touch.at) / half_life)) for touch in path]
    told["time_decay"] = [part / sum(fading) for part in fading]
    if custom is not None:
        told["custom"] = ends(n, *(int(part) for part in (custom.first, custom.middle, custom.last)))
    return told


MODELS: dict[str, Callable[[int], Weights]] = {
    "first": lambda n: one(n, 0),
    "last": lambda n: one(n, n - 1),
    "linear": lambda n: [Fraction(1, n)] * n,
    "position": lambda n: ends(n, 40, 20, 40),
    "j_shaped": lambda n: [Fraction(1, 4), Fraction(3, 4)] if n == 2 else ends(n, 20, 20, 60),
    "inverse_j": lambda n: [Fraction(3, 4), Fraction(1, 4)] if n == 2 else ends(n, 60, 20, 20),
}


def split(value: int, parts: Weights) -> list[int]:
    """Minor units by largest remainder; of equal remainders the earlier touch's first."""
    exact = [value * part for part in parts]
    whole = [int(share) for share in exact]
    order = sorted(range(len(parts)), key=lambda number: (whole[number] - exact[number], number))
    for number in order[: value - sum(whole)]:
        whole[number] += 1
    return whole
