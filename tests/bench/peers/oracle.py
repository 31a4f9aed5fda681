"""What comes of the events, found in another way than the contenders find it: with integers and one fixed time."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tests.bench.peers.job import HALF_LIFE_MS, POINTS, THRESHOLD
from tests.bench.traffic import Message

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZERO_MS = 1_780_000_000_000
"""Points are kept as they would be worth at this time: nothing then fades. UTC ms."""
NEAR = 1e-6


class Lead(NamedTuple):
    """A lead after some event."""

    at: int
    score: float
    counts: Mapping[str, int]

    def is_near(self, other: "Lead") -> bool:
        """Whether both are the same but for rounding."""
        return self.at == other.at and self.counts == other.counts and abs(self.score - other.score) < NEAR


Crossings = dict[tuple[str, int], Lead]
"""By lead and its number of events: the lead as it was told."""


class Truth:
    """The crossings and the last state of every lead."""

    def __init__(self, messages: Iterable[Message]) -> None:
        self.crossings: Crossings = {}
        self.leads: dict[str, Lead] = {}
        self.events = 0
        worth: dict[str, float] = {}
        times: dict[str, int] = {}
        counts: dict[str, Counter[str]] = {}
        for message in messages:
            assert message.key is not None
            self.events += 1
            lead, (kind, at) = message.key.decode(), kind_and_time(message.value)
            latest = times[lead] = max(times.get(lead, at), at)
            of_kinds = counts.setdefault(lead, Counter())
            of_kinds[kind] += 1
            fade = 0.5 ** ((latest - _ZERO_MS) / HALF_LIFE_MS)
            before = worth.get(lead, 0.0)
            worth[lead] = before + POINTS.get(kind, 0.0) * 2.0 ** ((at - _ZERO_MS) / HALF_LIFE_MS)
            if before * fade < THRESHOLD - NEAR and worth[lead] * fade > THRESHOLD - NEAR:
                self.crossings[lead, of_kinds.total()] = Lead(latest, worth[lead] * fade, dict(of_kinds))
        for lead, latest in times.items():
            score = worth[lead] * 0.5 ** ((latest - _ZERO_MS) / HALF_LIFE_MS)
            self.leads[lead] = Lead(latest, score, dict(counts[lead]))

    def check(self, told: list[dict[str, Any]], leads: Mapping[str, Lead]) -> None:
        """Compare what a contender sent and stored with the truth.

        Raises:
            AssertionError: it differs; says where.
        """
        sent = {
            (one["lead"], sum(one["counts"].values())): Lead(one["at"], one["score"], one["counts"]) for one in told
        }
        assert len(told) == len(self.crossings), f"{len(told)} records out, {len(self.crossings)} crossings"
        _compare("crossing", sent, self.crossings)
        _compare("lead", leads, self.leads)


def kind_and_time(value: bytes) -> tuple[str, int]:
    """Return a message's kind and its time, UTC ms."""
    message = json.loads(value)
    at = datetime.fromisoformat(message["timestamp"])
    return message["event"] if message["type"] == "track" else message["type"], (at - _EPOCH) // timedelta(
        milliseconds=1
    )


def _compare(what: str, found: Mapping[Any, Lead], right: Mapping[Any, Lead]) -> None:
    wrong = [name for name in found.keys() | right.keys() if not _same(found.get(name), right.get(name))]
    name = min(wrong, default=None)
    assert not wrong, f"{len(wrong)} wrong: {what} {name}: {found.get(name)}, not {right.get(name)}"


def _same(found: Lead | None, right: Lead | None) -> bool:
    return found is not None and right is not None and found.is_near(right)
