"""Messages that are right and absurd: huge numbers, a megabyte of text. What is kept of them is bounded."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.reader import Reader
from app.engine.program import Output, Record
from app.leads.commands import Advance, encode
from app.leads.program import LeadProgram
from app.rules import loads
from app.settings import Settings
from app.topics import topics
from tests.agents.test_leads_program import AT, DictRows

SETTINGS = Settings(partitions=1)
TOPICS = topics(SETTINGS)
DAY = 86_400_000
READER = Reader(
    loads(
        """
version: "1"
signals:
  reading: {event: page_engaged, points_per: {property: duration, each: 30, points: 1}, half_life: 14d}
  weighed: {event: cart_added, points_per: {property: weight, each: 0.001, points: 900}, half_life: 7d}
  sold: {event: order_completed, points_per: {property: revenue, each: 0.01, points: -5}}
  seen: {event: product_viewed, points: 2, half_life: 7d}
scores:
  engagement: {signals: all}
  interests: {signals: [seen, weighed], by: category}
  total: {engagement: 1}
stages:
  - name: new
  - {name: warm, enter: {engagement: {ge: 40}}}
segments:
  full: {enter: {cart_value: {ge: 10}}}
  rich: {enter: {revenue: {ge: 10, within: 30d}}}
  long: {enter: {page_duration: {path: {glob: "/*"}, ge: 60s}}}
  fond: {enter: {interest: {category: shoes, ge: 6}}, exit: {interest: {category: shoes, lt: 3}}}
goals:
  purchase: {event: order_completed, value: order}
"""
    )
)


class Lane:
    """One lane that is told messages of one lead, a day apart, each a step of its own."""

    def __init__(self) -> None:
        self.program = LeadProgram(0, SETTINGS, TOPICS, {"default": READER})
        self.rows = DictRows()
        self.outputs: list[Output] = []
        self.largest = 0
        self._told = 0

    def tell(self, *messages: dict[str, Any]) -> "Lane":
        for message in messages:
            at = AT + self._told * DAY
            text = json.dumps(
                {"type": "track", "userId": "ada", "timestamp": at, "messageId": f"m{self._told}"} | message
            )
            self._step(Record(TOPICS.web.name, 0, self._told, at, None, text.encode()))
            self._told += 1
        return self

    def end(self) -> dict[str, Any]:
        """Let a year pass; return the profile as of then."""
        self._step(Record(TOPICS.commands.name, 0, 0, AT, None, encode(Advance(AT + 400 * DAY, snapshot=True))))
        while (step := self.program.idle(self.rows, None, 100)) is not None:
            self.outputs += self.rows.store(step)
        told = [json.loads(out.value or b"") for out in self.outputs if out.topic == TOPICS.profiles.name]
        profile: dict[str, Any] = told[-1]
        return profile

    def _step(self, record: Record) -> None:
        step = self.program.step([record], self.rows)
        self.largest = max(self.largest, sum(len(row or b"") for row in step.rows.values()))
        self.outputs += self.rows.store(step)


def page(path: str = "/a") -> dict[str, Any]:
    return {"type": "page", "properties": {"url": f"https://shop.example{path}"}}


def track(event: str, **properties: Any) -> dict[str, Any]:
    return {"event": event, "properties": properties}


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**320), 10**320),
    st.sampled_from([1e308, -1e308, 1e17, 5e-324, 2**63, 2**64, 10**18]),
)
TOLD = st.fixed_dictionaries(
    {},
    optional={
        name: st.one_of(NUMBERS, NUMBERS.map(str))
        for name in ("duration", "quantity", "price", "weight", "revenue", "total", "value", "depth")
    },
)
MESSAGES = st.builds(
    lambda event, told: track(event, product_id="p", category="shoes", order_id="o", **told),
    st.sampled_from(
        ["Page Ping", "Product Added", "Product Viewed", "Product Removed", "Order Completed", "Cart Viewed"]
    ),
    TOLD,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(MESSAGES, min_size=1, max_size=6))
def test_no_number_stops_a_lane(messages: list[dict[str, Any]]) -> None:
    profile = Lane().tell(page(), *messages).end()
    assert all(value is not None for value in profile["scores"].values())


@pytest.mark.parametrize("seconds", [1e17, 1e308, 1_700_000_000_000_000_000])
def test_a_dwell_that_nobody_lives_is_cut(seconds: float) -> None:
    ping = track("Page Ping", duration=seconds) | {"context": {"page": {"url": "https://shop.example/a"}}}
    assert Lane().tell(page(), ping, ping, ping).end()["segments"] == ["long"]


def test_a_quantity_that_nobody_buys_is_cut() -> None:
    lane = Lane().tell(*(track("Product Added", product_id="p", price=9e11, quantity=1e300) for _ in range(3)))
    changes = [json.loads(out.value or b"") for out in lane.outputs if out.topic == TOPICS.segments.name]
    assert changes[0]["cart"] == {"items": 10**9, "currency": "EUR", "minor": 10**18}
    assert changes[0]["segments"] == ["full"]


LONG = "x" * 900_000
HUGE = {
    "product": lambda n: track("Product Added", product_id=f"{n}{LONG}"),
    "category": lambda n: track("Product Viewed", product_id="p", category=f"{n}{LONG}"),
    "order": lambda n: track("Order Completed", order_id=f"{n}{LONG}", revenue=1),
    "message": lambda n: page() | {"messageId": f"{n}{LONG}"},
    "mail": lambda n: track("Email Delivered", email_id=f"{n}{LONG}"),
    "campaign": lambda n: track("Email Link Clicked", campaign=f"{n}{LONG[:400_000]}", link_url=LONG[:400_000]),
    "medium": lambda n: track("Conversation Started", medium=f"{n}{LONG}"),
    "trait": lambda n: {"type": "identify", "traits": {f"t{n}": ["y" * 900] * 900}},
    "trait's name": lambda n: {"type": "identify", "traits": {f"{n}{LONG}": 1}},
    "locale": lambda n: page() | {"context": {"locale": f"{n}{LONG}"}},
    "path": lambda n: page(f"/{n}{LONG}"),
    "another identifier": lambda n: page() | {"anonymousId": f"{n}{LONG}"},
    "the lead's own identifier": lambda n: page() | {"userId": LONG},
    "brand": lambda n: page() | {"context": {"brand": LONG}},
}


@pytest.mark.parametrize("message", HUGE.values(), ids=HUGE)
def test_no_text_fills_a_leads_rows(message: Any) -> None:
    lane = Lane().tell(*(message(number) for number in range(20)))
    lane.end()
    assert lane.largest < 1_000_000
    assert max(len(out.value or b"") for out in lane.outputs) < 100_000
    assert max(len(key) for key, _ in lane.rows.scan(b"")) < 2_000


def test_texts_that_begin_alike_stay_two() -> None:
    orders = [track("Order Completed", order_id=f"{LONG}{number}", revenue=1) for number in (1, 2, 2)]
    assert Lane().tell(*orders).end()["orders"] == 2
    visitors = [page() | {"anonymousId": f"{LONG}{number}"} for number in (1, 2, 2)]
    assert len(Lane().tell(*visitors).end()["identifiers"]["anonymous_ids"]) == 2


@pytest.mark.parametrize("brand", ["\x00", "\x00a", "a/b", "a\nb", "b" * 101, " ", 5, None])
def test_what_is_no_brand_is_the_default_one(brand: Any) -> None:
    assert Lane().tell(page() | {"context": {"brand": brand}}).end()["brand"] == "default"


def test_a_brand_without_rules_keeps_its_name() -> None:
    assert Lane().tell(page() | {"context": {"brand": " Шкіра & Co "}}).end()["brand"] == "Шкіра & Co"
