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


def _hash(message_id: str) -> bytes:
    return hashlib.blake2b(message_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _holds(block: bytes, wanted: bytes) -> bool:
    at = block.find(wanted)
    while at >= 0:
        if at % _WIDTH == 0:
            return True
        at = block.find(wanted, at + 1)
    return False


def add(ids: MessageIds, message_id: str, at: int, rows: Rows) -> bool:
    """Remember a message of time `at` (ms); False when the lead has had it already."""
    wanted = _hash(message_id)
    if _holds(ids.tail, wanted):
        return False
    for number in range(ids.end - 1, ids.first - 1, -1):
        if _holds(rows.get(f"{_PREFIX}{number:06d}") or b"", wanted):
            return False
    ids.tail += wanted + at.to_bytes(6, "big")
    if len(ids.tail) == _BLOCK * _WIDTH:
        rows.put(f"{_PREFIX}{ids.end:06d}", ids.tail)
        ids.end += 1
        ids.tail = b""
        _forget(ids, at, rows)
    return True


def _forget(ids: MessageIds, now: int, rows: Rows) -> None:
    """Drop the oldest block when all of it is older than 30 days and 2,000 newer ids are left, or past 10,000 ids."""
    while ids.first < ids.end:
        block = rows.get(f"{_PREFIX}{ids.first:06d}") or b""
        newest = max(
            (int.from_bytes(block[i + 8 : i + _WIDTH], "big") for i in range(0, len(block), _WIDTH)), default=0
        )
        old = newest < now - KEPT_MS and len(ids) - _BLOCK >= KEPT_LEAST
        if not old and len(ids) <= KEPT_MOST:
            return
        rows.put(f"{_PREFIX}{ids.first:06d}", None)
        ids.first += 1
