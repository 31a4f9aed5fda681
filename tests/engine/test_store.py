import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.engine.protocol import Stamp
from app.engine.store import Memory, PartitionRows


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[PartitionRows]:
    database = Memory(8 << 20, 8 << 20).open(tmp_path / "a.db")
    yield PartitionRows(database)
    database.close()


def test_new_rows_have_no_offset_and_no_stamp(rows: PartitionRows) -> None:
    assert (rows.next_offset, rows.stamp, rows.epoch, rows.meta) == (0, Stamp(0, 0), 0, None)


def test_a_write_puts_deletes_and_moves_the_offset_at_once(rows: PartitionRows) -> None:
    rows.write([(b"a", b"1"), (b"b", b"2")], 41, Stamp(3, 7))
    rows.write([(b"a", None), (b"c", b"")], 99, Stamp(3, 8))
    assert rows.get_many([b"a", b"b", b"c", b"d"]) == [None, b"2", b"", None]
    assert rows.get_many([]) == []
    assert (rows.next_offset, rows.stamp) == (100, Stamp(3, 8))


def test_a_scan_is_in_order_within_its_prefix_after_a_key_up_to_a_limit(rows: PartitionRows) -> None:
    keys = [b"a|1", b"a|2", b"a|\xff", b"a}", b"b"]
    rows.write([(key, key) for key in keys], 0, Stamp(1, 1))
    assert [key for key, _ in rows.scan(b"a|")] == [b"a|1", b"a|2", b"a|\xff"]
    assert [key for key, _ in rows.scan(b"a|", after=b"a|1")] == [b"a|2", b"a|\xff"]
    assert [key for key, _ in rows.scan(b"a|", after=b"a|1", limit=1)] == [b"a|2"]
    assert [key for key, _ in rows.scan(b"a|", after=b"a|\xff")] == []
    assert [key for key, _ in rows.scan(b"")] == keys, "the engine's own rows are not shown"
    assert rows.scan(b"\xff") == []


def test_rows_are_there_again_after_a_reopening(tmp_path: Path) -> None:
    memory = Memory(8 << 20, 8 << 20)
    database = memory.open(tmp_path / "a.db")
    PartitionRows(database).write([(b"a", b"1")], 5, Stamp(2, 1))
    database.close()
    database = memory.open(tmp_path / "a.db")
    again = PartitionRows(database)
    assert (again.get(b"a"), again.next_offset, again.stamp) == (b"1", 6, Stamp(2, 1))
    database.close()


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="only Linux tells how much a process has read")
def test_a_look_at_a_row_reads_little_however_large_the_table_and_small_the_cache(tmp_path: Path) -> None:
    """Filters and indexes of half a million rows are larger than a shard of this cache."""
    database = Memory(8 << 20, 4 << 20).open(tmp_path / "a.db")
    rows = PartitionRows(database)
    keys = [b"%016x" % (number * 0x9E3779B97F4A7C15 % 2**64) for number in range(500_000)]
    for start in range(0, len(keys), 10_000):
        rows.write([(key, b"v" * 40) for key in keys[start : start + 10_000]], start, Stamp(1, 1))
    database.flush()
    looks = random.Random(1).sample(keys, 500)
    before = bytes_read()
    for key in looks:
        assert rows.get(key) is not None
    assert (bytes_read() - before) / len(looks) < 16_384
    database.close()


def bytes_read() -> int:
    """Bytes that this process has ever read."""
    return int(Path("/proc/self/io").read_text(encoding="ascii").split()[1])
