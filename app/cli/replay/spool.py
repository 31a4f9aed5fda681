"""Bytes that are kept on disk, so that a replay of millions of lines does not need them all in memory."""

import os
import tempfile
from array import array
from types import TracebackType
from typing import Self


class Spool:
    """An append-only list of byte strings in a temporary file that is gone when it is closed."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="leadstream-spool-")  # noqa: SIM115 - closed by `close`
        self._flushed = True
        self._ends = array("q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def append(self, data: bytes) -> int:
        """Keep `data`; return its number, from 0."""
        self._file.write(data)
        self._flushed = False
        self._ends.append(self._ends[-1] + len(data))
        return len(self) - 1

    def __getitem__(self, number: int) -> bytes:
        if not self._flushed:
            self._file.flush()
            self._flushed = True
        start, end = self._ends[number], self._ends[number + 1]
        return os.pread(self._file.fileno(), end - start, start)

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
