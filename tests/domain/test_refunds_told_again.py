"""Refunds told again, in any order of arrival, or refused: they are worth what one event told in time is."""

from itertools import permutations

import pytest

from app.domain.event import Event
from tests.domain.stories import DAY, HOUR, MINUTE, START, Story, event, order, page, reader

RULES = reader(
    """
version: "1"
signals:
  sent_back: {event: order_refunded, points: -30, half_life: 10d}
  ever: {event: order_refunded, points: -8, half_life: 10d, once: true}
  big: {event: order_completed, where: {amount: {ge: 50}}, points: 100, half_life: 5d, once: true}
scores:
  sum: {signals: all}
  ever: {signals: [ever]}
  big: {signals: [big]}
stages: [{name: new}]
segments:
  sent_back: {enter: {did: order_refunded}}
  often: {enter: {did: order_refunded, at_least: 2}}
goals:
  undone: {event: order_refunded, value: 1}
"""
)
SEEN_LAST = page(START + 20 * DAY)
NOW = START + 21 * DAY


def refund(at: int, amount: str | None, id: str, refund_id: str = "r", currency: str | None = None) -> Event:
    properties = {"order_id": "o1", "refund_id": refund_id}
    return event(at, "order_refunded", id, properties=properties, amount=amount, currency=currency)


def test_a_refund_told_again_is_no_second_one() -> None:
    told = [order(START, "o1", "10"), refund(START + HOUR, "4", "a"), refund(START + 2 * HOUR, "4", "b")]
    story = Story(RULES).tell_each(told)
    assert story.segments[-1]["segments"] == ["sent_back"]
    assert len(story.conversions) == 1
    once = Story(RULES).tell_each(told[:2])
    assert story.until(NOW)["scores"] == once.until(NOW)["scores"]


def test_a_refund_that_is_refused_does_nothing() -> None:
    story = Story(RULES).tell_each([order(START, "o1", "10"), refund(START + HOUR, "4", "a", currency="USD")])
    assert story.refused == ["r"]
    assert (story.segments[-1]["segments"], story.conversions) == ([], [])
    profile = story.until(START + HOUR)
    assert (profile["scores"]["sum"], profile["revenue"]) == (0, [{"currency": "EUR", "minor": 1000}])


def test_a_refund_that_waited_and_is_refused_is_taken_back() -> None:
    story = Story(RULES).tell_each([refund(START, "4", "a", currency="USD"), page(START + 1)])
    assert story.segments[-1]["segments"] == ["sent_back"]
    story.tell(order(START + HOUR, "o1", "10"))
    assert story.refused == ["r"]
    assert story.segments[-1]["segments"] == []
    assert story.until(NOW)["scores"]["sum"] == 0


@pytest.mark.parametrize("second", ["6", None])
@pytest.mark.parametrize("arrival", list(permutations(range(3))))
def test_of_a_refund_told_twice_the_earlier_counts_however_late(arrival: tuple[int, ...], second: str | None) -> None:
    told = [order(START, "o1", "10"), refund(START + DAY, "4", "a"), refund(START + 8 * DAY, second, "b")]
    profile = Story(RULES).tell_each([SEEN_LAST, *(told[index] for index in arrival)]).until(NOW)
    assert (profile["orders"], profile["revenue"]) == (1, [{"currency": "EUR", "minor": 600}])
    in_order = Story(RULES).tell(*told, SEEN_LAST).until(NOW)
    assert profile["scores"] == pytest.approx(in_order["scores"], abs=1e-9)
    assert profile["scores"]["ever"] == pytest.approx(-8 * 2 ** (-20 / 10), abs=0.005)


@pytest.mark.parametrize("arrival", list(permutations(range(2))))
def test_a_refused_refund_is_worth_nothing_however_late_its_order_comes(arrival: tuple[int, ...]) -> None:
    told = [order(START, "o1", "10"), refund(START + DAY, "4", "a", currency="USD")]
    profile = Story(RULES).tell_each([SEEN_LAST, *(told[index] for index in arrival)]).until(NOW)
    assert profile["scores"]["sum"] == 0


ORDERS = [("o1", "10"), ("o1", "60"), ("o2", "70")]


@pytest.mark.parametrize("arrival", list(permutations(range(3))))
def test_what_counts_once_fades_from_the_earliest_order_that_is_left(arrival: tuple[int, ...]) -> None:
    """Order o1 was of 60 on day 1, says one event; an earlier one says of 10, and that counts."""
    told = [
        order(START, "o1", "10", id="a"),
        order(START + DAY, "o1", "60", id="b"),
        order(START + 2 * DAY, "o2", "70"),
    ]
    profile = Story(RULES).tell_each([SEEN_LAST, *(told[index] for index in arrival)]).until(START + 22 * DAY)
    assert profile["scores"]["big"] == pytest.approx(100 * 2 ** (-20 / 5), abs=0.005)


def boot(at: int, product: str) -> Event:
    return event(at, "cart_added", properties={"product_id": product, "price": 30})


def test_an_order_told_again_leaves_the_next_cart_alone() -> None:
    story = Story(RULES).tell_each(
        [boot(START, "a"), order(START + 1, "o1", "30", id="a"), boot(START + 2, "b"), order(START + 3, "o1", "30")]
    )
    assert list(story.lead().hot.core.cart) == ["b"]


def test_an_order_that_a_machine_told_empties_the_cart() -> None:
    story = Story(RULES).tell_each([boot(START, "a"), order(START + MINUTE, "o1", "30", bot=True)])
    assert story.lead().hot.core.cart == {}
    assert story.until(START + MINUTE)["orders"] == 1
