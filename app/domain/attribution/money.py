"""Amounts of money as integer minor units, and their exact division."""

import functools
import re
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from typing import Final

from app.domain.attribution.currency import exponent

LIMIT: Final = Decimal(10) ** 12
DECIMAL: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,6})?", re.ASCII)
"""Decimal text: what a JSON number can be, and a little more."""
_LONGEST_AMOUNT: Final = 60


class BadAmountError(ValueError):
    """A text that is no amount: not a decimal number, negative, or 10^12 and more."""


def wrong_amount(text: str) -> str:
    """Return what is wrong with decimal text as an amount; empty when 0 ≤ it < 10^12."""
    if not DECIMAL.fullmatch(text):
        return "is not a decimal number"
    value = Decimal(text)
    if value < 0:
        return "is negative"
    return "is 10^12 or more" if value >= LIMIT else ""


def plain_text(text: str) -> str:
    """Return decimal text that is an amount, without an exponent, with no more digits than a currency uses."""
    return f"{Decimal(text):f}"[:_LONGEST_AMOUNT]


@functools.lru_cache(maxsize=4_096)
def to_minor(text: str, currency: str) -> int:
    """Return the decimal `text` as minor units of `currency`, rounded half to even.

    Raises BadAmountError unless 0 ≤ text < 10^12.
    """
    wrong = wrong_amount(text)
    if wrong:
        raise BadAmountError(f"{text[:60]!r} {wrong}")
    with localcontext() as context:
        context.prec = len(text) + 10
        return int(Decimal(text).scaleb(exponent(currency)).to_integral_value(ROUND_HALF_EVEN))


def to_major(minor: int, currency: str) -> float:
    """Return minor units as major ones: 1250 EUR → 12.5."""
    return minor / float(10 ** exponent(currency))


def convert(minor: int, currency: str, into: str, rate: float) -> int:
    """Return minor units of `currency` as minor units of `into`, at `rate` (1 unit of currency in `into`)."""
    scaled = Fraction(minor) * Fraction(str(rate)) * Fraction(10) ** (exponent(into) - exponent(currency))
    return round(scaled)


def split(total: int, weights: Sequence[float]) -> list[int]:
    """Divide `total` minor units by `weights` (≥ 0, at least one above 0) by the largest remainder.

    The parts sum to `total` exactly; of equal remainders the earlier gets the unit.
    """
    if total == 0:
        return [0] * len(weights)
    ratios = [weight.as_integer_ratio() for weight in weights]
    # The denominators of floats are powers of two: the largest is a common one.
    common = max(denominator for _, denominator in ratios)
    units = [numerator * (common // denominator) for numerator, denominator in ratios]
    whole = sum(units)
    parts, rests = zip(*(divmod(total * unit, whole) for unit in units), strict=True)
    # Weights are floats: remainders that differ by less than their rounding are a tie.
    order = sorted(range(len(parts)), key=lambda i: (-round(rests[i] / whole, 9), i))
    lucky = set(order[: total - sum(parts)])
    return [part + (i in lucky) for i, part in enumerate(parts)]
