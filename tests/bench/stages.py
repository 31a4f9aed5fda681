"""Where a worker's processor time goes, by stage: the time within some functions, without what they call of others."""

import cProfile
import functools
import pstats
import threading
import time
from collections.abc import Callable
from io import StringIO
from typing import Any, Final

from aiokafka.producer.message_accumulator import BatchBuilder

import app.leads.records
from app.domain.lead import Lead
from app.domain.reader import Reader
from app.engine.plan import Planner
from app.engine.store import PartitionRows
from app.leads.outgoing import Outgoing
from app.leads.records import Records

STAGES: Final[dict[str, tuple[tuple[Any, tuple[str, ...]], ...]]] = {
    "decode": ((app.leads.records, ("parse",)),),
    "load": ((PartitionRows, ("get", "get_many", "scan")), (Lead, ("__init__",))),
    "fold": ((Reader, ("read",)), (Lead, ("insert", "advance", "finish", "snapshot"))),
    "encode": ((Lead, ("save",)), (Outgoing, ("output",)), (Records, ("_forwarded",)), (Planner, ("plan",))),
    "produce": ((BatchBuilder, ("append", "close")),),
    "store": ((PartitionRows, ("write",)),),
}
"""Functions that a stage consists of."""
TOP: Final = 40


class Stopwatch:
    """Processor time of the event loop's thread, ns, by stage. Nested stages are not counted twice."""

    def __init__(self) -> None:
        self.spent_ns: dict[str, int] = dict.fromkeys(STAGES, 0)
        self._open: list[str] = []
        self._since = 0

    def attach(self) -> None:
        """Measure from now on. Raises AttributeError when a function is not there any more."""
        for stage, holders in STAGES.items():
            for holder, names in holders:
                for name in names:
                    setattr(holder, name, self._timed(getattr(holder, name), stage))

    def reset(self) -> None:
        """Forget what was measured so far."""
        self.spent_ns = dict.fromkeys(STAGES, 0)

    def _timed(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any, **options: Any) -> Any:
            now = time.thread_time_ns()
            if self._open:
                self.spent_ns[self._open[-1]] += now - self._since
            self._open.append(stage)
            self._since = now
            try:
                return function(*args, **options)
            finally:
                now = time.thread_time_ns()
                self.spent_ns[self._open.pop()] += now - self._since
                self._since = now

        return timed


class Clocks:
    """Processor time of this process so far, ns: the event loop's thread, other Python threads, everything."""

    def __init__(self) -> None:
        self.loop = time.thread_time_ns()
        self.fetch = sum(
            time.clock_gettime_ns(time.pthread_getcpuclockid(thread.ident))
            for thread in threading.enumerate()
            if thread.ident is not None and thread is not threading.current_thread()
        )
        self.process = time.process_time_ns()


def per_event(stopwatch: Stopwatch, start: Clocks, end: Clocks, events: int) -> dict[str, float]:
    """Return µs an event by stage; they add up to the processor time of the process.

    `fetch` is the consumer's thread, `engine` what the event loop does beside the stages (lanes, Faust, network),
    `background` the threads of RocksDB.
    """
    loop, fetch, process = end.loop - start.loop, end.fetch - start.fetch, end.process - start.process
    stages = {"fetch": fetch, **stopwatch.spent_ns}
    stages["engine"] = loop - sum(stopwatch.spent_ns.values())
    stages["background"] = max(0, process - loop - fetch)
    return {stage: spent / 1_000 / events for stage, spent in stages.items()}


class Profile:
    """cProfile of the event loop's thread."""

    def __init__(self) -> None:
        self._profile = cProfile.Profile()

    def start(self) -> None:
        """Profile from now on."""
        self._profile.enable()

    def text(self) -> str:
        """Stop, and return the functions that took the most time of their own."""
        self._profile.disable()
        out = StringIO()
        pstats.Stats(self._profile, stream=out).strip_dirs().sort_stats("tottime").print_stats(TOP)
        return out.getvalue()
