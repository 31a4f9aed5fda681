"""The records of `leads.segments` and `leads.profiles`, field by field."""

from typing import Any

import pytest

from app.domain.event import Arrival, Event
from app.domain.outputs import iso
from tests.domain.stories import DAY, HOUR, MINUTE, START, Story, event, order, page, reader

RULES = """
version: "7 of May"
currency: EUR
signals:
  view:    {event: page_viewed, points: 1, half_life: 10d}
  pricing: {event: page_viewed, where: {path: /pricing}, points: 6, half_life: 10d}
  abc:     {event: page_viewed, where: {path: /pricing}, points: 6, half_life: 10d}
  reading: {event: page_engaged, points_per: {property: duration, each: 30, points: 1, max: 5}}
  stayed:  {event: page_engaged, points: 3}
  cta:     {event: cta_clicked, points: 8, half_life: 10d}
  viewed:  {event: product_viewed, points: 2, half_life: 10d}
  gone:    {event: email_unsubscribed, points: -4, half_life: 10d}
  leave:   {event: email_unsubscribed, points: -9, half_life: 10d}
scores:
  engagement: {signals: all, min: 0, max: 100}
  clicks: {signals: [cta]}
  fit: {traits: [{where: {country: UA}, points: 40}]}
  interests: {signals: [viewed], by: category}
  total: {engagement: 0.5, fit: 0.25}
grades: {fit: {A: 40, B: 30, C: 20, D: 0}}
stages:
  - name: new
  - {name: aware, enter: {engagement: {ge: 8}}, exit: {engagement: {lt: 4}}}
  - {name: customer, enter: {orders: {ge: 1}}}
segments:
  recent: {enter: {did: cta, within: 1d}}
  left_us: {enter: {mailable: false}}
  local: {enter: {trait: {country: UA}}}
"""
SHOP = reader(RULES)
T0 = "2026-01-01T00:00:00.000Z"


def told(*events: Event) -> Story:
    return Story(SHOP).tell_each(events)


def cta(at: int, id: str = "", **rest: Any) -> Event:
    return event(at, "cta_clicked", id, **rest)


# --- segment_change --------------------------------------------------------------------------------------------------


def test_a_first_event_tells_everything_there_is() -> None:
    (record,) = told(cta(START, "e1")).segments
    assert record.pop("id")
    assert record == {
        "schema": 1,
        "type": "segment_change",
        "lead_id": "user:ada",
        "brand": "default",
        "seq": 1,
        "at": T0,
        "entered": ["recent"],
        "left": [],
        "segments": ["recent"],
        "stage": "aware",
        "previous_stage": None,
        "score": 4.0,
        "engagement": 8.0,
        "fit": 0.0,
        "grade": "D4",
        "contact": {"user_id": "ada", "email": None, "phone": None, "name": None, "locale": None},
        "mailable": True,
        "known": True,
        "top_interests": [],
        "last_product": None,
        "cart": {"items": 0, "currency": "EUR", "minor": 0},
        "cause": {"kind": "event", "event_id": "e1", "signal": "cta"},
        "rules_version": "7 of May",
    }


def test_a_first_event_that_changes_nothing_is_told_all_the_same() -> None:
    (record,) = told(event(START, "email_delivered", "e1", properties={"email_id": "m"})).segments
    assert (record["stage"], record["previous_stage"], record["segments"]) == ("new", None, [])
    assert record["cause"] == {"kind": "event", "event_id": "e1"}


def test_a_record_is_enough_to_act_on() -> None:
    goods = [("p1", "Boot", "shoes", 15.5, 2), ("p2", "Bag", "bags", "9.99", 1), ("p3", "Hat", "hats", 1, 1)]
    tie = ("p4", "Tie", "ties", 0, 0)
    views = [
        event(START + n, "product_viewed", properties={"product_id": p, "name": name, "category": category})
        for n, (p, name, category, _, _) in enumerate([tie, *goods, goods[0], *goods, goods[2]])
    ]
    cart = [
        event(
            START + 10 + n, "cart_added", properties={"product_id": p, "name": name, "price": price, "quantity": count}
        )
        for n, (p, name, _, price, count) in enumerate(goods)
    ]
    traits = {"email": "ada@x.example", "firstName": "Ada", "lastName": "Byron", "country": "UA"}
    ids = ("user:ada", "email:ada@x.example", "phone:+380441234567", "anon:a1")
    last = event(START + 20, "traits_changed", "t", traits=traits, ids=ids, locale="uk-UA")
    record = told(*views, *cart, last).segments[-1]
    assert record["entered"] == ["local"]
    assert record["contact"] == {
        "user_id": "ada",
        "email": "ada@x.example",
        "phone": "+380441234567",
        "name": "Ada Byron",
        "locale": "uk-UA",
    }
    assert record["top_interests"] == [
        "hats",
        "shoes",
        "bags",
    ]  # three views each, shoes a little earlier; two; ties only one
    assert record["last_product"] == {"product_id": "p3", "name": "Hat", "category": None}
    assert record["cart"] == {"items": 4, "currency": "EUR", "minor": 4_199}
    assert (record["fit"], record["grade"]) == (40.0, "A4")
    assert record["score"] == 19.0  # 0.5 · 18 (nine views of 2, some ms old) + 0.25 · 40
    assert record["cause"] == {"kind": "event", "event_id": "t"}


def test_entered_and_left_are_what_differs_from_the_record_before() -> None:
    story = told(cta(START), event(START + HOUR, "email_unsubscribed", "u"), page(START + 2 * DAY))
    assert [(r["at"], r["entered"], r["left"], r["segments"]) for r in story.segments] == [
        (T0, ["recent"], [], ["recent"]),
        ("2026-01-01T01:00:00.000Z", ["left_us"], [], ["left_us", "recent"]),
        ("2026-01-02T00:00:00.000Z", [], ["recent"], ["left_us"]),
    ]
    assert [r["mailable"] for r in story.segments] == [True, False, False]


def test_previous_stage_is_the_stage_where_only_segments_change() -> None:
    story = told(cta(START))
    story.until(START + 20 * DAY)
    assert [(r["previous_stage"], r["stage"]) for r in story.segments] == [
        (None, "aware"),
        ("aware", "aware"),
        ("aware", "new"),
    ]
    assert story.segments[2]["at"] == iso(START + 10 * DAY + 1)
    assert [r["cause"] for r in story.segments[1:]] == [{"kind": "timer"}] * 2
    assert story.segments[2]["engagement"] == 4.0
    assert story.segments[2]["score"] == 2.0


def test_one_counter_numbers_both_kinds_of_record_and_time_never_goes_back() -> None:
    story = told(cta(START), page(START + HOUR), order(START + 3 * DAY, "o", "5"), cta(START + 2 * DAY))
    story.until(START + 30 * DAY)
    numbers = sorted(record["seq"] for record in [*story.segments, *story.profiles])
    assert numbers == list(range(1, len(numbers) + 1))
    for records in (story.segments, story.profiles):
        assert [r["seq"] for r in records] == sorted(r["seq"] for r in records)
        assert [r["at"] for r in records] == sorted(r["at"] for r in records)


def test_a_late_event_is_told_at_the_leads_clock() -> None:
    story = told(page(START + DAY), event(START, "traits_changed", "late", traits={"country": "UA"}))
    assert story.segments[-1]["entered"] == ["local"]
    assert story.segments[-1]["at"] == iso(START + DAY)
    assert story.segments[-1]["cause"] == {"kind": "event", "event_id": "late"}


def test_a_change_has_an_id_of_its_own_and_always_the_same() -> None:
    events = [cta(START), page(START + 5 * DAY), cta(START + 6 * DAY)]
    ids = [record["id"] for record in told(*events).segments]
    assert len(set(ids)) == len(ids) == 3
    assert [record["id"] for record in told(*events).segments] == ids


@pytest.mark.parametrize(
    ("first", "signal"),
    [
        (page(START, "/blog"), "view"),
        (page(START, "/pricing"), "abc"),  # 6, as `pricing`: then by name
        (event(START, "email_unsubscribed"), "gone"),  # −4 is more than −9
        (event(START, "form_submitted"), None),
        (page(START, "/pricing", bot=True), None),
        (event(START, "page_engaged", properties={"duration": 149}), "reading"),  # 4 against 3
        (event(START, "page_engaged", properties={"duration": 60}), "stayed"),  # 2 against 3
        (event(START, "page_engaged", properties={"duration": 20}), "stayed"),  # 0 against 3
    ],
)
def test_the_causes_signal_is_the_one_of_most_points(first: Event, signal: str | None) -> None:
    assert told(first).segments[0]["cause"].get("signal") == signal


# --- profile ---------------------------------------------------------------------------------------------------------


def test_a_profile_tells_everything_there_is() -> None:
    ad = Arrival(
        source="google", medium="cpc", campaign="spring", click_type="gclid", click_id="g1", source_category="search"
    )
    story = told(
        page(START, "/pricing", id="p1", arrival=ad, ids=("anon:a2",)),
        cta(START + MINUTE, "c1", path="/pricing", ids=("user:ada", "anon:a1")),
        event(
            START + HOUR,
            "traits_changed",
            traits={"name": " Ada ", "country": "UA"},
            ids=("user:ada", "email:a@x.example"),
        ),
        order(START + 2 * HOUR, "o1", "20.00", id="o1"),
        order(START + 2 * HOUR + MINUTE, "o2", "5", "USD", id="o2"),
        event(START + 3 * HOUR, "order_refunded", properties={"order_id": "o1"}, amount="4.50"),
        event(START + 4 * HOUR, "conversation", "talk", properties={"medium": "call"}),
    )
    profile = story.until(START + DAY)
    touch = {"content": None, "term": None}
    assert profile == {
        "schema": 1,
        "lead_id": "user:ada",
        "brand": "default",
        "seq": profile["seq"],
        "at": iso(START + DAY),
        "identifiers": {"user_id": "ada", "emails": ["a@x.example"], "phones": [], "anonymous_ids": ["a1", "a2"]},
        "contact": {"user_id": "ada", "email": "a@x.example", "phone": None, "name": "Ada", "locale": None},
        "mailable": True,
        "known": True,
        "stage": "customer",
        "segments": ["local", "recent"],
        "score": 19.8,  # 0.5 · 19.59 + 0.25 · 40
        "engagement": 19.59,
        "fit": 40.0,
        "grade": "A4",
        "scores": {"clicks": 7.46, "engagement": 19.59},
        "interests": [],
        "sessions": 2,
        "visit_seconds": 120.0,
        "first_seen": T0,
        "last_seen": "2026-01-01T04:00:00.000Z",
        "first_touch": {
            "at": T0,
            "channel": "Paid Search",
            "source": "google",
            "medium": "cpc",
            "campaign": "spring",
            "click_id": "g1",
            "landing_page": "/pricing",
            "event_id": "p1",
            **touch,
        },
        "last_touch": {
            "at": "2026-01-01T04:00:00.000Z",
            "channel": "Conversation",
            "source": "call",
            "medium": None,
            "campaign": None,
            "click_id": None,
            "landing_page": None,
            "event_id": "talk",
            **touch,
        },
        "last_page": "/pricing",
        "orders": 2,
        "revenue": [{"currency": "EUR", "minor": 1_550}, {"currency": "USD", "minor": 500}],
        "last_order_at": "2026-01-01T02:01:00.000Z",
        "cools_at": None,
        "next_change_at": iso(START + MINUTE + DAY),
        "consent": {"marketing": None},
        "bot": False,
        "conflicts": 0,
        "rules_version": "7 of May",
    }


def test_interests_are_listed_highest_first_with_two_decimals() -> None:
    def view(at: int, category: str) -> Event:
        return event(at, "product_viewed", properties={"category": category})

    profile = told(view(START, "bags"), view(START + 1, "shoes"), view(START + 2, "shoes")).until(START + 5 * DAY)
    assert profile["interests"] == [{"category": "shoes", "score": 2.83}, {"category": "bags", "score": 1.41}]


def test_a_bot_event_marks_the_lead_and_nothing_else() -> None:
    profile = told(page(START, "/pricing", bot=True)).until(START)
    assert profile["bot"] is True
    assert (profile["engagement"], profile["sessions"], profile["first_touch"]) == (0.0, 0, None)
