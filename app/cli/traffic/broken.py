"""Messages that nobody can read, as every real stream has them: one of each kind."""

from collections.abc import Iterator
from typing import Any, Final

import orjson

from app.cli.traffic.messages import CART, CRM, EMAIL, WEB, iso

DEEP: Final = 80
"""Levels of nesting: more than the 64 that are allowed."""


def _message(at: int, **changes: Any) -> bytes:
    """Return an order as a server sends it, with changes; None takes a field away."""
    body = {
        "type": "track",
        "event": "Order Completed",
        "userId": "u99001",
        "properties": {"order_id": "broken-1", "revenue": 10, "currency": "EUR"},
        "messageId": f"broken-{at}",
        "timestamp": iso(at),
        **changes,
    }
    return orjson.dumps({key: value for key, value in body.items() if value is not None})


def broken(start_ms: int, end_ms: int) -> Iterator[tuple[int, str, bytes]]:
    """Yield (arrival in UTC ms, topic, line), spread over the time given."""
    step = (end_ms - start_ms) // 12
    at = start_ms + step
    deep = b'{"a":' * DEEP + b"1" + b"}" * DEEP
    kinds: tuple[tuple[str, bytes], ...] = (
        (WEB, _message(at)[:97]),  # not_json: cut off
        (WEB, b"GET /pixel.gif?e=pageview HTTP/1.1"),  # not_json: a line of a web server
        (CRM, b'{"type":"identify","userId":"u99001","traits":' + deep + b"}"),  # not_json: nested too deep
        (EMAIL, b"[" + _message(at, event="Email Opened") + b"]"),  # not_object: a whole batch
        (WEB, _message(at, type="pageview", event=None)),  # bad_field: an unknown type
        (CRM, _message(at, event="")),  # bad_field: a track without a name
        (CART, _message(at, type=None)),  # no_type
        (CART, _message(at, userId="undefined")),  # no_identifier: only junk
        (EMAIL, _message(at, event="Email Opened", timestamp="20/11/2026 14:05")),  # bad_timestamp
        (CART, _message(at, properties={"order_id": "broken-2", "revenue": -49.9, "currency": "EUR"})),  # bad_amount
    )
    for nth, (topic, line) in enumerate(kinds, start=1):
        yield start_ms + nth * step + 1234 * nth, topic, line
