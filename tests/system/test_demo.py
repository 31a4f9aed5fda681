"""The demo, as its users run it."""

import asyncio
import importlib.util
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from app import topics
from app.cli.demo import SAMPLE_END, SAMPLE_SEED
from app.embedded import settings_for
from tests.processes import LEADSTREAM, ROOT


def test_the_demo_goes_on_where_the_sample_ends() -> None:
    spec = importlib.util.spec_from_file_location("sample_generate", ROOT / "deploy" / "sample" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    sample = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sample)
    assert (sample.SEED, int(sample.END.timestamp()) * 1000) == (SAMPLE_SEED, SAMPLE_END)


async def test_the_demo_says_where_its_broker_is_and_goes_on_until_it_is_told_to_stop() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *LEADSTREAM, "demo"),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(120):
            await process.stdout.readline()
            told = (await process.stdout.readline()).decode()
            where = re.search(r" the broker at (127\.0\.0\.1:\d+): topics (replay-\w+\.)\*\.$", told)
            assert where is not None, told
            address, prefix = where.groups()
            async with topics.admin(settings_for(address)) as client:
                assert {f"{prefix}events.web", f"{prefix}leads.segments"} <= set(await client.list_topics())
            while not (line := await process.stdout.readline()).startswith(b"Live traffic from here on"):
                assert line, "it ended with the sample"
            process.send_signal(signal.SIGINT)
            rest, error = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (process.returncode, error.decode()) == (0, "")
    assert rest.decode().endswith("Stopped.\n")


def test_the_demo_tells_the_sample_from_any_folder_and_whole(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, *LEADSTREAM, "demo"],
        env={**os.environ, "ONCE": "1", "COLUMNS": "40", "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert "20,577 events" in told.stdout
    for title in ("Stages", "Segments", "Hottest leads", "Credit for goal purchase", "Rejected messages"):
        assert f"\n{title}" in told.stdout
    tables = [block.splitlines() for block in told.stdout.split("\n\n") if "┏" in block]
    assert len(tables) >= 5
    for table in tables:
        rows = [line for line in table if line.startswith("│")]
        assert len({row.count("│") for row in rows}) == 1, "a row was wrapped"
    assert list(tmp_path.iterdir()) == []
