"""The law of what only adds up: the same for any order of arrival, however late."""

from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.event import Event
from tests.domain.histories import histories
from tests.domain.stories import Story, shop_reader

SHOP = shop_reader()
EXACT = (
    *("fit", "orders", "revenue", "last_order_at", "identifiers", "contact"),
    *("first_seen", "last_seen", "known", "mailable", "bot"),
)


def adds_up(events: list[Event]) -> list[Event]:
    """Leave out what rests on tags or page views, and refunds that say two things under one id."""
    refunds: dict[tuple[Any, Any], str | None] = {}
    kept = []
    for event in events:
        told = event.properties
        if event.kind == "order_refunded":
            name = (told["order_id"], told["refund_id"])
            if refunds.setdefault(name, event.amount) != event.amount:
                continue
        if event.kind not in ("email_clicked", "email_delivered", "page_engaged"):
            kept.append(event)
    return kept


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories(days=60, most=16).map(adds_up).filter(bool), st.integers(0, 2**32))
def test_scores_orders_and_traits_are_the_same_however_late(events: list[Event], seed: int) -> None:
    arrived = list(events)
    Random(seed).shuffle(arrived)
    ideal, late = Story(SHOP).tell_each(events), Story(SHOP).tell_each(arrived)
    now = events[-1].at
    expected, found = ideal.until(now), late.until(now)
    for name in EXACT:
        assert found[name] == expected[name], name
    board, other = (story.lead().core.traits for story in (ideal, late))
    assert {name: latest.value for name, latest in board.items()} == {n: latest.value for n, latest in other.items()}
    for name in ("score", *expected["scores"]):
        values = [profile[name] if name == "score" else profile["scores"][name] for profile in (expected, found)]
        assert abs(values[0] - values[1]) <= 0.011, name  # shown with two decimals
    interests = [{entry["category"]: entry["score"] for entry in profile["interests"]} for profile in (expected, found)]
    for category in interests[0].keys() | interests[1].keys():
        assert abs(interests[0].get(category, 0) - interests[1].get(category, 0)) <= 0.011, category
