"""Bots, scanners of mail and internal traffic: tagged, never scored, never a touch."""

from typing import Any

import pytest

from app.domain.event import Event
from tests.domain.stories import DAY, START, Story, event, order, page, reader
from tests.domain.ways import SPRING, plain, score, touches, visits

RULES = reader(plain())
SECOND = 1_000


def click(at: int, id: str, link: str = "a", mail: str = "m1") -> Event:
    return event(at, "email_clicked", id, properties={"email_id": mail, "link_url": link})


def delivered(at: int, mail: str = "m1", id: str = "") -> Event:
    return event(at, "email_delivered", id, properties={"email_id": mail})


def counted(*events: Event) -> list[str]:
    """Return the ids of the clicks that are touches; each is worth 5 points."""
    story = Story(RULES).tell_each(events)
    found = [event_id for event_id, _, _ in touches(story)]
    assert score(story) == 5 * len(found)
    return found


@pytest.mark.parametrize(("after", "counts"), [(0, []), (9_999, []), (10_000, ["c"]), (60_000, ["c"])])
def test_a_click_sooner_than_ten_seconds_after_the_delivery_is_a_scanners(after: int, counts: list[str]) -> None:
    assert counted(delivered(START, id="a"), click(START + after, "c")) == counts


def test_the_delivery_of_another_mail_says_nothing() -> None:
    assert counted(delivered(START, "m2"), click(START + SECOND, "c")) == ["c"]


def test_a_click_before_the_delivery_is_no_scanners() -> None:
    assert counted(click(START, "c"), delivered(START + SECOND)) == ["c"]


def test_a_delivery_told_after_its_click_takes_the_click_back() -> None:
    assert counted(click(START + SECOND, "c"), delivered(START)) == []


def test_a_delivery_told_late_by_days_takes_the_click_back() -> None:
    assert counted(click(START + SECOND, "c"), click(START + DAY, "later"), delivered(START)) == ["later"]


def test_a_late_delivery_takes_back_a_click_that_stands_just_before_it() -> None:
    assert counted(click(START, "c"), click(START + DAY, "later"), delivered(START, id="d")) == ["later"]


def test_a_third_link_told_late_takes_back_the_two_clicks_before_it() -> None:
    told = [click(START, "a", "1"), click(START + 2 * SECOND, "b", "2"), click(START + DAY, "later")]
    assert counted(*told, click(START + 4_999, "c", "3")) == ["later"]


def test_three_links_within_five_seconds_are_a_scanners_all_of_them() -> None:
    assert counted(click(START, "a", "1"), click(START + 2 * SECOND, "b", "2"), click(START + 4_999, "c", "3")) == []


def test_three_links_in_five_seconds_or_more_are_a_persons() -> None:
    events = [click(START, "a", "1"), click(START + 2 * SECOND, "b", "2"), click(START + 5_000, "c", "3")]
    assert counted(*events) == ["a", "b", "c"]


def test_one_link_clicked_three_times_is_a_persons() -> None:
    assert counted(*(click(START + i, f"c{i}", "1") for i in range(3))) == ["c0", "c1", "c2"]


def test_a_link_that_is_not_told_is_none_of_three() -> None:
    clicks = (click(START, "a", ""), click(START + 1_000, "b", "one"), click(START + 2_000, "c", "two"))
    assert counted(*clicks) == ["a", "b", "c"]
    assert counted(*clicks, click(START + 3_000, "d", "three")) == []


def test_links_of_different_mails_do_not_add_up() -> None:
    assert counted(click(START, "a", "1"), click(START + 1, "b", "2"), click(START + 2, "c", "3", "m2")) == [
        "a",
        "b",
        "c",
    ]


def test_a_click_after_the_burst_counts() -> None:
    burst = [click(START + i, f"b{i}", str(i)) for i in range(3)]
    assert counted(*burst, click(START + 3 * SECOND, "again", "9"), click(START + 20 * SECOND, "person", "1")) == [
        "person"
    ]


def test_a_late_third_link_tags_the_others() -> None:
    events = [click(START, "a", "1"), click(START + 2, "c", "3"), click(START + DAY, "d"), click(START + 1, "b", "2")]
    assert counted(*events) == ["d"]


@pytest.mark.parametrize(
    ("of_delivery", "of_click"),
    [
        ({"email_id": "x", "message_id": "1"}, {"email_id": "x", "message_id": "2"}),
        ({"message_id": "x"}, {"message_id": "x"}),
        ({"campaign_id": "x"}, {"campaign_id": "x"}),
    ],
    ids=["email_id", "message_id", "campaign and address"],
)
def test_a_mail_is_known_by_its_id_else_by_campaign_and_address(
    of_delivery: dict[str, Any], of_click: dict[str, Any]
) -> None:
    def told(second_address: str) -> Story:
        ids = ("email:ann@x.example",)
        return Story(RULES, key=ids[0]).tell_each(
            [
                event(START, "email_delivered", properties=of_delivery, ids=ids),
                event(START + 1, "email_clicked", properties=of_click, ids=(f"email:{second_address}",)),
            ]
        )

    assert touches(told("ann@x.example")) == []
    by_address = "campaign_id" in of_delivery
    assert len(touches(told("bob@x.example"))) == by_address


def test_a_bots_page_is_worth_nothing_and_shows_in_the_profile() -> None:
    story = Story(RULES).tell_each([page(START, id="bot", arrival=SPRING, bot=True)])
    assert (score(story), touches(story), visits(story)[0]) == (0, [], 0)
    assert story.until(START)["bot"] is True
    assert story.segments[0]["stage"] == "new"


def test_a_bot_does_not_keep_a_visit_alive() -> None:
    minutes = 60_000
    events = [page(START, id="a"), page(START + 20 * minutes, id="b", bot=True), page(START + 40 * minutes, id="c")]
    assert visits(Story(RULES).tell_each(events)) == (2, 0.0, 0)


@pytest.mark.parametrize(
    ("seen", "tagged"),
    [
        ({"ip": "203.0.113.7"}, True),
        ({"ip": "203.0.114.7"}, False),
        ({"ip": "not an address"}, False),
        ({"ip": "::ffff:203.0.113.7"}, True),
        ({"ip": "::ffff:203.0.114.7"}, False),
        ({"ids": ("user:ada", "email:ann@corp.example")}, True),
        ({"ids": ("user:ada", "email:ann@notcorp.example")}, False),
        ({"ids": ("user:ada", "email:boss@home.example")}, True),
        ({"ids": ("user:ada", "email:other@home.example")}, False),
    ],
    ids=str,
)
def test_the_brands_own_people_are_tagged(seen: dict[str, Any], tagged: bool) -> None:
    story = Story(RULES).tell(page(START, **seen))
    assert score(story) == (0 if tagged else 1)
    assert len(touches(story)) == (0 if tagged else 1)


def test_tagged_events_meet_no_goal_but_orders() -> None:
    rules = reader(
        plain("goals: {seen: {event: page_viewed, value: 1}, purchase: {event: order_completed, value: order}}\n")
    )
    story = Story(rules).tell_each([page(START, bot=True), order(START + 1, "o1", "10", bot=True)])
    assert [record["goal"] for record in story.conversions] == ["purchase"]
    assert story.until(START + 1)["orders"] == 1


def test_a_scanner_found_out_takes_its_credit_back() -> None:
    rules = reader(plain("goals: {purchase: {event: order_completed, value: order}}\n"))
    story = Story(rules).tell_each(
        [page(START, id="a", arrival=SPRING), click(START + DAY, "c"), order(START + DAY + SECOND, "o1", "10")]
    )
    assert story.conversions[-1]["credits"]["linear"] == [500, 500]
    story.tell(delivered(START + DAY - SECOND))
    record = story.conversions[-1]
    assert (record["revision"], [t["event_id"] for t in record["touches"]]) == (2, ["a"])
    assert record["credits"]["linear"] == [1000]


def test_a_conversion_that_a_third_link_takes_back_is_amended_at_the_third_click() -> None:
    rules = reader(plain("goals: {click: {event: email_clicked, value: 1}}\n"))
    story = Story(rules).tell_each(
        [click(START, "a", "1"), click(START + 2_000, "b", "2"), click(START + 4_999, "c", "3")]
    )
    amended = [(record["revision"], record["amended_at"]) for record in story.conversions]
    assert amended == [(1, None), (1, None), (2, "2026-01-01T00:00:04.999Z"), (2, "2026-01-01T00:00:04.999Z")]


@pytest.mark.parametrize(
    ("told", "mailable"),
    [
        ({}, False),
        ({"bounce_type": "hard"}, False),
        ({"bounce_type": "soft"}, True),
        ({"type": "soft_bounced"}, True),
        ({"status": "5.1.1"}, False),
        ({"status": "4.2.2"}, True),
        ({"status": "4.2.2", "bounce_type": "Permanent"}, False),
    ],
    ids=str,
)
def test_only_a_bounce_for_good_ends_mailing(told: dict[str, str], mailable: bool) -> None:
    address = ("user:ada", "email:ada@x.example")
    story = Story(RULES).tell(event(START, "email_bounced", properties=told, ids=address))
    assert story.until(START)["mailable"] is mailable
