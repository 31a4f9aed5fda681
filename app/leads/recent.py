"""Decoded hot rows of the leads that a lane looked at last: most events are of people who were here a moment ago."""

from collections import OrderedDict
from collections.abc import Set
from typing import Final

from app.domain.state import Hot

KEPT: Final = 4_096
"""Leads of a lane whose hot rows stay decoded."""

LeadName = tuple[str, str]
"""Brand and key."""


class RecentLeads:
    """Hot rows as the last durable step left them. A step that is dropped takes those that it used with it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[LeadName, Hot] = OrderedDict()
        """The least recently used first."""
        self._used: dict[LeadName, Hot] = {}
        """Those of the step under way: changed in place, and so no longer what is durable."""

    @property
    def used(self) -> Set[LeadName]:
        """The leads of the step under way."""
        return self._used.keys()

    def begin(self) -> None:
        """Begin a step; what the one before used, if it was dropped, is forgotten."""
        self._used = {}

    def take(self, name: LeadName) -> Hot | None:
        """Return a lead's row to be changed; None when it is not here."""
        return self._kept.pop(name, None)

    def use(self, name: LeadName, hot: Hot) -> None:
        """Note the row of a lead that the step under way may change."""
        self._used[name] = hot

    def keep(self) -> None:
        """Keep what the step, now durable, has left."""
        self._kept.update(self._used)
        self._used = {}
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
