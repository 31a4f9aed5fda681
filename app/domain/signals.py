"""What a lead did that is worth points: amounts per signal that fade by half-life (SEMANTICS §3).

An amount is a sum of units, each halved every half-life since its own time, told as its value at a reference time.
Adding a unit earlier or later than the reference gives the same amount, so the order of arrival does not matter.
The state keeps units, not points: new points in the rules are right for every lead at once. A new half-life holds for
what comes after it: what was counted before fades on as it did.
"""

import math
from collections.abc import Iterator
from typing import Final

import msgspec

from app.domain.bounds import bounded
from app.domain.crossing import DIGITS
from app.domain.rulebook import PointsPer, Signal

UNTOLD: Final = 0
"""No half-life: in an amount, that it fades as the rules say now."""
KEPT_DAYS = 400
"""Days for which the count of a capped signal is kept."""


class Amount(msgspec.Struct, array_like=True):
    """The state of one signal (or of one interest and signal)."""

    ref: int = 0
    """ms; the time at which `units` is what it says."""
    units: float = 0.0
    raw: float = 0.0
    """Units without fading."""
    count: int = 0
    """Occurrences, whatever of them counted."""
    last: int = 0
    """ms of the newest occurrence."""
    days: dict[int, int] | None = None
    """Start of a day (ms) → occurrences in it, whatever of them counted; of a signal with `max_per_day`."""
    half_life: int | None = UNTOLD
    """ms; how `units` fade, None = never: as the rules had it when they were counted."""
    older: list[tuple[int | None, int, float]] | None = None
    """(half-life, reference, units) of what was counted while the rules had other half-lives."""


def units_at(amount: Amount, half_life: int | None, now: int) -> float:
    """Return the units left at `now`: units · 2^(−(now − ref)/half_life). `half_life` is that of the rules now."""
    if amount.older is not None:
        return math.fsum(units for _, units in parts_at(amount, half_life, now))
    if amount.half_life != UNTOLD:
        half_life = amount.half_life
    if half_life is None or amount.ref == now:
        return amount.units
    return amount.units * float(2.0 ** ((amount.ref - now) / half_life))


def parts_at(amount: Amount, half_life: int | None, now: int) -> Iterator[tuple[int | None, float]]:
    """Yield (half-life, units left at `now`) of what fades together. `half_life` is that of the rules now."""
    own = half_life if amount.half_life == UNTOLD else amount.half_life
    yield own, faded(amount.units, amount.ref, own, now)
    for other, ref, units in amount.older or ():
        yield other, faded(units, ref, other, now)


def faded(units: float, ref: int, half_life: int | None, now: int) -> float:
    """Return `units` of time `ref` (ms) as they are at `now`: units · 2^(−(now − ref)/half_life)."""
    if half_life is None or ref == now:
        return units
    return units * float(2.0 ** ((ref - now) / half_life))


def add_units(amount: Amount, half_life: int | None, at: int, units: float) -> None:
    """Add `units` of time `at`, earlier or later than what is there, that fade by `half_life` (ms; None = never)."""
    if amount.half_life != half_life:
        _fade_by(amount, half_life)
    amount.raw += units
    if half_life is None:
        amount.units += units
        amount.ref = max(amount.ref, at)
    elif at >= amount.ref:
        amount.units = faded(amount.units, amount.ref, half_life, at) + units
        amount.ref = at
    else:
        amount.units += units * float(2.0 ** ((at - amount.ref) / half_life))


def _fade_by(amount: Amount, half_life: int | None) -> None:
    """Have what is added from now on fade by another half-life; what is there goes on as it did."""
    older = {known: (ref, units) for known, ref, units in amount.older or ()}
    if amount.half_life != UNTOLD:
        if amount.units:
            older[amount.half_life] = (amount.ref, amount.units)
        amount.ref, amount.units = older.pop(half_life, (0, 0.0))
    amount.half_life = half_life
    amount.older = [(known, *rest) for known, rest in older.items()] or None


def occur(amount: Amount, signal: Signal, at: int, units: float, day: int) -> None:
    """Count one occurrence at `at` (ms) worth `units`; `day` is the start of its day in the rules' time zone."""
    amount.count += 1
    amount.last = max(amount.last, at)
    if signal.once:
        # The earliest occurrence counts: its time is the reference. What counted before there was this cap stays.
        if amount.count == 1:
            amount.ref, amount.units, amount.raw, amount.half_life = at, 1.0, 1.0, signal.half_life
        elif amount.raw == amount.units == 1.0:
            amount.ref = min(amount.ref, at)
    elif signal.max_per_day is not None:
        days = amount.days = amount.days or {}
        days[day] = days.get(day, 0) + 1
        if days[day] <= signal.max_per_day:
            add_units(amount, signal.half_life, day, units)
        if len(days) > KEPT_DAYS:
            del days[min(days)]
    else:
        add_units(amount, signal.half_life, at, units)


def undo(amount: Amount, signal: Signal, at: int, units: float, day: int) -> None:
    """Take back an occurrence that `occur` counted: of two orders with one id the earlier counts after all."""
    amount.count -= 1
    if signal.once:
        # The earlier one counts at its own time, which then is the earliest: only the last one leaves nothing.
        if amount.count == 0:
            amount.units = amount.raw = 0.0
    elif signal.max_per_day is not None:
        days = amount.days = amount.days or {}
        told = days.pop(day, 1)
        if told > 1:
            days[day] = told - 1
        if told <= signal.max_per_day:
            add_units(amount, signal.half_life, day, -units)
    else:
        add_units(amount, signal.half_life, at, -units)


def measured_units(per: PointsPer, value: float) -> float:
    """Return what a measured value (seconds of dwell, say) is worth, in units of `per.points`.

    floor(value / each) units, of what is so to 9 decimals: 8.1 + 9.7 + 12.2 s are one `each` of 30. No more than `max`
    points.
    """
    units = float(math.floor(round(bounded(value / per.each), DIGITS)))
    if per.max is not None and per.points and units * per.points > per.max:
        return per.max / per.points
    return units
