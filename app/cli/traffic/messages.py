"""Segment-spec messages in the form that the browser, node and python trackers give them."""

import dataclasses
import datetime
from typing import Any, Final

import orjson

from app.cli.traffic.catalogue import SHOP, title
from app.cli.traffic.people import Device, Person, random_uuid

WEB: Final = "events.web"
EMAIL: Final = "events.email"
CART: Final = "events.cart"
CRM: Final = "events.crm"

EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
BROWSER: Final = {"name": "analytics.js", "version": "npm:next-1.84.3"}
NODE: Final = {"name": "@segment/analytics-node", "version": "3.1.0"}
PYTHON: Final = {"name": "analytics-python", "version": "2.4.0"}


@dataclasses.dataclass
class Message:
    """One message on its way; all times UTC ms."""

    at: int
    """When it happened."""
    topic: str
    body: dict[str, Any]
    sent: int
    """When the tracker sent it."""
    received: int
    clock_ahead: int = 0
    """ms by which the sender's clock is wrong."""

    def encode(self) -> bytes:
        """Return the JSON line, without line end."""
        body = dict(self.body)
        if self.clock_ahead:
            body["originalTimestamp"] = iso(self.at + self.clock_ahead)
        else:
            body.setdefault("timestamp", iso(self.at))
        body["sentAt"] = iso(self.sent + self.clock_ahead)
        body["receivedAt"] = iso(self.received)
        return orjson.dumps(body)


@dataclasses.dataclass(frozen=True)
class Page:
    """Where a browser is."""

    path: str
    search: str = ""
    referrer: str = ""
    campaign: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def url(self) -> str:
        """Whole address."""
        return SHOP + self.path + self.search

    def context(self) -> dict[str, str]:
        """As `context.page`, and as the properties of a page call."""
        return {
            "path": self.path,
            "referrer": self.referrer,
            "search": self.search,
            "title": title(self.path),
            "url": self.url,
        }


def iso(ms: int) -> str:
    """Return UTC milliseconds as ISO 8601 with `Z`."""
    return (EPOCH + datetime.timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_browser(person: Person, device: Device, page: Page, at: int, topic: str, call: dict[str, Any]) -> Message:
    """Return what analytics.js sends: `call` holds `type` and, by type, `event`, `properties`, `traits`, …"""
    context: dict[str, Any] = {
        "page": page.context(),
        "userAgent": device.user_agent,
        "locale": person.locale,
        "library": BROWSER,
    }
    if person.staff:
        context["ip"] = "203.0.113.7"
    if page.campaign:
        context["campaign"] = page.campaign
    body = call | {
        "context": context,
        "messageId": f"ajs-next-{at + device.clock_ahead}-{random_uuid(person.rng)}",
        "anonymousId": device.anonymous_id,
        "userId": person.user_id if device.logged_in else None,
        "integrations": {},
    }
    sent = at + person.rng.randint(5, 60)
    return Message(at, topic, body, sent, sent + person.rng.randint(40, 400), device.clock_ahead)


def from_server(
    person: Person, at: int, topic: str, call: dict[str, Any], *, python: bool = False, anonymous: str | None = None
) -> Message:
    """Return what a server sends: no page; the user id if there is an account, else the anonymous id given.

    Someone without an account is named by `context.traits.email` when they gave an address.
    """
    context: dict[str, Any] = {"library": PYTHON if python else NODE}
    if not person.has_account and person.gave_email:
        context["traits"] = {"email": person.email}
    body = call | {
        "context": context,
        "messageId": random_uuid(person.rng) if python else f"node-next-{at}-{random_uuid(person.rng)}",
        "anonymousId": anonymous,
        "userId": person.user_id if person.has_account else None,
        "integrations": {},
    }
    if python:
        body["timestamp"] = iso(at).replace("Z", "+00:00")
    sent = at + person.rng.randint(100, 1500)
    return Message(at, topic, body, sent, sent + person.rng.randint(20, 150))
