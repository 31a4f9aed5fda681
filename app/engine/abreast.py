"""How a lane's inputs come abreast: one that is about to bring more is waited for, so that none runs ahead."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from app.engine.inbox import Inbox

PATIENCE_S: Final = 2.0
"""How long an input is waited for: it may have more that nobody can read now, and the others must not stand still."""


class Abreast:
    """Tells which inputs of a lane have more than what waits of them, and how long to wait for it."""

    def __init__(self, topics: Sequence[str], end: Callable[[str], int | None]) -> None:
        """Take the inputs, and what tells the offset after the last record of each that can be read; None: unknown."""
        self._topics = topics
        self._end = end
        self._missed: dict[str, float] = {}
        """Since when inputs are waited for; they stay here until they bring something, and are not waited for again."""

    def wait_s(self, inbox: Inbox, following: Mapping[str, int], now_s: float) -> float:
        """Return how long to hold back what waits of backlogs, at most, s; 0 when nothing is missing, or nothing waits.

        `following`: the next offset of each input.
        """
        if not inbox:
            return 0.0
        longest = 0.0
        for topic in self._topics:
            end = self._end(topic)
            if inbox.count(topic) or (end is not None and following[topic] >= end):
                self._missed.pop(topic, None)
            else:
                since = self._missed.setdefault(topic, now_s)
                longest = max(longest, since + PATIENCE_S - now_s)
        return longest

    def more(self, inbox: Inbox) -> set[str]:
        """Return the inputs of which something waits, and more is about to come."""
        found = set()
        for topic in self._topics:
            here, end = inbox.end(topic), self._end(topic)
            if here is not None and (end is None or here < end):
                found.add(topic)
        return found
