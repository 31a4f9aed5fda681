"""What a name in the rules stands for, and the trackers of everything that conditions name."""

import hashlib
import json
import re
from difflib import SequenceMatcher
from typing import Final

import msgspec

from app.domain.event import KINDS, normal_name
from app.domain.kinds import KIND_BY_NAME
from app.domain.rulebook import Pattern, Signal, Tracker, Where
from app.rules.comparisons import NO_WHERE
from app.rules.errors import listed, near_names
from app.rules.place import Place

ANY: Final = "any"
VISIT: Final = "visit"
_SLIP: Final = 0.87
"""Names at least so alike (0 to 1) are taken for a slip of the pen."""

_SPEC_NAMES: Final = frozenset({"productreviewed"})
"""Names of the Segment spec that are almost a kind's and are none."""


def event_pattern(place: Place, where: Where = NO_WHERE) -> Pattern:
    """Read `event`: a kind, or a track event's own name in any spelling; a name of a kind stands for the kind."""
    written = place.text("a kind of event or the name of a track event")
    pattern = _pattern(written, where, place)
    _note_near_kind(written, pattern.name, place)
    return pattern


class Names:
    """Looks names up as SEMANTICS §9 says, and keeps one tracker for each distinct pattern that is asked for."""

    def __init__(self, signals: dict[str, Signal], goal_events: frozenset[str]) -> None:
        self._signals = signals
        self._events = goal_events | {signal.pattern.name for signal in signals.values()}
        """Normal names of the track events that the file names elsewhere: no slips."""
        self._trackers: dict[str, Tracker] = {}

    def track(self, place: Place, *, depth: int = 1, where: Where = NO_WHERE, last: bool = False) -> str:
        """Return the id of the tracker of the name at `place`, kept at least `depth` deep.

        `where` narrows it for one condition. After `last`, `any` and `visit` are never a signal's name.
        """
        written = place.text("the name of a signal, a kind or an event")
        if not written:
            return ""
        tracker_id, pattern = self._find(written, place, last=last)
        if where.fields:
            pattern = msgspec.structs.replace(pattern, also=where)
            tracker_id += "?" + _digest(where)
        known = self._trackers.get(tracker_id)
        depth = max(depth, known.depth if known else 1)
        self._trackers[tracker_id] = Tracker(tracker_id, pattern, depth)
        return tracker_id

    def trackers(self) -> dict[str, Tracker]:
        """Return every tracker asked for, in order of id."""
        return dict(sorted(self._trackers.items()))

    def _find(self, written: str, place: Place, *, last: bool) -> tuple[str, Pattern]:
        special = written in (ANY, VISIT)
        signal = self._signals.get(written)
        if signal is not None and not (special and last):
            return f"signal:{written}", signal.pattern
        if special:
            return f"kind:{written}", Pattern(kind=written)
        pattern = _pattern(written, NO_WHERE, place)
        if pattern.kind:
            return f"kind:{pattern.kind}", pattern
        self._check_slip(written, pattern.name, place)
        return f"event:{pattern.name}", pattern

    def _check_slip(self, written: str, name: str, place: Place) -> None:
        """Refuse what is almost a signal's name: as an event's name it would never occur, and nobody would notice.

        What is less like one may be an event's name (SEMANTICS §9), and is noted; one that is spelt as people write
        events' names is one.
        """
        if name in self._events:
            return
        spelt = written.replace("_", " ").title()
        if re.search(r"[A-Z ]", written):
            for signal in self._signals:
                if normal_name(signal) == name:
                    place.note(f"`{written}` is the track event of that name, not the signal `{signal}`")
                    return
            _note_near_kind(written, name, place)
            return
        for signal in self._signals:
            if alike(written, signal):
                place.wrong(
                    f"a signal, a kind or an event name; did you mean the signal `{signal}`? "
                    f'(to name a track event so like it, spell it "{spelt}")'
                )
                return
        near = near_names(written, [*self._signals, *sorted(KINDS)])
        meant = f"; did you mean {listed([f'`{one}`' for one in near])}?" if near else ""
        place.note(
            f"`{written}` is no signal and no kind, so it counts only if trackers send an event of that name{meant} "
            f'(if the event is meant, spell it as it is sent, "{spelt}" say)'
        )


def alike(one: str, other: str) -> bool:
    """Whether two names differ so little that one is likely a slip; names that differ in a number are not."""
    if re.sub(r"[0-9]", "", one) == re.sub(r"[0-9]", "", other):
        return False
    if SequenceMatcher(None, one, other).ratio() >= _SLIP:
        return True
    # Two letters changed places: of short names too little is alike for that measure.
    at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
    return len(one) > 3 and one[:at] + one[at + 1 : at + 2] + one[at : at + 1] + one[at + 2 :] == other


def _pattern(written: str, where: Where, place: Place) -> Pattern:
    if written in KINDS:
        return Pattern(kind=written, where=where)
    name = normal_name(written)
    if not name and written:
        place.wrong("a name with letters or digits")
    kind = KIND_BY_NAME.get(name)
    return Pattern(kind=kind, where=where) if kind else Pattern(name=name, where=where)


def _note_near_kind(written: str, name: str, place: Place) -> None:
    near = [kind for kind in sorted(KINDS) if name and alike(name, kind.replace("_", ""))]
    if near and name not in _SPEC_NAMES:
        place.note(f"`{written}` is the name of a track event; the kind `{near[0]}` is another")


def _digest(where: Where) -> str:
    """Return 8 hex digits that are the same for the same tests, whatever order they are written in."""
    tests = {}
    for field, test in where.fields:
        told = {name: value for name, value in msgspec.structs.asdict(test).items() if value is not None}
        for several in ("one_of", "none_of", "glob"):
            if several in told:
                told[several] = sorted(map(_canonical, told[several]))
        tests[field] = {name: _canonical(value) for name, value in told.items()}
    return hashlib.sha256(json.dumps(tests, sort_keys=True).encode()).hexdigest()[:8]


def _canonical(value: object) -> str:
    """Return a value as text; 200 and 200.0 are the same number, true and 1 are not the same value."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value)
