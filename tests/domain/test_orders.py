"""Orders, refunds, cancellations, revenue and the cart."""

from itertools import permutations
from typing import Any

import pytest

from app.domain.event import Event
from tests.domain.stories import DAY, START, Story, event, order, page, reader
from tests.domain.ways import plain

RULES = reader(plain())
BUYERS = reader(plain("segments: {paid: {enter: {revenue: {ge: 30}}}, again: {enter: {orders: {ge: 2}}}}\n"))


def refund(at: int, order_id: str, amount: str | None = None, id: str = "", **rest: Any) -> Event:
    properties = {"order_id": order_id} | rest.pop("properties", {})
    return event(at, "order_refunded", id, properties=properties, amount=amount, **rest)


def cancel(at: int, order_id: str, id: str = "") -> Event:
    return event(at, "order_cancelled", id, properties={"order_id": order_id})


def bought(*events: Event) -> tuple[int, dict[str, int]]:
    """Return the number of orders and the revenue by currency."""
    profile = Story(RULES).tell_each(events).until(START + 90 * DAY)
    return profile["orders"], {entry["currency"]: entry["minor"] for entry in profile["revenue"]}


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("19.99", None, {"EUR": 1999}),
        ("19.99", "USD", {"USD": 1999}),
        ("1500", "JPY", {"JPY": 1500}),
        ("1500.5", "JPY", {"JPY": 1500}),
        ("1501.5", "JPY", {"JPY": 1502}),
        ("1.2345", "KWD", {"KWD": 1234}),
        ("1.2355", "KWD", {"KWD": 1236}),
        ("0.005", "EUR", {"EUR": 0}),
        ("0.015", "EUR", {"EUR": 2}),
        ("999999999999.99", "EUR", {"EUR": 99_999_999_999_999}),
        ("1e3", "EUR", {"EUR": 100_000}),
        ("0.005" + "0" * 60 + "1", "EUR", {"EUR": 1}),
    ],
)
def test_amounts_become_minor_units_of_their_currency_half_to_even(
    amount: str, currency: str | None, minor: dict[str, int]
) -> None:
    assert bought(order(START, "o1", amount, currency)) == (1, minor)


def test_revenue_adds_up_by_currency() -> None:
    events = [order(START, "o1", "10"), order(START + 1, "o2", "0.01"), order(START + 2, "o3", "5", "USD")]
    assert bought(*events) == (3, {"EUR": 1001, "USD": 500})


def test_an_order_without_an_amount_is_an_order_of_no_value() -> None:
    assert bought(event(START, "order_completed", properties={"order_id": "o1"})) == (1, {"EUR": 0})


def test_orders_without_ids_are_each_their_own() -> None:
    assert bought(*(event(START + i, "order_completed", amount="2") for i in range(2))) == (2, {"EUR": 400})


def test_a_partial_refund_undoes_revenue_and_keeps_the_order() -> None:
    assert bought(order(START, "o1", "10"), refund(START + 1, "o1", "4")) == (1, {"EUR": 600})


def test_partial_refunds_add_up_and_never_go_below_zero() -> None:
    events = [order(START, "o1", "10"), refund(START + 1, "o1", "4", "a"), refund(START + 2, "o1", "7", "b")]
    assert bought(*events) == (0, {"EUR": 0})


@pytest.mark.parametrize("undone", [refund(START + 1, "o1"), cancel(START + 1, "o1")], ids=["refund", "cancel"])
def test_a_refund_without_an_amount_and_a_cancellation_undo_the_order(undone: Event) -> None:
    assert bought(order(START, "o1", "10"), order(START, "o2", "3", id="other"), undone) == (1, {"EUR": 300})


def test_a_refund_repeated_with_its_refund_id_counts_once() -> None:
    told = {"properties": {"refund_id": "r1"}}
    events = [refund(START + 1, "o1", "4", "a", **told), refund(START + 2, "o1", "4", "b", **told)]
    assert bought(order(START, "o1", "10"), *events) == (1, {"EUR": 600})


def test_the_same_refund_id_of_two_orders_is_two_refunds() -> None:
    told = {"properties": {"refund_id": "r1"}}
    events = [refund(START + 1, "o1", "4", "a", **told), refund(START + 2, "o2", "4", "b", **told)]
    assert bought(order(START, "o1", "10"), order(START, "o2", "10", id="other"), *events) == (2, {"EUR": 1200})


def test_a_refund_of_another_lead_order_waits_and_changes_nothing() -> None:
    assert bought(order(START, "o1", "10"), refund(START + 1, "o9", "4")) == (1, {"EUR": 1000})


@pytest.mark.parametrize(("days", "minor"), [(0, 600), (29, 600), (30, 1000)])
def test_a_refund_waits_thirty_days_for_its_order(days: int, minor: int) -> None:
    events = [refund(START, "o1", "4"), order(START + days * DAY, "o1", "10")]
    assert bought(*events) == (1, {"EUR": minor})
    assert bought(*reversed(events)) == (1, {"EUR": minor})


def test_of_a_repeated_refund_the_newest_waits() -> None:
    told = {"properties": {"refund_id": "r1"}}
    first, again = refund(START, "o1", "4", "a", **told), refund(START + 2 * DAY, "o1", "4", "b", **told)
    bill = order(START + 31 * DAY, "o1", "10")
    for events in ([first, again, bill], [again, first, bill], [bill, first, again], [again, bill, first]):
        assert bought(*events) == (1, {"EUR": 600})


def test_a_cancellation_waits_for_its_order() -> None:
    assert bought(cancel(START, "o1"), order(START + DAY, "o1", "10")) == (0, {"EUR": 0})


def test_a_refund_in_another_currency_than_its_orders_is_refused() -> None:
    story = Story(RULES).tell_each([order(START, "o1", "10", "USD"), refund(START + 1, "o1", "4", "r", currency="EUR")])
    assert story.refused == ["r"]
    assert story.until(START + 1)["revenue"] == [{"currency": "USD", "minor": 1000}]


def test_a_refund_that_waited_is_refused_when_its_order_has_another_currency() -> None:
    story = Story(RULES).tell_each([refund(START, "o1", "4", "r", currency="USD"), order(START + 1, "o1", "10")])
    assert story.refused == ["r"]
    assert story.until(START + 1)["revenue"] == [{"currency": "EUR", "minor": 1000}]


def test_a_refund_in_full_needs_no_currency() -> None:
    assert bought(order(START, "o1", "10", "USD"), refund(START + 1, "o1")) == (0, {"USD": 0})


def test_a_refund_takes_groups_back() -> None:
    story = Story(BUYERS).tell_each([order(START, "o1", "20"), order(START + 1, "o2", "10")])
    assert story.segments[-1]["segments"] == ["again", "paid"]
    assert story.segments[-1]["stage"] == "customer"
    story.tell(refund(START + 2, "o2"))
    assert (story.segments[-1]["left"], story.segments[-1]["stage"]) == (["again", "paid"], "customer")
    story.tell(cancel(START + 3, "o1"))
    assert (story.segments[-1]["stage"], story.segments[-1]["previous_stage"]) == ("new", "customer")


def test_the_last_order_is_the_newest_that_counts() -> None:
    story = Story(RULES).tell_each(
        [order(START, "o1", "20"), order(START + DAY, "o2", "10"), cancel(START + DAY, "o2")]
    )
    assert story.until(START + DAY)["last_order_at"] == "2026-01-01T00:00:00.000Z"


def test_a_bad_amount_is_refused_by_the_goal_that_needs_it() -> None:
    rules = reader(plain('goals: {won: {event: "Deal Won", value: amount}}\n'))
    story = Story(rules).tell(event(START, "custom", name="dealwon", amount="a lot"))
    assert [one.reason for one in story.rejected] == ["bad_amount"]
    assert story.conversions == []


@pytest.mark.parametrize("amount", ["1_000", "١٢", "", "nan", "1,50", "-1", "1e12"])
def test_a_goals_amount_is_read_as_an_orders(amount: str) -> None:
    rules = reader(plain('goals: {won: {event: "Deal Won", value: amount}}\n'))
    story = Story(rules).tell(event(START, "custom", name="dealwon", amount=amount))
    assert [one.reason for one in story.rejected] == ["bad_amount"]


@pytest.mark.parametrize(
    ("amount", "currency", "back", "left"),
    [
        ("1.234", "KWD", "1.234", 0),
        ("1.234", "KWD", "1.2", 34),
        ("12.50", "EUR", "1.25e1", 0),
        ("13", "JPY", "12.5", 1),
    ],
)
def test_a_refund_without_a_currency_is_read_in_its_orders(amount: str, currency: str, back: str, left: int) -> None:
    events = [order(START, "o1", amount, currency), refund(START + 1, "o1", back)]
    for told in (events, events[::-1]):
        assert bought(*told) == (1 if left else 0, {currency: left})


@pytest.mark.parametrize("arrival", list(permutations(range(3))))
def test_a_cancellation_is_of_the_order_as_it_was_first_told(arrival: tuple[int, ...]) -> None:
    events = [
        order(START, "o1", "500"),
        cancel(START + 4 * DAY, "o1"),
        order(START + 50 * DAY, "o1", "500", id="again"),
    ]
    assert bought(*(events[index] for index in arrival)) == (0, {"EUR": 0})


# --- the cart ---------------------------------------------------------------------------------------------------------

CARTS = reader(plain("segments: {full: {enter: {cart_value: {ge: 50}}}}\n"))


def boot(kind: str, at: int, quantity: float | None = 1, price: float = 20, product: str = "boot") -> Event:
    told: dict[str, Any] = {"product_id": product, "price": price}
    return event(at, kind, properties=told if quantity is None else told | {"quantity": quantity})


def cart(*events: Event) -> dict[str, Any]:
    """Return the cart as a segment change tells it."""
    rules = reader(plain("segments: {asked: {enter: {did: conversation}}}\n"))
    story = Story(rules).tell_each([*events, event(events[-1].at + 1, "conversation")])
    told: dict[str, Any] = story.segments[-1]["cart"]
    return told


def test_the_cart_holds_price_times_quantity() -> None:
    events = [boot("cart_added", START, 2, 19.99), boot("cart_added", START + 1, 1, 5, "sock")]
    assert cart(*events) == {"items": 3, "currency": "EUR", "minor": 4498}


def test_one_product_added_twice_adds_up() -> None:
    assert cart(boot("cart_added", START), boot("cart_added", START + 1, None))["items"] == 2


def test_removing_takes_pieces_out_and_never_more_than_there_are() -> None:
    added = boot("cart_added", START, 3)
    assert cart(added, boot("cart_removed", START + 1, 2)) == {"items": 1, "currency": "EUR", "minor": 2000}
    assert cart(added, boot("cart_removed", START + 1, 5)) == {"items": 0, "currency": "EUR", "minor": 0}
    assert cart(added, boot("cart_removed", START + 1, 1, 20, "hat"))["items"] == 3


def test_a_cart_that_is_shown_with_products_is_the_cart() -> None:
    shown = event(START + 1, "cart_viewed", properties={"products": [{"product_id": "hat", "price": 7, "quantity": 2}]})
    assert cart(boot("cart_added", START), shown) == {"items": 2, "currency": "EUR", "minor": 1400}


def test_a_cart_shown_without_products_says_nothing() -> None:
    assert cart(boot("cart_added", START, 2), event(START + 1, "cart_viewed"))["items"] == 2


def test_an_order_empties_the_cart() -> None:
    assert cart(boot("cart_added", START), order(START + 1, "o1", "20"))["items"] == 0


def test_what_is_put_in_the_cart_after_an_order_is_in_it() -> None:
    assert cart(order(START, "o1", "20"), boot("cart_added", START + 1), page(START + 2))["items"] == 1


def test_the_carts_value_makes_a_segment() -> None:
    story = Story(CARTS).tell_each([boot("cart_added", START, 2), boot("cart_added", START + 1, 1, 10, "sock")])
    assert story.segments[-1]["entered"] == ["full"]
    story.tell(boot("cart_removed", START + 2, 1, 10, "sock"))
    assert story.segments[-1]["left"] == ["full"]


def test_the_last_product_is_the_newest_looked_at_or_put_in_the_cart() -> None:
    rules = reader(plain("segments: {asked: {enter: {did: conversation}}}\n"))
    seen = event(START, "product_viewed", properties={"product_id": "p1", "name": "Boot", "category": "shoes"})
    story = Story(rules).tell_each([seen, event(START + 1, "product_viewed"), event(START + 2, "conversation")])
    assert story.segments[-1]["last_product"] == {"product_id": "p1", "name": "Boot", "category": "shoes"}


def test_looking_at_a_product_leaves_it_in_the_cart() -> None:
    boot = {"product_id": "b1", "name": "Boot", "price": 40, "quantity": 3}
    story = Story(BUYERS).tell_each(
        [event(START, "cart_added", properties=boot), event(START + 1_000, "product_viewed", properties=boot)]
    )
    assert {name: line.quantity for name, line in story.lead().hot.core.cart.items()} == {"b1": 3.0}


def test_a_cancellation_that_names_an_amount_takes_only_that() -> None:
    part = event(START + DAY, "order_cancelled", properties={"order_id": "o1"}, amount="30")
    assert bought(order(START, "o1", "100"), part) == (1, {"EUR": 7000})
