"""The index of rows by when they are due: it is at each moment what the rows say."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine import due
from app.engine.due import due_of, timed, untimed
from app.engine.protocol import NO_STAMP
from app.engine.store import Memory, PartitionRows
from tests.engine.simdisk import Disk, MemoryRows

A, B, C = b"a\x00h", b"b\x00h", b"c\x00h"
EVER = 1 << 50


class Stored:
    """Rows in RocksDB that can be closed and opened again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._memory = Memory(8 << 20, 8 << 20)
        self._database: Any = None
        self.rows = self.reopened()

    def reopened(self) -> PartitionRows:
        self.close()
        self._database = self._memory.open(self._path)
        self.rows = PartitionRows(self._database)
        return self.rows

    def close(self) -> None:
        if self._database is not None:
            self._database.close()


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Stored]:
    stored = Stored(tmp_path / "a.db")
    yield stored
    stored.close()


def write(rows: PartitionRows, *changes: tuple[bytes, bytes | None]) -> None:
    rows.write(changes, 0, NO_STAMP)


def test_a_timed_row_keeps_its_value_and_tells_its_time() -> None:
    assert untimed(timed(1_767_225_600_000, b"\x93abc")) == b"\x93abc"
    assert due_of(timed(1_767_225_600_000, b"\x93abc")) == 1_767_225_600_000
    assert due_of(timed(None, b"\x93abc")) is None
    assert due_of(None) is None


def test_a_row_from_before_there_were_times_is_read_as_it_is_and_due_at_once(stored: Stored) -> None:
    write(stored.rows, (A, b"\x93abc"))
    assert untimed(b"\x93abc") == b"\x93abc"
    assert [key for _, key in stored.rows.due(2, 10)] == [A]


def test_rows_are_found_in_the_order_of_their_times_from_the_very_moment_on(stored: Stored) -> None:
    write(stored.rows, (A, timed(300, b"1")), (B, timed(100, b"2")), (C, timed(200, b"3")))
    assert stored.rows.next_due() == 100
    assert stored.rows.due(99, 10) == []
    assert stored.rows.due(100, 10) == [(100, B)]
    assert stored.rows.due(300, 10) == [(100, B), (200, C), (300, A)]
    assert stored.rows.due(300, 2) == [(100, B), (200, C)]


def test_a_row_is_found_under_its_newest_time_only(stored: Stored) -> None:
    write(stored.rows, (A, timed(100, b"1")))
    write(stored.rows, (A, timed(50, b"1")), (A, timed(70, b"2")))
    assert stored.rows.due(EVER, 10) == [(70, A)]
    write(stored.rows, (A, timed(None, b"3")))
    assert stored.rows.due(EVER, 10) == []
    assert stored.rows.next_due() is None
    write(stored.rows, (A, timed(20, b"4")))
    assert stored.rows.next_due() == 20
    write(stored.rows, (A, None))
    assert stored.rows.next_due() is None


def test_the_index_is_not_among_the_rows_and_other_rows_are_not_in_it(stored: Stored) -> None:
    write(stored.rows, (A, timed(100, b"1")), (b"a\x00i|000001", b"\x00" * 14), (b"k", b"\x00\x00"))
    assert [key for key, _ in stored.rows.scan(b"")] == [A, b"a\x00i|000001", b"k"]
    assert stored.rows.due(EVER, 10) == [(100, A)]


def test_the_index_is_there_again_after_a_reopening_and_goes_on(stored: Stored) -> None:
    write(stored.rows, (A, timed(100, b"1")), (B, timed(200, b"2")))
    rows = stored.reopened()
    assert rows.next_due() == 100
    write(rows, (A, timed(400, b"1")), (C, timed(300, b"3")))
    assert stored.reopened().due(EVER, 10) == [(200, B), (300, C), (400, A)]


def test_a_time_below_all_that_were_taken_is_found(stored: Stored) -> None:
    """Searches begin behind what was taken; a late event may still make a lead due before that."""
    write(stored.rows, *((b"%04d\x00h" % n, timed(1_000 + n, b"1")) for n in range(500)))
    for start in range(0, 500, 100):
        taken = stored.rows.due(EVER, 100)
        assert taken[0] == (1_000 + start, b"%04d\x00h" % start)
        write(stored.rows, *((key, timed(None, b"2")) for _, key in taken))
    assert stored.rows.next_due() is None
    write(stored.rows, (A, timed(7, b"1")))
    assert stored.rows.due(EVER, 10) == [(7, A)]


KEYS = st.sampled_from([A, B, C, b"d\x00h", b"d\x00t|1"])
VALUES = st.one_of(st.none(), st.integers(0, 6).map(lambda due: timed(due * 100 or None, b"v")))
CHANGES = st.lists(st.tuples(KEYS, VALUES), max_size=5)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(CHANGES, st.booleans(), st.integers(0, 700)), max_size=12), st.integers(1, 6))
def test_after_any_writes_the_index_is_what_the_rows_say(lives: list[tuple[Any, bool, int]], known: int) -> None:
    """Whatever is looked at between, however few rows' times are kept, and where a new process finds what is stored."""
    with mock.patch.object(due, "_KNOWN", known):
        live(lives)


def live(lives: list[tuple[Any, bool, int]]) -> None:
    disk = Disk()
    rows = MemoryRows(disk)
    for changes, restarted, until in lives:
        if restarted:
            rows = MemoryRows(disk)
        write(rows, *changes)
        said = sorted((due_of(row), key) for key, row in rows.scan(b"") if key.endswith(b"\x00h") and due_of(row))
        assert rows.due(until, 100) == [(due, key) for due, key in said if due is not None and due <= until]
        assert rows.next_due() == (said[0][0] if said else None)
