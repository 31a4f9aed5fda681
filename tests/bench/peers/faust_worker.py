"""The job in stock Faust: an agent that takes one event at a time, and a RocksDB table."""

import asyncio
import logging
import signal
import time
from typing import Any

import faust
import uvloop

from tests.bench.peers.job import State, crossing, decode_state, encode_state, take
from tests.bench.peers.load import PARTITIONS
from tests.bench.peers.telling import Task, Teller, task


def app_of(task: Task, teller: Teller) -> Any:
    """Return the app: Faust's defaults but for names, copies, the start at the first record and no web server."""
    app = faust.App(
        task.name,
        broker=f"kafka://{task.broker}",
        store="rocksdb://",
        autodiscover=False,
        datadir=task.home,
        topic_partitions=PARTITIONS,
        topic_replication_factor=1,
        topic_disable_leader=True,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
    )
    source = app.topic(task.source, key_serializer="raw", value_serializer="raw")
    output = app.topic(task.output, key_serializer="raw", value_serializer="raw")
    table = app.Table("leads", key_type=bytes, value_type=bytes, partitions=PARTITIONS)
    assigned: list[float] = []

    @app.on_partitions_assigned.connect  # type: ignore[untyped-decorator]
    async def began(*_: Any, **__: Any) -> None:
        assigned.append(time.monotonic())

    @table.on_recover  # type: ignore[untyped-decorator]
    async def recovered(*_: Any) -> None:
        teller.restore = time.monotonic() - assigned[-1] if assigned else 0.0
        teller.open = True

    @app.agent(source, name="leads")  # type: ignore[untyped-decorator]
    async def agent(stream: Any) -> None:
        async for event in stream.events():
            key = event.key
            row = table.get(key)
            state = State() if row is None else decode_state(row)
            crossed = take(state, event.value)
            table[key] = encode_state(state)
            if crossed:
                await output.send(key=key, value=crossing(key, state))
            teller.took(1)

    return app


async def work(task: Task) -> None:
    """Work until SIGTERM or the app's end."""
    teller = Teller()
    app = app_of(task, teller)
    app.finalize()
    teller.start()
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    starting = asyncio.create_task(app.start())
    crashed = asyncio.create_task(app._crashed.wait())
    await asyncio.wait({crashed, asyncio.create_task(told.wait())}, return_when=asyncio.FIRST_COMPLETED)
    await app.stop()
    starting.cancel()
    if crashed.done():
        raise RuntimeError("stock Faust went down") from app.crash_reason


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    uvloop.run(work(task()))
