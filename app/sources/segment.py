"""Messages of the Segment spec read into events (SEMANTICS §1, §2, §9)."""

import functools
from typing import Any, Final

import msgspec

from app.domain.attribution.money import wrong_amount
from app.domain.bounds import short
from app.domain.event import MAIL_KINDS, ORDER_KINDS, Event, Rejected, normal_name
from app.domain.identity import bare, is_brand
from app.domain.kinds import KIND_BY_NAME
from app.sources import amounts, arrivals, bots, who
from app.sources.decode import OutOfRange, WithOutOfRange, exact_numbers, read_object, without_out_of_range
from app.sources.times import in_range, read_time

CLAMP_AHEAD_MS: Final = 300_000
"""How far an event may be ahead of its record before its time is not believed."""

LONGEST_CACHED: Final = 8_192
"""Bytes of a message whose page and arrival are kept for the next that says the same."""

_KIND_BY_TYPE: Final = {
    "page": "page_viewed",
    "screen": "page_viewed",
    "identify": "traits_changed",
    "group": "traits_changed",
    "alias": "alias",
}
_TIMESTAMPS: Final = ("timestamp", "originalTimestamp", "receivedAt", "sentAt")
_IDS: Final = ("userId", "anonymousId", "messageId")
_IN_CONTEXT: Final = ("page", "campaign")
_TEXT_OR_NUMBER: Final = frozenset({str, int, float, OutOfRange, type(None)})
_OBJECT: Final = frozenset({dict, type(None)})
_TYPES: Final = (
    (_IDS, _TEXT_OR_NUMBER, "text or a number"),
    (_TIMESTAMPS, _TEXT_OR_NUMBER, "ISO 8601 text or epoch milliseconds"),
    (("properties", "traits", "context"), _OBJECT, "an object"),
)
"""Fields of a message with the types that JSON may give them."""

_LONGEST_NAME: Final = 256
"""Characters of an event name whose kind is kept."""

_DEFAULT_BRAND: Final = "default"
_EMPTY: Final[dict[str, Any]] = {}
_FOUND: Final = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    OutOfRange: "a number",
    str: "text",
    list: "an array",
    dict: "an object",
}


class Peek(msgspec.Struct, frozen=True):
    """What a replay must know of a line before it is published."""

    key: str | None
    """Record key: the bare text of the lead's key. None when the message is rejected before it has one."""
    at: int | None
    """Event time that `parse` will find with `record_at`, UTC ms; None when it has no readable time of its own."""
    record_at: int | None
    """Record timestamp: `receivedAt`, else `sentAt`, else the event's time; None when all are absent or unreadable."""


def parse(raw: bytes | None, *, topic: str, partition: int, offset: int, record_at: int) -> Event | Rejected:
    """Return the event of one record's value, or why it is none; never raises, whatever the bytes.

    `record_at` is the record's timestamp, UTC ms. Topic, partition and offset name an event without a `messageId`.
    """
    message = read_object(raw)
    if isinstance(message, Rejected):
        return message
    assert raw is not None
    wrong = _wrong_field(message)
    if wrong is not None:
        return wrong
    _exact_ids(message, raw)
    kind, name = _kind_of(message)
    ids = who.identifiers(message, kind)
    if not ids:
        return Rejected("no_identifier", "no userId, address, phone number or anonymousId that names somebody")
    times = _times(message)
    if isinstance(times, Rejected):
        return times
    at = _own_time(times)
    if at is not None and not in_range(at):
        return Rejected("bad_timestamp", f"{_told_time(message)} is outside of the years 1990 to 2100")
    properties = message.get("properties") or _EMPTY
    amount = _amount(properties, raw)
    currency = amounts.currency_of(properties.get("currency"))
    if amount is not None and kind in ORDER_KINDS:
        bad = _bad_amount(properties, amount, currency)
        if bad is not None:
            return bad
    fallback_id = f"{topic}-{partition}-{offset}"
    cached = len(raw) <= LONGEST_CACHED
    return _event(message, kind, name, ids, fallback_id, at, record_at, amount, currency, cached=cached)


def peek(raw: bytes | None) -> Peek:
    """Return a message's key and times without its record; what cannot be read is None."""
    message = read_object(raw)
    if isinstance(message, Rejected) or _wrong_field(message) is not None:
        return Peek(None, None, None)
    assert raw is not None
    _exact_ids(message, raw)
    ids = who.identifiers(message, _kind_of(message)[0])
    key = bare(ids[0]) if ids else None
    times = _times(message)
    if isinstance(times, Rejected):
        return Peek(key, None, None)
    at = _own_time(times)
    if at is not None and not in_range(at):
        return Peek(key, None, None)
    record_at = next((time for time in times[2:] if time is not None and in_range(time)), at)
    if record_at is None:
        return Peek(key, None, None)
    return Peek(key, record_at if at is None or at > record_at + CLAMP_AHEAD_MS else at, record_at)


def bare_key(raw: bytes | None) -> str | None:
    """Return the record key a message belongs under: the bare text of its strongest identifier; None without one."""
    return peek(raw).key


def _event(
    message: dict[str, Any],
    kind: str,
    name: str,
    ids: tuple[str, ...],
    fallback_id: str,
    at: int | None,
    record_at: int,
    amount: str | None,
    currency: str | None,
    *,
    cached: bool,
) -> Event:
    if at is None:
        at, clamped = record_at, False
    else:
        clamped = at > record_at + CLAMP_AHEAD_MS
        at = record_at if clamped else at
    if isinstance(message, WithOutOfRange):
        message = without_out_of_range(message)
    of_type = message["type"]
    properties = _properties(message, of_type)
    context = message.get("context") or _EMPTY
    about_page = of_type in ("page", "screen") or kind == "page_engaged"
    page, says_where, arrival = arrivals.where(context, properties, about_page=about_page, cached=cached)
    user_agent = _text(context.get("userAgent"))
    return Event(
        id=short(who.id_text(message.get("messageId"))) or fallback_id,
        at=at,
        kind=kind,
        brand=_brand(context.get("brand")),
        ids=ids,
        name=name,
        properties=properties,
        traits=_traits(message, of_type),
        page=page,
        says_where=says_where,
        arrival=arrival,
        amount=amount,
        currency=currency,
        user_agent=user_agent,
        ip=_text(context.get("ip")),
        bot=bool(user_agent) and bots.is_bot(user_agent, mail=kind in MAIL_KINDS),
        locale=short(_text(context.get("locale"))),
        clamped=clamped,
    )


def _brand(value: Any) -> str:
    name = _text(value)
    return name if is_brand(name) else _DEFAULT_BRAND


def _wrong_field(message: dict[str, Any]) -> Rejected | None:
    """Return `bad_field` or `no_type` of a message, None when its fields are of the types they must be."""
    of_type = message.get("type")
    if of_type is not None and (not isinstance(of_type, str) or (of_type != "track" and of_type not in _KIND_BY_TYPE)):
        known = ", ".join(("track", *_KIND_BY_TYPE))
        return _bad_field("type", of_type, f"one of {known}")
    event = message.get("event")
    if event is not None and not isinstance(event, str):
        return _bad_field("event", event, "text")
    if of_type == "track" and (event is None or not event.strip()):
        return _bad_field("event", event, "the name of what a track message tracks")
    for fields, types, expected in _TYPES:
        for field in fields:
            if field in message and type(message[field]) not in types:
                return _bad_field(field, message[field], expected)
    context = message.get("context")
    if context:
        for field in _IN_CONTEXT:
            if field in context and type(context[field]) not in _OBJECT:
                return _bad_field("context." + field, context[field], "an object")
    return Rejected("no_type", "no type, expected track, page, …") if of_type is None else None


def _bad_field(field: str, value: Any, expected: str) -> Rejected:
    found = "nothing" if value is None else _FOUND[type(value)]
    told = f" {value[:60]!r}" if isinstance(value, str) else ""
    return Rejected("bad_field", f"{field} is {found}{told}, expected {expected}")


def _exact_ids(message: dict[str, Any], raw: bytes) -> None:
    """Put ids that were written as numbers beyond 64 bits, or with a point, back as their exact text."""
    for field in _IDS:
        if isinstance(message.get(field), float):
            message[field] = amounts.whole_number(exact_numbers(raw)[field])


def _kind_of(message: dict[str, Any]) -> tuple[str, str]:
    """Return the message's kind and, of a track message, its name in normal form."""
    of_type = message["type"]
    if of_type != "track":
        return _KIND_BY_TYPE[of_type], ""
    event = message["event"]
    return _track_kind(event) if len(event) <= _LONGEST_NAME else _track_kind.__wrapped__(event)


@functools.lru_cache(maxsize=4_096)
def _track_kind(event: str) -> tuple[str, str]:
    name = normal_name(event.strip())
    return KIND_BY_NAME.get(name, "custom"), name


def _times(message: dict[str, Any]) -> tuple[int | None, ...] | Rejected:
    """Return the message's four timestamps as UTC ms, None where absent; `bad_timestamp` if one cannot be read."""
    times: list[int | None] = []
    for field in _TIMESTAMPS:
        value = message.get(field)
        if value is None:
            times.append(None)
            continue
        time = read_time(value)
        if time is None:
            return Rejected("bad_timestamp", f"{field} is {str(value)[:60]!r}, expected ISO 8601 or epoch milliseconds")
        times.append(time)
    return tuple(times)


def _own_time(times: tuple[int | None, ...]) -> int | None:
    """Return the time a message gives itself: `timestamp`, else `originalTimestamp` + (`receivedAt` - `sentAt`)."""
    timestamp, original, received, sent = times
    if timestamp is not None or original is None:
        return timestamp
    return original if received is None or sent is None else original + received - sent


def _told_time(message: dict[str, Any]) -> str:
    field = "timestamp" if message.get("timestamp") is not None else "originalTimestamp"
    return f"{field} {str(message[field])[:60]!r}"


def _amount(properties: dict[str, Any], raw: bytes) -> str | None:
    """Return the amount as it was sent; of a value that cannot be one, what it is."""
    field, value = amounts.amount_of(properties)
    if value is None:
        return None
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float):
        return str(exact_numbers(raw)["properties"][field])
    return str(value) if type(value) is int else _FOUND[type(value)]


def _bad_amount(properties: dict[str, Any], amount: str, currency: str | None) -> Rejected | None:
    wrong = wrong_amount(amount)
    if wrong:
        return Rejected("bad_amount", f"{amounts.amount_of(properties)[0]} {amount[:60]!r} {wrong}")
    told = properties.get("currency")
    if currency is None and isinstance(told, str) and told.strip():
        return Rejected("bad_amount", f"currency {told[:60]!r} is no ISO 4217 code, such as EUR")
    return None


def _properties(message: dict[str, Any], of_type: str) -> dict[str, Any]:
    """Return the properties: of a page or screen with its name and category, of an alias with its `previousId`."""
    properties: dict[str, Any] = message.get("properties") or _EMPTY
    if of_type == "track":
        return properties
    beside = ("previousId",) if of_type == "alias" else ("name", "category") if of_type in ("page", "screen") else ()
    told = {field: message[field] for field in beside if message.get(field) is not None}
    return {**told, **properties} if told else properties


def _traits(message: dict[str, Any], of_type: str) -> dict[str, Any]:
    if of_type not in ("identify", "group"):
        return _EMPTY
    prefix = "company." if of_type == "group" else ""
    traits = message.get("traits") or _EMPTY
    if of_type == "identify":  # RudderStack's trackers tell them in the context
        beside = (message.get("context") or _EMPTY).get("traits")
        if isinstance(beside, dict):
            traits = {**beside, **{name: value for name, value in traits.items() if value is not None}}
    return {prefix + name: value for name, value in traits.items() if value is not None}


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
