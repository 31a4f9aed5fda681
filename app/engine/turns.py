"""Turns among the lanes of a worker: work without input holds the event loop briefly, and then leaves it to events."""

import asyncio
from collections.abc import Callable, Hashable
from typing import Final

PAUSE: Final = 0.25
"""How long nobody works without input after somebody did, as a share of how long that held the event loop."""
PAUSE_BESIDE_EVENTS: Final = 2.0
"""The same while some lane processes records: due leads then take a third of the time at most, and not less either."""


class Turns:
    """Who may work without input, in the order in which lanes asked."""

    def __init__(
        self,
        pause: float = PAUSE,
        beside_events: float = PAUSE_BESIDE_EVENTS,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Take other pauses, 0 for none; `clock` is in seconds, by default it is the event loop's."""
        self._pause = pause
        self._beside_events = beside_events
        self._clock = clock
        self._queue: dict[Hashable, Callable[[], None]] = {}
        self._busy: set[Hashable] = set()
        self._ended_at = 0.0
        self._held_s = 0.0
        self._alarm: asyncio.TimerHandle | None = None

    def take(self, lane: Hashable, wake: Callable[[], None]) -> bool:
        """Return whether it is the lane's turn; if not, `wake` is called when it should ask again."""
        if next(iter(self._queue), lane) != lane or self._pause_s() > 0:
            self._queue.setdefault(lane, wake)
            self._set_alarm()
            return False
        self._queue.pop(lane, None)
        return True

    def took(self, held_s: float) -> None:
        """Note that a turn is over, and for how many seconds it held the event loop."""
        self._ended_at, self._held_s = self._now(), held_s
        self._set_alarm()

    def leave(self, lane: Hashable) -> None:
        """Wait no longer: the lane has records to process, or ends."""
        if self._queue.pop(lane, None) is not None:
            self._set_alarm()

    def waits(self, lane: Hashable) -> bool:
        """Return whether the lane waits for its turn."""
        return lane in self._queue

    def busy(self, lane: Hashable, *, busy: bool) -> None:
        """Note that a lane begins, or ends, to process records."""
        if busy:
            self._busy.add(lane)
        else:
            self._busy.discard(lane)
            self._set_alarm()

    def _now(self) -> float:
        return self._clock() if self._clock is not None else asyncio.get_running_loop().time()

    def _pause_s(self) -> float:
        pause = self._beside_events if self._busy else self._pause
        return self._ended_at + pause * self._held_s - self._now()

    def _set_alarm(self) -> None:
        """Wake the lane whose turn is next, when it is."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._queue:
            self._alarm = asyncio.get_running_loop().call_later(max(0.0, self._pause_s()), self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if self._queue:
            next(iter(self._queue.values()))()
