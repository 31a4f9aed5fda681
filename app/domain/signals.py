"""What a lead did that is worth points: amounts per signal that fade by half-life (SEMANTICS §3).

An amount is a sum of units, each halved every half-life since its own time, told as its value at a reference time.
Adding a unit earlier or later than the reference gives the same amount, so the order of arrival does not matter.
The state keeps units, not points: new points in the rules are right for every lead at once.
"""

import math

import msgspec

from app.domain.rulebook import PointsPer, Signal

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
    """Start of a day (ms) → units counted in it; of a signal with `max_per_day`."""


def units_at(amount: Amount, half_life: int | None, now: int) -> float:
    """Return the units left at `now`: units · 2^(−(now − ref)/half_life)."""
    if half_life is None or amount.ref == now:
        return amount.units
    return amount.units * float(2.0 ** ((amount.ref - now) / half_life))


def add_units(amount: Amount, half_life: int | None, at: int, units: float) -> None:
    """Add `units` of time `at`, earlier or later than what is there."""
    amount.raw += units
    if half_life is None:
        amount.units += units
        amount.ref = max(amount.ref, at)
    elif at >= amount.ref:
        amount.units = units_at(amount, half_life, at) + units
        amount.ref = at
    else:
        amount.units += units * float(2.0 ** ((at - amount.ref) / half_life))


def occur(amount: Amount, signal: Signal, at: int, units: float, day: int) -> None:
    """Count one occurrence at `at` (ms) worth `units`; `day` is the start of its day in the rules' time zone."""
    amount.count += 1
    amount.last = max(amount.last, at)
    if signal.once:
        # The earliest occurrence counts: its time is the reference.
        amount.ref = at if amount.count == 1 else min(amount.ref, at)
        amount.units = amount.raw = 1.0
    elif signal.max_per_day is not None:
        days = amount.days = amount.days or {}
        counted = days.get(day, 0)
        if counted < signal.max_per_day:
            days[day] = counted + 1
            add_units(amount, signal.half_life, day, units)
            if len(days) > KEPT_DAYS:
                del days[min(days)]
    else:
        add_units(amount, signal.half_life, at, units)


def undo(amount: Amount, signal: Signal, at: int, units: float) -> None:
    """Take back one plain occurrence: of two orders with one id the earlier counts after all."""
    amount.count -= 1
    add_units(amount, signal.half_life, at, -units)


def measured_units(per: PointsPer, value: float) -> float:
    """Return what a measured value (seconds of dwell, say) is worth, in units of `per.points`.

    floor(value / each) units; no more than `max` points.
    """
    units = float(math.floor(value / per.each))
    if per.max is not None and per.points and units * per.points > per.max:
        return per.max / per.points
    return units
