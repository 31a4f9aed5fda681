"""The same fold in stock Faust: an agent that takes one event at a time, and a RocksDB table with a row a lead.

The lead's code and rules are those of Leadstream; its rows are kept in the table as one value. Nothing is replaced: the
transport, table, changelog, recovery and producer are Faust's.
"""

import asyncio
import logging
import sys
import time
from pathlib import Path
from typing import Any

import faust
import msgspec
import orjson
import uvloop

from app import topics
from app.domain.event import Rejected
from app.domain.identity import lead_id
from app.domain.lead import Lead
from app.domain.reader import Reader
from app.engine.program import Record
from app.leads.rejects import rejected_record
from app.rules import load
from app.sources.segment import parse
from tests.bench.engine_worker import peak_bytes, say
from tests.bench.place import Task

Rows = dict[str, bytes]
_ROWS = msgspec.msgpack.Decoder(Rows)


class OneValue:
    """All rows of a lead, as one value of a table."""

    def __init__(self, raw: bytes | None) -> None:
        self.rows: Rows = {} if raw is None else _ROWS.decode(raw)

    def get(self, name: str) -> bytes | None:
        """Return a row."""
        return self.rows.get(name)

    def put(self, name: str, value: bytes | None) -> None:
        """Write a row; None deletes it."""
        if value is None:
            self.rows.pop(name, None)
        else:
            self.rows[name] = value


class Stock:
    """The app, and how far it has come."""

    def __init__(self, task: Task) -> None:
        settings = task.settings
        self._known = topics.topics(settings)
        self._prefix = settings.topic_prefix
        self._id_key = settings.id_key.encode()
        self._reader = Reader(load(Path(task.rules)))
        self._most = task.most
        self.events = 0
        self.began = 0.0
        self.ended = 0.0
        self.done = asyncio.Event()
        self.app = faust.App(
            settings.app_id,
            broker=f"kafka://{task.broker}",
            store="rocksdb://",
            autodiscover=False,
            datadir=task.home,
            topic_partitions=settings.partitions,
            topic_replication_factor=1,
            topic_disable_leader=True,
            web_enabled=False,
            broker_session_timeout=settings.session_timeout_ms / 1000,
            broker_heartbeat_interval=1.5,
            consumer_auto_offset_reset="earliest",
        )
        self._declare()

    def _declare(self) -> None:
        app, known = self.app, self._known
        source = app.topic(
            *(topic.name for topic in known.inputs[:4]), key_serializer="raw", value_serializer="raw", allow_empty=True
        )
        raw: dict[str, Any] = {"key_serializer": "raw", "value_serializer": "raw"}
        self._outputs = {
            name: app.topic(getattr(known, name).name, **raw)
            for name in ("segments", "conversions", "profiles", "rejected")
        }
        table = app.Table("leads", key_type=bytes, value_type=bytes, partitions=app.conf.topic_partitions)

        @app.agent(source, name="leads")  # type: ignore[untyped-decorator]
        async def agent(stream: Any) -> None:
            async for event in stream.events():
                await self._one(event, table)

    async def _one(self, event: Any, table: Any) -> None:
        if not self.events:
            self.began = time.perf_counter()
        message = event.message
        record = Record(
            message.topic, message.partition, message.offset, int(message.timestamp * 1000), message.key, message.value
        )
        topic = record.topic.removeprefix(self._prefix)
        place: dict[str, Any] = {"topic": topic, "partition": record.partition, "offset": record.offset}
        found = parse(record.value, **place, record_at=record.timestamp)
        fact = found if isinstance(found, Rejected) else self._reader.read(found)
        if isinstance(fact, Rejected):
            await self._send("rejected", None, rejected_record(record, topic, fact))
        else:
            assert not isinstance(found, Rejected)
            await self._fold(table, found.brand, found.key, fact)
        self.events += 1
        self.ended = time.perf_counter()
        if self.events == self._most:
            self.done.set()

    async def _fold(self, table: Any, brand: str, key: str, fact: Any) -> None:
        row_key = f"{brand}/{key}".encode()
        rows = OneValue(table.get(row_key))
        lead = Lead(key, brand, lead_id(key, self._id_key), self._reader, rows, known=not key.startswith("anon:"))
        lead.insert(fact)
        lead.advance(None)
        lead.finish()
        lead.save()
        table[row_key] = msgspec.msgpack.encode(rows.rows)
        for out in lead.outputs:
            await self._send(out.to, f"{brand}/{lead.lead_id}".encode(), out.value)

    async def _send(self, to: str, key: bytes | None, value: dict[str, Any]) -> None:
        await self._outputs[to].send(key=key, value=orjson.dumps(value))


async def drain(task: Task) -> None:
    """Process the events that are there; tell how long it took."""
    stock = Stock(task)
    stock.app.finalize()
    starting = asyncio.create_task(stock.app.start())
    crashed = asyncio.create_task(stock.app._crashed.wait())
    done = asyncio.create_task(stock.done.wait())
    try:
        await asyncio.wait({done, crashed, starting}, return_when=asyncio.FIRST_COMPLETED)
        while not done.done() and not crashed.done():
            await asyncio.wait({done, crashed}, timeout=1, return_when=asyncio.FIRST_COMPLETED)
        if crashed.done():
            raise RuntimeError("stock Faust went down") from stock.app.crash_reason
        say(
            {
                "events": stock.events,
                "seconds": stock.ended - stock.began,
                "cpu_seconds": time.process_time(),
                "peak_bytes": peak_bytes(),
            }
        )
    finally:
        for task_ in (done, crashed):
            task_.cancel()
        await stock.app.stop()
        starting.cancel()


def main() -> None:
    """Do what the arguments say: mode, task as JSON."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    uvloop.run(drain(msgspec.json.decode(sys.argv[2], type=Task)))


if __name__ == "__main__":
    main()
