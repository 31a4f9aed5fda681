"""The fields of an event as `where` names them, and the parts of its properties that the fold keeps."""

import math
from collections.abc import Callable
from typing import Any, Final

import msgspec

from app.domain.attribution.money import BadAmountError, to_minor
from app.domain.bounds import LONGEST_DWELL_S, MOST_PIECES, bounded, short
from app.domain.channels import Classified
from app.domain.event import MAIL_KINDS, Arrival, Event
from app.domain.facts import Mail, Product

MAX_TRAITS: Final = 100
MAX_TRAIT_TEXT: Final = 512
"""Characters."""
MAX_TRAIT_LIST: Final = 50
MAX_TRAIT_LIST_TEXT: Final = 2_000
"""Characters of a list's texts together."""
MAX_PRODUCTS: Final = 1_000
_CONVERSATION_MEDIUM: Final = {"callcompleted": "call", "enquirysent": "form"}
_SOFT_BOUNCES: Final = frozenset(
    {"soft", "transient", "temporary", "softbounce", "softbounced", "deferred", "block", "blocked"}
)


def text_of(value: Any) -> str:
    """Return text or a number as text, trimmed and shortened; anything else as empty."""
    if isinstance(value, str):
        return short(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def number_of(value: Any) -> float | None:
    """Return a finite number, or decimal text as one; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def first_text(properties: dict[str, Any], *names: str) -> str:
    """Return the first of these properties that is text or a number; empty when none is."""
    for name in names:
        text = text_of(properties.get(name))
        if text:
            return text
    return ""


def conversation_medium(event: Event) -> str:
    """Return how a conversation was held: its `medium`, else what its name says (call, form), else chat."""
    return first_text(event.properties, "medium") or _CONVERSATION_MEDIUM.get(event.name, "chat")


def dwell_ms(event: Event) -> int:
    """Return the dwell that a `page_engaged` event tells, in ms."""
    if event.kind != "page_engaged":
        return 0
    told = number_of(event.properties.get("duration")) or 0.0
    return round(max(0.0, bounded(told, LONGEST_DWELL_S)) * 1000)


def mail_campaign(event: Event) -> str:
    """Return the campaign that a mail event names: a name, else an id."""
    campaign = event.properties.get("campaign")
    if isinstance(campaign, dict):
        return first_text(campaign, "name", "id")
    return text_of(campaign) or first_text(event.properties, "campaign_name", "campaign_id")


def arrival_of(event: Event) -> Arrival:
    """Return how an event's lead came: by its mail, where a mail event names no medium or no campaign."""
    arrival = event.arrival
    if event.kind not in MAIL_KINDS:
        return arrival
    return msgspec.structs.replace(
        arrival, medium=arrival.medium or "email", campaign=arrival.campaign or mail_campaign(event)
    )


def mail_of(event: Event) -> Mail | None:
    """Return which mail a delivery or click belongs to."""
    if event.kind not in ("email_delivered", "email_clicked"):
        return None
    properties = event.properties
    mail = first_text(properties, "email_id") or first_text(properties, "message_id")
    if not mail:
        address = next((text for text in event.ids if text.startswith("email:")), event.ids[0])
        campaign = first_text(properties, "campaign_id") or mail_campaign(event)
        mail = f"{campaign}\n{address}"
    return Mail(mail, first_text(properties, "link_url", "url", "link", "link_id"))


def blocks_mail(event: Event) -> bool:
    """Whether the lead may not be mailed after this: unsubscribed, complained, or bounced for good."""
    if event.kind == "email_bounced":
        kind = first_text(event.properties, "bounce_type", "type", "bounceType", "classification")
        if not kind:  # RFC 3463: of a status of class 4 "sending in the future may be successful"
            return not first_text(event.properties, "status", "smtp_status").startswith("4.")
        return kind.lower().replace("_", "").replace("-", "").replace(" ", "") not in _SOFT_BOUNCES
    return event.kind in ("email_unsubscribed", "email_complained")


def kept_traits(traits: dict[str, Any]) -> dict[str, Any]:
    """Return the traits a lead keeps: null is absent, objects become dotted names, long text and lists are cut."""
    kept: dict[str, Any] = {}

    def keep(prefix: str, values: dict[str, Any]) -> None:
        for name, value in values.items():
            if len(kept) >= MAX_TRAITS:
                return
            if isinstance(value, dict):
                keep(f"{prefix}{name}.", value)
            elif isinstance(value, list):
                kept[short(prefix + name)] = _kept_list(value)
            elif _is_plain(value):
                kept[short(prefix + name)] = _cut(value)

    keep("", traits)
    return kept


def _kept_list(values: list[Any]) -> list[Any]:
    members = [_cut(value) for value in values[:MAX_TRAIT_LIST] if _is_plain(value)]
    room = MAX_TRAIT_LIST_TEXT
    for index, member in enumerate(members):
        room -= len(member) if isinstance(member, str) else 0
        if room < 0:
            return members[:index]
    return members


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | bool | float) or (isinstance(value, int) and abs(value) < 2**63)


def _cut(value: Any) -> Any:
    return value[:MAX_TRAIT_TEXT] if isinstance(value, str) else value


class Fields:
    """One event's fields, worked out when they are asked for."""

    def __init__(
        self,
        event: Event,
        classify: Callable[[], Classified],
        rules_currency: str,
        amount: Callable[[], float | None],
    ) -> None:
        self.event = event
        self.currency = event.currency or rules_currency
        self._classify = classify
        self._amount = amount
        self._arrival: Classified | None = None

    @property
    def arrival(self) -> Classified:
        """How the event came, classified."""
        if self._arrival is None:
            self._arrival = self._classify()
        return self._arrival

    def get(self, name: str) -> Any:
        """Return a field's value as `where` sees it; None when absent, a list when products tell several."""
        event = self.event
        if name in ("path", "url", "host", "title", "referrer"):
            return getattr(event.page, name) or None
        if name in ("channel", "source", "medium", "campaign"):
            if event.kind == "conversation" and name in ("channel", "source", "medium"):
                return "Conversation" if name == "channel" else conversation_medium(event)
            told = getattr(self.arrival.touchpoint, name)
            return told or event.properties.get(name)
        if name in ("product_id", "category"):
            values = self.values(name)
            return values[0] if len(values) == 1 else values or None
        if name == "amount":
            return self._amount()
        return dotted(event.properties, name)

    def values(self, name: str) -> list[str]:
        """Return the distinct values of a product field over the event and its `products`."""
        products = self.event.properties.get("products")
        found: dict[str, None] = {}
        if isinstance(products, list):
            for product in products:
                if isinstance(product, dict):
                    found[text_of(product.get(name))] = None
        if not any(found):
            found = {text_of(dotted(self.event.properties, name)): None}
        return [value for value in found if value]

    def products(self) -> tuple[Product, ...]:
        """Return the event's products: its `products`, else itself.

        A cart that is shown without a list has none, and so has the view of a product that is not named.
        """
        listed = self.event.properties.get("products")
        if isinstance(listed, list):
            return tuple(self._product(product) for product in listed[:MAX_PRODUCTS] if isinstance(product, dict))
        if self.event.kind == "cart_viewed":
            return ()
        product = self._product(self.event.properties)
        named = product.product_id or product.category or self.event.kind != "product_viewed"
        return (product,) if named else ()

    def _product(self, told: dict[str, Any]) -> Product:
        quantity = number_of(told.get("quantity"))
        try:
            price = to_minor(text_of(told.get("price")) or "0", self.currency)
        except BadAmountError:
            price = 0
        name = text_of(told.get("name"))
        return Product(
            product_id=first_text(told, "product_id", "productId", "sku", "id") or name,
            name=name,
            category=text_of(told.get("category")),
            quantity=1.0 if quantity is None else max(0.0, bounded(quantity, MOST_PIECES)),
            price=price,
        )


def dotted(values: dict[str, Any], name: str) -> Any:
    """Return a property by its name, else by its dotted path; None when absent."""
    if name in values:
        return values[name]
    value: Any = values
    for part in name.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value
