"""Conditions on what a lead is and has: scores, traits, orders, cart, visits, channels, and who it is."""

from collections.abc import Sequence
from typing import Any

import pytest

from app.domain.event import Arrival, Event
from app.domain.reader import Reader
from app.rules import loads
from tests.domain.stories import DAY, HOUR, MINUTE, START, Story, event, order, page

RATES = "date,currency,rate\n2026-01-01,USD,0.92\n2026-02-01,USD,0.93\n"


def rules(condition: str) -> Reader:
    text = f"""
version: "1"
timezone: Europe/Kyiv
currency: EUR
rates: rates.csv
channels:
  - {{name: Partner, where: {{medium: partner}}}}
signals:
  cta: {{event: cta_clicked, points: 10, half_life: 10d}}
  viewed: {{event: product_viewed, points: 4, half_life: 10d}}
scores:
  engagement: {{signals: all}}
  clicks: {{signals: [cta]}}
  interests: {{signals: [viewed], by: category}}
  fit: {{traits: [{{where: {{country: UA}}, points: 40}}]}}
  total: {{engagement: 0.5, fit: 0.25}}
grades: {{fit: {{A: 40, B: 30, C: 20, D: 0}}, engagement: {{"1": 20, "2": 10, "3": 5, "4": 0}}}}
stages:
  - name: new
  - {{name: ready, enter: {{did: cta}}}}
segments:
  s: {{enter: {condition}}}
"""
    return Reader(loads(text, beside=lambda name: RATES))


def holds(condition: str, told: Sequence[Event], at: int, key: str = "user:ada") -> bool:
    """Whether a condition holds at a moment, after a history."""
    return "s" in Story(rules(condition), key).tell_each(told).until(at)["segments"]


def cta(at: int) -> Event:
    return event(at, "cta_clicked")


def refund(at: int, order_id: str, amount: str | None = None) -> Event:
    return event(at, "order_refunded", properties={"order_id": order_id}, amount=amount)


# --- scores ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("{engagement: {ge: 20}}", True),
        ("{engagement: {gt: 20}}", False),
        ("{engagement: {le: 20}}", True),
        ("{engagement: {lt: 20}}", False),
        ("{engagement: {gt: 10, lt: 30}}", True),
        ("{clicks: {ge: 20}}", True),
        ("{fit: {ge: 40}}", True),
        ("{fit: {lt: 40}}", False),
        ("{score: {ge: 20, le: 20}}", True),  # 0.5 · 20 + 0.25 · 40
        ("{grade: {in: [A1, D4]}}", True),
        ("{grade: {in: [A2, B1]}}", False),
        ("{interest: {category: shoes, ge: 1}}", False),
        ("{interest: {category: shoes, lt: 1}}", True),
    ],
)
def test_scores_and_grades_are_compared(condition: str, expected: bool) -> None:
    told = [event(START - 1, "traits_changed", traits={"country": "UA"}), cta(START), event(START, "cta_clicked", "b")]
    assert holds(condition, told, START) is expected


def test_an_interest_is_of_one_category_whatever_its_case() -> None:
    told = [
        event(START + n, "product_viewed", properties={"category": name}) for n, name in enumerate(["Shoes", "bags"])
    ]
    assert holds("{interest: {category: shoes, ge: 3.99}}", told, START + 1)
    assert not holds("{interest: {category: shoes, ge: 4.01}}", told, START + 1)
    assert not holds("{interest: {category: hats, ge: 1}}", told, START + 1)


def test_comparisons_take_the_score_unrounded() -> None:
    # 20 − 3.2e-4: shown as 20.0, yet less than 20.
    told = [cta(START), event(START, "cta_clicked", "b")]
    assert not holds("{engagement: {ge: 20}}", told, START + 20_000)
    assert Story(rules("{known: true}")).tell_each(told).until(START + 20_000)["engagement"] == 20.0


# --- traits, and who it is -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("{trait: {country: ua}}", True),
        ("{trait: {country: {in: [PL, UA]}, employees: {ge: 50}}}", True),
        ("{trait: {country: UA, employees: {ge: 51}}}", False),
        ("{trait: {status: {exists: false}}}", True),
        ("{trait: {company.plan: pro}}", True),
        ("{trait: {address.city: Lviv}}", True),
        ("{trait: {email: {glob: ['*@x.example']}}}", True),
        ("{trait: {tags: new}}", True),
        ("{trait: {tags: {not_in: [new]}}}", False),
    ],
)
def test_traits_are_compared(condition: str, expected: bool) -> None:
    traits = {
        "country": "UA",
        "employees": 50,
        "company.plan": "Pro",
        "address": {"city": "Lviv"},
        "email": "A@x.example",
        "tags": ["New", "b2b"],
    }
    assert holds(condition, [event(START, "traits_changed", traits=traits)], START) is expected


def test_known_and_mailable() -> None:
    assert holds("{known: true}", [page(START)], START)
    assert not holds("{known: false}", [page(START)], START)
    assert holds("{known: false}", [page(START, ids=("anon:a1",))], START, "anon:a1")
    assert holds("{mailable: true}", [page(START)], START)
    for kind in ("email_unsubscribed", "email_complained"):
        assert holds("{mailable: false}", [page(START), event(START + 1, kind)], START + 1)
    bounced = [event(START, "email_bounced", properties={"type": "hard"})]
    assert holds("{mailable: false}", bounced, START)


def test_the_stage_is_the_current_one() -> None:
    assert holds("{stage: ready}", [cta(START)], START)
    assert not holds("{stage: ready}", [page(START)], START)
    assert holds("{stage: {in: [new]}}", [page(START)], START)


# --- orders ----------------------------------------------------------------------------------------------------------

ORDERS = [order(START, "o1", "100"), order(START + DAY, "o2", "50.50"), order(START + 2 * DAY, "o3", "0")]


def test_orders_are_counted_once_each() -> None:
    assert holds("{orders: {ge: 3, le: 3}}", [*ORDERS, order(START + 3 * DAY, "o1", "7")], START + 3 * DAY)
    assert holds("{orders: {lt: 1}}", [page(START)], START)


def test_orders_leave_the_window_one_by_one() -> None:
    assert holds("{orders: {ge: 3, within: 10d}}", ORDERS, START + 10 * DAY - 1)
    assert not holds("{orders: {ge: 3, within: 10d}}", ORDERS, START + 10 * DAY)
    assert holds("{orders: {ge: 2, within: 10d}}", ORDERS, START + 11 * DAY - 1)
    assert not holds("{orders: {ge: 2, within: 10d}}", ORDERS, START + 11 * DAY)
    assert holds("{orders: {lt: 1, within: 10d}}", ORDERS, START + 12 * DAY)
    assert not holds("{orders: {lt: 1, within: 10d}}", ORDERS, START + 12 * DAY - 1)


def test_a_refund_in_full_and_a_cancellation_undo_an_order() -> None:
    cancelled = event(START + 3 * DAY, "order_cancelled", properties={"order_id": "o2"})
    assert holds("{orders: {ge: 2, le: 2}}", [*ORDERS, refund(START + 3 * DAY, "o1")], START + 3 * DAY)
    assert holds("{orders: {ge: 2, le: 2}}", [*ORDERS, cancelled], START + 3 * DAY)
    assert holds("{orders: {ge: 3}}", [*ORDERS, refund(START + 3 * DAY, "o1", "99.99")], START + 3 * DAY)


def test_revenue_is_what_orders_brought_less_refunds() -> None:
    assert holds("{revenue: {ge: 150.5, le: 150.5}}", ORDERS, START + 2 * DAY)
    assert holds("{revenue: {ge: 110.5, le: 110.5}}", [*ORDERS, refund(START + 3 * DAY, "o1", "40")], START + 3 * DAY)
    assert holds("{revenue: {ge: 50.5, le: 50.5}}", [*ORDERS, refund(START + 3 * DAY, "o1", "900")], START + 3 * DAY)
    assert holds("{revenue: {ge: 150, within: 10d}}", ORDERS, START + 10 * DAY - 1)
    assert holds("{revenue: {le: 50.5, ge: 50.5, within: 10d}}", ORDERS, START + 10 * DAY)
    assert holds("{revenue: {lt: 1, within: 10d}}", ORDERS, START + 11 * DAY)


def test_revenue_in_other_currencies_counts_by_the_rate_of_its_day() -> None:
    february = START + 31 * DAY - 2 * HOUR  # midnight of 1 February in Kyiv
    told = [
        order(february - 1, "o1", "100", "USD"),
        order(february, "o2", "100", "USD"),
        order(february, "o3", "1", "CHF"),
    ]
    assert holds("{revenue: {ge: 185, le: 185}}", told, february)  # 92 + 93; no rate is known for CHF


def test_the_carts_value_is_price_times_quantity() -> None:
    def cart(at: int, kind: str, product_id: str, price: Any, quantity: Any) -> Event:
        return event(at, kind, properties={"product_id": product_id, "price": price, "quantity": quantity})

    told = [cart(START, "cart_added", "p1", 15.5, 2), cart(START + 1, "cart_added", "p2", "9.99", 1)]
    assert holds("{cart_value: {ge: 40.99, le: 40.99}}", told, START + 1)
    fewer = [*told, cart(START + 2, "cart_removed", "p1", 15.5, 1)]
    assert holds("{cart_value: {ge: 25.49, le: 25.49}}", fewer, START + 2)
    assert holds("{cart_value: {lt: 0.01}}", [*fewer, order(START + 3, "o", "25.49")], START + 3)
    shown = event(START + 3, "cart_viewed", properties={"products": [{"product_id": "p9", "price": 7, "quantity": 3}]})
    assert holds("{cart_value: {ge: 21, le: 21}}", [*fewer, shown], START + 3)


# --- visits ----------------------------------------------------------------------------------------------------------


def test_sessions_are_counted() -> None:
    told = [page(START), page(START + 29 * MINUTE), page(START + 60 * MINUTE), event(START + DAY, "conversation")]
    assert holds("{sessions: {ge: 2, le: 2}}", told, START + DAY)


def test_visit_duration_is_the_longest_visits() -> None:
    four = [page(START), page(START + 4 * MINUTE), page(START + HOUR), page(START + HOUR + 3 * MINUTE)]
    assert holds("{visit_duration: {ge: 4m}}", four, START + DAY)
    assert not holds("{visit_duration: {gt: 4m}}", four, START + DAY)
    assert not holds("{visit_duration: {ge: 5m}}", four, START + DAY)
    assert not holds("{visit_duration: {ge: 4m}}", [page(START), page(START + 4 * MINUTE - 1)], START + DAY)


PRICING = "{page_duration: {path: {glob: '/pricing*'}, ge: 60s}}"


def dwell(at: int, seconds: float, path: str) -> Event:
    return event(at, "page_engaged", path=path, properties={"duration": seconds})


def test_page_duration_is_the_time_to_the_next_event_or_the_dwell_told_whichever_is_more() -> None:
    assert not holds(PRICING, [page(START, "/pricing")], START + HOUR)
    assert holds(PRICING, [page(START, "/pricing"), page(START + MINUTE, "/a")], START + MINUTE)
    assert not holds(PRICING, [page(START, "/pricing"), page(START + MINUTE - 1, "/a")], START + HOUR)
    assert holds(PRICING, [page(START, "/pricing"), dwell(START + 9_000, 60, "/pricing")], START + 9_000)
    assert not holds(PRICING, [page(START, "/pricing"), dwell(START + 59_000, 59, "/pricing")], START + HOUR)


def test_page_duration_is_the_total_over_matching_paths() -> None:
    told = [
        page(START, "/pricing"),
        page(START + 20_000, "/a"),
        page(START + 90_000, "/Pricing/teams"),
        page(START + 130_000, "/a"),
    ]
    assert holds(PRICING, told, START + 130_000)
    assert not holds(PRICING, [*told[:3], page(START + 129_999, "/a")], START + HOUR)


# --- channels --------------------------------------------------------------------------------------------------------


def test_first_and_last_channel() -> None:
    ad = Arrival(source="google", medium="cpc", click_type="gclid", click_id="g", source_category="search")
    told = [page(START, arrival=ad), page(START + DAY, arrival=Arrival(source="p1", medium="partner"))]
    assert holds("{first_channel: {in: [Paid Search, Paid Social]}}", told, START + DAY)
    assert holds("{last_channel: partner}", told, START + DAY)
    assert not holds("{first_channel: Partner}", told, START + DAY)
    assert not holds("{last_channel: Partner}", [*told, event(START + 2 * DAY, "conversation")], START + 2 * DAY)
    assert holds("{last_channel: Conversation}", [*told, event(START + 2 * DAY, "conversation")], START + 2 * DAY)
    assert not holds("{first_channel: Direct}", [event(START, "order_completed")], START)
    assert holds("{first_channel: Direct}", [page(START)], START)


# --- compositions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("{all: [{known: true}, {did: cta}]}", True),
        ("{all: [{known: true}, {did: viewed}]}", False),
        ("{any: [{known: false}, {did: cta}]}", True),
        ("{any: [{known: false}, {did: viewed}]}", False),
        ("{not: {did: cta}}", False),
        ("{not: {all: [{did: cta}, {not: {known: true}}]}}", True),
    ],
)
def test_conditions_compose(condition: str, expected: bool) -> None:
    assert holds(condition, [cta(START)], START) is expected
