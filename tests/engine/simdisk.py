"""A local disk that is a dict: it survives its lane, or is lost, or comes back as it was some writes ago."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from app.engine.protocol import Stamp
from app.engine.store import OFFSET_KEY, STAMP_KEY, PartitionRows

KEPT = 4
"""How many writes a disk that comes back older may have lost, at most."""


class Disk:
    """The rows of one partition on one machine."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.earlier: list[dict[bytes, bytes]] = []

    def suffer(self, chance: random.Random) -> None:
        """What may have become of it when the next lane opens it: usually nothing."""
        drawn = chance.random()
        if drawn < 0.15:
            self.rows, self.earlier = {}, []
        elif drawn < 0.3 and self.earlier:
            self.rows, self.earlier = chance.choice(self.earlier), []


class MemoryRows(PartitionRows):
    """The rows of a disk; the lane that writes them may die before or after each write."""

    def __init__(self, disk: Disk, may_die: Callable[[str], None]) -> None:
        self._disk = disk
        self._may_die = may_die

    def get(self, key: bytes) -> bytes | None:
        return self._disk.rows.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self._disk.rows.get(key) for key in keys]

    def scan(self, prefix: bytes, after: bytes | None = None, limit: int | None = None) -> list[tuple[bytes, bytes]]:
        first = prefix or b"\x01"
        found = [
            (key, value)
            for key, value in sorted(self._disk.rows.items())
            if key.startswith(prefix) and key >= first and (after is None or key > after)
        ]
        return found[:limit]

    def write(self, rows: Iterable[tuple[bytes, bytes | None]], last_offset: int, stamp: Stamp) -> None:
        self._may_die("before write")
        disk = self._disk
        disk.earlier = [*disk.earlier, dict(disk.rows)][-KEPT:]
        self.put(dict(rows))
        disk.rows[OFFSET_KEY] = b"%d" % last_offset
        disk.rows[STAMP_KEY] = msgspec.msgpack.encode(stamp)
        self._may_die("after write")

    def put(self, rows: Mapping[bytes, bytes | None]) -> None:
        """Write rows and nothing else."""
        for key, value in rows.items():
            if value is None:
                self._disk.rows.pop(key, None)
            else:
                self._disk.rows[key] = value
