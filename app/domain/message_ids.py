"""Which messages a lead has had: trackers send some twice."""

import hashlib
from typing import Final

import msgspec

from app.domain.series import Rows

KEPT_MS: Final = 30 * 86_400_000
KEPT_LEAST: Final = 2_000
KEPT_MOST: Final = 10_000
_BLOCK: Final = 64
_WIDTH: Final = 14
_PREFIX: Final = "i|"


class MessageIds(msgspec.Struct, array_like=True):
    """Hashes of message ids with their times, 14 bytes each: the newest in `tail`, the others in rows of 64."""

    first: int = 0
    end: int = 0
    tail: bytes = b""

    def __len__(self) -> int:
        return (self.end - self.first) * _BLOCK + len(self.tail) // _WIDTH


def _row(number: int) -> str:
    return f"{_PREFIX}{number:06d}"


def _hash(message_id: str) -> bytes:
    return hashlib.blake2b(message_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _holds(block: bytes, wanted: bytes) -> bool:
    at = block.find(wanted)
    while at >= 0:
        if at % _WIDTH == 0:
            return True
        at = block.find(wanted, at + 1)
    return False


class SeenMessages:
    """The messages that a lead has had, for the length of one step: rows are read at its first one, not at each."""

    def __init__(self, ids: MessageIds, rows: Rows) -> None:
        self._ids = ids
        self._rows = rows
        self._older: bytes | None = None
        """All that is in rows, once it has been read."""

    def add(self, message_id: str, at: int) -> bool:
        """Remember a message of time `at` (ms); False when the lead has had it already."""
        ids, wanted = self._ids, _hash(message_id)
        if _holds(ids.tail, wanted):
            return False
        if self._older is None:
            self._older = b"".join(self._block(number) for number in range(ids.first, ids.end))
        if _holds(self._older, wanted):
            return False
        ids.tail += wanted + at.to_bytes(6, "big")
        if len(ids.tail) == _BLOCK * _WIDTH:
            self._rows.put(_row(ids.end), ids.tail)
            ids.end += 1
            self._older += ids.tail
            ids.tail = b""
            self._forget(at)
        return True

    def _block(self, number: int) -> bytes:
        return self._rows.get(_row(number)) or b""

    def _forget(self, now: int) -> None:
        """Drop the oldest block when all of it is older than 30 days and 2,000 newer are left, or past 10,000 ids."""
        ids = self._ids
        while ids.first < ids.end:
            block = self._block(ids.first)
            newest = max(
                (int.from_bytes(block[i + 8 : i + _WIDTH], "big") for i in range(0, len(block), _WIDTH)), default=0
            )
            old = newest < now - KEPT_MS and len(ids) - _BLOCK >= KEPT_LEAST
            if not old and len(ids) <= KEPT_MOST:
                return
            self._rows.put(_row(ids.first), None)
            ids.first += 1
            self._older = None
