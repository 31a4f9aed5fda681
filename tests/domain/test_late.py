"""Events that come late: within three days they are put in their place, later they only add up."""

from typing import Any

import pytest

from app.domain.event import Event
from tests.domain.stories import DAY, HOUR, MINUTE, START, Story, event, order, page, reader
from tests.domain.ways import BLOG, MAILED, SPRING, plain, score, touches, visits

RULES = reader(
    plain(
        "segments: {talked: {enter: {did: conversation}}, active: {enter: {did: page_viewed, within: 1h}}}\n"
        "goals: {purchase: {event: order_completed, value: order}}\n"
    )
)
RESET = reader(plain("goals: {purchase: {event: order_completed, value: order, path: reset}}\n"))
FIRST = reader(plain("goals: {enquiry: {event: form_submitted, value: 50, path: first}}\n"))
NOW = START + 30 * DAY


def clock(at: int = NOW) -> Event:
    return page(at, "/now", id="now")


def form(at: int, id: str) -> Event:
    return event(at, "form_submitted", id)


def refund(at: int, order_id: str, amount: str | None = None) -> Event:
    return event(at, "order_refunded", properties={"order_id": order_id}, amount=amount)


def path_ids(record: dict[str, Any]) -> list[str]:
    return [touch["event_id"] for touch in record["touches"]]


# --- within three days ------------------------------------------------------------------------------------------------


def test_an_event_of_three_days_ago_is_put_in_its_place() -> None:
    story = Story(RULES).tell_each([page(NOW - 3 * DAY + MINUTE, id="a"), clock(), page(NOW - 3 * DAY, id="late")])
    assert visits(story) == (2, 60.0, 60)
    assert [name for name, _, _ in touches(story)] == ["late", "now"]


def test_an_event_a_millisecond_older_is_only_added() -> None:
    story = Story(RULES).tell_each([page(NOW - 3 * DAY + MINUTE, id="a"), clock(), page(NOW - 3 * DAY - 1, id="late")])
    assert visits(story)[0] == 2
    assert [name for name, _, _ in touches(story)] == ["a", "now"]  # it joined the visit, whose arrival stands


def test_a_late_event_emits_one_correction_at_the_leads_clock() -> None:
    story = Story(RULES).tell_each([page(NOW - DAY), clock()])
    before = len(story.segments)
    story.tell(event(NOW - HOUR, "conversation", "late"))
    [change] = story.segments[before:]
    assert (change["entered"], change["at"]) == (["talked"], "2026-01-31T00:00:00.000Z")
    assert change["cause"] == {"kind": "event", "event_id": "late", "signal": "talk"}


def test_a_late_event_whose_window_has_ended_emits_nothing() -> None:
    story = Story(RULES).tell_each([page(START), event(START + 10 * HOUR, "email_opened")])
    before = len(story.segments)
    story.tell(page(START + 3 * HOUR))
    assert len(story.segments) == before
    assert score(story) == 2


def test_late_events_told_together_give_what_they_give_in_order() -> None:
    told = [
        page(START, id="a", arrival=SPRING),
        event(START + HOUR, "email_clicked", "click", properties={"email_id": "m"}),
        page(START + HOUR + 1_000, "/offer", id="b", arrival=MAILED),
        order(START + HOUR + MINUTE, "o1", "9.99", path="/thanks"),
        refund(START + 3 * HOUR, "o1", "1"),
        page(START + DAY, id="c", arrival=BLOG),
    ]
    ideal = Story(RULES).tell_each(told)
    late = Story(RULES).tell(told[-1]).tell(*reversed(told[:-1]))
    assert (
        touches(late)
        == touches(ideal)
        == [("a", "Paid Search", "spring"), ("click", "Email", "weekly"), ("c", "Referral", "")]
    )
    assert visits(late) == visits(ideal)
    for name in ("touches", "credits", "value_minor", "pages_before", "steps_before", "at"):
        assert late.conversions[-1][name] == ideal.conversions[-1][name]


# --- later than that --------------------------------------------------------------------------------------------------


def test_what_comes_later_counts_in_scores_and_orders() -> None:
    story = Story(RULES).tell_each([clock(), page(START), order(START + 1, "o1", "10")])
    profile = story.until(NOW)
    assert (profile["score"], profile["orders"], profile["stage"]) == (2, 1, "customer")
    assert profile["revenue"] == [{"currency": "EUR", "minor": 1000}]
    assert (profile["first_seen"], profile["last_seen"]) == ("2026-01-01T00:00:00.000Z", "2026-01-31T00:00:00.000Z")
    assert story.segments[-1]["at"] == "2026-01-31T00:00:00.000Z"


def test_a_fading_score_is_the_same_however_late() -> None:
    rules = reader(
        plain().replace("{event: page_viewed, points: 1}", "{event: page_viewed, points: 8, half_life: 10d}")
    )
    late = Story(rules).tell_each([clock(), page(START)])
    assert score(late) == 9  # 8 now, and 8 of three half-lives ago


def test_it_joins_the_visit_within_whose_idle_span_it_falls() -> None:
    story = Story(RULES).tell_each([page(START), page(START + 10 * MINUTE, id="b"), clock()])
    assert visits(story) == (2, 600.0, 600)
    story.tell(page(START + 5 * MINUTE, "/inside"))
    assert visits(story) == (2, 600.0, 600)
    story.tell(page(START + 20 * MINUTE, "/longer"))
    assert visits(story) == (2, 1200.0, 1200)
    story.tell(page(START + 50 * MINUTE - 1, "/longer still"))
    assert visits(story) == (2, 2999.999, 2999)
    story.tell(page(START - 30 * MINUTE + 1, "/earlier"))
    assert visits(story) == (2, 4799.998, 4799)


def test_it_forms_a_visit_of_its_own_outside_of_idle_spans() -> None:
    story = Story(RULES).tell_each([page(START), clock()])
    story.tell(page(START + 30 * MINUTE, id="own", arrival=SPRING))
    assert visits(story)[0] == 3
    assert [name for name, _, _ in touches(story)] == [f"{START}-page_viewed", "own", "now"]
    story.tell(page(START + 40 * MINUTE, "/joins", id="joins"))
    assert visits(story) == (3, 600.0, 600)


def test_its_touch_is_inserted_in_its_place_and_revises_nothing() -> None:
    story = Story(RULES).tell_each([page(NOW - 5 * DAY, id="a"), order(NOW - 2 * DAY, "o1", "10"), clock()])
    story.tell(event(NOW - 4 * DAY, "conversation", "talk"))
    assert [name for name, _, _ in touches(story)] == ["a", "talk", "now"]
    assert len(story.conversions) == 1
    story.tell(order(NOW + 1, "o2", "10"))
    assert path_ids(story.conversions[-1]) == ["talk"]


def test_an_older_first_touch_is_the_first_touch() -> None:
    story = Story(RULES).tell_each([clock(), page(START, id="first", arrival=SPRING)])
    profile = story.until(NOW)
    assert (profile["first_touch"]["event_id"], profile["last_touch"]["event_id"]) == ("first", "now")


@pytest.mark.parametrize("since", [DAY, 2 * DAY + HOUR], ids=["after the first event", "before all other events"])
def test_it_outlives_what_is_folded_again_later(since: int) -> None:
    story = Story(RULES).tell_each([page(NOW - 2 * DAY, id="a"), clock(), page(START, id="old", arrival=SPRING)])
    story.tell(order(START + 1, "o1", "10"))
    before = story.until(NOW)
    story.tell(event(NOW - since, "email_opened"))
    after = story.until(NOW)
    for name in ("score", "orders", "revenue", "sessions", "visit_seconds", "first_touch", "first_seen", "stage"):
        assert after[name] == before[name], name


def test_tagged_it_counts_nowhere() -> None:
    story = Story(RULES).tell_each([clock(), page(START, id="bot", arrival=SPRING, bot=True)])
    assert (score(story), visits(story)[0], [name for name, _, _ in touches(story)]) == (1, 1, ["now"])


# --- conversions of what comes later than that ------------------------------------------------------------------------


def test_its_order_converts_with_the_touches_before_it() -> None:
    story = Story(RULES).tell_each([page(START, id="ad", arrival=SPRING), clock(), order(START + HOUR, "o1", "10")])
    [record] = story.conversions
    assert (record["at"], record["value_minor"], path_ids(record)) == ("2026-01-01T01:00:00.000Z", 1000, ["ad"])


def test_its_conversion_tells_the_pages_last_seen_before_it() -> None:
    seen = [page(START, "/a"), page(START + MINUTE, "/b"), page(START + 2 * HOUR, "/c")]
    [record] = Story(RULES).tell_each([*seen, clock(), order(START + HOUR, "o1", "10")]).conversions
    assert (record["pages_before"], record["steps_before"]) == (["/b", "/a"], [])


def test_a_refund_that_waited_for_it_lessens_its_conversion() -> None:
    story = Story(RULES).tell_each([refund(START + DAY, "o1", "4"), clock(), order(START, "o1", "10")])
    assert [record["value_minor"] for record in story.conversions] == [1000, 600]
    assert story.until(NOW)["revenue"] == [{"currency": "EUR", "minor": 600}]


def test_its_refund_lessens_the_conversion_of_its_order() -> None:
    story = Story(RULES).tell_each([order(START, "o1", "10"), clock(), refund(START + DAY, "o1", "4")])
    assert [(record["value_minor"], record["cause"]) for record in story.conversions] == [
        (1000, "conversion"),
        (600, "refund"),
    ]


def test_an_earlier_message_of_an_order_counts_and_revises_nothing() -> None:
    story = Story(RULES).tell_each([order(START + DAY, "o1", "10"), clock(), order(START, "o1", "8")])
    assert [record["value_minor"] for record in story.conversions] == [1000]
    assert story.until(NOW)["revenue"] == [{"currency": "EUR", "minor": 800}]


def test_it_takes_the_score_of_its_orders_other_message_back() -> None:
    rules = reader(
        plain("segments: {big: {enter: {did: large}}}\n").replace(
            "signals:\n",
            "signals:\n  bought: {event: order_completed, points: 7}\n"
            "  large: {event: order_completed, where: {amount: {ge: 100}}, points: 3}\n",
        )
    )
    story = Story(rules).tell_each([order(START + DAY, "o1", "100"), clock(), order(START, "o1", "8")])
    ideal = Story(rules).tell_each([order(START, "o1", "8"), order(START + DAY, "o1", "100"), clock()])
    assert score(story) == score(ideal) == 8
    assert story.until(NOW)["segments"] == ideal.until(NOW)["segments"] == []
    story = Story(rules).tell_each([order(START + DAY, "o1", "100", bot=True), clock(), order(START, "o1", "8")])
    assert score(story) == 8  # the tagged one was worth nothing that could be taken back


@pytest.mark.parametrize("again", [False, True], ids=["as it is", "folded again"])
def test_a_first_conversion_that_comes_too_late_is_the_only_one(again: bool) -> None:
    story = Story(FIRST).tell_each([page(NOW - DAY), clock(), form(START, "early"), form(NOW + 1, "later")])
    if again:
        story.tell(page(NOW - HOUR, "/late"))
    assert [record["at"] for record in story.conversions] == ["2026-01-01T00:00:00.000Z"]


@pytest.mark.parametrize("again", [False, True], ids=["as it is", "folded again"])
def test_a_reset_path_begins_after_a_conversion_that_came_too_late(again: bool) -> None:
    story = Story(RESET).tell_each(
        [page(START, id="ad", arrival=SPRING), page(NOW - DAY, id="blog", arrival=BLOG), clock()]
    )
    story.tell(order(START + HOUR, "o1", "10")).tell(order(NOW + 1, "o2", "10"))
    if again:
        story.tell(event(NOW - HOUR, "conversation", "talk"))
    last = {record["order_id"]: path_ids(record) for record in story.conversions}
    assert last == {"o1": ["ad"], "o2": ["blog", "talk"] if again else ["blog"]}


def test_a_reset_path_of_what_comes_too_late_begins_after_the_conversion_before_it() -> None:
    told = [
        page(START, id="ad", arrival=SPRING),
        order(START + HOUR, "o1", "10"),
        page(START + DAY, id="b", arrival=BLOG),
    ]
    story = Story(RESET).tell_each([*told, clock(), order(START + 2 * DAY, "o2", "10")])
    assert [path_ids(record) for record in story.conversions] == [["ad"], ["b"]]


def test_a_conversion_of_what_came_too_late_stands_when_the_days_since_are_folded_again() -> None:
    rules = reader(
        plain("goals: {purchase: {event: order_completed, value: order}}\nattribution: {correction_window: 14d}\n")
    )
    story = Story(rules).tell_each([page(NOW - 5 * DAY, id="a"), clock(), order(NOW - 4 * DAY, "o1", "10")])
    story.tell(page(NOW - DAY, "/late"))
    assert [(record["revision"], record["value_minor"]) for record in story.conversions] == [(1, 1000)]
