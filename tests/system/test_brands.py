"""Several brands in one stream, each by its own rules, from messages to what comes out."""

import json
from pathlib import Path
from typing import Any

from tests.processes import leadstream

AT = "2026-01-01T23:30:00Z"  # half past midnight of the next day in Paris

SHOP = """
version: shop-7
brand: default
signals: {view: {event: page_viewed, points: 10}, order: {event: order_completed, points: 5}}
scores: {engagement: {signals: all}}
stages: [{name: new}, {name: warm, enter: {score: {ge: 20}}}, {name: customer, enter: {orders: {ge: 1}}}]
segments: {lookers: {enter: {did: view, at_least: 2}}}
goals: {purchase: {event: order_completed, value: order}}
"""
CLUB = """
version: club-1
brand: club
timezone: Europe/Paris
currency: CHF
signals: {view: {event: page_viewed, points: 40, half_life: 1d, max_per_day: 1}}
scores: {engagement: {signals: all}}
stages: [{name: guest}, {name: keen, enter: {score: {ge: 35}}, exit: {score: {lt: 20}}}]
segments: {away: {enter: {last: visit, older_than: 2d}}}
goals: {joined: {event: Club Joined, value: 30}}
"""


def message(number: int, brand: str | None, type: str = "page", **more: Any) -> dict[str, Any]:
    context = {"page": {"path": "/", "url": "https://x.example/"}} | ({"brand": brand} if brand else {})
    return {"type": type, "messageId": f"m{number}", "userId": "ada", "timestamp": AT, "context": context, **more}


WEB = [
    message(1, None),
    message(2, "club"),
    message(3, None),
    message(4, "club"),  # the second view of a day counts nothing there
    message(5, "outlet"),  # has no rules of its own: by those of `default`, under its own name
    message(5, "club", timestamp="2026-01-02T00:10:00Z"),  # message ids are a lead's, and a lead is a brand's
    message(6, "club", type="track", event="Club Joined"),
    message(7, None, type="track", event="Order Completed", properties={"order_id": "o", "revenue": "50"}),
]


async def replay(out: Path, *arguments: str, **env: str) -> dict[str, list[dict[str, Any]]]:
    status, _, error = await leadstream("replay", "--out", str(out), *arguments, env=env)
    assert (status, error) == (0, "")
    names = ("profiles", "segments", "conversions")
    return {name: [json.loads(line) for line in (out / f"{name}.jsonl").read_bytes().splitlines()] for name in names}


async def test_each_brand_has_its_own_leads_by_its_own_rules(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(SHOP)
    (tmp_path / "club.yaml").write_text(CLUB)
    (tmp_path / "web.jsonl").write_text("".join(json.dumps(one) + "\n" for one in WEB))
    rules = (str(tmp_path / "shop.yaml"), str(tmp_path / "club.yaml"))
    options = ("--web", str(tmp_path / "web.jsonl"), "--until", "2026-01-04T12:00:00Z")
    told = await replay(tmp_path / "out", *options, "--rules", rules[0], "--rules", rules[1])

    assert [
        (p["brand"], p["lead_id"], p["rules_version"], p["stage"], p["segments"], p["score"], p["orders"])
        for p in told["profiles"]
    ] == [
        # One view counts of the second of January in Paris; two days and 13 hours after its midnight 40 points are
        # 40 · 2^(−61/24).
        ("club", "user:ada", "club-1", "guest", ["away"], 6.87, 0),
        ("default", "user:ada", "shop-7", "customer", ["lookers"], 25.0, 1),
        ("outlet", "user:ada", "shop-7", "new", [], 10.0, 0),
    ]
    moves = [(s["brand"], s["at"], s["previous_stage"], s["stage"], s["entered"]) for s in told["segments"]]
    assert [move[1:] for move in moves if move[0] == "club"] == [
        ("2026-01-01T23:30:00.000Z", None, "keen", []),
        # 40 points of 23:00 are 20 a day later, and less from the next millisecond on.
        ("2026-01-02T23:00:00.001Z", "keen", "guest", []),
        ("2026-01-04T00:10:00.000Z", "guest", "guest", ["away"]),
    ]
    shop = [(before, stage) for brand, _, before, stage, _ in moves if brand == "default"]
    assert shop == [(None, "new"), ("new", "warm"), ("warm", "customer")]
    assert sorted((c["brand"], c["goal"], c["value_minor"], c["currency"]) for c in told["conversions"]) == [
        ("club", "joined", 3000, "CHF"),
        ("default", "purchase", 5000, "EUR"),
    ]
    keys = {(s["brand"], s["lead_id"], s["seq"]) for s in told["segments"]}
    assert len(keys) == len(told["segments"]), "each brand's lead has a count of its own"

    # The settings name them as well.
    again = await replay(tmp_path / "again", *options, LEADSTREAM_RULES=",".join(rules))
    assert again == told
