"""A local disk that is a dict: it survives its lane, or is lost, or comes back as it was some writes ago."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence

from app.engine.due import Change
from app.engine.protocol import NO_STAMP
from app.engine.store import PartitionRows

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

    def __init__(self, disk: Disk, may_die: Callable[[str], None] = lambda _: None) -> None:
        self._disk = disk
        self._may_die = may_die
        super().__init__(None)

    def get(self, key: bytes) -> bytes | None:
        (row,) = self._read([key])
        self._index.note(key, row)
        return row

    def put(self, rows: Mapping[bytes, bytes | None]) -> None:
        """Write rows, wherever they come from."""
        self.write(rows.items(), 0, NO_STAMP)

    def _read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self._disk.rows.get(key) for key in keys]

    def _read_range(self, start: bytes, end: bytes | None, limit: int) -> list[tuple[bytes, bytes]]:
        rows = self._disk.rows
        return [(key, rows[key]) for key in sorted(rows) if key >= start and (end is None or key < end)][:limit]

    def _commit(self, changes: Iterable[Change]) -> None:
        self._may_die("before write")
        disk = self._disk
        disk.earlier = [*disk.earlier, dict(disk.rows)][-KEPT:]
        for key, value in changes:
            if value is None:
                disk.rows.pop(key, None)
            else:
                disk.rows[key] = value
        self._may_die("after write")
