"""The fold against the oracle: a naive second implementation must tell the same of the same events.

Left out are aliases, changes of consent and erasures, and every lead is its events' strongest identifier.
"""

from collections.abc import Iterable
from pathlib import Path

import pytest

from app.cli.traffic import history
from app.domain.event import Event
from app.domain.reader import Reader as FoldReader
from app.rules import load
from app.sources.segment import parse, peek
from tests.domain.stories import Story
from tests.system.oracle import nasty
from tests.system.oracle.compare import Difference, Record, by_lead, compare
from tests.system.oracle.lead import live
from tests.system.oracle.matching import Reader

RULES = load(Path(__file__).parents[1] / "rules" / "shop.yaml")
READER = Reader(RULES)
FOLD = FoldReader(RULES)
ID_KEY = "k"
"""Of the stories of the domain's tests."""
END = 1_772_323_200_000  # 2026-03-01T00:00:00Z
AFTER_MS = 40 * 86_400_000
"""Time let pass after the last event, for what changes by time alone."""


def read(lines: Iterable[tuple[str, bytes]]) -> list[Event]:
    events = []
    for number, (topic, line) in enumerate(lines):
        at = peek(line).record_at or peek(line).at or END
        event = parse(line, topic=topic, partition=0, offset=number, record_at=at)
        if isinstance(event, Event):
            events.append(event)
    return events


def differences(events: list[Event], *, each: bool) -> list[Difference]:
    """Fold events, one by one or together, and return what the oracle says otherwise."""
    until = max(event.at for event in events) + AFTER_MS
    leads = by_lead(events, ID_KEY)
    profiles: list[Record] = []
    segments: list[Record] = []
    conversions: list[Record] = []
    for told in leads.values():
        story = Story(FOLD, key=told[0].key)
        if each:
            story.tell_each(sorted(told, key=lambda event: (event.at, event.id)))
        else:
            story.tell(*told)
        profiles.append(story.until(until))
        segments += story.segments
        conversions += story.conversions
    expected = {name: live(told, READER, until) for name, told in leads.items()}
    return list(compare(expected, profiles, segments, conversions))


def test_a_month_of_a_shop_is_as_the_oracle_says() -> None:
    events = read(history(41, END, days=30, events=1_500))
    assert len(events) > 800
    assert differences(events, each=False) == []


@pytest.mark.parametrize("seed", range(14))
def test_a_lead_at_the_edges_is_as_the_oracle_says(seed: int) -> None:
    assert differences(nasty.events(seed), each=seed % 2 == 1) == []
