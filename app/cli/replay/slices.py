"""In which order lines are published, and where the replay waits until all of it is processed (PROTOCOL rule 6)."""

from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from app.cli.replay.lines import NO_KEY, Lines

SLICE: Final = 20_000
"""Most events that are published before the lanes fold them."""
LATE_MS: Final = 3 * 86_400_000
"""An event that is applied later than this after its time is folded otherwise than in its place (SEMANTICS §2)."""


class Slice(msgspec.Struct, frozen=True):
    """Lines that are published together, by number and in order."""

    numbers: Sequence[int]
    advance_to: int | None
    """UTC ms up to which lanes fold after it; None after the last slice, and where they fold as they read."""


def in_order_of_time(lines: Lines, until: int | None, most: int = SLICE) -> list[Slice]:
    """Return the lines up to `until` in order of event time; of equal times, inputs and lines as they were given.

    After a slice lanes fold up to 1 ms before the next one begins, so that equal times are folded together.
    """
    at = lines.at
    numbers = sorted((n for n in range(len(lines)) if until is None or at[n] <= until), key=at.__getitem__)
    cuts = [*range(0, len(numbers), most), len(numbers)]
    return [
        Slice(numbers[start:end], at[numbers[end]] - 1 if end < len(numbers) else None) for start, end in pairwise(cuts)
    ]


def as_they_come(lines: Lines, until: int | None, most: int = SLICE) -> Iterator[Slice]:
    """Yield the lines up to `until` so that those of one input keep their order.

    Inputs are merged by the newest time that each has reached. A lane may read its topics in any order within a slice;
    where that could make an event of a lead late by more than 3 days, the slice is cut, so that only lines that stand
    so late in their files are.
    """
    newest: dict[int, int] = {}
    """Key → newest time published."""
    oldest: dict[int, tuple[int, str]] = {}
    """Key → oldest time in the slice, and the one topic it is in; empty when it is in several."""
    numbers: list[int] = []
    for number in _merged(lines, until):
        key, at, topic = lines.key_hash[number], lines.at[number], lines.input_of(number).topic
        was, where = oldest.get(key, (at, topic))
        newest[key] = max(newest.get(key, at), at)
        mixed = where != topic and key != NO_KEY
        if len(numbers) >= most or (mixed and newest[key] - min(was, at) > LATE_MS):
            yield Slice(numbers, None)
            numbers, oldest, was, mixed = [], {}, at, False
        numbers.append(number)
        oldest[key] = (min(was, at), "" if mixed else topic)
    if numbers:
        yield Slice(numbers, None)


def _merged(lines: Lines, until: int | None) -> list[int]:
    """Return the numbers of the lines up to `until`, merged by the newest time of each input so far."""
    reached = array("q")
    number = 0
    for count in lines.counts():
        newest = None
        for at in lines.at[number : number + count]:
            if until is None or at <= until:
                newest = at if newest is None else max(newest, at)
            reached.append(at if newest is None else newest)
        number += count
    numbers = (n for n in range(len(lines)) if until is None or lines.at[n] <= until)
    return sorted(numbers, key=reached.__getitem__)
