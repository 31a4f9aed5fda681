"""What a lane runs: the seam between the engine, which moves bytes, and a program, which knows what they mean."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record of a topic, as it was read."""

    topic: str
    """Full name, with the settings' prefix."""
    partition: int
    offset: int
    timestamp: int
    """The record's own timestamp, UTC ms."""
    key: bytes | None
    value: bytes | None


class Output(msgspec.Struct, frozen=True, gc=False):
    """One record to send. Key and value must not both be None."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    """None: murmur2 of the key; a record without a key goes to the lane's own partition."""
    ref: bytes | None = None
    """When set, the stored outbox keeps only this, and `Program.render` makes key and value anew after a recovery."""


class Rows(Protocol):
    """The rows of one partition as the last durable step left them; synchronous local reads."""

    def get(self, key: bytes) -> bytes | None:
        """Return the row, or None when there is none."""
        ...

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the rows of the keys, in their order."""
        ...

    def scan(self, prefix: bytes, after: bytes | None = None, limit: int | None = None) -> list[tuple[bytes, bytes]]:
        """Return rows whose keys start with `prefix` and are greater than `after`, in order of key, at most `limit`."""
        ...

    def due(self, until: int, limit: int) -> list[tuple[int, bytes]]:
        """Return (time, key) of timed rows that are due by `until` (UTC ms), the earliest first, at most `limit`."""
        ...


class Step(msgspec.Struct):
    """What a program wants done, all of it or nothing."""

    rows: dict[bytes, bytes | None] = {}
    """New values by key; None deletes. Keys that start with a zero byte belong to the engine. Under keys that end with
    `app.engine.due.TIMED_SUFFIX` are timed rows (`app.engine.due.timed`), which `Rows.due` finds in their time."""
    outputs: list[Output] = []
    """Sent in this order per destination partition, after the rows are durable."""
    counts: dict[str, int] = {}
    """Added to the lane's counts once the step is durable."""
    due: list[int] = []
    """UTC ms: when what was done had become due, of a step that the lane's clock called for."""
    commit: Callable[[], None] | None = None
    """Called once the step is durable, before anything else is asked of the program: to update its caches."""

    def count(self, name: str, by: int = 1) -> None:
        """Add to one of the counts."""
        self.counts[name] = self.counts.get(name, 0) + by


class Program(Protocol):
    """The logic of one lane. An instance serves one partition from its take-over until it is given up."""

    def opened(self, rows: Rows) -> None:
        """Take note of the rows after recovery; called once, before anything else."""
        ...

    def step(self, records: Sequence[Record], rows: Rows) -> Step:
        """Return what follows from the records, which are in order of offset per topic, topic after topic.

        It must have no effect of its own before `Step.commit`: a step that is too large for one batch is dropped and
        asked for again with the first half of the records, then with the second half.
        """
        ...

    def refuse(self, record: Record, rows: Rows, size: int, limit: int) -> Step | None:
        """Return the step to take instead of a record's own one, which fits no batch and was dropped.

        That one would have taken `size` bytes of a batch, which holds `limit`. None: there is no other, and the lane
        dies of it. As `step`, it must have no effect of its own before `Step.commit`.
        """
        ...

    def idle(self, rows: Rows, clock: int | None, most: int) -> Step | None:
        """Return work that needs no input and is due, or None when there is none.

        Called between chunks, when no records wait. `clock` is the lane's clock (UTC ms, never goes back), None while
        it is unknown; `most` is the largest number of leads to take. A step that is too large is asked for again with
        half of it.
        """
        ...

    def render(self, ref: bytes, rows: Rows) -> Output:
        """Return the output that was made with this `ref`, from the rows as that step left them."""
        ...


ProgramFactory = Callable[[int], Program]
"""Makes the program of a partition."""

Page = Callable[[Mapping[str, str]], Awaitable[tuple[int, Any]]]
"""Answers a request to the worker's HTTP server: query parameters in, HTTP status and what becomes JSON out.

It runs on the event loop of the lanes, and must let go of it every few ms.
"""
