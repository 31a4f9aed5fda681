"""Path policies of conversions, and what refunds, cancellations and late events make of them."""

from typing import Any

import pytest

from app.domain.event import Event
from tests.domain.stories import DAY, HOUR, MINUTE, START, Story, event, order, page, reader
from tests.domain.ways import BLOG, MAILED, SPRING, credits, plain

PURCHASE = reader(plain("goals: {purchase: {event: order_completed, value: order}}\n"))
RESET = reader(plain("goals: {purchase: {event: order_completed, value: order, path: reset}}\n"))
FIRST = reader(plain("goals: {enquiry: {event: form_submitted, where: {form: contact}, value: 50, path: first}}\n"))


def form(at: int, id: str) -> Event:
    return event(at, "form_submitted", id, properties={"form": "contact"})


def refund(at: int, order_id: str, amount: str | None, id: str, **properties: str) -> Event:
    return event(at, "order_refunded", id, properties={"order_id": order_id} | properties, amount=amount)


def cancel(at: int, order_id: str) -> Event:
    return event(at, "order_cancelled", properties={"order_id": order_id})


def path_ids(record: dict[str, Any]) -> list[str]:
    return [touch["event_id"] for touch in record["touches"]]


def conversions(rules: Any, *events: Event) -> list[dict[str, Any]]:
    return Story(rules).tell_each(events).conversions


def told(record: dict[str, Any]) -> tuple[int, str, int, list[str]]:
    return record["revision"], record["cause"], record["value_minor"], path_ids(record)


# --- path policies ----------------------------------------------------------------------------------------------------

TWICE = [
    page(START, id="ad", arrival=SPRING),
    order(START + HOUR, "o1", "10"),
    page(START + DAY, id="mail", arrival=MAILED),
    order(START + DAY + HOUR, "o2", "10"),
]


def test_window_looks_at_the_whole_window_each_time() -> None:
    assert [path_ids(record) for record in conversions(PURCHASE, *TWICE)] == [["ad"], ["ad", "mail"]]


def test_reset_looks_at_what_came_after_the_previous_conversion() -> None:
    assert [path_ids(record) for record in conversions(RESET, *TWICE)] == [["ad"], ["mail"]]


def test_reset_leaves_out_a_touch_of_the_previous_conversions_moment() -> None:
    events = [order(START, "o1", "5", id="buy", path="/", arrival=SPRING), order(START + 1, "o2", "5")]
    assert [path_ids(record) for record in conversions(RESET, *events)] == [["buy"], []]


def test_a_cancelled_conversion_still_ends_a_reset_path() -> None:
    records = conversions(RESET, *TWICE[:2], cancel(START + 2 * HOUR, "o1"), *TWICE[2:])
    assert [told(record)[2:] for record in records] == [(1000, ["ad"]), (0, ["ad"]), (1000, ["mail"])]


def test_first_converts_once() -> None:
    records = conversions(FIRST, page(START, id="ad", arrival=SPRING), form(START + 1, "f1"), form(START + 2, "f2"))
    assert [(record["at"], record["value_minor"]) for record in records] == [("2026-01-01T00:00:00.001Z", 5000)]


def test_each_goal_has_its_own_path() -> None:
    rules = reader(
        plain(
            "goals:\n  buy: {event: order_completed, value: order, path: reset}\n"
            "  ask: {event: form_submitted, value: 1, path: reset}\n"
        )
    )
    events = [page(START, id="ad", arrival=SPRING), form(START + 1, "f"), order(START + 2, "o1", "5")]
    assert [path_ids(record) for record in conversions(rules, *events)] == [["ad"], ["ad"]]


# --- refunds and cancellations ----------------------------------------------------------------------------------------

AD = page(START, id="ad", arrival=SPRING)
MAIL = page(START + DAY, id="mail", arrival=MAILED)
BUY = order(START + 2 * DAY, "o1", "10.01")


def test_a_refund_leaves_the_rest_to_the_same_touches_by_the_same_weights() -> None:
    made, less = conversions(PURCHASE, AD, MAIL, BUY, refund(START + 20 * DAY, "o1", "3", "r1"))
    assert told(less) == (2, "refund", 701, ["ad", "mail"])
    assert credits(less, "first", "last", "linear", "j_shaped") == [[701, 0], [0, 701], [351, 350], [175, 526]]
    assert (less["conversion_id"], less["supersedes"], less["at"]) == (made["conversion_id"], made["id"], made["at"])
    assert (made["amended_at"], less["amended_at"]) == (None, "2026-01-21T00:00:00.000Z")
    assert less["id"] != made["id"]
    assert [less[name] for name in ("pages_before", "steps_before")] == [
        made[name] for name in ("pages_before", "steps_before")
    ]


def test_refunds_add_up_to_the_whole_and_not_beyond() -> None:
    refunds = [refund(START + i * DAY, "o1", "6", f"r{i}") for i in (3, 4, 5)]
    assert [told(record)[:3] for record in conversions(PURCHASE, AD, BUY, *refunds)] == [
        (1, "conversion", 1001),
        (2, "refund", 401),
        (3, "refund", 0),
    ]


def test_a_refund_without_an_amount_takes_it_all() -> None:
    assert told(conversions(PURCHASE, AD, BUY, refund(START + 3 * DAY, "o1", None, "r"))[-1]) == (
        2,
        "refund",
        0,
        ["ad"],
    )


def test_a_cancellation_takes_it_all() -> None:
    record = conversions(PURCHASE, AD, MAIL, BUY, cancel(START + 3 * DAY, "o1"))[-1]
    assert told(record) == (2, "cancel", 0, ["ad", "mail"])
    assert credits(record, "linear", "position") == [[0, 0], [0, 0]]


def test_a_refund_told_again_is_told_once() -> None:
    again = [refund(START + i * DAY, "o1", "1", f"r{i}", refund_id="same") for i in (3, 4)]
    assert [told(record)[2] for record in conversions(PURCHASE, AD, BUY, *again)] == [1001, 901]
    same = refund(START + 3 * DAY, "o1", "1", "r")
    assert [told(record)[2] for record in conversions(PURCHASE, AD, BUY, same, same)] == [1001, 901]


def test_a_refund_before_its_order_waits_for_it() -> None:
    records = conversions(PURCHASE, AD, refund(START + DAY, "o1", "1", "r"), BUY)
    assert [told(record)[:3] for record in records] == [(1, "conversion", 1001), (2, "refund", 901)]


def test_a_cancellation_before_its_order_is_a_cancellation() -> None:
    assert told(conversions(PURCHASE, AD, cancel(START + DAY, "o1"), BUY)[-1])[:3] == (2, "cancel", 0)


def test_a_refund_in_another_currency_revises_nothing() -> None:
    other = event(START + 3 * DAY, "order_refunded", properties={"order_id": "o1"}, amount="1", currency="USD")
    assert len(conversions(PURCHASE, AD, BUY, other)) == 1


def test_a_refund_of_an_order_from_months_ago_revises_its_conversion() -> None:
    record = conversions(PURCHASE, AD, BUY, refund(START + 200 * DAY, "o1", "1", "r"))[-1]
    assert told(record) == (2, "refund", 901, ["ad"])


def test_a_refund_lessens_every_goal_of_the_order() -> None:
    rules = reader(
        plain(
            "goals: {all: {event: order_completed, value: order},"
            " new: {event: order_completed, value: order, path: first}}\n"
        )
    )
    records = conversions(rules, AD, BUY, refund(START + 3 * DAY, "o1", "1", "r"))
    assert [(record["goal"], record["value_minor"]) for record in records] == [
        ("all", 1001),
        ("new", 1001),
        ("all", 901),
        ("new", 901),
    ]


@pytest.mark.parametrize(
    ("amounts", "values"),
    [(["3"], [2000]), (["3", "7.01"], [2000, 0]), ([None], [2000, 0])],
    ids=["in part", "all in parts", "in full"],
)
def test_a_goal_with_a_value_of_its_own_loses_it_with_the_whole_order(
    amounts: list[str | None], values: list[int]
) -> None:
    rules = reader(plain("goals: {sale: {event: order_completed, value: 20}}\n"))
    refunds = [refund(START + (3 + i) * DAY, "o1", amount, f"r{i}") for i, amount in enumerate(amounts)]
    assert [record["value_minor"] for record in conversions(rules, AD, BUY, *refunds)] == values


# --- late touches and conversions -------------------------------------------------------------------------------------


def test_a_late_touch_revises_the_conversions_after_it() -> None:
    story = Story(PURCHASE).tell_each([AD, BUY, page(START + 3 * DAY, "/later", id="later", arrival=BLOG)])
    story.tell(MAIL)
    made, revised = story.conversions
    assert told(revised) == (2, "late_touch", 1001, ["ad", "mail"])
    assert (revised["at"], revised["amended_at"]) == (made["at"], "2026-01-04T00:00:00.000Z")
    assert (revised["supersedes"], revised["conversion_id"]) == (made["id"], made["conversion_id"])


def test_a_late_event_that_changes_no_path_revises_nothing() -> None:
    events = [AD, BUY, page(START + 3 * DAY), page(START + 2_000, "/more"), page(START + 2 * DAY + 1, "/after")]
    assert len(conversions(PURCHASE, *events)) == 1


def test_a_late_order_converts_with_the_path_of_its_own_time() -> None:
    records = conversions(PURCHASE, AD, page(START + 3 * DAY, id="after", arrival=BLOG), BUY)
    assert [told(record) for record in records] == [(1, "conversion", 1001, ["ad"])]
    assert (records[0]["at"], records[0]["amended_at"]) == ("2026-01-03T00:00:00.000Z", None)


def test_a_late_touch_keeps_what_was_refunded() -> None:
    events = [AD, BUY, refund(START + 2 * DAY + HOUR, "o1", "1", "r"), MAIL]
    record = conversions(PURCHASE, *events)[-1]
    assert told(record) == (3, "late_touch", 901, ["ad", "mail"])
    assert record["credits"]["linear"] == [451, 450]


def test_the_order_in_which_touch_and_refund_arrive_does_not_matter() -> None:
    lessen = refund(START + 2 * DAY + HOUR, "o1", "1", "r")
    one = conversions(PURCHASE, AD, BUY, lessen, MAIL)[-1]
    other = conversions(PURCHASE, AD, BUY, MAIL, lessen)[-1]
    ideal = conversions(PURCHASE, AD, MAIL, BUY, lessen)[-1]
    for name in ("credits", "touches", "value_minor", "conversion_id"):
        assert one[name] == other[name] == ideal[name]


def test_an_earlier_conversion_that_comes_late_takes_touches_from_a_reset_path() -> None:
    early = order(START + HOUR, "o0", "5")
    records = conversions(RESET, AD, MAIL, BUY, early)
    assert [told(record) for record in records[:1]] == [(1, "conversion", 1001, ["ad", "mail"])]
    by_order = {record["order_id"]: told(record) for record in records[1:]}
    assert by_order == {"o0": (1, "conversion", 500, ["ad"]), "o1": (2, "late_conversion", 1001, ["mail"])}


def test_an_earlier_conversion_that_comes_late_is_the_first_instead() -> None:
    records = conversions(FIRST, AD, form(START + DAY, "f2"), form(START + HOUR, "f1"))
    last = {record["conversion_id"]: record for record in records}
    assert [told(records[0])[:3]] == [(1, "conversion", 5000)]
    assert sorted((record["at"], record["value_minor"], record["cause"]) for record in last.values()) == [
        ("2026-01-01T01:00:00.000Z", 5000, "conversion"),
        ("2026-01-02T00:00:00.000Z", 0, "late_conversion"),
    ]


def test_a_late_landing_names_the_campaign_of_its_mail_click() -> None:
    click = event(START, "email_clicked", "click", properties={"email_id": "m"})
    events = [click, order(START + HOUR, "o1", "5"), page(START + 2_000, "/offer", id="land", arrival=MAILED)]
    record = conversions(PURCHASE, *events)[-1]
    assert told(record) == (2, "late_touch", 500, ["click"])
    assert (record["touches"][0]["campaign"], record["touches"][0]["landing_page"]) == ("weekly", "/offer")


def test_the_correction_window_is_the_rules() -> None:
    rules = reader(
        plain("goals: {purchase: {event: order_completed, value: order}}\nattribution: {correction_window: 1d}\n")
    )
    for later, revisions in ((3 * DAY, 2), (3 * DAY + 1, 1)):
        records = conversions(rules, AD, BUY, page(START + later, "/later"), MAIL)
        assert len(records) == revisions


def test_of_two_events_with_one_order_id_the_earlier_counts() -> None:
    late = order(START + HOUR, "o1", "7")
    records = conversions(PURCHASE, AD, MAIL, BUY, late)
    assert told(records[-1]) == (2, "late_conversion", 700, ["ad"])
    assert records[-1]["conversion_id"] == records[0]["conversion_id"]
    story = Story(PURCHASE).tell_each([AD, MAIL, BUY, late])
    assert story.until(START + 2 * DAY)["revenue"] == [{"currency": "EUR", "minor": 700}]
    assert len(conversions(PURCHASE, AD, late, MAIL, BUY)) == 1


@pytest.mark.parametrize("later", [(), (21, 22)])
def test_a_stage_reached_by_a_very_late_order_stays_reached(later: tuple[int, ...]) -> None:
    rules = reader(plain("goals: {won: {stage: customer, value: 7}}\n"))
    story = Story(rules).tell_each([page(START, "/a", arrival=BLOG), page(START + 20 * DAY, "/b")])
    story.tell(order(START + 4 * DAY, "o1", "10"))
    for day in later:
        story.tell(page(START + day * DAY, "/d"))
    story.tell(page(START + 20 * DAY - HOUR, "/c", arrival=SPRING))
    assert [(record["revision"], record["value_minor"]) for record in story.conversions] == [(1, 700), (2, 700)]
    assert {record["at"] for record in story.conversions} == {"2026-01-21T00:00:00.000Z"}
    assert len({record["id"] for record in story.conversions}) == 2


def test_a_refund_that_is_a_goal_is_known_by_its_message() -> None:
    rules = reader(plain("goals: {back: {event: order_refunded, value: amount}}\n"))
    told = conversions(
        rules, order(START, "o1", "10"), refund(START + 1, "o1", "4", "a"), refund(START + 2, "o1", "2", "b")
    )
    assert [(record["revision"], record["value_minor"]) for record in told] == [(1, 400), (1, 200)]
    assert len({record["conversion_id"] for record in told}) == 2


def test_a_refund_of_a_late_touched_conversion_uses_the_newest_path() -> None:
    lessen = refund(START + 9 * DAY, "o1", "0.01", "r")
    record = conversions(PURCHASE, AD, BUY, MAIL, lessen)[-1]
    assert told(record) == (3, "refund", 1000, ["ad", "mail"])
    assert record["credits"]["linear"] == [500, 500]


@pytest.mark.parametrize("between", [MINUTE, 3 * DAY])
def test_a_touch_just_within_three_days_revises(between: int) -> None:
    clock = page(START + HOUR + between, "/clock", id="clock")
    records = conversions(PURCHASE, order(START + HOUR, "o1", "5"), clock, page(START + HOUR, id="~", arrival=SPRING))
    assert path_ids(records[-1]) == ["~"]


@pytest.mark.parametrize("later", [[], [order(START + 12 * DAY, "o3", "10")]])
def test_reset_looks_at_the_conversion_before_one_that_comes_very_late(later: list[Event]) -> None:
    """An order of day 6 told after more than three days: what led to the order of day 1 is not its path."""
    story = Story(RESET).tell_each(
        [
            page(START, id="ad", arrival=SPRING),
            order(START + DAY, "o1", "10"),
            page(START + 3 * DAY, id="mail", arrival=MAILED),
            *later,
            page(START + 13 * DAY),
            order(START + 6 * DAY, "o2", "10"),
        ]
    )
    assert [path_ids(record) for record in story.conversions if record["order_id"] == "o2"] == [["mail"]]


def test_reset_knows_a_very_late_conversion_when_an_even_later_one_comes() -> None:
    story = Story(RESET).tell_each(
        [
            page(START, id="ad", arrival=SPRING),
            page(START + 3 * DAY, id="mail", arrival=MAILED),
            page(START + 13 * DAY),
            order(START + DAY, "o1", "10"),
            page(START + 14 * DAY),
            order(START + 6 * DAY, "o2", "10"),
        ]
    )
    assert [path_ids(record) for record in story.conversions] == [["ad"], ["mail"]]
