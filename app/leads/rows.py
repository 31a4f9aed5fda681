"""Where a lead's rows stand in its partition: side by side, under its brand and key."""

from collections.abc import Iterable, Iterator
from typing import Final

from app.domain.lead import HOT
from app.engine.program import Rows

_HOT_SUFFIX: Final = b"\x00" + HOT.encode()


def lead_prefix(brand: str, key: str) -> bytes:
    """Return what the keys of a lead's rows start with. A zero byte ends it, so one within is written as two bytes."""
    text = f"{brand}/{key}".encode("utf-8", "surrogatepass")
    return text.replace(b"\x00", b"\x00\x01") + b"\x00"


class LeadRows:
    """The rows of one lead: those of the partition, under what this step has staged."""

    def __init__(self, prefix: bytes, rows: Rows, staged: dict[bytes, bytes | None]) -> None:
        self._prefix = prefix
        self._rows = rows
        self._staged = staged

    def get(self, name: str) -> bytes | None:
        """Return a row by its name; None when there is none."""
        key = self._prefix + name.encode()
        return self._staged[key] if key in self._staged else self._rows.get(key)

    def put(self, name: str, value: bytes | None) -> None:
        """Stage a row; None deletes it."""
        self._staged[self._prefix + name.encode()] = value


def hot_rows(read: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the hot rows of leads among (key, value) rows of a partition."""
    for key, value in read:
        if key.endswith(_HOT_SUFFIX) and not key.startswith((b"\x00", b"\x01")):
            yield key, value
