"""Facts on their way into a lead: each message once, and kept until they are folded.

In a replay they wait for `advance`, thousands of them at times. A step that adds to them writes the new ones only: a
short tail is in the hot row, full blocks are in rows of their own. Live facts are folded in the step that reads them
and never written down here.
"""

from typing import Final

import msgspec

from app.domain import series
from app.domain.facts import Fact
from app.domain.message_ids import MessageIds, SeenMessages
from app.domain.series import Rows, Series

PREFIX: Final = "p|"
BLOCK: Final = 32
"""Facts in a row. Half as many stand in the hot row on average, and are written at each step."""
_FACTS: Final = msgspec.msgpack.Decoder(Fact)


class Pending(msgspec.Struct, array_like=True):
    """The facts that wait from one step to another, in the order in which they came."""

    facts: Series = msgspec.field(default_factory=Series)
    earliest: int | None = None
    """UTC ms: time of the earliest that is not folded; None when there are none."""
    folded: tuple[int, int, str] | None = None
    """(n, time, id): of the first n facts, those before this time and id are folded and only not deleted yet."""


class Intake:
    """Takes facts in and hands them out to be folded; a working copy for one step, written back by `save`."""

    def __init__(self, ids: MessageIds, pending: Pending, rows: Rows) -> None:
        self._seen = SeenMessages(ids, rows)
        self._pending = pending
        self._rows = rows
        self._fresh: list[Fact] = []
        """Facts that wait and are not in `pending`."""
        self._came: list[Fact] = []
        """What `_fresh` was before facts were last taken out."""
        self._read = False
        """All that wait are in `_fresh`: what is in `pending` is to be deleted."""

    def add(self, fact: Fact) -> bool:
        """Take a fact in; False when the lead has had its message already."""
        if not self._seen.add(fact.id, fact.at):
            return False
        self._fresh.append(fact)
        return True

    def take(self, to: int | None) -> list[Fact]:
        """Take out the facts up to `to` (UTC ms; None: all), in order. Rows are read only if they have one of these."""
        earliest = self._pending.earliest
        self._came = self._fresh
        if earliest is not None and (to is None or earliest <= to):
            self._fresh = self._waiting() + self._fresh
        ready = sorted((fact for fact in self._fresh if to is None or fact.at <= to), key=lambda fact: fact.key)
        self._fresh = [fact for fact in self._fresh if to is not None and fact.at > to]
        return ready

    def leave(self, first: Fact) -> None:
        """Let the facts from `first` on, of those taken out last, wait for another step: it was too much for one.

        What is written down of them stays as it is, and a mark says how far they are folded.
        """
        self._fresh, self._read = self._came, False
        self.save()
        pending = self._pending
        pending.earliest = first.at
        pending.folded = (len(pending.facts), first.at, first.id)

    def _waiting(self) -> list[Fact]:
        pending = self._pending
        facts = series.read(pending.facts, self._rows, PREFIX, _FACTS.decode)
        if pending.folded is not None:
            count, at, fact_id = pending.folded
            facts = [fact for n, fact in enumerate(facts) if n >= count or fact.key >= (at, fact_id)]
        pending.earliest = None
        self._read = True
        return facts

    def save(self) -> None:
        """Write down the facts that go on waiting."""
        pending = self._pending
        if self._read:
            pending.facts = series.replace(pending.facts, [], self._rows, PREFIX)
            pending.folded = None
            self._read = False
        for fact in self._fresh:
            series.append(pending.facts, fact, self._rows, PREFIX, BLOCK)
            if pending.earliest is None or fact.at < pending.earliest:
                pending.earliest = fact.at
        self._fresh = []
