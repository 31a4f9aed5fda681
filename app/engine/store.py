"""Local rows: Faust's RocksDB store with one cache for all partitions, addressed per partition."""

import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import rocksdict
from faust.stores.rocksdb import Store

from app.engine.due import Change, DueIndex
from app.engine.protocol import EPOCH_KEY, META_KEY, NO_STAMP, Stamp
from app.settings import MIB

OFFSET_KEY: Final = b"\x00offset"
"""Local only: the last changelog offset that is applied, decimal text."""
STAMP_KEY: Final = b"\x00stamp"
"""Local only: the highest stamp that was applied."""
WHOLE_KEY: Final = b"\x00whole"
"""Local only: when the rows were last known to be all that the changelog said, UTC ms, decimal text."""
BLOOM_BITS: Final = 10
METADATA_BLOCK_BYTES: Final = 4_096
"""Of one piece of a table's filter or index."""
SCAN_LIMIT: Final = 10_000

_STAMP_CODEC: Final = msgspec.msgpack.Decoder(Stamp)


class PartitionRows:
    """The rows of one partition; implements `Rows` for programs and the writes of a lane."""

    def __init__(self, database: Any) -> None:
        self._database = database
        self._index = DueIndex(self._read, self._read_range)

    def get(self, key: bytes) -> bytes | None:
        """Return the row, or None."""
        row: bytes | None = self._database.get(key)
        self._index.note(key, row)
        return row

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the rows of the keys, in their order."""
        rows = self._read(keys) if keys else []
        for key, row in zip(keys, rows, strict=True):
            self._index.note(key, row)
        return rows

    def scan(self, prefix: bytes, after: bytes | None = None, limit: int | None = None) -> list[tuple[bytes, bytes]]:
        """Return rows whose keys start with `prefix` and are greater than `after`, in order, at most `limit`.

        A list, not an iterator: an open RocksDB iterator would keep the database from closing.
        """
        first = prefix or b"\x01"
        start = first if after is None or after < first else after + b"\x00"
        return self._read_range(start, _next_prefix(prefix), SCAN_LIMIT if limit is None else limit)

    def due(self, until: int, limit: int) -> list[tuple[int, bytes]]:
        """Return (time, key) of timed rows that are due by `until` (UTC ms), the earliest first, at most `limit`."""
        return self._index.due(until, limit)

    def next_due(self) -> int | None:
        """Return when the first timed row is due, UTC ms; None when none ever is."""
        return self._index.earliest()

    @property
    def next_offset(self) -> int:
        """The first changelog offset that is not applied yet."""
        row = self.get(OFFSET_KEY)
        return 0 if row is None else int(row) + 1

    @property
    def stamp(self) -> Stamp:
        """The highest stamp that was applied."""
        row = self.get(STAMP_KEY)
        return NO_STAMP if row is None else _STAMP_CODEC.decode(row)

    @property
    def whole_at(self) -> int:
        """When these rows were last known to be all that the changelog said, UTC ms; 0 when that is unknown."""
        row = self.get(WHOLE_KEY)
        return 0 if row is None else int(row)

    @property
    def epoch(self) -> int:
        """The newest epoch marker that was applied, 0 when there is none."""
        row = self.get(EPOCH_KEY)
        return 0 if row is None else int(row)

    @property
    def meta(self) -> bytes | None:
        """The meta row."""
        return self.get(META_KEY)

    def write(self, rows: Iterable[Change], last_offset: int, stamp: Stamp, whole_at: int | None = None) -> None:
        """Apply rows (None deletes), the changelog offset of the last one and its stamp, all or nothing.

        `whole_at`: UTC ms, when there was nothing in the changelog that these rows do not say; None leaves it as it is.
        The index of timed rows goes with them, so that it is right after each write, also while a changelog is read.
        """
        changes = list(rows)
        moved, dues = self._index.changes(changes)
        changes += moved
        changes += [(OFFSET_KEY, b"%d" % last_offset), (STAMP_KEY, msgspec.msgpack.encode(stamp))]
        if whole_at is not None:
            changes.append((WHOLE_KEY, b"%d" % whole_at))
        self._commit(changes)
        self._index.written(moved, dues)

    # --- the database

    def _read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        rows: list[bytes | None] = self._database.get(list(keys))
        return rows

    def _read_range(self, start: bytes, end: bytes | None, limit: int) -> list[tuple[bytes, bytes]]:
        options = rocksdict.ReadOptions()
        if end is not None:
            options.set_iterate_upper_bound(end)
        cursor = self._database.iter(options)
        cursor.seek(start)
        found: list[tuple[bytes, bytes]] = []
        while len(found) < limit and cursor.valid():
            found.append((cursor.key(), cursor.value()))
            cursor.next()
        return found

    def _commit(self, changes: Iterable[Change]) -> None:
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in changes:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        self._database.write(batch)


def _next_prefix(prefix: bytes) -> bytes | None:
    """Return the least key above every key with the prefix; None when there is none."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes([trimmed[-1] + 1]) if trimmed else None


class Memory:
    """The block cache and memtables that all databases of a store share, and how a database is opened with them."""

    def __init__(self, block_cache_bytes: int, write_buffer_bytes: int) -> None:
        self._cache = rocksdict.Cache(block_cache_bytes)
        self._buffers = rocksdict.WriteBufferManager.new_write_buffer_manager_with_cache(
            write_buffer_bytes, allow_stall=False, cache=self._cache
        )
        self._write_buffer_bytes = min(write_buffer_bytes // 2, 64 * MIB)

    def open(self, path: Path) -> Any:
        """Open, or create, the database at `path`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        tables = rocksdict.BlockBasedOptions()
        tables.set_block_cache(self._cache)
        tables.set_bloom_filter(BLOOM_BITS, block_based=False)
        # In pieces: a whole filter or index is larger than a shard of a small cache, and was read anew at each look.
        tables.set_index_type(rocksdict.BlockBasedIndexType.two_level_index_search())
        tables.set_partition_filters(True)
        tables.set_metadata_block_size(METADATA_BLOCK_BYTES)
        tables.set_cache_index_and_filter_blocks(True)
        tables.set_pin_l0_filter_and_index_blocks_in_cache(True)
        tables.set_pin_top_level_index_and_filter(True)
        options = rocksdict.Options(raw_mode=True)
        options.create_if_missing(True)  # noqa: FBT003 - rocksdict takes it by position
        options.set_block_based_table_factory(tables)
        options.set_write_buffer_manager(self._buffers)
        options.set_write_buffer_size(self._write_buffer_bytes)
        options.set_max_write_buffer_number(3)
        options.set_max_open_files(512)
        options.set_keep_log_file_num(2)
        return rocksdict.Rdict(str(path), options=options)


class LeadStore(Store):  # type: ignore[misc]
    """Faust's RocksDB store for a table that lanes own.

    Faust opens and drops its databases as partitions come and go. Everything else it does with a store is the lanes'
    part: they write rows after the changelog has them, and read the changelog themselves at take-over
    (docs/decisions/0002), so to Faust nothing is ever left to recover.
    """

    offset_key = OFFSET_KEY

    def __init__(self, url: Any, app: Any, table: Any, **options: Any) -> None:
        mine = dict(options.pop("options", None) or {})
        self._memory = Memory(mine.pop("block_cache_bytes"), mine.pop("write_buffer_bytes"))
        self._on_ready: Callable[[frozenset[int]], None] = mine.pop("on_ready")
        super().__init__(url, app, table, options=mine, **options)

    def rows(self, partition: int) -> PartitionRows:
        """Return the rows of a partition that this worker has."""
        return PartitionRows(self._db_for_partition(partition))

    def wiped(self, partition: int) -> PartitionRows:
        """Remove what is stored of a partition and return its rows, empty."""
        self._close(partition)
        shutil.rmtree(self.partition_path(partition), ignore_errors=True)
        return self.rows(partition)

    def _open_for_partition(self, partition: int) -> Any:
        return self._memory.open(self.partition_path(partition))

    def _close(self, partition: int) -> None:
        database = self._dbs.pop(partition, None)
        if database is not None:
            database.close()

    # --- what Faust calls

    def persisted_offset(self, tp: Any) -> int | None:  # noqa: ARG002
        """Tell Faust that it has nothing to recover from: lanes read their changelog themselves."""
        return None

    def set_persisted_offset(self, tp: Any, offset: int) -> None:
        """Refuse: only a lane moves the offset, together with the rows it belongs to."""
        raise NotImplementedError(f"{tp}: the offset {offset} is written with the rows")

    def apply_changelog_batch(self, batch: Iterable[Any], to_key: Any, to_value: Any) -> None:  # noqa: ARG002
        """Refuse anything but nothing: Faust's own recovery has nothing to apply."""
        if list(batch):
            raise NotImplementedError("lanes apply the changelog themselves")

    async def on_recovery_completed(self, active_tps: set[Any], standby_tps: set[Any]) -> None:  # noqa: ARG002
        """Pass on which partitions this worker owns now."""
        self._on_ready(frozenset(tp.partition for tp in active_tps))

    def revoke_partitions(self, table: Any, tps: set[Any]) -> None:
        """Close the databases of partitions that went to other workers."""
        for tp in tps:
            if tp.topic in table.changelog_topic.topics:
                self._close(tp.partition)

    async def stop(self) -> None:
        """Close every database."""
        for partition in list(self._dbs):
            self._close(partition)

    def reset_state(self) -> None:
        """Remove everything that is stored locally."""
        for partition in list(self._dbs):
            self.wiped(partition)
