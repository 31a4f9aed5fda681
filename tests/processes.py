"""`leadstream` in a process of its own, as its users run it."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from app.settings import Settings

ROOT = Path(__file__).parents[1]
LEADSTREAM = ("-c", "from app.cli import main; main()")
"""What Python runs: the command itself, whatever is on the PATH."""


def environment(settings: Settings) -> dict[str, str]:
    """The settings as a process is given them."""
    given = {}
    for name in settings.__struct_fields__:
        value: Any = getattr(settings, name)
        if value == getattr(Settings(), name):
            continue
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        given[f"LEADSTREAM_{name.upper()}"] = text.lower() if isinstance(value, bool) else text
    return given


async def leadstream(
    *arguments: str, env: dict[str, str] | None = None, home: Path = ROOT, stdin: bytes = b""
) -> tuple[int, str, str]:
    """Run a command to its end: its exit status, what it printed, and what it complained of."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *LEADSTREAM, *arguments),
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate(stdin)
    return process.returncode or 0, out.decode(), error.decode()
