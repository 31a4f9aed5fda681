"""Steps that fit one batch of the changelog: a program is asked for less when there is too much in one."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from app.engine.due import TIMED_SUFFIX
from app.engine.lanespec import LaneSpec
from app.engine.meters import Meter
from app.engine.metrics import Metric
from app.engine.pace import Pace
from app.engine.plan import Plan
from app.engine.program import Program, Record, Rows, Step
from app.engine.protocol import size_of

log = logging.getLogger(__name__)

FIRST_IDLE_LEADS: Final = 10


class Fitting:
    """Asks one lane's program again when what it wants is too large."""

    def __init__(self, spec: LaneSpec, program: Program, meter: Meter, counts: Counter[str]) -> None:
        """Halved steps are told to the meter and added to `counts`."""
        self._spec = spec
        self._program = program
        self._meter = meter
        self._counts = counts
        self._pace = Pace(spec.idle_leads, FIRST_IDLE_LEADS, spec.idle_step_s)
        """Of leads in a step without input."""

    def share(self, plan: Plan) -> float:
        """Return how much of what a step may fill its rows take; above 1 it is to be halved."""
        return size_of(plan.rows) / self._spec.step_bytes

    def halved(self) -> None:
        """Note that a step is done again in two halves."""
        self._counts["steps_halved"] += 1
        self._meter.metrics.add(Metric.STEPS_HALVED)

    def single(self, plan: Plan, record: Record, rows: Rows, laid_out: Callable[[Step], Plan]) -> Plan:
        """Return the step of a single record if a batch holds it, else the one that refuses the record.

        It is the same step when the program cannot refuse that record: appending it will raise LogError.
        """
        size, limit = size_of(plan.rows), self._spec.most_bytes
        step = self._program.refuse(record, rows, size, limit) if size > limit else None
        if step is None:
            return plan
        place = f"{record.topic}/{record.partition}"
        log.warning("%s: the record at %d is refused: its step takes %d bytes of %d", place, record.offset, size, limit)
        return laid_out(step)

    def idle(self, rows: Rows, clock: int | None, laid_out: Callable[[Step], Plan]) -> Plan | None:
        """Return a step without input, laid out; None when nothing is due. `clock`: as `Program.idle` takes it."""
        while True:
            most, began = self._pace.most, time.perf_counter()
            step = self._program.idle(rows, clock, most)
            if step is None:
                return None
            plan = laid_out(step)
            if self.share(plan) <= 1 or most == 1:
                self._pace.took(time.perf_counter() - began, full=len(step.rows) >= most)
                return plan
            leads = sum(key.endswith(TIMED_SUFFIX) for key in step.rows)
            self._pace.halve(leads or most)
            self.halved()
