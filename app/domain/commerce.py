"""Orders, refunds and the cart of a lead."""

from typing import Final

from app.domain.attribution.money import to_minor
from app.domain.facts import Fact
from app.domain.state import CartLine, Core, OrderState, WaitingRefund

WAIT_MS: Final = 30 * 86_400_000
"""How long a refund waits for its order."""
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
        state.refunds, state.cancelled = known.refunds, known.cancelled
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
    # Of repeats the newest waits the longest: which of them arrived first makes no difference.
    queue = {other.refund_id: other for other in core.waiting.get(order.order_id, [])}
    queue[told.refund_id] = max(told, queue.get(told.refund_id, told), key=lambda other: (other.at, other.fact_id))
    core.waiting[order.order_id] = list(queue.values())
    return None


def _refund(state: OrderState, told: WaitingRefund) -> bool:
    """Lessen an order by a refund; False when that is in another currency."""
    minor = told.minor
    if told.amount:
        minor = to_minor(told.amount, state.currency)
    elif minor is not None and told.currency != state.currency:
        return False
    state.refunds.setdefault(told.refund_id, minor)
    state.cancelled = state.cancelled or told.cancels
    return True


def change_cart(core: Core, fact: Fact) -> None:
    """Apply a cart event: products put in or taken out by quantity, a cart that was shown, or the end of it."""
    if fact.kind == "order_completed":
        core.cart = {}
        return
    if fact.kind == "cart_viewed":
        if fact.products:
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
