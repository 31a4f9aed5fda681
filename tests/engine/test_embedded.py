"""The embedded broker as a process."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from app import topics
from app.embedded import EmbeddedBroker, EmbeddedError, settings_for

ROOT = Path(__file__).parents[2]
HOLDS_A_BROKER = """
import asyncio
from app.embedded import EmbeddedBroker
async def main():
    async with EmbeddedBroker() as broker:
        print(broker.pid, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_the_broker_is_ready_when_entered_and_gone_when_left() -> None:
    async with EmbeddedBroker() as broker:
        pid = broker.pid
        assert pid is not None
        assert alive(pid)
        made = await topics.create(settings_for(broker.address))
        assert len(made) == len(topics.topics(settings_for(broker.address)).all())
    assert not alive(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_the_broker_does_not_outlive_its_parent(by: signal.Signals) -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLDS_A_BROKER),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert alive(pid)
    parent.send_signal(by)
    await parent.wait()
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:  # noqa: ASYNC110 - another process, no event to wait for
        await asyncio.sleep(0.02)
    assert not alive(pid)


async def test_a_binary_that_cannot_run_is_said_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "tansu"
    broken.write_text("#!/bin/sh\necho no such processor >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr("app.embedded.find_binary", lambda: broken)
    with pytest.raises(EmbeddedError, match="ended with status 3: no such processor"):
        await EmbeddedBroker().start()
    assert os.access(broken, os.X_OK)
