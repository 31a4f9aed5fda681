"""How many decimal places a currency has (ISO 4217)."""

from functools import cache
from typing import Final

import iso4217

USUAL_EXPONENT: Final = 2
"""Of a currency that is not in the table: most have cents, and an event's money must not be lost for its code."""


def known(code: str) -> bool:
    """Whether `code` (upper case) is a currency in use with minor units; gold and drawing rights have none."""
    return code in _exponents()


def exponent(code: str) -> int:
    """Return the ISO 4217 exponent of `code` (upper case): EUR 2, JPY 0, KWD 3; `USUAL_EXPONENT` if it is unknown."""
    return _exponents().get(code, USUAL_EXPONENT)


def codes() -> list[str]:
    """Return every known code in order of the alphabet."""
    return sorted(_exponents())


@cache
def _exponents() -> dict[str, int]:
    # A place without a currency of its own stands under no code, and gold has "N.A." for its minor units.
    units = {code: str(entry["CcyMnrUnts"]) for code, entry in iso4217.raw_table.items() if code}
    return {code: int(places) for code, places in units.items() if places.isdigit()}
