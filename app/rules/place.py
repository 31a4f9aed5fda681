"""A value in a rules file and where it stands: every reading checks its type and notes what is wrong.

After a problem a reading returns a harmless stand-in, so that one pass finds every mistake; the report keeps the rules
from being used.
"""

import re
from dataclasses import dataclass
from math import isfinite
from typing import Final

from app.domain.rulebook import DAY_MS
from app.rules.errors import Report, did_you_mean, listed, nearest, shown
from app.rules.tree import Entries, Items, Node, Scalar

_UNITS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": DAY_MS, "w": 7 * DAY_MS}
_DURATION: Final = re.compile(r"([0-9]{1,12})([smhdw])")
_DURATION_TEXT: Final = "a duration such as 30s, 5m, 24h, 14d or 2w"
LONGEST: Final = 36_500 * DAY_MS
"""No duration is longer than a century."""
MOST: Final = 1e15
"""Numbers are below it: floating point knows them to a thousandth and better."""


@dataclass(frozen=True, slots=True)
class Place:
    """A node, its field path, and the report that problems go to."""

    node: Node
    path: str
    report: Report

    def wrong(self, expected: str, found: str = "") -> None:
        """Note that this value is not what it should be."""
        self.report.add(self.node.line, self.node.column, self.path, found or _found(self.node), expected)

    def note(self, what: str) -> None:
        """Note that this value is allowed and yet perhaps not meant."""
        self.report.note(self.node.line, self.node.column, self.path, what)

    # --- one value ---------------------------------------------------------------------------------------------------

    @property
    def is_scalar(self) -> bool:
        """Whether it is one value, neither a list nor a mapping."""
        return isinstance(self.node, Scalar)

    @property
    def is_mapping(self) -> bool:
        """Whether it has fields."""
        return isinstance(self.node, Entries)

    @property
    def is_list(self) -> bool:
        """Whether it has items."""
        return isinstance(self.node, Items)

    @property
    def value(self) -> str | int | float | bool | None:
        """The meaning of one value; None for a list or mapping."""
        return self.node.value if isinstance(self.node, Scalar) else None

    def written(self, expected: str = "text") -> str:
        """Return one value as it is written, whatever YAML would take it for."""
        if isinstance(self.node, Scalar) and self.node.value is not None and self.node.written.strip():
            return self.node.written.strip()
        self.wrong(expected)
        return ""

    def text(self, expected: str = "text") -> str:
        """Return text that is not blank, trimmed."""
        value = self.value
        if isinstance(value, str) and value.strip():
            return value.strip()
        if isinstance(value, bool | int | float):
            self.wrong(f'{expected}: put it in quotes if "{self.written()}" is meant')
        else:
            self.wrong(expected)
        return ""

    def choice(self, choices: tuple[str, ...]) -> str:
        """Return one of the words."""
        value = self.value
        if isinstance(value, str) and value in choices:
            return value
        near = did_you_mean(value, list(choices)) if isinstance(value, str) else ""
        self.wrong(listed(choices) + near)
        return choices[0]

    def number(self, expected: str = "a number", *, least: float | None = None, above: float | None = None) -> float:
        """Return a finite number that is at least `least` and more than `above`."""
        value = self.value
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        good = is_number and abs(value) < MOST and isfinite(value)  # type: ignore[arg-type]
        if is_number and not good:
            expected += " of at most 15 digits"
        if least is not None:
            expected += f" of {least:g} or more"
        if above is not None:
            expected += f" above {above:g}"
        if not good or (least is not None and value < least) or (above is not None and value <= above):  # type: ignore[operator]
            self.wrong(expected)
            return 1.0
        return float(value)  # type: ignore[arg-type]

    def integer(self, least: int, most: int) -> int:
        """Return a whole number from `least` to `most`."""
        value = self.value
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self.wrong(f"a whole number from {least:,} to {most:,}")
        return least

    def boolean(self) -> bool:
        """Return true or false."""
        value = self.value
        if isinstance(value, bool):
            return value
        self.wrong("true or false")
        return False

    def duration(self, *, zero: bool = False, longest: int = LONGEST) -> int:
        """Return ms; 0 only with `zero`, at most `longest`."""
        value = self.value
        match = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            self.wrong(_DURATION_TEXT)
            return 1
        ms = int(match[1]) * _UNITS[match[2]]
        if ms > longest:
            self.wrong(f"at most {longest // DAY_MS:,}d")
            return 1
        if ms == 0 and not zero:
            self.wrong("a duration above zero")
            return 1
        return ms

    # --- several -----------------------------------------------------------------------------------------------------

    def items(self, expected: str, *, empty: bool = False) -> list["Place"]:
        """Return the members of a list; an empty list only with `empty`."""
        if not isinstance(self.node, Items) or not (self.node.items or empty):
            self.wrong(expected)
            return []
        return [Place(node, f"{self.path}[{i}]", self.report) for i, node in enumerate(self.node.items)]

    def entries(self, expected: str, *, empty: bool = False) -> list[tuple[str, "Place"]]:
        """Return the entries of a mapping whose keys its author names."""
        if not isinstance(self.node, Entries) or not (self.node.entries or empty):
            self.wrong(expected)
            return []
        places = []
        for key, node in self.node.entries:
            name = key.written.strip()
            if not name:
                self.report.add(key.line, key.column, self.path, "a blank key", "a name")
            places.append((name, Place(node, self._below(name), self.report)))
        return places

    def fields(self, known: tuple[str, ...], required: tuple[str, ...] = (), what: str = "") -> dict[str, "Place"]:
        """Return the fields of a mapping that are set; note unknown and missing ones. `null` is absent."""
        if not isinstance(self.node, Entries):
            self.wrong((what or "a mapping") + " with " + listed([f"`{name}`" for name in required or known]))
            return {}
        places: dict[str, Place] = {}
        for key, node in self.node.entries:
            if key.written not in known:
                self.unknown(key, known)
            elif not (isinstance(node, Scalar) and node.value is None):
                places[key.written] = Place(node, self._below(key.written), self.report)
        named = {key.written for key, _ in self.node.entries}
        misspelt = {nearest(name, list(known)) for name in named - set(known)}
        for name in required:
            if name not in places and name not in misspelt:
                line, column = next(((k.line, k.column) for k, _ in self.node.entries if k.written == name), (0, 0))
                found = "nothing" if name in named else f"no `{name}`"
                self.report.add(
                    line or self.node.line, column or self.node.column, self._below(name), found, f"`{name}`"
                )
        return places

    def unknown(self, key: Scalar, known: tuple[str, ...] | list[str], why: str = "") -> None:
        """Note a field that this mapping does not have."""
        words = list(known)
        expected = why or (listed([f"`{name}`" for name in words]) + did_you_mean(key.written, words))
        self.report.add(
            key.line, key.column, self._below(key.written), f"unknown field `{shown(key.written)}`", expected
        )

    def at(self, key: Scalar, node: Node) -> "Place":
        """Return the place of one entry."""
        return Place(node, self._below(key.written), self.report)

    def _below(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def _found(node: Node) -> str:
    match node:
        case Items():
            return "a list" if node.items else "an empty list"
        case Entries():
            return "a mapping" if node.entries else "an empty mapping"
        case Scalar(value=None):
            return "nothing"
        case Scalar(value=bool()):
            return node.written
        case Scalar(value=str()):
            return f'text "{shown(node.written)}"'
        case Scalar():
            return f"the number {shown(node.written)}"
