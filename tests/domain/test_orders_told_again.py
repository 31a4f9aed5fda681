"""An order told again, earlier and too late to be folded in its place: it counts as if nothing else had come."""

from itertools import permutations

import pytest

from tests.domain.stories import DAY, HOUR, START, Story, event, page, reader

RULES = reader(
    """
version: "1"
timezone: UTC
signals:
  first: {event: order_completed, points: 7, half_life: 10d, once: true}
  daily: {event: order_completed, points: 5, half_life: 10d, max_per_day: 1}
  plain: {event: order_completed, points: 3, half_life: 10d}
  pieces: {event: order_completed, points_per: {property: n, each: 1, points: 2, max: 6}, half_life: 10d}
scores:
  first: {signals: [first]}
  daily: {signals: [daily]}
  plain: {signals: [plain]}
  pieces: {signals: [pieces]}
  interests: {signals: [plain, pieces], by: category}
stages: [{name: new}]
"""
)
BOOTS = {"category": "boots", "n": 4}
ORDERS = [
    event(START + 10 * DAY, "order_completed", "a", properties={"order_id": "A", **BOOTS}, amount="10"),
    event(START + 10 * DAY + HOUR, "order_completed", "b", properties={"order_id": "B", **BOOTS}, amount="10"),
    event(START + DAY, "order_completed", "a0", properties={"order_id": "A", **BOOTS}, amount="10"),
]
SEEN_LAST = page(START + 20 * DAY)


@pytest.mark.parametrize("arrival", list(permutations(range(3))))
def test_the_order_of_arrival_does_not_matter(arrival: tuple[int, ...]) -> None:
    told = Story(RULES).tell_each([SEEN_LAST, *(ORDERS[index] for index in arrival)])
    sorted_ = Story(RULES).tell(*ORDERS, SEEN_LAST)
    now = START + 21 * DAY
    wanted, found = sorted_.until(now), told.until(now)
    assert found["scores"] == pytest.approx(wanted["scores"], abs=1e-9)
    assert found["interests"] == wanted["interests"]
    assert (
        (found["orders"], found["revenue"])
        == (wanted["orders"], wanted["revenue"])
        == (
            2,
            [{"currency": "EUR", "minor": 2000}],
        )
    )
