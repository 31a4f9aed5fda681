"""A worker with a name of its own keeps its partitions over a restart; names and data directories are nobody else's."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka.protocol.commit import OffsetCommitResponse_v2
from aiokafka.protocol.group import HeartbeatResponse_v1, JoinGroupResponse_v5

from app.engine.datadir import LOCK, owned
from app.engine.membership import InstanceError, watch
from app.engine.worker import build, running
from app.settings import Settings, SettingsError
from tests.engine.broker_io import publish
from tests.engine.conftest import NewSettings
from tests.engine.scrape import free_port, health, scrape
from tests.engine.test_crashes import messages
from tests.engine.test_worker import counted, environment
from tests.engine.toy import toy

ROOT = Path(__file__).parents[2]


class Member:
    """A worker process that the group knows by a name."""

    def __init__(self, settings: Settings, instance_id: str, home: Path) -> None:
        self.port = free_port()
        self.log = home / f"{home.name}.log"
        self._settings = msgspec.structs.replace(settings, data_dir=home / "data")
        self._more = {"LEADSTREAM_INSTANCE_ID": instance_id, "LEADSTREAM_WEB_PORT": str(self.port)}
        self._process: asyncio.subprocess.Process | None = None
        home.mkdir(exist_ok=True)

    async def start(self) -> None:
        with self.log.open("ab") as said:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.engine.worker_main"),
                cwd=ROOT,
                env={**environment(self._settings), **self._more},
                stderr=said,
            )

    async def has(self, lanes: int) -> None:
        """Return when it has so many open lanes."""
        async with asyncio.timeout(40):
            while await self._open() != lanes:
                assert self._process is not None
                assert self._process.returncode is None, self.said()
                await asyncio.sleep(0.05)

    async def _open(self) -> int:
        try:
            _, told = await health(self.port, "ready")
        except OSError:
            return -1
        return int(told["lanes"]["open"]) if told["ok"] else -1

    async def rebalances(self) -> float:
        return (await scrape(self.port))["leadstream_rebalances_total", ()]

    async def ended(self) -> int:
        assert self._process is not None
        async with asyncio.timeout(40):
            return await self._process.wait()

    async def end(self, how: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(how)
        return await self.ended()

    def said(self) -> str:
        return self.log.read_text(errors="replace")


@contextlib.asynccontextmanager
async def members(settings: Settings, names: list[str], home: Path) -> AsyncIterator[list[Member]]:
    made = [Member(settings, name, home / f"member{number}") for number, name in enumerate(names)]
    try:
        yield made
    finally:
        for member in made:
            if member._process is not None and member._process.returncode is None:
                await member.end(signal.SIGKILL)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["told to stop", "killed"])
async def test_a_restart_within_the_session_moves_no_partition(
    kafka_settings: NewSettings, tmp_path: Path, how: signal.Signals
) -> None:
    settings = await kafka_settings(session_timeout_ms=20_000)
    made, expected = messages(settings, 3_000, seed=21)
    ends = await publish(settings, made[:1_000])
    async with members(settings, ["one", "two"], tmp_path) as (first, second):
        await first.start()
        await second.start()
        await first.has(2)
        await second.has(2)
        before = await second.rebalances()
        assert await first.end(how) == (0 if how is signal.SIGTERM else -how)
        ends |= await publish(settings, made[1_000:2_000])
        await first.start()
        await first.has(2)
        ends |= await publish(settings, made[2_000:])
        await second.has(2)
        assert await second.rebalances() == before, "the other worker was drawn into a rebalance"
        assert await first.rebalances() == 1
        for member in (first, second):
            assert await member.end(signal.SIGTERM) == 0, member.said()
    assert await counted(settings, ends) == expected


async def test_the_partitions_of_one_that_stays_away_move_when_its_session_ends(
    kafka_settings: NewSettings, tmp_path: Path
) -> None:
    settings = await kafka_settings(session_timeout_ms=2_000)
    async with members(settings, ["one", "two"], tmp_path) as (first, second):
        await first.start()
        await second.start()
        await first.has(2)
        await second.has(2)
        assert await first.end(signal.SIGTERM) == 0
        await second.has(4)


async def test_of_two_workers_of_one_name_the_former_ends_and_says_why(
    kafka_settings: NewSettings, tmp_path: Path
) -> None:
    settings = await kafka_settings(session_timeout_ms=8_000)
    made, expected = messages(settings, 1_000, seed=22)
    async with members(settings, ["one", "one"], tmp_path) as (former, later):
        await former.start()
        await former.has(4)
        ends = await publish(settings, made)
        await later.start()
        assert await former.ended() == 1
        assert "another one joined as instance_id one, and each needs its own" in former.said().splitlines()[-1]
        await later.has(4)
        assert await later.end(signal.SIGTERM) == 0, later.said()
    assert await counted(settings, ends) == expected


@pytest.mark.parametrize(
    "answer",
    [
        HeartbeatResponse_v1(0, 25),
        JoinGroupResponse_v5(0, 82, -1, "", "", "", []),
        OffsetCommitResponse_v2([("events.web", [(0, 0), (1, 25)])]),
    ],
    ids=["to a heartbeat", "to a join", "to a commit of offsets"],
)
async def test_whatever_request_is_answered_so_the_worker_is_told_and_the_answer_kept_from_aiokafka(
    answer: Any,
) -> None:
    class Coordinator:
        async def _send_req(self, request: Any) -> Any:
            return request

    told: list[InstanceError] = []
    coordinator = Coordinator()
    watch(coordinator, "one", 30_000, told.append)
    well = OffsetCommitResponse_v2([("events.web", [(0, 0)])])
    assert await coordinator._send_req(well) is well
    assert told == []
    with pytest.raises(InstanceError, match="instance_id one"):
        await coordinator._send_req(answer)
    assert len(told) == 1


async def test_a_second_worker_on_one_data_directory_ends_and_names_it(new_settings: NewSettings) -> None:
    settings = await new_settings()
    async with running(build(settings, [toy])):
        with pytest.raises(SettingsError, match=rf"data_dir: {settings.data_dir} is in use .* process {os.getpid()};"):
            async with running(build(settings, [toy])):
                pass
    async with running(build(settings, [toy])) as engine:
        assert len(engine.lanes) == settings.partitions


def test_a_data_directory_is_free_again_when_its_worker_is_gone(tmp_path: Path) -> None:
    with owned(tmp_path / "data"):
        assert (tmp_path / "data" / LOCK).read_text() == f"{os.getpid()}\n"
    with owned(tmp_path / "data"):
        pass


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    wrong = pytest.raises(SettingsError, match=f"data_dir: {tmp_path}/file/data cannot be written")
    with wrong, owned(tmp_path / "file" / "data"):
        pass
