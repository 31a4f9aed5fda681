"""The job as the contenders in Python do it: decode an event, fold it into a lead. It knows of no engine."""

from datetime import datetime
from typing import Final

import msgspec

HALF_LIFE_MS: Final = 7 * 86_400_000.0
THRESHOLD: Final = 12.0
POINTS: Final = {
    "page": 1.0,
    "Product Viewed": 2.0,
    "Email Link Clicked": 3.0,
    "Product Added": 5.0,
    "Checkout Started": 8.0,
    "Form Submitted": 10.0,
    "Order Completed": 20.0,
}


class Event(msgspec.Struct, gc=False):
    """What is read of a message."""

    type: str
    timestamp: datetime
    event: str | None = None


class State(msgspec.Struct, array_like=True, gc=False):
    """A lead as it is stored."""

    score: float = 0.0
    at: int = 0
    """UTC ms."""
    counts: dict[str, int] = {}


class Crossing(msgspec.Struct, gc=False):
    """What is sent when a lead's score crosses the threshold upward."""

    lead: str
    at: int
    score: float
    counts: dict[str, int]


decode_event: Final = msgspec.json.Decoder(Event).decode
decode_state: Final = msgspec.msgpack.Decoder(State).decode
encode_state: Final = msgspec.msgpack.Encoder().encode
_encode_crossing: Final = msgspec.json.Encoder().encode


def take(state: State, value: bytes) -> bool:
    """Fold an event into a lead; return whether its score crossed the threshold upward."""
    event = decode_event(value)
    at = round(event.timestamp.timestamp() * 1000)
    kind = event.event if event.type == "track" and event.event is not None else event.type
    points = POINTS.get(kind, 0.0)
    if at >= state.at:
        before = state.score * 2.0 ** ((state.at - at) / HALF_LIFE_MS)
        state.at = at
    else:
        before = state.score
        points *= 2.0 ** ((at - state.at) / HALF_LIFE_MS)
    state.score = before + points
    state.counts[kind] = state.counts.get(kind, 0) + 1
    return bool(before < THRESHOLD <= state.score)


def crossing(key: bytes, state: State) -> bytes:
    """Return the record to send."""
    return _encode_crossing(Crossing(key.decode(), state.at, state.score, state.counts))
