"""A lane's clock: how far time has come for leads that do nothing."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

WALL_CLOCK_DELAY_MS: Final = 1_000
"""How far the lane's clock stays behind the wall clock when nothing is left to read."""


def wall_ms() -> int:
    """Return the wall clock, UTC ms."""
    return time.time_ns() // 1_000_000


class LaneClock:
    """The clock of one lane; all times are UTC ms."""

    def __init__(
        self, topics: Sequence[str], highwater: Callable[[str], int | None], wall_ms: Callable[[], int]
    ) -> None:
        """Take the lane's inputs, what tells the end of each (None: unknown), and the wall clock."""
        self._topics = topics
        self._highwater = highwater
        self._wall_ms = wall_ms
        self._read_to: dict[str, int] = {}
        self._now: int | None = None

    def read(self, topic: str, timestamp: int) -> None:
        """Note the timestamp of the record of an input that was read last."""
        self._read_to[topic] = timestamp

    def now(self, following: Mapping[str, int]) -> int | None:
        """Return the time; None while it is unknown. `following`: the next offset of each input.

        When all inputs are read to their ends it is the wall clock less 1 s: what is older has been read. Else it is
        how far the input that is furthest behind has been read, by the timestamp of its last record, and no later than
        that. It never goes back.
        """
        now = self._wall_ms() - WALL_CLOCK_DELAY_MS
        for topic in self._topics:
            end = self._highwater(topic)
            if end is None or following[topic] < end:
                read_to = self._read_to.get(topic)
                if read_to is None:
                    return self._now
                now = min(now, read_to)
        self._now = now if self._now is None else max(self._now, now)
        return self._now

    def ms_until(self, at: int) -> int:
        """Return in how many ms it can be `at` at the earliest; not above 0 when it could be already."""
        return at + WALL_CLOCK_DELAY_MS - self._wall_ms()
