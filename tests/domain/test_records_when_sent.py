"""When a profile is sent: with every change of groups, and when something in it matters to whoever reads it."""

from typing import Any

import pytest

from app.domain.event import Arrival, Event
from app.domain.outputs import iso
from app.domain.reader import Reader
from tests.domain.stories import DAY, HOUR, START, Story, event, order, page, reader

SECOND = 1_000


def rules(stages: str = "", segments: str = "") -> Reader:
    return reader(
        f"""
version: "1"
signals:
  some: {{event: some, points_per: {{property: n, each: 1, points: 0.1}}, half_life: 10d}}
  less: {{event: some, points_per: {{property: less, each: 1, points: -0.1}}, half_life: 10d}}
scores:
  engagement: {{signals: all}}
  fit: {{traits: [{{where: {{country: UA}}, points: 25}}]}}
  total: {{engagement: 1}}
grades: {{engagement: {{"1": 90, "2": 80, "3": 70, "4": 0}}}}
stages:
  - name: new
{stages}
{segments}
"""
    )


QUIET = rules()


def some(at: int, tenths: float, **rest: Any) -> Event:
    """An event worth so many tenths of a point."""
    return event(
        at, "custom", f"some{at}", name="some", properties={"n": max(tenths, 0), "less": max(-tenths, 0)}, **rest
    )


def sent(story: Story, *events: Event) -> list[str]:
    """When profiles were sent for these events, told one by one."""
    count = len(story.profiles)
    story.tell_each(events)
    return [profile["at"] for profile in story.profiles[count:]]


def begun(rules: Reader = QUIET) -> Story:
    """A lead whose first event, at START, has been told with its first profile."""
    story = Story(rules)
    assert sent(story, page(START)) == [iso(START)]
    return story


def test_a_profile_goes_with_every_change_of_groups() -> None:
    segments = "segments:\n  s: {enter: {did: some, within: 1d}}"
    story = begun(rules(segments=segments))
    assert sent(story, some(START + SECOND, 0)) == [iso(START + SECOND)]
    story.tell(to=START + 2 * DAY)
    assert [one["at"] for one in story.segments] == [iso(START), iso(START + SECOND), iso(START + SECOND + DAY)]
    assert [one["at"] for one in story.profiles] == [one["at"] for one in story.segments]
    assert [one["seq"] for one in story.segments] == [1, 3, 5]
    assert [one["seq"] for one in story.profiles] == [2, 4, 6]
    assert [one["segments"] for one in story.profiles] == [one["segments"] for one in story.segments]


def test_an_event_that_changes_nothing_of_it_sends_none() -> None:
    story = begun()
    assert (
        sent(story, some(START + HOUR // 4, 0), event(START + HOUR // 3, "email_opened"), page(START + HOUR // 3 + 1))
        == []
    )


def test_a_score_moved_by_one_sends_it() -> None:
    assert sent(begun(), some(START + HOUR // 4, 9)) == []
    assert sent(begun(), some(START + HOUR // 4, 10)) == [iso(START + HOUR // 4)]
    falling = [some(START + HOUR // 4, 20), some(START + HOUR // 3, -10)]
    assert sent(begun(), *falling) == [iso(one.at) for one in falling]


def test_small_moves_add_up_until_they_are_sent() -> None:
    story = begun()
    told = [some(START + HOUR // 4 + n * SECOND, 4) for n in range(6)]
    assert sent(story, *told) == [iso(told[2].at)]  # 1.2; the next 1.2 came within five seconds of that
    later = some(START + HOUR // 3, 0)
    assert sent(story, later) == [iso(later.at)]


def test_for_the_score_alone_it_is_sent_at_most_once_in_five_seconds() -> None:
    story = begun()
    ats = [START + SECOND * n for n in (1, 4, 6, 8, 10, 11)]
    assert sent(story, *(some(at, 50) for at in ats)) == [iso(START + 6 * SECOND), iso(START + 11 * SECOND)]


@pytest.mark.parametrize(
    "told",
    [
        order(START + SECOND, "o1", "5"),
        event(START + SECOND, "email_unsubscribed"),
        event(START + SECOND, "email_opened", ids=("user:ada", "anon:a7")),
        event(START + SECOND, "email_opened", ids=("user:ada", "email:a@x.example")),
        event(START + SECOND, "traits_changed", traits={"name": "Ada"}),
        event(START + SECOND, "email_opened", locale="uk-UA"),
        event(START + SECOND, "traits_changed", traits={"country": "UA"}),  # C4 instead of D4
        event(START + SECOND, "conversation"),
        page(START + SECOND, arrival=Arrival(source="p1", medium="cpc", campaign="x")),
        some(START + SECOND, 700),  # grade D3
    ],
    ids=["orders", "mailable", "identifiers", "email", "name", "locale", "fit grade", "talk", "campaign", "grade"],
)
def test_what_matters_is_sent_at_once(told: Event) -> None:
    assert sent(begun(), told) == [iso(START + SECOND)]


def test_a_cancelled_order_is_sent() -> None:
    story = begun()
    sent(story, order(START + SECOND, "o1", "5"))
    cancelled = event(START + 2 * SECOND, "order_cancelled", properties={"order_id": "o1"})
    assert sent(story, cancelled) == [iso(START + 2 * SECOND)]
    assert story.profiles[-1]["orders"] == 0


def test_fading_alone_sends_none() -> None:
    story = begun()
    assert sent(story, some(START + HOUR // 4, 600)) == [iso(START + HOUR // 4)]
    story.tell(to=START + 50 * DAY)
    assert len(story.profiles) == 2
    assert sent(story, event(START + 50 * DAY, "email_opened")) == []  # 60 points are less than 2 by now
    assert sent(story, some(START + 51 * DAY, 9)) == []


COOLING = "  - {name: warm, enter: {engagement: {ge: 8}}, exit: {engagement: {lt: 4}}}"


@pytest.mark.parametrize(
    ("tenths", "moves"),
    [
        (4, False),  # log2(8.4/4) · 10 d = 10.7 d: 0.7 of 10 days later
        (5, False),  # 10.87 d
        (6, True),  # 11.04 d
        (-5, False),  # 9.07 d
        (-6, True),  # 8.88 d
    ],
)
def test_cooling_moved_by_more_than_a_tenth_of_its_distance_is_sent(tenths: float, moves: bool) -> None:
    story = Story(rules(COOLING)).tell(some(START, 80))
    assert story.profiles[-1]["cools_at"] == iso(START + 10 * DAY + 1)
    assert bool(sent(story, some(START + SECOND, tenths))) is moves


def test_cooling_is_compared_with_what_was_sent_last() -> None:
    story = Story(rules(COOLING)).tell(some(START, 80))
    told = [some(START + n * SECOND, 2) for n in (1, 2, 3, 4)]
    assert sent(story, *told) == [iso(START + 3 * SECOND)]  # 8.6 points: 11.04 days
