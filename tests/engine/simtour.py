"""A program whose events visit several identifiers, and what must have come of them in the end."""

import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from app.domain.partition import partition_of
from app.engine.due import TIMED_SUFFIX, timed
from app.engine.program import Output, Record, Rows, Step
from app.settings import Settings
from app.topics import topics

LATER_MS = 3_600_000
"""Within this a visit is told again."""

Tour = tuple[str, tuple[str, ...]]
"""Name of an event, and the identifiers it visits one after the other."""


class TourProgram:
    """Each visit is written into the row of its identifier, told at once, and told again in its time without any input.

    An event that landed elsewhere than its first identifier lives is forwarded; so is the rest of its way.
    """

    def __init__(self, partition: int, settings: Settings) -> None:
        self._partition = partition
        self._partitions = settings.partitions
        known = topics(settings)
        self._commands = known.commands.name
        self._told = known.segments.name
        self._state = known.profiles.name
        self._later = known.conversions.name

    def opened(self, rows: Rows) -> None:
        """Nothing is kept in memory."""

    def step(self, records: Sequence[Record], rows: Rows) -> Step:
        step = Step(rows={}, outputs=[], counts={})
        visited: dict[bytes, bytes] = {}
        for record in records:
            name, _, way = (record.value or b"").partition(b":")
            here, _, rest = way.partition(b",")
            if partition_of(here, self._partitions) != self._partition:
                step.outputs.append(Output(self._commands, here, record.value))
                continue
            row = b"v" + here
            visited[row] = (visited[row] if row in visited else rows.get(row) or b"") + name + b";"
            due = record.timestamp + zlib.crc32(name + here) % LATER_MS
            step.rows[name + b"@" + here + TIMED_SUFFIX] = timed(due, b"")
            step.outputs.append(Output(self._told, here, name + b"@" + here))
            if rest:
                name = name.partition(b"#")[0] + b"#%d" % way.count(b",")
                step.outputs.append(Output(self._commands, rest.partition(b",")[0], name + b":" + rest))
        for row, value in visited.items():
            step.rows[row] = value
            step.outputs.append(Output(self._state, row[1:], value, ref=row))
        return step

    def refuse(self, record: Record, rows: Rows, size: int, limit: int) -> Step | None:
        raise NotImplementedError

    def idle(self, rows: Rows, clock: int | None, most: int) -> Step | None:
        due = [] if clock is None else rows.due(clock, most)
        if not due:
            return None
        later = [Output(self._later, key.removesuffix(TIMED_SUFFIX), b"%d" % at) for at, key in due]
        return Step({key: None for _, key in due}, later, due=[at for at, _ in due])

    def render(self, ref: bytes, rows: Rows) -> Output:
        return Output(self._state, ref[1:], rows.get(ref), ref=ref)


def visits(tours: Sequence[Tour]) -> Counter[tuple[bytes, bytes]]:
    """Return what must be told: (identifier, visit), each once."""
    due: Counter[tuple[bytes, bytes]] = Counter()
    for name, way in tours:
        for nth, here in enumerate(way):
            visit = name if nth == 0 else f"{name}#{len(way) - nth}"
            due[here.encode(), visit.encode()] += 1
    return due


def found_in(rows: dict[bytes, bytes]) -> Counter[tuple[bytes, bytes]]:
    """Return the visits that rows hold."""
    found: Counter[tuple[bytes, bytes]] = Counter()
    for key, value in rows.items():
        if key.startswith(b"v"):
            found.update((key[1:], visit) for visit in value.split(b";")[:-1])
    return found


def in_order(rows: dict[bytes, bytes], place_of: dict[bytes, str]) -> bool:
    """Whether each row has the events that came directly from one place in the order they had there."""
    for value in rows.values():
        by_place: dict[str, list[bytes]] = defaultdict(list)
        for visit in value.split(b";")[:-1]:
            if visit in place_of:
                by_place[place_of[visit]].append(visit)
        if any(names != sorted(names) for names in by_place.values()):
            return False
    return True
