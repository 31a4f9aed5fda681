"""What an event means to one brand: the event read with its rules, small enough to be kept for three days.

Everything the fold needs of an event is here, so that late events can fold the days before them again without the
original messages.
"""

from typing import Any

import msgspec

from app.domain.channels import Touchpoint


class Mail(msgspec.Struct, frozen=True, array_like=True):
    """What a mail event says of its mail."""

    mail: str
    """`email_id`, else `message_id`, else campaign and address."""
    link: str = ""


class Product(msgspec.Struct, frozen=True, array_like=True):
    """A product looked at or put in the cart."""

    product_id: str
    name: str
    category: str
    quantity: float = 1.0
    price: int = 0
    """Minor units of one piece, in the event's currency."""


class Order(msgspec.Struct, frozen=True, array_like=True):
    """An order, or a refund or cancellation of one."""

    order_id: str
    minor: int | None
    """Value in minor units; None in a refund = in full, or in the order's currency, whichever that is."""
    currency: str
    refund_id: str = ""
    """What repeats of a refund are known by: `refund_id`, else the event's id."""
    named: bool = True
    """False when the message told no order id, and its own stands for it."""
    amount: str = ""
    """Decimal text of a refund's amount that is in the order's currency."""


class Fact(msgspec.Struct, frozen=True, array_like=True):
    """One event of one lead."""

    at: int
    id: str
    kind: str
    day: int
    """Start of its day in the rules' time zone, UTC ms."""
    tagged: bool = False
    """A bot, a scanner or internal traffic: never scored, never a touch."""
    visit: bool = False
    """Belongs to a session."""
    path: str = ""
    says_where: bool = False
    signals: tuple[tuple[str, float], ...] = ()
    """(signal, units or, for dwell, the measured value) of each signal it matches."""
    trackers: tuple[str, ...] = ()
    interests: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(category, signals that add to it)."""
    touch: Touchpoint | None = None
    """How it came, when it is of a kind that can be a touch."""
    told: bool = False
    """It brought campaign parameters or a click id."""
    referrer: str = ""
    """External referrer; empty when there is none."""
    dwell: int = 0
    """ms, of `page_engaged`."""
    mail: Mail | None = None
    products: tuple[Product, ...] = ()
    currency: str = ""
    order: Order | None = None
    traits: dict[str, Any] | None = None
    ids: tuple[str, ...] = ()
    """Its identifiers."""
    locale: str = ""
    goals: tuple[tuple[str, int, str], ...] = ()
    """(goal, value in minor units, currency) of each event goal it meets."""
    blocks_mail: bool = False
    """An unsubscribe, a complaint or a hard bounce."""
    origin: bytes = b""
    """The record it was read from, of a refund: it may have to be rejected once its order is known."""

    @property
    def key(self) -> tuple[int, str]:
        """Events are ordered by time, then id."""
        return (self.at, self.id)
