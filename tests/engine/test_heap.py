"""Large blocks that a worker frees go back to the system, whatever small ones were made between them."""

import platform
import subprocess
import sys

import pytest

from app.settings import MIB

BLOCKS = 64

PROGRAM = f"""
import contextlib, os, sys
from pathlib import Path
from app.engine import heap

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

with heap.kept() if sys.argv[1] == "kept" else contextlib.nullcontext():
    del [bytes(2 * {MIB})][:]
    before = resident()
    large, small = [], []
    for _ in range({BLOCKS}):
        large.append(bytearray(b"x" * {MIB}))
        small.append(bytearray(b"x" * 50_000))
    large.clear()
    print(resident() - before)
"""


def held_after(how: str) -> int:
    """Bytes that a process still has of the blocks which it has freed."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    return int(ran.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told how to keep its heap")
def test_large_blocks_that_are_freed_leave_no_holes_in_the_heap() -> None:
    assert held_after("as it is") > BLOCKS * MIB // 2, "nothing was to be mended"
    assert held_after("kept") < BLOCKS * MIB // 8
