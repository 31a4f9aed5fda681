"""Few leads with many events at the moments where readings part: equal times, exact gaps, ends of windows, caps across
the days on which clocks change, orders told twice, refunds first, campaigns that change within a visit."""

import json
import random
from datetime import UTC, datetime
from typing import Any

from app.domain.event import Event
from app.sources.segment import parse

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

GAPS = (
    *(0, 0, 0, 1, 999, 5 * SECOND - 1, 5 * SECOND, 10 * SECOND - 1, 10 * SECOND, 30 * SECOND, 59 * SECOND),
    *(5 * MINUTE - 1, 5 * MINUTE, 5 * MINUTE + 1, 30 * MINUTE - 1, 30 * MINUTE, 30 * MINUTE + 1, 29 * MINUTE),
    *(HOUR - 1, HOUR, HOUR + 1, 24 * HOUR - 1, 24 * HOUR, 24 * HOUR + 1, 3 * DAY - 1, 3 * DAY, 3 * DAY + 1),
    *(7 * DAY, 14 * DAY, 14 * DAY + 1, 30 * DAY - 1, 30 * DAY, 90 * DAY),
)
WEIGHTS = [6.0 if gap < HOUR else 1.0 if gap < 3 * DAY else 0.15 for gap in GAPS]
STARTS = tuple(
    int(datetime(*when, tzinfo=UTC).timestamp()) * 1000
    for when in ((2026, 3, 28, 20), (2026, 3, 29, 0), (2026, 10, 24, 19), (2026, 10, 25, 0), (2026, 1, 31, 21))
)
"""The evenings before the days of 23 and 25 hours in Kyiv, and the last one of a month."""

PATHS = ("/", "/pricing", "/pricing/teams", "/p/boots", "/p/bag", "/contact", "/Blog")
ARRIVALS: tuple[tuple[str, str], ...] = (
    *[("", "")] * 8,
    ("utm_source=google&utm_medium=cpc&utm_campaign=boots&gclid=G1", "https://www.google.com/"),
    ("utm_source=google&utm_medium=cpc&utm_campaign=boots&gclid=G2", "https://www.google.com/"),
    ("utm_source=google&utm_medium=cpc&utm_campaign=boots", ""),
    ("utm_source=letter&utm_medium=email&utm_campaign=spring", ""),
    ("utm_source=letter&utm_medium=email&utm_campaign=autumn", "https://mail.google.com/"),
    ("utm_source=club&utm_medium=partner", "https://club.example/"),
    ("fbclid=F1", "https://l.facebook.com/"),
    ("", "https://www.google.com/"),
    ("", "https://www.bing.com/"),
    ("", "https://blog.example/post"),
    ("", "https://shop.example/p/boots"),
    ("", "https://www.paypal.com/"),
)
CATEGORIES = ("shoes", "Shoes", "bags")


class Life:
    """One lead's messages, drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.seed = seed
        self.at = self.rng.choice(STARTS) + self.rng.choice((0, HOUR, 3 * HOUR - 1, 3 * HOUR))
        self.number = 0
        self.arrival = ("", "")
        self.messages: list[dict[str, Any]] = []
        self.who: dict[str, Any] = self.rng.choice(({"userId": f"u{seed}"}, {"anonymousId": f"a{seed}"}))

    def live(self, count: int) -> list[dict[str, Any]]:
        """Draw so many messages."""
        acts = (
            *[self.page] * 8,
            *[self.dwell] * 3,
            *[self.product] * 4,
            *[self.order] * 2,
            self.back,
            *[self.mail] * 3,
            self.burst,
            self.form,
            self.talk,
            self.simple,
            self.simple,
            self.traits,
            self.server,
        )
        while len(self.messages) < count:
            self.at += self.rng.choices(GAPS, WEIGHTS)[0]
            self.rng.choice(acts)()
            if self.rng.random() < 0.04:
                self.messages.append(dict(self.messages[-1]))
            if self.rng.random() < 0.03 and self.messages[-1]["type"] == "page":
                self.cap()
        return self.messages

    def say(self, type_: str, event: str | None = None, where: bool = True, **properties: Any) -> None:
        """Send a message; `where` = with the page it was on."""
        self.number += 1
        message: dict[str, Any] = {
            "type": type_,
            "messageId": f"{self.rng.randrange(1000):03}-{self.seed}-{self.number}",
            "timestamp": self.at,
            "properties": properties,
            "context": {"locale": self.rng.choice(("uk-UA", "de-DE"))},
            **self.who,
        }
        if event is not None:
            message["event"] = event
        if where:
            path = properties.get("path") or self.rng.choice(PATHS)
            query, referrer = self.arrival
            url = f"https://shop.example{path}" + (f"?{query}" if query else "")
            message["context"]["page"] = {"path": path, "url": url, "referrer": referrer}
        if self.rng.random() < 0.02:
            message["context"]["userAgent"] = "Googlebot/2.1 (+http://www.google.com/bot.html)"
        if self.rng.random() < 0.02:
            message["context"]["ip"] = "203.0.113.9"
        self.messages.append(message)

    def page(self) -> None:
        if self.rng.random() < 0.4:
            self.arrival = self.rng.choice(ARRIVALS)
        self.say("page")

    def cap(self) -> None:
        """More views than a day's cap, around a midnight in Kyiv."""
        for _ in range(14):
            self.at += self.rng.choice((0, 1, 7 * MINUTE, 29 * MINUTE))
            self.say("page")

    def dwell(self) -> None:
        duration = self.rng.choice((29, 29.5, 30, 59.999, 60, 151, 4000))
        if self.rng.random() < 0.4:
            self.say("track", "Page Engaged", where=False, duration=duration)
        else:
            self.say("track", "Page Left", duration=duration, path=self.rng.choice(PATHS))

    def product(self) -> None:
        event = self.rng.choice(("Product Viewed", "Product Added", "product_added", "Product Removed", "Cart Viewed"))
        product: dict[str, Any] = {
            "product_id": self.rng.choice("XYZ"),
            "category": self.rng.choice(CATEGORIES),
            "price": 19.99,
        }
        quantity: dict[str, Any] = {} if self.rng.random() < 0.5 else {"quantity": self.rng.choice((1, 2, 3))}
        if event == "Cart Viewed":
            self.say("track", event, products=[product | quantity, {**product, "product_id": "W", "price": "7.50"}])
        else:
            self.say("track", event, **product, **quantity)

    def order_id(self) -> str:
        return f"{self.rng.choice('ABCDEFGH')}{self.seed}"

    def order(self) -> None:
        money: dict[str, Any] = self.rng.choice(
            ({}, {"revenue": 199.99}, {"total": "200"}, {"revenue": 250, "currency": "USD"})
        )
        more: dict[str, Any] = {"order_id": self.order_id()} if self.rng.random() < 0.9 else {}
        if self.rng.random() < 0.3:
            more |= {"products": [{"product_id": "X", "category": "shoes"}]}
        more |= money
        self.say("track", "Order Completed", where=self.rng.random() < 0.6, **more)

    def back(self) -> None:
        event = self.rng.choice(("Order Refunded", "Order Refunded", "Order Cancelled"))
        more = self.rng.choice(
            (
                *({}, {"revenue": 50}, {"revenue": 120.5, "refund_id": "R1"}, {"refund_id": "R2"}),
                *({"revenue": 30, "refund_id": "R1"}, {"revenue": 7, "currency": "EUR", "refund_id": "R2"}),
            )
        )
        self.say("track", event, where=False, order_id=self.order_id(), **more)

    def mail(self) -> None:
        event = self.rng.choice(("Email Sent", "Email Delivered", "Email Opened", *["Email Link Clicked"] * 4))
        link = "https://shop.example" + self.rng.choice(PATHS)
        campaign = self.rng.choice(("spring", "autumn"))
        self.say("track", event, where=False, email_id=self.rng.choice("mno"), campaign_name=campaign, link_url=link)
        if event == "Email Link Clicked" and self.rng.random() < 0.7:
            self.at += self.rng.choice((1, SECOND, 5 * MINUTE - 1, 5 * MINUTE))
            self.arrival = self.rng.choice(ARRIVALS)
            self.say("page")

    def burst(self) -> None:
        """Clicks on several links of one mail within some 5 s."""
        for path in self.rng.choices(PATHS, k=self.rng.choice((2, 3, 4))):
            self.say(
                "track", "Email Link Clicked", where=False, email_id="burst", link_url=f"https://shop.example{path}"
            )
            self.at += self.rng.choice((0, 2_500, 2_499, 1))

    def form(self) -> None:
        self.say("track", "Form Submitted", form=self.rng.choice(("contact", "contact", "demo", "booking")))

    def talk(self) -> None:
        event = self.rng.choice(("Live Chat Conversation Started", "Call Completed", "Enquiry Sent"))
        medium = self.rng.choice(("chat", "call", "form", "bot"))
        self.say(
            "track", event, self.rng.random() < 0.3, medium=medium, text="x", length=self.rng.choice((20, 21, 5000))
        )

    def simple(self) -> None:
        event = self.rng.choice(
            ("CTA Clicked", "Products Searched", "Product List Filtered", "Checkout Started", "Newsletter Subscribed")
        )
        more = {"query": self.rng.choice(("Best PRICE", "boots"))} if event == "Products Searched" else {}
        self.say("track", event, self.rng.random() < 0.8, **more)

    def traits(self) -> None:
        if self.rng.random() < 0.3:
            name = self.rng.choice(("Unsubscribed", "Email Bounced", "Email Marked as Spam"))
            self.say("track", name, where=False, bounce_type=self.rng.choice(("hard", "soft")))
            return
        self.say("identify", where=False)
        told = self.rng.choice(
            ({"country": "UA"}, {"country": "no"}, {"employees": "50"}, {"status": "competitor"}, {"status": "ok"})
        )
        self.messages[-1]["traits"] = {**told, "name": self.rng.choice(("Ada", "Bob"))}

    def server(self) -> None:
        if self.rng.random() < 0.5:
            self.say("track", "Product Viewed", where=False, product_id="X", category="bags")
        else:
            amount = self.rng.choice((1000, "99.995", 0.005))
            self.say("track", "Deal Won", self.rng.random() < 0.3, value=amount)


def events(seed: int, count: int = 120) -> list[Event]:
    """One lead's events, read from its messages."""
    read = [
        parse(
            json.dumps(message).encode(), topic="events.web", partition=0, offset=number, record_at=message["timestamp"]
        )
        for number, message in enumerate(Life(seed).live(count))
    ]
    return [event for event in read if isinstance(event, Event)]
