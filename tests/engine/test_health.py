"""Whether a worker says rightly that it is well, and why when it is not."""

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import aiohttp
import msgspec
import pytest

from app import topics
from app.engine.health import LaneStatus, Status, why_not_live, why_not_ready
from app.engine.web import serving
from app.engine.worker import build, running, serve
from tests.engine.broker_io import publish
from tests.engine.conftest import NewSettings
from tests.engine.scrape import free_port, health, scrape
from tests.engine.test_worker import environment, faulty
from tests.engine.toy import toy

ROOT = Path(__file__).parents[2]


def lane(*, opened: bool = True, lag: int = 0, quiet_s: float = 0.1, rows: int = 0) -> LaneStatus:
    return LaneStatus("leads", 3, opened, lag, quiet_s, rows)


WELL = Status(rebalancing=False, unpolled_s=1.0, lanes=[lane()])


def test_a_worker_whose_lanes_come_around_is_alive_and_ready_however_far_behind() -> None:
    behind = msgspec.structs.replace(WELL, lanes=[lane(lag=1_000_000)])
    for now in (WELL, behind):
        assert why_not_live(now, patience_s=60) == []
        assert why_not_ready(now) == []


def test_a_lane_that_does_not_come_around_is_stuck() -> None:
    now = msgspec.structs.replace(WELL, lanes=[lane(), lane(quiet_s=61.2, lag=17)])
    assert why_not_live(now, patience_s=60) == ["lane leads/3 has not moved for 61 s, 17 records behind"]


def test_a_consumer_that_does_not_poll_is_stuck_unless_it_has_nothing_to_read() -> None:
    now = msgspec.structs.replace(WELL, unpolled_s=61.0)
    assert why_not_live(now, patience_s=60) == ["the consumer has not polled for 61 s"]
    assert why_not_live(msgspec.structs.replace(now, lanes=[]), patience_s=60) == []


def test_a_rebalance_is_alive_and_not_ready() -> None:
    now = Status(rebalancing=True, unpolled_s=500.0)
    assert why_not_live(now, patience_s=60) == []
    assert why_not_ready(now) == ["rebalancing: no partitions are assigned"]


def test_a_lane_that_recovers_is_not_ready_and_alive_as_long_as_it_reads_on() -> None:
    now = msgspec.structs.replace(WELL, lanes=[lane(), lane(opened=False, rows=12_345)])
    assert why_not_live(now, patience_s=60) == []
    assert why_not_ready(now) == ["lane leads/3 is taking its partition over, 12345 changelog rows so far"]


def test_a_worker_without_partitions_stands_by() -> None:
    now = msgspec.structs.replace(WELL, lanes=[])
    assert why_not_live(now, patience_s=60) == why_not_ready(now) == []


def test_a_worker_that_lost_a_lane_is_neither() -> None:
    now = msgspec.structs.replace(WELL, failure="FencedError('epoch 5 owns it')")
    assert why_not_live(now, patience_s=60) == why_not_ready(now) == ["going down: FencedError('epoch 5 owns it')"]


async def test_a_worker_is_ready_when_its_lanes_are_open_and_not_before_nor_after(new_settings: NewSettings) -> None:
    settings = msgspec.structs.replace(await new_settings(partitions=2), web_port=free_port())
    app = build(settings, [toy])
    async with serving(app.intake) as port:
        assert await health(port, "live") == (
            200,
            {"ok": True, "why": [], "lanes": {"open": 0, "opening": 0}, "lag": 0},
        )
        status, told = await health(port, "ready")
        assert (status, told["ok"], told["why"]) == (503, False, ["rebalancing: no partitions are assigned"])
        async with running(app):
            for of in ("live", "ready"):
                assert await health(port, of) == (
                    200,
                    {"ok": True, "why": [], "lanes": {"open": 2, "opening": 0}, "lag": 0},
                )
        status, told = await health(port, "ready")
        assert (status, told["lanes"]) == (503, {"open": 0, "opening": 0})


async def test_a_worker_whose_program_raises_says_so_until_it_is_gone(new_settings: NewSettings) -> None:
    settings = msgspec.structs.replace(await new_settings(partitions=1), web_port=free_port())
    app = build(settings, [faulty])
    async with serving(app.intake) as port:
        ends = await publish(settings, [(topics.topics(settings).web.name, b"a", b"x")])
        with pytest.raises(ZeroDivisionError):
            async with running(app) as engine:
                await engine.drained(ends)
        for of in ("live", "ready"):
            status, told = await health(port, of)
            assert (status, told["why"]) == (503, ["going down: ZeroDivisionError('a bug')"])


async def test_a_worker_that_something_else_than_a_lane_ends_says_so(new_settings: NewSettings) -> None:
    settings = msgspec.structs.replace(await new_settings(partitions=1), web_port=free_port())
    app = build(settings, [toy])
    async with serving(app.intake) as port, running(app):
        assert (await health(port, "live"))[0] == 200
        await app.consumer.crash(ConnectionError("the group is gone"))
        for of in ("live", "ready"):
            status, told = await health(port, of)
            assert (status, told["why"]) == (503, ["going down: ConnectionError('the group is gone')"])


async def test_a_worker_process_serves_while_it_runs_and_only_these_pages(new_settings: NewSettings) -> None:
    settings, port = await new_settings(partitions=2), free_port()
    said = settings.data_dir.with_suffix(".log").open("wb")
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.engine.worker_main"),
        cwd=ROOT,
        env={**os.environ, **environment(settings), "LEADSTREAM_WEB_PORT": str(port)},
        stderr=said,
    )
    try:
        status = 0
        async with asyncio.timeout(40):
            while status != 200:
                assert worker.returncode is None, settings.data_dir.with_suffix(".log").read_text()[-3_000:]
                await asyncio.sleep(0.1)
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    status, told = await health(port, "ready")
        assert told["lanes"] == {"open": 2, "opening": 0}
        assert (await scrape(port))["leadstream_lanes", (("state", "open"),)] == 2
        async with aiohttp.ClientSession() as session:
            for path in ("/", "/tables/", "/stats/", "/router/"):
                async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                    assert answer.status == 404, path
        worker.terminate()
        assert await asyncio.wait_for(worker.wait(), 20) == 0
    finally:
        if worker.returncode is None:
            worker.kill()
            await worker.wait()
        said.close()


async def test_a_port_that_is_taken_ends_the_worker_at_once(new_settings: NewSettings) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = msgspec.structs.replace(await new_settings(partitions=1), web_port=port)
    async with server:
        with pytest.raises(OSError, match=f"127.0.0.1.*{port}.*in use"):
            await serve(settings, [toy])


async def test_a_broker_that_is_gone_when_the_worker_starts_ends_it(tmp_path: Path) -> None:
    code = """
import asyncio, pathlib, sys
from app.engine.worker import WorkerError, build, running
from app.settings import Settings
from tests.engine.toy import toy

async def main():
    brokers, data = (f"127.0.0.1:{sys.argv[1]}",), pathlib.Path(sys.argv[2])
    settings = Settings(brokers=brokers, data_dir=data, request_timeout_ms=2_000, session_timeout_ms=2_000)
    try:
        async with running(build(settings, [toy])):
            pass
    except WorkerError as error:
        print(error)

asyncio.run(main())
"""
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, str(free_port()), str(tmp_path)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        said, _ = await asyncio.wait_for(worker.communicate(), 30)
    finally:
        if worker.returncode is None:
            worker.kill()
            await worker.wait()
    assert said.decode().startswith("the worker went down while it started: KafkaConnectionError: ")
