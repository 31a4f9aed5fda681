"""The oracle: one program of leads that owns everything, over rows in a dict, without lanes, brokers or faults."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from app import topics
from app.domain.reader import Reader
from app.engine.program import Record, Step
from app.leads.commands import Advance, encode
from app.leads.program import LeadProgram
from app.leads.rows import hot_of, hot_rows
from app.settings import Settings
from tests.engine.simdisk import Disk, MemoryRows

Told = Counter[tuple[str, bytes | None, bytes | None]]
"""Topic without prefix, key and value of what was sent, repeats dropped."""


class OnePiece:
    """Folds records in one piece; what it told is in `told`."""

    def __init__(self, settings: Settings, readers: dict[str, Reader]) -> None:
        alone = msgspec.structs.replace(settings, partitions=1)
        self._prefix = settings.topic_prefix
        self._commands = topics.topics(alone).commands.name
        self._program = LeadProgram(0, alone, topics.topics(alone), readers)
        self._rows = MemoryRows(Disk())
        self.told: Told = Counter()

    def take(self, records: Sequence[Record]) -> None:
        """Take records in, as one step."""
        self._done(self._program.step(records, self._rows))

    def advance(self, to: int) -> None:
        """Fold up to a time (UTC ms); every lead sends its profile as of then."""
        self.take([Record(self._commands, 0, 0, to, None, encode(Advance(to, snapshot=True)))])
        while (step := self._program.idle(self._rows, None, 1_000)) is not None:
            self._done(step)

    def _done(self, step: Step) -> None:
        self._rows.put(step.rows)
        self.told.update((out.topic.removeprefix(self._prefix), out.key, out.value) for out in step.outputs)
        if step.commit is not None:
            step.commit()

    @property
    def leads(self) -> dict[tuple[str, str], Any]:
        """What folding made of each lead."""
        return leads_in(dict(self._rows.scan(b"")))


def leads_in(rows: dict[bytes, bytes]) -> dict[tuple[str, str], Any]:
    """Return, by brand and key, what folding made of each lead.

    Neither the order in which its messages came counts, nor what is only kept to save work.
    """
    leads = [hot_of(row) for _, row in hot_rows(rows.items())]
    for hot in leads:
        hot.core.planned, hot.core.nexts = "", {}
    return {(hot.brand, hot.key): msgspec.msgpack.decode(msgspec.msgpack.encode((hot.core, hot.told))) for hot in leads}
