"""The laws of the contract, as properties of the fold."""

import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.conditions import Moment
from app.domain.event import Event
from app.domain.explain import explain
from app.domain.groups import evaluate, groups_of, next_group_change, next_looks
from app.domain.score import Board
from tests.domain.histories import histories
from tests.domain.stories import DAY, Story, shop_reader

SHOP = shop_reader()
END = 60 * DAY
LAW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def comparable(profile: dict[str, Any]) -> dict[str, Any]:
    """A profile without what counts messages."""
    return {name: value for name, value in profile.items() if name != "seq"}


def credits(story: Story) -> dict[str, Any]:
    """Each conversion's last revision: what is worth something, by goal and moment."""
    return {
        name: {
            field: record[field]
            for field in ("goal", "at", "value_minor", "currency", "touches", "credits", "order_id")
        }
        for name, record in story.last_revisions().items()
        if record["cause"] != "late_conversion" or record["value_minor"]
    }


def worthless(story: Story) -> set[str]:
    """Conversions taken back, which in order would never have been told."""
    last = story.last_revisions()
    return {name for name, record in last.items() if record["cause"] == "late_conversion" and not record["value_minor"]}


def told_in_order(events: list[Event]) -> tuple[Story, dict[str, Any]]:
    story = Story(SHOP).tell_each(events)
    return story, story.until(events[-1].at + END)


@st.composite
def shuffled(draw: st.DrawFn) -> tuple[list[Event], list[Event]]:
    """A history, and the same in an order of arrival in which no event is more than three days behind the newest."""
    events = draw(histories())
    rng = random.Random(draw(st.integers(0, 2**32)))
    left, arrival = list(events), []
    newest = 0
    while left:
        oldest = left[0].at
        may_come = [one for one in left if max(newest, one.at) - oldest <= 3 * DAY] or left[:1]
        one = rng.choice(may_come)
        left.remove(one)
        newest = max(newest, one.at)
        arrival.append(one)
    return events, arrival


@LAW
@given(shuffled())
def test_order_of_arrival_within_three_days_does_not_matter(orders: tuple[list[Event], list[Event]]) -> None:
    events, arrival = orders
    ideal, profile = told_in_order(events)
    late = Story(SHOP).tell_each(arrival)
    assert comparable(late.until(events[-1].at + END)) == comparable(profile)
    gone = worthless(late)
    assert {k: v for k, v in credits(late).items() if k not in gone} == {
        k: v for k, v in credits(ideal).items() if k not in gone
    }


@LAW
@given(shuffled(), st.integers(1, 10))
def test_how_events_are_chunked_does_not_matter(orders: tuple[list[Event], list[Event]], size: int) -> None:
    events, arrival = orders
    _, profile = told_in_order(events)
    chunked = Story(SHOP).tell_in_chunks(arrival, size)
    assert comparable(chunked.until(events[-1].at + END)) == comparable(profile)


@LAW
@given(histories())
def test_looking_at_the_groups_that_an_event_moves_is_looking_at_all(events: list[Event]) -> None:
    story = Story(SHOP)
    for event in events:
        lead = story.tell(event).lead()
        core = lead.hot.core
        if core.stage is None:
            continue
        moment = Moment(core, SHOP, core.at, known=lead.known)
        every, _ = evaluate(moment, groups_of(core), SHOP.plan.every)
        assert every == groups_of(core)
        announced = next_group_change(moment)
        core.nexts = next_looks(moment, groups_of(core), SHOP.plan.every, {})
        assert next_group_change(moment) == announced


@LAW
@given(histories())
def test_doubled_events_count_once(events: list[Event]) -> None:
    once, profile = told_in_order(events)
    twice = Story(SHOP).tell_each(one for event in events for one in (event, event))
    assert twice.duplicates == len(events) - len(twice.rejected) // 2
    assert twice.until(events[-1].at + END) == profile
    assert twice.segments == once.segments
    assert twice.conversions == once.conversions


@LAW
@given(histories())
def test_credits_of_every_model_sum_to_the_value_exactly(events: list[Event]) -> None:
    story, _ = told_in_order(events)
    for record in story.conversions:
        for model, minor in record["credits"].items():
            assert sum(minor) == record["value_minor"], model
            assert len(minor) == max(1, len(record["touches"]))


@LAW
@given(histories(), st.integers(0, 90))
def test_explained_points_sum_to_each_score(events: list[Event], days: int) -> None:
    story = Story(SHOP).tell_each(events)
    board = Board(story.lead().hot.core, SHOP.rules, events[-1].at + days * DAY)
    for told in explain(board):
        assert abs(told.sum() - told.value) <= 2e-9, told


@LAW
@given(histories(), st.lists(st.integers(0, 72 * DAY), max_size=12))
def test_a_stepping_clock_gives_the_same_changes_as_none(events: list[Event], steps: list[int]) -> None:
    fast, profile = told_in_order(events)
    slow = Story(SHOP)
    clock = sorted(events[0].at + step for step in steps)
    for event in events:
        for now in [now for now in clock if now < event.at]:
            if slow.segments:
                slow.tell(to=now)
            clock.remove(now)
        slow.tell(event)
    for now in clock:
        if now <= events[-1].at + END:
            slow.tell(to=now)
    assert comparable(slow.until(events[-1].at + END)) == comparable(profile)

    def log(story: Story) -> list[dict[str, Any]]:
        return [{name: value for name, value in record.items() if name != "seq"} for record in story.segments]

    assert log(slow) == log(fast)


@LAW
@given(shuffled())
def test_the_log_gives_the_groups_and_never_goes_back(orders: tuple[list[Event], list[Event]]) -> None:
    story = Story(SHOP).tell_each(orders[1])
    profile = story.until(orders[0][-1].at + END)
    stage, groups = None, set()
    last_at, last_seq = "", 0
    for record in story.segments:
        assert record["previous_stage"] == stage
        stage = record["stage"]
        groups = (groups | set(record["entered"])) - set(record["left"])
        assert record["segments"] == sorted(groups)
        assert record["at"] >= last_at
        assert record["seq"] > last_seq
        last_at, last_seq = record["at"], record["seq"]
    assert (stage, sorted(groups)) == (profile["stage"], profile["segments"])
