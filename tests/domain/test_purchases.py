"""What conditions ask of a lead's orders, against a plain look at each of them."""

from hypothesis import given
from hypothesis import strategies as st

from app.domain.purchases import Purchases
from app.domain.state import Core, OrderState
from tests.domain.stories import reader
from tests.domain.ways import plain

RULES = reader(plain())
TIMES = st.integers(0, 12)
ORDERS = st.lists(
    st.builds(
        lambda at, minor, refunds: OrderState(at, "e", minor, "EUR", {"r": refunds} if refunds != 0 else {}),
        TIMES,
        st.integers(0, 5),
        st.sampled_from([0, 0, 1, 3, None]),
    ),
    max_size=8,
)


@given(ORDERS, st.none() | st.integers(1, 12), TIMES)
def test_they_are_those_that_count_and_are_within_the_window(
    orders: list[OrderState], window: int | None, now: int
) -> None:
    core = Core(orders={str(number): order for number, order in enumerate(orders)})
    purchases = Purchases(core, RULES)
    inside = [o for o in orders if o.counts and o.at <= now and (window is None or now - o.at < window)]
    assert purchases.number(window, now) == len(inside)
    assert purchases.revenue(window, now) == sum(order.remaining for order in inside)
    if window is not None:
        assert purchases.next_gone(window, now) == min((order.at + window for order in inside), default=None)
