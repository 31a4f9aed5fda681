"""Orders, what of them was given back, and the cart."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from app.domain.event import Event
from tests.system.oracle.matching import Reader

EXPONENTS = {"JPY": 0, "KRW": 0, "KWD": 3, "BHD": 3}
WAIT_MS = 30 * 86_400_000


def minor(amount: str | Decimal | None, currency: str) -> int:
    """Minor units of an amount, half to even."""
    if amount is None:
        return 0
    return int(Decimal(amount).scaleb(EXPONENTS.get(currency, 2)).to_integral_value(ROUND_HALF_EVEN))


@dataclass
class Order:
    """One order, with what is left of it."""

    event: Event
    order_id: str
    currency: str
    value: int
    left: int
    undone: bool = False

    @property
    def at(self) -> int:
        """When it was made, UTC ms."""
        return self.event.at


def order_id_of(event: Event) -> str:
    """An order's id as text; empty when it has none."""
    told = event.properties.get("order_id")
    return "" if told is None or isinstance(told, bool | dict | list) else str(told)


def orders_of(events: list[Event], reader: Reader) -> list[Order]:
    """A lead's orders in order of time, less refunds and cancellations; of one order id the earliest."""
    orders: dict[str, Order] = {}
    for event in events:
        if event.kind == "order_completed":
            key = order_id_of(event) or f"message {event.id}"
            currency = event.currency or reader.rules.currency
            value = minor(event.amount, currency)
            orders.setdefault(key, Order(event, order_id_of(event), currency, value, value))
    seen: set[tuple[str, str]] = set()
    for event in events:
        order = orders.get(order_id_of(event))
        if event.kind not in ("order_refunded", "order_cancelled") or order is None:
            continue
        if order.at - event.at >= WAIT_MS or (event.currency or order.currency) != order.currency:
            continue
        refund = event.properties.get("refund_id")
        if refund is not None and (order.order_id, str(refund)) in seen:
            continue
        if refund is not None:
            seen.add((order.order_id, str(refund)))
        back = order.left if event.amount is None else minor(event.amount, order.currency)
        order.left = max(0, order.left - back)
        order.undone = order.undone or order.left == 0
    return list(orders.values())


def void_refunds(events: list[Event], orders: list[Order]) -> set[str]:
    """Ids of refunds and cancellations that are nothing: told again, or in another currency than their order's."""
    by_id = {order.order_id: order for order in orders if order.order_id}
    void: set[str] = set()
    seen: set[tuple[str, str]] = set()
    for event in events:
        key = order_id_of(event)
        if event.kind not in ("order_refunded", "order_cancelled") or not key:
            continue
        order = by_id.get(key)
        refund = str(event.properties.get("refund_id", event.id))
        known = order is not None and order.at - event.at < WAIT_MS
        refused = known and event.amount is not None and (event.currency or order.currency) != order.currency
        if refused or (key, refund) in seen:
            void.add(event.id)
        else:
            seen.add((key, refund))
    return void


def cart_value(events: list[Event], reader: Reader) -> Decimal:
    """The cart's value in the rules' currency, major units."""
    cart: dict[str, tuple[Decimal, Decimal, str]] = {}
    for event in events:
        if event.kind == "order_completed":
            cart = {}
        elif event.kind == "cart_viewed" and isinstance(event.properties.get("products"), list):
            cart = {}
            for product in event.properties["products"]:
                put(cart, product, event, reader.rules.currency)
        elif event.kind in ("cart_added", "cart_removed"):
            listed = event.properties.get("products")
            for product in listed if isinstance(listed, list) else [event.properties]:
                put(cart, product, event, reader.rules.currency, sign=1 if event.kind == "cart_added" else -1)
    now = events[-1].at if events else 0
    return sum((q * p * (reader.rate(c, now) or Decimal(0)) for q, p, c in cart.values()), Decimal(0))


def put(cart: dict[str, tuple[Decimal, Decimal, str]], product: Any, event: Event, own: str, sign: int = 1) -> None:
    """Add to or take from a cart."""
    if not isinstance(product, dict) or product.get("product_id") is None:
        return
    key = str(product["product_id"])
    had, old, _ = cart.get(key, (Decimal(0), Decimal(0), ""))
    price = product.get("price")
    quantity = had + sign * Decimal(str(product.get("quantity", 1)))
    currency = product.get("currency") or event.currency or own
    cart[key] = (quantity, old if price is None else Decimal(str(price)), currency)
    if quantity <= 0:
        del cart[key]
