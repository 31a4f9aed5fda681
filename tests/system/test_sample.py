"""The sample is what its generator makes, looks like a real shop, and holds what the rules of the shop look for."""

import collections
import datetime
import gzip
import importlib.util
import itertools
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from app.cli.traffic import history, live

SAMPLE = Path(__file__).parents[2] / "deploy" / "sample"
NAMES = ("web", "email", "cart", "crm")
HOUR, DAY = 3_600_000, 86_400_000
END = 1_795_132_800_000  # 2026-11-20T00:00:00Z
EUROS = {"EUR": 1.0, "USD": 1 / 1.09, "UAH": 1 / 47.2}
TYPES = {"page", "screen", "track", "identify", "group", "alias"}

Message = dict[str, Any]


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sample_generate", SAMPLE / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def files() -> dict[str, list[bytes]]:
    return {name: gzip.decompress((SAMPLE / f"{name}.jsonl.gz").read_bytes()).splitlines() for name in NAMES}


def _ms(text: str) -> int:
    moment = datetime.datetime.fromisoformat(text)
    return round(moment.timestamp() * 1000)


def _at(message: Message) -> int:
    """Event time by the spec: `timestamp`, else `originalTimestamp` corrected by receivedAt - sentAt."""
    if "timestamp" in message:
        return _ms(message["timestamp"])
    return _ms(message["originalTimestamp"]) + _ms(message["receivedAt"]) - _ms(message["sentAt"])


def _depth(value: Any) -> int:
    if isinstance(value, dict | list):
        return 1 + max((_depth(v) for v in (value.values() if isinstance(value, dict) else value)), default=0)
    return 0


def _defect(line: bytes) -> str | None:
    """Why a line cannot be read, in the order in which reasons are tested; None when it can."""
    try:
        message = json.loads(line)
    except ValueError:
        return "not_json"
    if _depth(message) > 64:
        return "not_json"
    if not isinstance(message, dict):
        return "not_object"
    if message.get("type", "page") not in TYPES or (message.get("type") == "track" and not message.get("event")):
        return "bad_field"
    if "type" not in message:
        return "no_type"
    traits = message.get("context", {}).get("traits", {})
    if not any([message.get("userId") not in (None, "undefined"), message.get("anonymousId"), traits.get("email")]):
        return "no_identifier"
    if not re.match(r"20\d\d-", message.get("timestamp") or message.get("originalTimestamp") or ""):
        return "bad_timestamp"
    if str(message.get("event")).startswith("Order") and float(message["properties"].get("revenue", 0)) < 0:
        return "bad_amount"
    return None


@pytest.fixture(scope="module")
def readable(files: dict[str, list[bytes]]) -> dict[str, list[Message]]:
    return {name: [json.loads(line) for line in lines if _defect(line) is None] for name, lines in files.items()}


def _everything(readable: dict[str, list[Message]]) -> list[Message]:
    """All messages once each, in order of event time."""
    once = {message["messageId"]: message for messages in readable.values() for message in messages}
    return sorted(once.values(), key=_at)


def test_the_generator_makes_the_files_again_byte_for_byte(files: dict[str, list[bytes]]) -> None:
    assert _generator().lines() == files


def test_the_packed_files_carry_no_time_and_are_small() -> None:
    packed = [(SAMPLE / f"{name}.jsonl.gz").read_bytes() for name in NAMES]
    assert all(content[4:8] == b"\0\0\0\0" for content in packed)
    assert sum(map(len, packed)) < 1_800_000


def test_the_readme_tells_the_true_number_of_lines(files: dict[str, list[bytes]]) -> None:
    told = re.findall(
        r"^\| `(\w+)\.jsonl\.gz` \| `events\.(\w+)` \| ([\d,]+) \|", (SAMPLE / "README.md").read_text(), re.M
    )
    assert {name: (topic, int(lines.replace(",", ""))) for name, topic, lines in told} == {
        name: (name, len(lines)) for name, lines in files.items()
    }


def test_another_seed_makes_other_people_and_the_same_seed_the_same() -> None:
    first, again, other = (list(history(seed, END, events=400)) for seed in (1, 1, 2))
    assert first == again
    assert not {line for _, line in first if _defect(line) is None} & {line for _, line in other}


def test_each_kind_of_broken_message_is_there(files: dict[str, list[bytes]]) -> None:
    defects = collections.Counter(_defect(line) for lines in files.values() for line in lines)
    del defects[None]
    assert defects == {
        "not_json": 3,  # cut off, a line of text, nested too deep
        "not_object": 1,
        "bad_field": 2,  # an unknown type, a track without a name
        "no_type": 1,
        "no_identifier": 1,
        "bad_timestamp": 1,
        "bad_amount": 1,
    }


@pytest.mark.parametrize(
    ("name", "kind", "least", "most"),
    [
        ("web", "page", 7_000, 11_000),
        ("web", "Product Viewed", 2_500, 4_500),
        ("web", "Page Engaged", 1_500, 3_000),
        ("web", "Form Submitted", 200, 500),
        ("web", "Newsletter Subscribed", 120, 350),
        ("web", "identify", 120, 400),
        ("web", "Consent Updated", 20, 100),
        ("web", "screen", 10, 150),
        ("email", "Email Sent", 700, 1_500),
        ("email", "Email Opened", 250, 700),
        ("email", "Email Bounced", 10, 60),
        ("email", "Unsubscribed", 5, 50),
        ("email", "Email Marked as Spam", 1, 15),
        ("cart", "Product Added", 350, 900),
        ("cart", "Product Removed", 10, 80),
        ("cart", "Checkout Started", 200, 500),
        ("cart", "Order Completed", 150, 400),
        ("cart", "Order Refunded", 5, 40),
        ("cart", "Order Cancelled", 3, 30),
        ("crm", "Call Completed", 30, 120),
        ("crm", "Live Chat Conversation Started", 15, 80),
        ("crm", "Deal Won", 3, 30),
        ("crm", "alias", 3, 30),
        ("crm", "group", 5, 50),
        ("crm", "Erase Requested", 1, 8),
    ],
)
def test_kinds_are_as_frequent_as_in_a_shop(
    readable: dict[str, list[Message]], name: str, kind: str, least: int, most: int
) -> None:
    assert least <= sum(message.get("event", message["type"]) == kind for message in readable[name]) <= most


def test_it_is_ninety_days_of_some_thousand_visitors(readable: dict[str, list[Message]]) -> None:
    told = _everything(readable)
    assert 17_000 <= len(told) <= 23_000
    assert END - 90 * DAY <= _at(told[0]) < END - 88 * DAY
    assert END - HOUR <= _at(told[-1]) < END
    assert 2_200 <= len({m["anonymousId"] for m in told if m["anonymousId"]}) <= 3_500


def test_lines_stand_in_order_of_arrival_and_some_events_come_hours_late(readable: dict[str, list[Message]]) -> None:
    for messages in readable.values():
        arrivals = [_ms(message["receivedAt"]) for message in messages]
        assert arrivals == sorted(arrivals)
    late = [_ms(m["receivedAt"]) - _at(m) for m in readable["web"] if "timestamp" in m]
    assert 20 <= sum(delay > 10 * 60_000 for delay in late) <= 400
    assert max(late) > 2 * HOUR


def test_trackers_repeat_few_messages(readable: dict[str, list[Message]]) -> None:
    sent = [message["messageId"] for messages in readable.values() for message in messages]
    assert 50 <= len(sent) - len(set(sent)) <= 250


def test_orders_come_from_servers_and_refunds_fit_their_orders(readable: dict[str, list[Message]]) -> None:
    orders: dict[str, dict[str, Any]] = {}
    for message in _everything(readable):
        properties = message.get("properties", {})
        if message.get("event") == "Order Completed":
            assert "page" not in message["context"]
            assert properties["order_id"] not in orders
            goods = sum(p["price"] * p["quantity"] for p in properties["products"])
            assert properties["revenue"] + properties.get("discount", 0) == pytest.approx(goods, abs=0.005)
            orders[properties["order_id"]] = properties
        elif message.get("event") in ("Order Refunded", "Order Cancelled"):
            order = orders[properties["order_id"]]
            assert properties["currency"] == order["currency"]
            assert 0 < properties.get("revenue", order["revenue"]) <= order["revenue"]
    assert {order["currency"] for order in orders.values()} == {"EUR", "USD", "UAH"}


def test_scanners_click_every_link_of_a_mail_at_once(readable: dict[str, list[Message]]) -> None:
    delivered: dict[str, int] = {}
    clicks: dict[str, dict[str, int]] = collections.defaultdict(dict)
    for message in _everything(readable):
        properties = message.get("properties", {})
        if message.get("event") == "Email Delivered":
            delivered[properties["email_id"]] = _at(message)
        elif message.get("event") == "Email Link Clicked":
            clicks[properties["email_id"]].setdefault(properties["link_url"], _at(message))
    scanned = [mail for mail, links in clicks.items() if min(links.values()) - delivered[mail] < 10_000]
    assert len(scanned) >= 10
    assert all(len(clicks[m]) == 3 and max(clicks[m].values()) - min(clicks[m].values()) < 5_000 for m in scanned)
    assert len(clicks) - len(scanned) >= 80


def test_robots_and_own_people_are_among_the_visitors(readable: dict[str, list[Message]]) -> None:
    agents = collections.Counter(m["context"].get("userAgent", "") for m in readable["web"])
    for robot in ("Googlebot", "AhrefsBot", "GPTBot"):
        assert sum(n for agent, n in agents.items() if robot in agent) >= 10
    assert any(m["context"].get("ip", "").startswith("203.0.113.") for m in readable["web"])


@pytest.fixture(scope="module")
def people(readable: dict[str, list[Message]]) -> list[list[Message]]:
    """Each person's messages in order of time: those linked by any identifier (a plain union-find)."""
    root: dict[str, str] = {}

    def find(identifier: str) -> str:
        while root.setdefault(identifier, identifier) != identifier:
            identifier = root[identifier]
        return identifier

    def named(message: Message) -> list[str]:
        found = [message.get("userId"), message.get("anonymousId"), message.get("previousId")]
        sources = (message.get("properties", {}), message.get("traits", {}), message["context"].get("traits", {}))
        return [name for name in found + [source.get("email") for source in sources] if name]

    told = _everything(readable)
    for message in told:
        first, *others = named(message)
        for other in others:
            root[find(other)] = find(first)
    lives: dict[str, list[Message]] = collections.defaultdict(list)
    for message in told:
        lives[find(named(message)[0])].append(message)
    return list(lives.values())


def _last(life: list[Message], *events: str) -> int:
    return max((_at(m) for m in life if m.get("event", m["type"]) in events), default=0)


def test_some_people_abandoned_a_cart_in_the_last_hours(people: list[list[Message]]) -> None:
    added = [(_last(life, "Product Added"), _last(life, "Order Completed")) for life in people]
    assert sum(END - DAY < at <= END - HOUR and ordered < at for at, ordered in added) >= 2


def test_many_people_are_dormant(people: list[list[Message]]) -> None:
    assert sum(_at(life[-1]) <= END - 30 * DAY for life in people) >= 500


def test_some_customers_are_very_good_ones(people: list[list[Message]]) -> None:
    vips = 0
    for life in people:
        orders = [m["properties"] for m in life if m.get("event") == "Order Completed"]
        vips += len(orders) >= 3 and sum(o["revenue"] * EUROS[o["currency"]] for o in orders) >= 500
    assert 5 <= vips <= 40


def test_mail_warms_people_up_for_the_prices(people: list[list[Message]]) -> None:
    warmed = 0
    for life in people:
        clicks = [_at(m) for m in life if m.get("event") == "Email Link Clicked" and _at(m) > END - 7 * DAY]
        prices = [_at(m) for m in life if m["type"] == "page" and m["properties"]["path"].startswith("/pricing")]
        warmed += bool(clicks) and any(at > min(clicks) for at in prices)
    assert warmed >= 3


def test_some_people_are_fond_of_shoes_now(people: list[list[Message]]) -> None:
    fans = 0
    for life in people:
        interest = 0.0
        for message in life:
            if message.get("properties", {}).get("category") != "shoes":
                continue
            points, half_life = {"Product Viewed": (2, 14 * DAY), "Product Added": (10, 7 * DAY)}.get(
                message.get("event", ""), (0, DAY)
            )
            interest += points * 2 ** (-(END - _at(message)) / half_life)
        fans += interest >= 6
    assert fans >= 20


def test_paid_search_begins_more_journeys_of_buyers_than_it_ends_and_mail_the_reverse(
    people: list[list[Message]],
) -> None:
    first: collections.Counter[str] = collections.Counter()
    last: collections.Counter[str] = collections.Counter()
    for life in people:
        orders = [_at(m) for m in life if m.get("event") == "Order Completed"]
        if not orders:
            continue
        campaigns = [
            m["context"].get("campaign", {}).get("medium", "direct")
            for m in life
            if m["type"] == "page" and "shop.example" not in m["properties"]["referrer"] and _at(m) <= orders[-1]
        ]
        first[campaigns[0]] += 1
        last[campaigns[-1]] += 1
    assert first["cpc"] > 1.3 * last["cpc"]
    assert last["email"] > first["email"]
    assert first["cpc"] > 0.2 * first.total()


def test_live_traffic_goes_on_with_known_people_at_the_rate_asked_for(readable: dict[str, list[Message]]) -> None:
    stream = list(itertools.islice(live(20261120, END, rate=5.0), 6_000))
    assert stream == list(itertools.islice(live(20261120, END, rate=5.0), 6_000))
    arrivals = [at for at, _, _ in stream]
    assert arrivals == sorted(arrivals)
    assert arrivals[0] >= END
    assert len(stream) / ((arrivals[-1] - END) / 1000) == pytest.approx(5.0, rel=0.2)
    messages = [json.loads(line) for _, _, line in stream]
    before = _everything(readable)
    known = {m["anonymousId"] for m in before}
    assert 500 < sum(m["anonymousId"] in known for m in messages if m["anonymousId"]) < 5_500
    assert not {m["messageId"] for m in messages} & {m["messageId"] for m in before}
    assert {topic for _, topic, _ in stream} == {"events.web", "events.email", "events.cart", "events.crm"}
    assert all(_defect(line) is None for _, _, line in stream)
