"""Everything that is true of a lead after some of its events."""

from functools import cached_property
from typing import Any

from app.domain.event import NOT_THE_LEADS_DOING, Event
from tests.system.oracle.commerce import Order, cart_value, orders_of, void_refunds
from tests.system.oracle.matching import Reader, distinct
from tests.system.oracle.past import tagged
from tests.system.oracle.points import Scores
from tests.system.oracle.visits import Journey

STRONG = ("user:", "email:", "phone:")


class Story:
    """A lead as its events, in order of (time, id) and each once, tell it."""

    def __init__(self, told: list[Event], reader: Reader, tags: set[str] | None = None) -> None:
        self.told = told
        self._tags = tags
        self.reader = reader
        self.rules = reader.rules

    @cached_property
    def tags(self) -> set[str]:
        """Ids of events of machines and of the brand's own people."""
        return tagged(self.told, self.rules.internal) if self._tags is None else self._tags

    @cached_property
    def events(self) -> list[Event]:
        """What the lead did itself; an order or a refund that was told again is nothing new."""
        void = void_refunds(self.told, self.orders) | self.repeated
        return [event for event in self.told if event.id not in self.tags | void]

    @cached_property
    def repeated(self) -> set[str]:
        """Ids of events that tell an order again."""
        made = {order.event.id for order in self.orders}
        return {event.id for event in self.told if event.kind == "order_completed" and event.id not in made}

    @cached_property
    def journey(self) -> Journey:
        """Visits and touches."""
        return Journey([event for event in self.told if event.id not in self.tags], self.reader)

    @cached_property
    def traits(self) -> dict[str, Any]:
        """The newest value of each trait."""
        known: dict[str, Any] = {}
        for event in self.told:
            known |= {name: value for name, value in event.traits.items() if value is not None}
        return known

    @cached_property
    def scores(self) -> Scores:
        """All scores."""
        return Scores(self.events, self.journey, self.reader, self.traits, self.rules)

    @cached_property
    def orders(self) -> list[Order]:
        """All orders, with what is left of them."""
        return orders_of(self.told, self.reader)

    @cached_property
    def cart(self) -> Any:
        """The cart's value. An order empties it whoever told it, but once."""
        orders = [event for event in self.told if event.kind == "order_completed" and event.id not in self.repeated]
        own = [event for event in self.told if event.kind != "order_completed" and event.id not in self.tags]
        return cart_value(sorted([*own, *orders], key=lambda event: (event.at, event.id)), self.reader)

    @cached_property
    def known(self) -> bool:
        """Whether a user id, address or phone number is known."""
        return any(text.startswith(STRONG) for event in self.told for text in event.ids)

    @cached_property
    def mailable(self) -> bool:
        """Whether the lead may be mailed."""
        return not any(stops_mail(event) for event in self.told)

    @cached_property
    def page_ms(self) -> dict[str, float]:
        """Time on each path."""
        spent: dict[str, float] = {}
        for view in self.journey.views():
            path = view.event.page.path
            spent[path] = spent.get(path, 0) + view.duration
        return spent

    def occurrences(self, tracker: str) -> list[int]:
        """Times of what a condition names, in order."""
        if tracker not in self._occurrences:
            pattern = self.rules.trackers[tracker].pattern
            self._occurrences[tracker] = [event.at for event in self.events if self.reader.matches(pattern, event)]
        return self._occurrences[tracker]

    @cached_property
    def _occurrences(self) -> dict[str, list[int]]:
        return {}

    def identifiers(self) -> dict[str, Any]:
        """The profile's `identifiers`."""
        named = distinct(text for event in self.told for text in event.ids)

        def of(kind: str) -> list[str]:
            return sorted(text.removeprefix(kind) for text in named if text.startswith(kind))

        users = of("user:")
        return {
            "user_id": users[-1] if users else None,
            "emails": of("email:"),
            "phones": of("phone:"),
            "anonymous_ids": of("anon:"),
        }

    def contact(self) -> dict[str, Any]:
        """The profile's `contact`: the newest of each."""
        newest: dict[str, Any] = {"user_id": None, "email": None, "phone": None, "name": None, "locale": None}
        for event in self.told:
            for text in reversed(event.ids):
                kind, _, value = text.partition(":")
                field = {"user": "user_id"}.get(kind, kind)
                if field in newest:
                    newest[field] = value
            name = event.traits.get("name") or " ".join(
                str(event.traits[part]) for part in ("firstName", "lastName") if event.traits.get(part)
            )
            newest["name"] = name or newest["name"]
            newest["locale"] = event.locale or newest["locale"]
        return newest

    def own_steps(self) -> list[Event]:
        """What the lead did, without mails that came and traits."""
        left_out = {*NOT_THE_LEADS_DOING, "traits_changed"}
        return [event for event in self.told if event.id not in self.tags and event.kind not in left_out]


def stops_mail(event: Event) -> bool:
    """Whether the lead may not be mailed after an event."""
    if event.kind == "email_bounced":
        return str(event.properties.get("bounce_type", event.properties.get("type", ""))).casefold() == "hard"
    return event.kind in ("email_unsubscribed", "email_complained")
