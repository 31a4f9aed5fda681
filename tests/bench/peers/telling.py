"""How a worker of the comparison tells where it is: a line of JSON twenty times a second. It knows of no engine."""

import json
import sys
import threading
import time
from typing import Any

import msgspec

EVERY_S = 0.05


class Task(msgspec.Struct, frozen=True):
    """What one worker is to do; Kafka Streams gets the same as JSON."""

    broker: str
    """`host:port`."""
    name: str
    """Consumer group; internal topics are named after it."""
    source: str
    output: str
    home: str
    """State directory."""
    commit_ms: int
    half_life_ms: float
    threshold: float
    points: dict[str, float]
    cached: bool = False
    """Kafka Streams: a record cache before the store."""
    options: dict[str, str] = {}
    """Kafka Streams: beside its defaults."""


class Teller:
    """Where the worker is, all of it since it was started. Times are of the monotonic clock, s."""

    def __init__(self) -> None:
        self.events = 0
        self.last = 0.0
        """When the last event was processed."""
        self.open = False
        """Partitions are there, their state restored: events are processed."""
        self.restore = 0.0
        """How long restoring took, s."""

    def start(self) -> None:
        """Tell from now on, in a thread."""
        threading.Thread(target=self._tell, daemon=True).start()

    def took(self, events: int) -> None:
        """Note that so many more events are processed."""
        self.events += events
        self.last = time.monotonic()

    def _tell(self) -> None:
        while True:
            line: dict[str, Any] = {"at": time.monotonic(), "cpu": time.process_time(), **vars(self)}
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
            time.sleep(EVERY_S)


def task() -> Task:
    """Return the task that the arguments give."""
    return msgspec.json.decode(sys.argv[1], type=Task)
