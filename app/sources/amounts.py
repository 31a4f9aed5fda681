"""Amounts of money as decimal text."""

import functools
import re
from decimal import Decimal
from typing import Any, Final

from app.domain.attribution.money import DECIMAL

AMOUNT_FIELDS: Final = ("revenue", "total", "value")
_LONGEST_CODE: Final = 16
_CURRENCY: Final = re.compile(r"[A-Z]{3}", re.ASCII)


def amount_of(properties: dict[str, Any]) -> tuple[str, Any]:
    """Return the name and value of the first amount field that is there; ("", None) when none is."""
    for name in AMOUNT_FIELDS:
        value = properties.get(name)
        if value is not None:
            return name, value
    return "", None


def whole_number(text: str) -> str:
    """Return the text of a JSON number, without point or exponent if it is a whole one: 12.0 and 1.2e1 are `12`."""
    if not DECIMAL.fullmatch(text):
        return text
    value = Decimal(text)
    return f"{value:.0f}" if value.adjusted() <= 400 and value == value.to_integral_value() else text


def currency_of(value: Any) -> str | None:
    """Return an ISO 4217 code in upper case; None for what cannot be one."""
    return _currency(value) if isinstance(value, str) and len(value) <= _LONGEST_CODE else None


@functools.lru_cache(maxsize=1_024)
def _currency(text: str) -> str | None:
    code = text.strip().upper()
    return code if _CURRENCY.fullmatch(code) else None
