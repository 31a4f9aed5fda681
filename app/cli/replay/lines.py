"""The input files' lines: each is one message, with the times and the key that it will be published under."""

import functools
import gzip
import sys
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self, cast

import msgspec

from app.cli.replay.spool import Spool
from app.domain.event import Event
from app.domain.partition import murmur2
from app.sources.decode import read_object
from app.sources.segment import Peek, parse, peek
from app.sources.times import in_range, read_time
from app.topics import INPUT_BYTES

STANDARD_INPUT: Final = "-"
MOST_BYTES: Final = INPUT_BYTES - 65_536
"""Longest line that fits a record of an input topic with its key and framing."""
NO_KEY: Final = 0
"""Key hash of a line without an identifier; its partition is the first."""
_UNKNOWN: Final = -(2**62)


class InputError(Exception):
    """An input cannot be read; says which, and why."""


class Input(msgspec.Struct, frozen=True):
    """One input file."""

    name: str
    """As it was given; `-` is standard input."""
    topic: str
    """Topic it is meant for, without a prefix."""


class Line(msgspec.Struct, frozen=True):
    """One message as it is published."""

    number: int
    """Among all lines of the replay, from 0."""
    input: Input
    line: int
    """Within its input, from 1."""
    key: bytes | None
    value: bytes
    at: int
    """Event time, UTC ms."""
    record_at: int
    """Timestamp of its record, UTC ms."""


class Lines:
    """All lines of some inputs. The text is on disk; times and key hashes, 30 bytes a line, are in memory."""

    def __init__(self) -> None:
        self.inputs: list[Input] = []
        self.at = array("q")
        """Event time of each line, UTC ms; a line without one has that of the line before it."""
        self.key_hash = array("I")
        """murmur2 of the key, or `NO_KEY`: it tells the partition."""
        self._record_at = array("q")
        self._key_bytes = array("i")
        self._texts = Spool()
        self._starts: list[int] = []
        """Number of each input's first line."""

    def __len__(self) -> int:
        return len(self.at)

    def read(self, source: Input) -> int:
        """Read an input to its end; return how many lines it has.

        Raises:
            InputError: it is missing, unreadable, or no gzip though it is called so.
        """
        self.inputs.append(source)
        first = len(self)
        self._starts.append(first)
        last_at = _UNKNOWN
        for text in _lines_of(source.name):
            told = peek(text)
            at, record_at = (told.at, told.record_at) if told.at is not None else _times_of_refused(text)
            if at is None:
                at = last_at
            self._add(told, text, at, at if record_at is None else record_at)
            last_at = at
        self._fill(first)
        return len(self) - first

    def _add(self, told: Peek, text: bytes, at: int, record_at: int) -> None:
        key = b"" if told.key is None else told.key.encode()
        self.at.append(at)
        self._record_at.append(record_at)
        self.key_hash.append(NO_KEY if told.key is None else _murmur2(key))
        self._key_bytes.append(-1 if told.key is None else len(key))
        self._texts.append(key + text)

    def _fill(self, first: int) -> None:
        """Give the lines before the input's first time that time."""
        known = next((number for number in range(first, len(self)) if self.at[number] != _UNKNOWN), None)
        for number in range(first, len(self) if known is None else known):
            at = _UNKNOWN if known is None else self.at[known]
            self.at[number] = at
            if self._record_at[number] == _UNKNOWN:
                self._record_at[number] = at

    def settle(self, fallback: int) -> None:
        """Give lines of inputs that tell no time at all the earliest time of the others, else `fallback`."""
        if _UNKNOWN not in self.at:
            return
        earliest = min((at for at in self.at if at != _UNKNOWN), default=fallback)
        for times in (self.at, self._record_at):
            for number, at in enumerate(times):
                if at == _UNKNOWN:
                    times[number] = earliest

    def __getitem__(self, number: int) -> Line:
        source = self._source(number)
        text = self._texts[number]
        length = self._key_bytes[number]
        return Line(
            number=number,
            input=self.inputs[source],
            line=number - self._starts[source] + 1,
            key=None if length < 0 else text[:length],
            value=text[max(length, 0) :],
            at=self.at[number],
            record_at=self._record_at[number],
        )

    def counts(self) -> list[int]:
        """Return how many lines each input has."""
        return [end - start for start, end in pairwise([*self._starts, len(self)])]

    def input_of(self, number: int) -> Input:
        """Return the input that a line is of."""
        return self.inputs[self._source(number)]

    def _source(self, number: int) -> int:
        return bisect_right(self._starts, number) - 1

    def newest_event(self) -> int | None:
        """Return the time of the newest line that is an event (rejected ones are none); None when no line is."""
        for number in sorted(range(len(self)), key=self.at.__getitem__, reverse=True):
            line = self[number]
            read = parse(line.value, topic=line.input.topic, partition=0, offset=0, record_at=line.record_at)
            if isinstance(read, Event):
                return line.at
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._texts.close()


@functools.lru_cache(maxsize=65_536)
def _murmur2(key: bytes) -> int:
    return murmur2(key)


def _lines_of(name: str) -> Iterator[bytes]:
    """Yield the lines of a file without their ends. A blank line is one too; nothing after the last end is none."""
    try:
        with _opened(name) as file:
            for text in file:
                yield text.removesuffix(b"\n").removesuffix(b"\r")
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{name}: {why[:1].lower() + why[1:]}") from error


def _opened(name: str) -> IO[bytes]:
    if name == STANDARD_INPUT:
        return sys.stdin.buffer
    return cast("IO[bytes]", gzip.open(name, "rb")) if name.endswith(".gz") else Path(name).open("rb")


def _times_of_refused(text: bytes) -> tuple[int | None, int | None]:
    """Return event time and record timestamp of a message that is not read, as far as it tells valid ones."""
    message = read_object(text)
    if not isinstance(message, dict):
        return None, None
    timestamp, original, received, sent = (
        _time(message.get(field)) for field in ("timestamp", "originalTimestamp", "receivedAt", "sentAt")
    )
    at = timestamp
    if at is None and message.get("timestamp") is None and original is not None:
        at = original if received is None or sent is None else original + received - sent
    record_at = next((time for time in (received, sent) if time is not None), at)
    return at, record_at


def _time(value: Any) -> int | None:
    at = read_time(value) if isinstance(value, str | int | float) else None
    return at if at is not None and in_range(at) else None


def read_all(sources: Sequence[Input]) -> Lines:
    """Read every input. Raises InputError."""
    lines = Lines()
    try:
        for source in sources:
            lines.read(source)
    except BaseException:
        lines.__exit__(None, None, None)
        raise
    lines.settle(0)
    return lines
