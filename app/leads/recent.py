"""Decoded hot rows of the leads that a lane looked at last: most events are of people who were here a moment ago."""

from collections import OrderedDict
from collections.abc import Set
from typing import Final
from weakref import WeakSet

from app.domain.state import Hot

DECODED: Final = 5
"""Bytes of memory that one byte of a row takes when it is decoded, about: 4.3 to 4.5 were measured."""

LeadName = tuple[str, str]
"""Brand and key."""


class Room:
    """Memory for the recent leads of all lanes of a worker: each lane may fill an equal part of it."""

    def __init__(self, most: int) -> None:
        """`most`: bytes, about."""
        self._most = most
        self._lanes: WeakSet[RecentLeads] = WeakSet()

    def enter(self, lane: "RecentLeads") -> None:
        """Let a lane have its part from now on, for as long as it is there."""
        self._lanes.add(lane)

    @property
    def each(self) -> int:
        """Bytes that one lane may fill."""
        return self._most // max(1, len(self._lanes))


class RecentLeads:
    """Hot rows as the last durable step left them. A step that is dropped takes those that it used with it."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._kept: OrderedDict[LeadName, tuple[Hot, int]] = OrderedDict()
        """With the bytes that each takes; the least recently used first."""
        self._filled = 0
        self._used: dict[LeadName, tuple[Hot, int]] = {}
        """Those of the step under way: changed in place, and so no longer what is durable."""
        room.enter(self)

    @property
    def used(self) -> Set[LeadName]:
        """The leads that the step under way is done with."""
        return self._used.keys()

    def begin(self) -> None:
        """Begin a step; what the one before used, if it was dropped, is forgotten."""
        self._used = {}

    def take(self, name: LeadName) -> Hot | None:
        """Return a lead's row to be changed; None when it is not here."""
        kept = self._kept.pop(name, None)
        if kept is None:
            return None
        self._filled -= kept[1]
        return kept[0]

    def use(self, name: LeadName, hot: Hot, size: int) -> None:
        """Note the row of a lead as the step under way leaves it; `size`: bytes of it encoded."""
        self._used[name] = hot, size * DECODED

    def keep(self) -> None:
        """Keep what the step, now durable, has left, as far as there is room."""
        for name, kept in self._used.items():
            self._kept[name] = kept
            self._filled += kept[1]
        self._used = {}
        each = self._room.each
        while self._filled > each:
            _, (_, size) = self._kept.popitem(last=False)
            self._filled -= size
