"""The ladder of stages and the segments: entering, staying, leaving, cooling down, and being excluded."""

from typing import Any

import pytest

from app.domain.event import Event
from app.domain.reader import Reader
from tests.domain.stories import DAY, HOUR, START, Story, event, order, page, reader


def rules(stages: str, rest: str = "") -> Reader:
    return reader(
        f"""
version: "1"
signals:
  cta: {{event: cta_clicked, points: 8, half_life: 10d}}
  talk: {{event: conversation, points: 40, half_life: 10d}}
  form: {{event: form_submitted, points: 0}}
  gone: {{event: email_unsubscribed, points: -100}}
scores:
  engagement: {{signals: all, min: 0, max: 100}}
stages:
{stages}
{rest}
"""
    )


LADDER = """
  - name: new
  - {name: aware, enter: {score: {ge: 8}}, exit: {score: {lt: 4}}}
  - {name: ready, enter: {score: {ge: 40}}, exit: {score: {lt: 20}}, min_stay: 1h}
  - {name: customer, enter: {orders: {ge: 1}}}
"""


def cta(at: int) -> Event:
    return event(at, "cta_clicked")


def talk(at: int) -> Event:
    return event(at, "conversation")


def form(at: int) -> Event:
    return event(at, "form_submitted")


def gone(at: int) -> Event:
    return event(at, "email_unsubscribed")


def stage_after(reader: Reader, told: list[Event], at: int) -> Any:
    return Story(reader).tell_each(told).until(at)["stage"]


def moves(story: Story) -> list[tuple[str, list[str], list[str]]]:
    """What each record tells: when, which segments were entered, which were left."""
    return [(one["at"], one["entered"], one["left"]) for one in story.segments]


def stage_moves(story: Story) -> list[tuple[str | None, str]]:
    return [(one["previous_stage"], one["stage"]) for one in story.segments if one["previous_stage"] != one["stage"]]


# --- stages ----------------------------------------------------------------------------------------------------------


def test_the_first_stage_always_holds() -> None:
    assert stage_after(rules(LADDER), [page(START)], START) == "new"
    assert stage_after(rules(LADDER), [event(START, "email_sent")], START + 900 * DAY) == "new"


@pytest.mark.parametrize(
    ("told", "stage"),
    [
        ([cta(START)], "aware"),
        ([talk(START)], "ready"),
        ([order(START, "o", "1")], "customer"),
        ([talk(START), order(START + 1, "o", "1")], "customer"),
        ([order(START, "o", "1"), talk(START + 1)], "customer"),
    ],
)
def test_the_stage_is_the_last_in_the_list_that_holds(told: list[Event], stage: str) -> None:
    assert stage_after(rules(LADDER), told, START + 1) == stage


def test_exit_keeps_a_stage_longer_than_enter_would_but_does_not_let_in() -> None:
    # 8 points in 10 days are 4, and less a millisecond later.
    assert stage_after(rules(LADDER), [cta(START)], START + DAY) == "aware"
    assert stage_after(rules(LADDER), [cta(START)], START + 10 * DAY) == "aware"
    assert stage_after(rules(LADDER), [cta(START)], START + 10 * DAY + 1) == "new"
    # 10 points are left of 40 after 20 days: too few to be ready, enough to be aware.
    assert stage_after(rules(LADDER), [talk(START)], START + 20 * DAY) == "aware"
    # 6 points from below do not let in.
    assert stage_after(rules(LADDER), [cta(START), page(START + 20 * DAY)], START + 20 * DAY) == "new"
    assert stage_after(rules(LADDER), [cta(START), cta(START + 20 * DAY)], START + 20 * DAY) == "aware"  # 2 + 8


def test_without_exit_a_stage_is_left_when_its_enter_no_longer_holds() -> None:
    ladder = "  - name: new\n  - {name: hot, enter: {score: {ge: 8}}}"
    assert stage_after(rules(ladder), [cta(START)], START) == "hot"
    assert stage_after(rules(ladder), [cta(START)], START + 1_000) == "new"


def test_enter_and_exit_both_true_is_still_the_stage() -> None:
    ladder = "  - name: new\n  - {name: hot, enter: {did: cta, within: 1d}, exit: {did: form}}"
    assert stage_after(rules(ladder), [form(START), cta(START + 1)], START + 1) == "hot"
    assert stage_after(rules(ladder), [form(START), cta(START + 1)], START + DAY) == "hot"
    assert stage_after(rules(ladder), [form(START), cta(START + 1)], START + 1 + DAY) == "new"


def test_a_minimum_stay_holds_back_going_down() -> None:
    told = [talk(START), gone(START + 1)]
    story = Story(rules(LADDER)).tell_each(told)
    assert story.until(START + HOUR - 1)["stage"] == "ready"
    assert story.until(START + HOUR)["stage"] == "new"
    assert story.segments[-1]["at"] == "2026-01-01T01:00:00.000Z"
    assert story.segments[-1]["cause"] == {"kind": "timer"}


def test_a_minimum_stay_does_not_hold_back_going_up() -> None:
    assert stage_after(rules(LADDER), [talk(START), order(START + 1, "o", "1")], START + 1) == "customer"


def test_a_stage_may_be_skipped_both_ways() -> None:
    story = Story(rules(LADDER)).tell(page(START)).tell(talk(START + 1)).tell(gone(START + 2 * HOUR))
    assert stage_moves(story) == [(None, "new"), ("new", "ready"), ("ready", "new")]


def test_a_refund_takes_a_customer_back() -> None:
    back = event(START + DAY, "order_refunded", properties={"order_id": "o"})
    story = Story(rules(LADDER)).tell(order(START, "o", "5")).tell(back)
    assert stage_moves(story) == [(None, "customer"), ("customer", "new")]


def test_a_stage_may_ask_for_another_stage() -> None:
    ladder = """
  - name: new
  - {name: a, enter: {did: cta}}
  - {name: b, enter: {all: [{stage: {in: [a, b]}}, {did: form}]}}
"""
    assert stage_after(rules(ladder), [form(START)], START) == "new"
    assert stage_after(rules(ladder), [cta(START), form(START + 1)], START + 1) == "b"


# --- segments --------------------------------------------------------------------------------------------------------


def with_segment(segment: str, rest: str = "") -> Reader:
    return rules("  - name: new", f"segments:\n  s: {segment}\n{rest}")


def inside(reader: Reader, told: list[Event], at: int) -> bool:
    return "s" in Story(reader).tell_each(told).until(at)["segments"]


def test_hysteresis_keeps_a_segment_until_its_exit() -> None:
    segment = with_segment("{enter: {score: {ge: 8}}, exit: {score: {lt: 4}}}")
    assert inside(segment, [cta(START)], START + 10 * DAY)
    assert not inside(segment, [cta(START)], START + 10 * DAY + 1)


def test_while_exit_holds_a_segment_is_not_entered() -> None:
    segment = with_segment("{enter: {did: cta}, exit: {did: form, within: 1d}}")
    assert not inside(segment, [form(START), cta(START + 1)], START + DAY - 1)
    assert inside(segment, [form(START), cta(START + 1)], START + DAY)
    assert not inside(segment, [cta(START), form(START + 1)], START + 1)


def test_a_minimum_stay_keeps_a_segment() -> None:
    segment = with_segment("{enter: {did: cta, within: 1h}, min_stay: 1d}")
    assert inside(segment, [cta(START)], START + DAY - 1)
    assert not inside(segment, [cta(START)], START + DAY)
    longer = with_segment("{enter: {did: cta}, exit: {did: form}, min_stay: 1d}")
    assert inside(longer, [cta(START), form(START + 1)], START + DAY - 1)
    assert not inside(longer, [cta(START), form(START + 1)], START + DAY)
    # Long enough a member: out at once.
    assert not inside(longer, [cta(START), form(START + 2 * DAY)], START + 2 * DAY)


def test_a_cooldown_runs_from_leaving() -> None:
    segment = with_segment("{enter: {did: cta, within: 1h}, cooldown: 7d}")
    told = [cta(START), cta(START + 2 * DAY)]
    left = START + HOUR
    assert not inside(segment, told, START + 2 * DAY)
    again = [*told, cta(left + 7 * DAY - 1)]
    story = Story(segment).tell_each(again)
    assert "s" not in story.until(left + 7 * DAY - 1)["segments"]
    assert "s" in story.until(left + 7 * DAY)["segments"]
    assert moves(story) == [
        ("2026-01-01T00:00:00.000Z", ["s"], []),
        ("2026-01-01T01:00:00.000Z", [], ["s"]),
        ("2026-01-08T01:00:00.000Z", ["s"], []),
    ]


def test_a_first_entry_waits_for_no_cooldown() -> None:
    assert inside(with_segment("{enter: {did: cta}, cooldown: 7d}"), [cta(START)], START)


def test_segments_may_look_at_the_stage_that_was_just_reached() -> None:
    hot = rules(LADDER, "segments:\n  hot: {enter: {stage: ready}}\n  cold: {enter: {not: {stage: ready}}}")
    story = Story(hot).tell(page(START)).tell(talk(START + 1))
    assert [(one["stage"], one["segments"]) for one in story.segments] == [("new", ["cold"]), ("ready", ["hot"])]


# --- exclude ---------------------------------------------------------------------------------------------------------

EXCLUDE = "segments:\n  s: {enter: {did: cta}, min_stay: 5d, cooldown: 1d}\nexclude: {trait: {status: competitor}}"


def is_competitor(at: int, status: str = "competitor") -> Event:
    return event(at, "traits_changed", traits={"status": status})


def test_an_excluded_lead_is_scored_but_in_no_group_whatever_stays_are_left() -> None:
    excluding = rules(LADDER, EXCLUDE)
    story = Story(excluding).tell(talk(START), cta(START)).tell(is_competitor(START + 1))
    profile = story.until(START + 1)
    assert (profile["stage"], profile["segments"]) == ("new", [])
    assert profile["engagement"] == 48
    assert stage_moves(story) == [(None, "ready"), ("ready", "new")]
    assert story.segments[-1]["left"] == ["s"]


def test_a_lead_excluded_from_the_first_is_still_told_once() -> None:
    story = Story(rules(LADDER, EXCLUDE)).tell(is_competitor(START)).tell(talk(START + 1)).tell(cta(START + 2))
    assert [(one["stage"], one["segments"]) for one in story.segments] == [("new", [])]


def test_no_longer_excluded_a_lead_comes_back() -> None:
    story = Story(rules(LADDER, EXCLUDE)).tell(is_competitor(START)).tell(talk(START + 1), cta(START + 1))
    assert story.tell(is_competitor(START + 2, "partner")).until(START + 2)["stage"] == "ready"
