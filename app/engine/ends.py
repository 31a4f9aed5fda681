"""What is known of the ends of inputs: as the last fetches told, and only for as long as that is recent."""

from collections.abc import Hashable
from typing import Final

SLACK_MS: Final = 2_000
"""How much later than its fetch wait a broker may answer before what it told last is old."""


class Freshness:
    """Whether a broker's last answer about a partition still says how things are; times are UTC ms.

    A worker that was suspended, or cut off from one broker, finds an end that was true long ago. Even the first answer
    after such a gap may have been on its way since before it, so only the one after that counts.
    """

    def __init__(self, fetch_wait_ms: int) -> None:
        self._limit_ms = fetch_wait_ms + SLACK_MS
        self._answers: dict[Hashable, tuple[int, int | None]] = {}
        """When the last answer came, and the one that may be old."""

    def fresh(self, partition: Hashable, answered_at: int | None, now: int) -> bool:
        """Return whether an answer of `answered_at` (None: there was none) counts now."""
        if answered_at is None:
            self._answers.pop(partition, None)
            return False
        last, doubted = self._answers.get(partition, (answered_at, None))
        if answered_at - last > self._limit_ms:
            doubted = answered_at
        self._answers[partition] = (answered_at, doubted)
        return answered_at != doubted and now - answered_at <= self._limit_ms
