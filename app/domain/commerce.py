"""Orders, refunds and the cart of a lead."""

from typing import Final

from app.domain.attribution.money import to_minor
from app.domain.facts import Fact
from app.domain.state import CartLine, Core, Occurrence, OrderState, WaitingRefund

WAIT_MS: Final = 30 * 86_400_000
"""How long a refund waits for its order."""
_WAITING: Final = 1_000
"""Refunds that wait for one order."""
_CART_LINES: Final = 1_000
CANCELLED: Final = "order_cancelled"


def first_of_order(core: Core, fact: Fact) -> bool:
    """Return whether this event is the one that its order counts by: the earliest so far with its order id."""
    order = fact.order
    assert order is not None
    known = core.orders.get(order.order_id)
    return known is None or fact.key < (known.at, known.event_id)


def place_order(core: Core, fact: Fact) -> list[WaitingRefund]:
    """Keep the order, with the refunds that waited for it. Returns the refunds that are in another currency."""
    order = fact.order
    assert order is not None
    known = core.orders.get(order.order_id)
    state = OrderState(fact.at, fact.id, order.minor or 0, order.currency)
    if not fact.tagged:
        state.signals, state.trackers, state.interests = fact.signals, fact.trackers, fact.interests
    if known is not None:
        state.refunds, state.cancelled, state.refunded_by = known.refunds, known.cancelled, known.refunded_by
    core.orders[order.order_id] = state
    waited = core.waiting.pop(order.order_id, [])
    # Those that came too long before it wait on: for an event that tells the order earlier.
    early = [told for told in waited if fact.at - told.at >= WAIT_MS]
    if early:
        core.waiting[order.order_id] = early
    return [told for told in waited if fact.at - told.at < WAIT_MS and not _refund(state, told)]


def refund(core: Core, fact: Fact) -> WaitingRefund | None:
    """Apply a refund or cancellation, or let it wait for its order; returned if its currency is not the order's."""
    order = fact.order
    assert order is not None
    told = WaitingRefund(
        fact.at,
        order.refund_id,
        order.minor,
        order.currency,
        fact.kind == CANCELLED,
        fact.id,
        fact.origin,
        order.amount,
    )
    state = core.orders.get(order.order_id)
    if state is not None and state.at - told.at < WAIT_MS:
        return None if _refund(state, told) else told
    # Repeats wait, too: the earliest that is not too old for its order counts.
    core.waiting[order.order_id] = [*core.waiting.get(order.order_id, []), told][-_WAITING:]
    return None


def count_refund(core: Core, fact: Fact) -> tuple[bool, Occurrence | None]:
    """Have a refund count by its earliest event.

    Returns whether that is this one, and what another one counted for until now.
    """
    order = fact.order
    assert order is not None
    counted = core.refunded.setdefault(order.order_id, {})
    known = counted.get(order.refund_id)
    if known is not None and fact.key > (known.at, known.event_id):
        return False, None
    worth = () if fact.tagged else (fact.signals, fact.trackers, fact.interests)
    counted[order.refund_id] = Occurrence(fact.at, fact.id, *worth)
    return True, known


def uncount_refund(core: Core, order_id: str, refused: WaitingRefund) -> Occurrence | None:
    """Have a refund count no more that waited and is refused; return what its event counted for."""
    counted = core.refunded.get(order_id, {})
    known = counted.get(refused.refund_id)
    if known is None or known.event_id != refused.fact_id:
        return None
    return counted.pop(refused.refund_id)


def _refund(state: OrderState, told: WaitingRefund) -> bool:
    """Lessen an order by a refund; False when that is in another currency."""
    minor = told.minor
    if told.amount:
        minor = to_minor(told.amount, state.currency)
    elif minor is not None and told.currency != state.currency:
        return False
    known = state.refunded_by.get(told.refund_id)
    if known is None or (told.at, told.fact_id) < known:
        state.refunds[told.refund_id] = minor
        state.refunded_by[told.refund_id] = (told.at, told.fact_id)
    state.cancelled = state.cancelled or told.cancels
    return True


def change_cart(core: Core, fact: Fact) -> None:
    """Apply an event with products: some put into the cart or taken out by quantity, or all that is in it shown."""
    if fact.kind == "cart_viewed":
        core.cart = {}
        for product in fact.products:
            _put(core, product.product_id, product.quantity, product.price, fact)
        return
    for product in fact.products:
        if fact.kind == "cart_added":
            _put(core, product.product_id, product.quantity, product.price, fact)
        elif fact.kind == "cart_removed" and product.product_id in core.cart:
            line = core.cart[product.product_id]
            line.quantity -= product.quantity
            if line.quantity <= 0:
                del core.cart[product.product_id]


def _put(core: Core, product_id: str, quantity: float, price: int, fact: Fact) -> None:
    line = core.cart.get(product_id)
    if line is None:
        if len(core.cart) < _CART_LINES:
            core.cart[product_id] = CartLine(quantity, price, fact.currency, fact.at)
    else:
        line.quantity += quantity
        line.price, line.currency, line.at = price or line.price, fact.currency, fact.at
