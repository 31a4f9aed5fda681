"""Conversions: when a goal is met, which touches count, path policies, and revisions."""

from typing import Any

import pytest

from app.domain.event import Event
from tests.domain.stories import DAY, HOUR, MINUTE, START, Story, event, order, page, reader
from tests.domain.ways import BLOG, MAILED, PARTNER, SPRING, SUMMER, credits, plain

PURCHASE = reader(plain("goals: {purchase: {event: order_completed, value: order}}\n"))
RESET = reader(plain("goals: {purchase: {event: order_completed, value: order, path: reset}}\n"))
FIRST = reader(plain("goals: {enquiry: {event: form_submitted, where: {form: contact}, value: 50, path: first}}\n"))


def form(at: int, id: str, **rest: Any) -> Event:
    return event(at, "form_submitted", id, properties={"form": "contact"}, **rest)


def talk(at: int, id: str) -> Event:
    return event(at, "conversation", id)


def path_ids(record: dict[str, Any]) -> list[str]:
    return [touch["event_id"] for touch in record["touches"]]


def conversions(rules: Any, *events: Event) -> list[dict[str, Any]]:
    return Story(rules).tell_each(events).conversions


# --- one conversion ---------------------------------------------------------------------------------------------------


def test_a_conversion_tells_its_path_and_credits() -> None:
    rules = reader(
        plain(
            "goals: {purchase: {event: order_completed, value: order}}\n"
            "attribution: {custom: {first: 10, middle: 30, last: 60}}\n"
        )
    )
    events = [
        page(START, "/land", id="ad", arrival=SPRING),
        page(START + 7 * DAY, id="blog", arrival=BLOG),
        page(START + 14 * DAY, id="mail", arrival=MAILED),
        order(START + 14 * DAY + MINUTE, "o1", "10.01"),
    ]
    [record] = conversions(rules, *events)
    assert record | {"touches": [], "id": "", "conversion_id": ""} == {
        "schema": 1,
        "id": "",
        "conversion_id": "",
        "type": "conversion",
        "lead_id": "user:ada",
        "brand": "default",
        "goal": "purchase",
        "order_id": "o1",
        "at": "2026-01-15T00:01:00.000Z",
        "amended_at": None,
        "currency": "EUR",
        "value_minor": 1001,
        "revision": 1,
        "supersedes": None,
        "cause": "conversion",
        "touches": [],
        "credits": {
            "first": [1001, 0, 0],
            "last": [0, 0, 1001],
            "last_non_direct": [0, 0, 1001],
            "linear": [334, 334, 333],
            "time_decay": [143, 286, 572],
            "position": [401, 200, 400],  # 400.4, 200.2, 400.4
            "j_shaped": [200, 200, 601],  # 200.2, 200.2, 600.6
            "inverse_j": [601, 200, 200],
            "custom": [100, 300, 601],  # 100.1, 300.3, 600.6
        },
        "first_touch_at": "2026-01-01T00:00:00.000Z",
        "days_to_convert": 14.0,
        "pages_before": ["/", "/land"],
        "steps_before": ["page_viewed"] * 3,
        "model_version": None,
        "fallback": None,
        "rules_version": "t1",
    }
    assert path_ids(record) == ["ad", "blog", "mail"]


def test_days_to_convert_have_two_decimals() -> None:
    [record] = conversions(PURCHASE, page(START, arrival=SPRING), order(START + 8 * HOUR, "o1", "1"))
    assert record["days_to_convert"] == 0.33


def test_without_a_touch_it_is_credited_to_nobody() -> None:
    [record] = conversions(PURCHASE, order(START, "o1", "10"))
    assert (record["touches"], record["first_touch_at"], record["days_to_convert"]) == ([], None, None)
    assert credits(record, "first", "linear", "position") == [[1000]] * 3


@pytest.mark.parametrize(("age", "counts"), [(30 * DAY - 1, True), (30 * DAY, False)])
def test_a_touch_counts_while_it_is_younger_than_the_lookback(age: int, counts: bool) -> None:
    told = order(START + age, "o1", "1", path="/thanks", id="thanks")
    [record] = conversions(PURCHASE, page(START, id="ad", arrival=SPRING), told)
    assert path_ids(record) == (["ad"] if counts else ["thanks"])


def test_direct_counts_only_if_there_is_no_other() -> None:
    told = [page(START, id="ad", arrival=SPRING), page(START + HOUR, id="direct"), order(START + HOUR + 1, "o1", "1")]
    assert path_ids(conversions(PURCHASE, *told)[0]) == ["ad"]
    assert path_ids(conversions(PURCHASE, *told[1:])[0]) == ["direct"]


@pytest.mark.parametrize(
    ("ignore", "counted", "last_non_direct"),
    [
        ("[]", ["ad", "direct"], [100, 0]),
        ("[Paid Search]", ["direct"], [100]),
        ("[paid search]", ["direct"], [100]),
        ("[Paid Search, Direct]", ["ad", "direct"], [100, 0]),
    ],
)
def test_the_rules_say_which_channels_are_ignored(ignore: str, counted: list[str], last_non_direct: list[int]) -> None:
    rules = reader(
        plain(f"goals: {{purchase: {{event: order_completed, value: order}}}}\nattribution: {{ignore: {ignore}}}\n")
    )
    told = [page(START, id="ad", arrival=SPRING), page(START + HOUR, id="direct"), order(START + HOUR + 1, "o1", "1")]
    [record] = conversions(rules, *told)
    assert path_ids(record) == counted
    assert record["credits"]["last_non_direct"] == last_non_direct


def test_the_touch_that_a_converting_form_makes_does_not_count() -> None:
    [record] = conversions(FIRST, page(START, id="ad", arrival=SPRING), form(START + HOUR, "form", path="/contact"))
    assert path_ids(record) == ["ad"]
    [record] = conversions(FIRST, form(START, "form", path="/contact", arrival=SPRING))
    assert (path_ids(record), record["credits"]["linear"]) == ([], [5000])


def test_the_touch_that_a_converting_conversation_makes_does_not_count_and_an_earlier_one_does() -> None:
    rules = reader(plain("goals: {talk: {event: conversation, value: 20}}\n"))
    first, second = conversions(rules, talk(START, "t1"), talk(START + 1, "t2"))
    assert (path_ids(first), path_ids(second)) == ([], ["t1"])


def test_the_touch_that_a_converting_order_makes_counts() -> None:
    [record] = conversions(PURCHASE, order(START, "o1", "5", id="buy", path="/thanks", arrival=SPRING))
    assert path_ids(record) == ["buy"]


def test_a_touch_of_the_very_moment_counts_though_its_id_is_greater() -> None:
    records = conversions(PURCHASE, order(START, "o1", "5", id="a"), page(START, id="b", arrival=SPRING))
    assert [path_ids(record) for record in records] == [[], ["b"]]
    assert (records[1]["revision"], records[1]["cause"]) == (2, "late_touch")


def test_pages_before_are_distinct_newest_first_within_the_lookback_and_without_the_converting_page() -> None:
    views = [page(START, "/old")]
    views += [page(START + 20 * DAY + i, f"/p{i:02d}") for i in range(12)]
    views += [page(START + 20 * DAY + 20, "/p05", id="again"), page(START + 20 * DAY + 21, "/contact")]
    rules = reader(plain("goals: {enquiry: {event: form_submitted, value: 50, lookback: 10d}}\n"))
    [record] = conversions(rules, *views, form(START + 20 * DAY + 30, "f", path="/contact"))
    assert record["pages_before"] == [f"/p{i}" for i in ("05", "11", "10", "09", "08", "07", "06", "04", "03", "02")]
    [record] = conversions(rules, views[0], form(START + 10 * DAY, "f", path="/contact"))
    assert record["pages_before"] == []


def test_steps_before_are_the_leads_own_newest_first() -> None:
    told = [
        page(START),
        event(START + 1, "email_sent"),
        event(START + 2, "email_delivered"),
        event(START + 3, "email_opened"),
        event(START + 4, "email_bounced", properties={"bounce_type": "soft"}),
        event(START + 5, "traits_changed", traits={"a": 1}),
        event(START + 6, "cart_added", properties={"product_id": "p"}),
        page(START + 7, bot=True),
        order(START + 8, "o1", "1"),
    ]
    assert conversions(PURCHASE, *told)[0]["steps_before"] == ["cart_added", "email_opened", "page_viewed"]
    many = [page(START + i) for i in range(9)] + [event(START + 10 + i, "cta_clicked") for i in range(4)]
    steps = conversions(PURCHASE, *many, order(START + 20, "o1", "1"))[0]["steps_before"]
    assert steps == ["cta_clicked"] * 4 + ["page_viewed"] * 6


def test_values_are_of_the_order_the_event_or_the_rules() -> None:
    rules = reader(
        plain(
            'goals: {purchase: {event: order_completed, value: order}, won: {event: "Deal Won", value: amount},'
            " any: {event: page_viewed, value: 12.345}}\n"
        )
    )
    records = conversions(
        rules,
        order(START, "o1", "1500", "JPY"),
        event(START + 1, "custom", name="dealwon", amount="9.995", currency="USD"),
        event(START + 2, "custom", name="dealwon"),
        page(START + 3),
    )
    found = [(record["goal"], record["currency"], record["value_minor"], record["order_id"]) for record in records]
    assert found == [
        ("purchase", "JPY", 1500, "o1"),
        ("won", "USD", 1000, None),
        ("won", "EUR", 0, None),
        ("any", "EUR", 1234, None),
    ]


def test_an_order_without_an_id_converts_by_its_message() -> None:
    one, two = conversions(PURCHASE, *(event(START + i, "order_completed", amount="3") for i in range(2)))
    assert one["conversion_id"] != two["conversion_id"]
    assert (one["order_id"], two["order_id"]) == (None, None)


def test_a_stage_goal_converts_each_time_the_lead_comes_to_the_stage_from_below() -> None:
    rules = reader(
        plain("goals: {buyer: {stage: customer, value: 100}}\n").replace(
            "enter: {orders: {ge: 1}}", "enter: {did: conversation, within: 1d}"
        )
    )
    told = [
        page(START, id="ad", arrival=SPRING),
        talk(START + 1, "t1"),
        talk(START + 2, "t2"),
        talk(START + 5 * DAY, "t3"),
    ]
    first, again = conversions(rules, *told)
    assert (first["at"], first["value_minor"], path_ids(first)) == ("2026-01-01T00:00:00.001Z", 10_000, ["ad"])
    assert (again["at"], again["revision"], path_ids(again)) == ("2026-01-06T00:00:00.000Z", 1, ["ad", "t1", "t2"])


def test_a_stage_reached_by_time_converts_at_that_moment() -> None:
    rules = reader(
        plain("goals: {gone: {stage: customer, value: 1}}\n").replace(
            "enter: {orders: {ge: 1}}", "enter: {last: any, older_than: 2d}"
        )
    )
    story = Story(rules).tell(page(START, id="ad", arrival=SPRING))
    story.until(START + 3 * DAY)
    [record] = story.conversions
    assert (record["at"], record["steps_before"], path_ids(record)) == (
        "2026-01-03T00:00:00.000Z",
        ["page_viewed"],
        ["ad"],
    )


def test_touches_of_every_way_stand_in_order() -> None:
    told = [
        page(START, id="ad", arrival=SPRING),
        page(START + MINUTE, id="other", arrival=SUMMER),
        page(START + 2 * MINUTE, id="link", arrival=BLOG),
        event(START + HOUR, "email_clicked", "click", properties={"email_id": "m"}),
        page(START + HOUR + 1_000, "/offer", id="landing", arrival=MAILED),
        talk(START + 2 * HOUR, "chat"),
        page(START + DAY, id="friend", arrival=PARTNER),
        order(START + DAY + 1, "o1", "0.06"),
    ]
    [record] = conversions(PURCHASE, *told)
    found = [(touch["event_id"], touch["channel"]) for touch in record["touches"]]
    assert found == [
        ("ad", "Paid Search"),
        ("other", "Paid Search"),
        ("link", "Referral"),
        ("click", "Email"),
        ("chat", "Conversation"),
        ("friend", "Affiliates"),
    ]
    assert record["credits"]["linear"] == [1] * 6
