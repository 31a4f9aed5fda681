"""Who would move under other rules: events of files folded with both, by a lane's own program, without a broker."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

from app.cli.replay.lines import Lines
from app.cli.replay.slices import in_order_of_time
from app.domain.conditions import Moment
from app.domain.lead import Lead
from app.domain.outputs import iso, rounded
from app.domain.reader import Reader
from app.domain.rulebook import Rules
from app.engine.program import Record
from app.leads.commands import Advance, encode
from app.leads.program import LeadProgram
from app.leads.rows import hot_of, hot_rows
from app.settings import Settings
from app.topics import topics

SCHEMA: Final = 1
_MOST: Final = 1_000
"""Leads of one step."""

Progress = Callable[[int, int], None]
"""Told how many lines are folded, and of how many."""
Name = tuple[str, str]
"""Brand and lead_id."""


class Standing(msgspec.Struct, frozen=True):
    """Where a lead is by some rules."""

    stage: str | None
    segments: frozenset[str]
    score: float


class MemoryRows:
    """The rows of one partition, in memory."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """Return the row, or None."""
        return self.rows.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the rows of the keys, in their order."""
        return [self.rows.get(key) for key in keys]

    def scan(self, prefix: bytes, after: bytes | None = None, limit: int | None = None) -> list[tuple[bytes, bytes]]:
        """Return rows in order of key, as `Rows` says."""
        keys = sorted(key for key in self.rows if key.startswith(prefix) and (after is None or key > after))
        return [(key, self.rows[key]) for key in keys[:limit]]

    def due(self, until: int, limit: int) -> list[tuple[int, bytes]]:  # noqa: ARG002 - as `Rows` has it
        """Return nothing: here leads are advanced one by one."""
        return []

    def keep(self, rows: dict[bytes, bytes | None]) -> None:
        """Write rows; None deletes."""
        for key, value in rows.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value


class Folded:
    """Events folded with one brand's rules up to a time."""

    def __init__(self, settings: Settings, rules: Rules, until: int) -> None:
        alone = msgspec.structs.replace(settings, partitions=1, replay=True)
        self._topics = topics(alone)
        self._program = LeadProgram(0, alone, self._topics, {rules.brand: Reader(rules)})
        self._rows = MemoryRows()
        self._prefix = alone.topic_prefix
        self._until = until

    def take(self, lines: Lines, progress: Progress) -> None:
        """Fold the lines up to the time, as a replay does."""
        done = 0
        for piece in in_order_of_time(lines, self._until):
            records = []
            for number in piece.numbers:
                line = lines[number]
                records.append(Record(self._prefix + line.input.topic, 0, number, line.record_at, line.key, line.value))
            for start in range(0, len(records), _MOST):
                self._step(records[start : start + _MOST])
                progress(min(done + start + _MOST, done + len(records)), len(lines))
            done += len(records)
            advance = Advance(piece.advance_to if piece.advance_to is not None else self._until)
            self._step([Record(self._topics.commands.name, 0, 0, advance.to, None, encode(advance))])
            while (step := self._program.idle(self._rows, None, _MOST)) is not None:
                self._done(step)

    def _step(self, records: list[Record]) -> None:
        self._done(self._program.step(records, self._rows))

    def _done(self, step: Any) -> None:
        self._rows.keep(step.rows)
        step.commit()

    def leads(self, brands: frozenset[str]) -> Iterator[Lead]:
        """Yield the leads of these brands as of the time; what is done to one is kept nowhere."""
        for _, row in hot_rows(self._rows.rows.items()):
            hot = hot_of(row)
            if hot.brand in brands:
                lead = self._program.peek(hot.brand, hot.key, self._rows)
                lead.advance(self._until)
                if lead.core.stage is not None:
                    yield lead


def standings(
    old: Rules,
    new: Rules,
    lines: Lines,
    until: int,
    settings: Settings,
    brands: frozenset[str],
    progress: Progress,
    *,
    at_once: bool,
) -> dict[Name, tuple[Standing, Standing]]:
    """Return each lead of the brands as of `until` (UTC ms), by the old rules and by the new ones.

    By the new ones as if they had always been in force; `at_once`: as if they were published at that moment.
    """
    folded = Folded(settings, old, until)
    folded.take(lines, progress)
    if at_once:
        reader = Reader(new, until)
        return {_name(lead): (_standing(lead, until), _switched(lead, reader, until)) for lead in folded.leads(brands)}
    before = {_name(lead): _standing(lead, until) for lead in folded.leads(brands)}
    folded = Folded(settings, new, until)
    folded.take(lines, progress)
    after = {_name(lead): _standing(lead, until) for lead in folded.leads(brands)}
    # Rules decide what an event is worth, not whose it is; but one may be refused by some for its amount.
    return {name: (standing, after[name]) for name, standing in before.items() if name in after}


def _name(lead: Lead) -> Name:
    return lead.hot.brand, lead.lead_id


def _switched(lead: Lead, reader: Reader, until: int) -> Standing:
    lead = Lead(lead.hot.key, lead.hot.brand, lead.lead_id, reader, lead.rows, known=lead.known, hot=lead.hot)
    lead.follow(until)
    return _standing(lead, until)


def _standing(lead: Lead, until: int) -> Standing:
    moment = Moment(lead.core, lead.reader, max(until, lead.core.at), known=lead.known)
    return Standing(lead.core.stage, frozenset(lead.core.segments), rounded(moment.board.value("score")))


def compared(old: Rules, new: Rules, until: int, found: dict[Name, tuple[Standing, Standing]]) -> dict[str, Any]:
    """Return what differs, as `--json` prints it: those that change groups, the largest difference of score first."""
    stages: Counter[tuple[str, str]] = Counter()
    entered: Counter[str] = Counter()
    left: Counter[str] = Counter()
    scores: Counter[str] = Counter()
    moves = []
    for (brand, lead_id), (before, after) in found.items():
        came, went = after.segments - before.segments, before.segments - after.segments
        entered.update(came)
        left.update(went)
        scores["up" if after.score > before.score else "down" if after.score < before.score else "same"] += 1
        if before.stage != after.stage:
            stages[str(before.stage), str(after.stage)] += 1
        if before.stage != after.stage or came or went:
            move = {
                "brand": brand,
                "lead_id": lead_id,
                "stage": [before.stage, after.stage],
                "entered": sorted(came),
                "left": sorted(went),
                "score": [before.score, after.score],
            }
            moves.append((-abs(after.score - before.score), brand, lead_id, move))
    rungs = {stage.name: index for index, stage in reversed(list(enumerate((*old.stages, *new.stages))))}
    return {
        "schema": SCHEMA,
        "old": old.version,
        "new": new.version,
        "brand": new.brand,
        "at": iso(until),
        "leads": len(found),
        "moved": len(moves),
        "stages": [
            {"from": before, "to": after, "leads": stages[before, after]}
            for before, after in sorted(stages, key=lambda pair: (rungs[pair[0]], rungs[pair[1]]))
        ],
        "segments": [
            {"segment": name, "entered": entered[name], "left": left[name]}
            for name in sorted(entered.keys() | left.keys())
        ],
        "scores": {way: scores[way] for way in ("up", "down", "same")},
        "moves": [move for *_, move in sorted(moves, key=lambda row: row[:3])],
    }
