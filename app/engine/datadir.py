"""One worker a data directory: a second one would open the databases of the first, or find them gone."""

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from app.settings import SettingsError

log = logging.getLogger(__name__)

LOCK: Final = "worker.lock"
"""Locked while a worker runs, and free as soon as its process is gone; it holds that process's id."""


@contextlib.contextmanager
def owned(directory: Path) -> Iterator[None]:
    """Have the directory, made if need be, for this worker alone.

    Raises:
        SettingsError: another worker has it, or it cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = (directory / LOCK).open("a+")
    except OSError as error:
        raise SettingsError(f"data_dir: {directory} cannot be written: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise SettingsError(
                f"data_dir: {directory.absolute()} is in use by another worker, process {file.read().strip() or '?'}; "
                "give each worker a directory of its own, or stop that one"
            ) from error
        except OSError as error:
            log.warning("data_dir: %s has no locks (%s): see to it that no other worker uses it", directory, error)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
