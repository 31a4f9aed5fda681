"""What must hold when a simulated world has come to rest: about outputs, channels, and what a changelog keeps."""

from collections import defaultdict
from collections.abc import Iterable

from app.engine.due import TIMED_SUFFIX, due_of
from app.engine.protocol import EPOCH_KEY, META_KEY, StaleKeys, sender_of, stamp_of
from tests.engine.simdisk import MemoryRows
from tests.engine.simworker import Entry
from tests.engine.simworld import World

Content = tuple[bytes | None, bytes | None]


class WrongError(AssertionError):
    """The world is not as it must be."""


def told_once(world: World, topic: str) -> list[Content]:
    """Return (key, value) of what was sent on a topic, repeats dropped as a consumer does: by the channel's header.

    Raises:
        WrongError: a gap, or one header with two contents.
    """
    told: list[Content] = []
    for (name, partition), log in sorted(world.logs.items()):
        if name == topic:
            told += _once(log, f"{topic}/{partition}")
    return told


def _once(log: Iterable[Entry], place: str) -> list[Content]:
    contents: dict[tuple[str, int], tuple[object, ...]] = {}
    last: dict[str, int] = defaultdict(int)
    told: list[Content] = []
    for entry in log:
        sender = sender_of(entry.headers)
        if sender is None:
            continue
        lane, seq = sender
        content = (entry.key, entry.value, tuple(entry.headers))
        if contents.setdefault(sender, content) != content:
            raise WrongError(f"{place}: {sender} has two contents: {contents[sender]} and {content}")
        if seq > last[lane] + 1:
            raise WrongError(f"{place}: after {last[lane]} of {lane} comes {seq}")
        if seq == last[lane] + 1:
            last[lane] = seq
            told.append((entry.key, entry.value))
    return told


def rows_of(world: World) -> dict[bytes, bytes]:
    """Return the rows of all owners, without the engine's own."""
    rows: dict[bytes, bytes] = {}
    for worker in world.owners.values():
        for key, value in worker.rows.scan(b""):
            if rows.setdefault(key, value) != value:
                raise WrongError(f"two lanes have a row {key!r}")
    return rows


def due_rows(world: World) -> list[tuple[int, bytes]]:
    """Return what all owners still have to look at, and when.

    Raises:
        WrongError: it is not what their rows say.
    """
    found: list[tuple[int, bytes]] = []
    for worker in world.owners.values():
        said = [(due_of(row), key) for key, row in worker.rows.scan(b"") if key.endswith(TIMED_SUFFIX)]
        index = MemoryRows(worker.disk).due(1 << 50, len(said) + 1)
        if index != sorted((due, key) for due, key in said if due is not None):
            raise WrongError(f"partition {worker.partition}: {index} are due, and rows say {said}")
        found += index
    return found


def rebuilt(world: World, *, compacted: bool) -> dict[bytes, bytes]:
    """Return the rows that the changelogs alone give, as a lane reads them; also after a compaction."""
    rows: dict[bytes, bytes] = {}
    for partition in range(world.settings.partitions):
        log = world.logs[world.changelog, partition]
        if compacted:
            newest = {entry.key: entry.offset for entry in log}
            log = [entry for entry in log if newest[entry.key] == entry.offset]
        stale = StaleKeys()
        for entry in log:
            key = entry.key or b""
            if not stale.accept(key, stamp_of(entry.headers)) or key in (META_KEY, EPOCH_KEY):
                continue
            if entry.value is None:
                rows.pop(key, None)
            else:
                rows[key] = entry.value
    return rows
