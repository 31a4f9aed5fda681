"""How a worker keeps its memory: it holds much for long, leaves no cycles, and takes and returns large buffers."""

import contextlib
import ctypes
import gc
from collections.abc import Iterator
from typing import Final

from app.settings import MIB

_M_MMAP_THRESHOLD: Final = -3
"""glibc's name for the size from which on a block is a mapping of its own, which goes back when it is freed."""
_LARGE_BYTES: Final = MIB
"""glibc begins with an eighth of it, and by itself raises that to 32 MiB as large blocks are freed. Memtables grow by
so much, and polls bring more. What RocksDB reads of its tables is smaller, and read too often for mappings."""


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Collect garbage rarely, and keep large blocks out of the heap, where they would leave holes among small ones.

    Looking for garbage took an eighth of the time, and the holes were two fifths of the heap (docs/decisions/0010).
    What is said of blocks stays for good. Another C library than glibc is left as it is.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
