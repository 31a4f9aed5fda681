"""A store of leads that are all due at one moment: one is folded, the others are copies under other names."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import orjson

from app import topics
from app.domain.identity import owner
from app.domain.reader import Reader
from app.domain.state import Latest
from app.engine.due import due_of, timed
from app.engine.program import Record
from app.engine.protocol import NO_STAMP
from app.engine.store import Memory, PartitionRows
from app.leads.program import LeadProgram
from app.leads.rows import hot_of, lead_prefix, wakes_at
from app.rules import load
from app.settings import MIB, Settings
from tests.engine.simdisk import Disk, MemoryRows

HOUR_MS = 3_600_000
BATCH = 1_000


def fill(settings: Settings, rules: Path, leads: int, due: int, progress: Callable[[int], None]) -> None:
    """Write the local rows of a worker that has never run: `leads` leads that left a cart, due at `due` (UTC ms)."""
    program = LeadProgram(0, msgspec.structs.replace(settings, partitions=1), topics.topics(settings), _readers(rules))
    rows = MemoryRows(Disk())
    rows.put(program.step(_story(settings, due - HOUR_MS), rows).rows)
    ((_, key),) = rows.due(due, 2)
    row = rows.get(key)
    assert row is not None
    assert due_of(row) == due, "an abandoned cart is due an hour after"
    others = [name for name, _ in rows.scan(b"") if name != key and not name.startswith(b"\x01")]
    assert not others, f"{others}: rows that the copies would lack"
    memory = Memory(64 * MIB, 64 * MIB)
    homes = settings.data_dir / "v1" / "tables"
    databases = [memory.open(homes / f"leads-{partition}.db") for partition in range(settings.partitions)]
    stores = [PartitionRows(database) for database in databases]
    staged: list[list[tuple[bytes, bytes | None]]] = [[] for _ in stores]
    hot = hot_of(row)
    wakes = wakes_at(hot)
    for number in range(leads):
        name = f"t{number}"
        hot.key = f"user:{name}"
        hot.core.identifiers = [hot.key]
        known = hot.core.contact["user_id"]
        hot.core.contact["user_id"] = Latest(name, known.at, known.event_id)
        partition = owner(hot.key, settings.partitions)
        staged[partition].append((lead_prefix(hot.brand, hot.key) + b"h", timed(wakes, msgspec.msgpack.encode(hot))))
        if len(staged[partition]) == BATCH:
            # No offset: the changelog has none of it, as if it began after it.
            stores[partition].write(staged[partition], -1, NO_STAMP)
            staged[partition] = []
        if (number + 1) % 100_000 == 0:
            progress(number + 1)
    for store, rest, database in zip(stores, staged, databases, strict=True):
        store.write(rest, -1, NO_STAMP)
        database.close()


def _readers(rules: Path) -> dict[str, Reader]:
    return {"default": Reader(load(rules))}


def _story(settings: Settings, at: int) -> list[Record]:
    """A visit that ends with a product in the cart."""
    known = topics.topics(settings)
    told: list[tuple[str, dict[str, Any]]] = [
        (known.web.name, {"type": "page", "properties": {"url": "https://shop.example/pricing?utm_medium=cpc"}}),
        (known.crm.name, {"type": "track", "event": "Call Completed", "properties": {}}),
        (known.cart.name, {"type": "track", "event": "Product Viewed", "properties": {"product_id": "p1"}}),
        (known.cart.name, {"type": "track", "event": "Product Added", "properties": {"product_id": "p1", "price": 30}}),
    ]
    records = []
    for number, (topic, message) in enumerate(told):
        whole = {"userId": "t", "messageId": f"m{number}", "timestamp": at - len(told) + number + 1, **message}
        records.append(Record(topic, 0, number, at, None, orjson.dumps(whole)))
    return records


def now_ms() -> int:
    """Return the wall clock, UTC ms."""
    return time.time_ns() // 1_000_000
