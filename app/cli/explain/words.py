"""What is missing, in words."""

import math
from typing import Any, Final

from app.domain.wording import number, span

Record = dict[str, Any]
_MS: Final = 1_000


def amount(value: float, unit: str | None) -> str:
    """Return an amount with its unit; what is no whole number is rounded up to two decimals."""
    if unit == "seconds":
        return span(math.ceil(value) * _MS)
    told = number(math.ceil(round(value * 100, 5)) / 100)
    return f"{told} {_singular(unit) if told == '1' else unit}" if unit else told


def measured(condition: Record) -> str:
    """Return what a condition found, with its unit; empty when it tells nothing beside its truth."""
    value, unit = condition.get("value"), condition.get("unit")
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {'unknown' if told is None else told}" for name, told in value.items())
    if isinstance(value, str):
        return value
    if unit == "seconds":
        return span(value * _MS)
    told = f"{number(round(value, 2))} {_singular(unit) if value == 1 else unit}"
    return told + " or more" if condition.get("or_more") else told


def missing(condition: Record | None, *, nested: bool = False) -> str:
    """Return what would make a condition as it is wanted; empty when it is, or nothing that happens would."""
    if condition is None or condition["holds"] is condition["wanted"]:
        return ""
    if "parts" not in condition:
        nothing = "nothing but time" if condition["changes_at"] else "out of reach"
        return " and ".join(need(one) for one in condition["missing"]) or nothing
    several = len(condition["parts"]) > 1
    told = [text for part in condition["parts"] if (text := missing(part, nested=several))]
    joined = (" or " if condition["needs"] == "one" else " and ").join(told)
    return f"({joined})" if nested and len(told) > 1 else joined


def need(one: Record) -> str:
    """Return one thing that is missing."""
    of, way, unit = one["of"], one["way"], one["unit"]
    if way is None:
        return one["wanted"] if of in ("known", "mailable") else f"{of} {one['wanted']}"
    much, when = amount(one["amount"], unit), f" {one['when']}" if one["when"] else ""
    if unit == "occurrences":
        times = number(one["amount"])
        return f"{times} more {of}{when}" if way == "more" else f"{of}{when} {times} times too often"
    if unit == "seconds":
        return f"{much} {way} {of}"
    told = f"{much} {way}" if unit == of else f"{much} {way} of {of}"
    ways = " or ".join(f"{amount(by['amount'], by['unit'])} of {by['score']}" for by in one["by"])
    return f"{told} ({ways})" if ways else told


def _singular(unit: str | None) -> str:
    return (unit or "").removesuffix("s")
