"""Why a message is no event: each reason, their order, and input that means harm."""

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.event import Event, Rejected
from app.sources.segment import parse, peek

AT = 1_767_323_045_678  # 2026-01-02T03:04:05.678Z


def read(value: Any, *, record_at: int = AT) -> Event | Rejected:
    raw = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
    return parse(raw, topic="events.web", partition=3, offset=7, record_at=record_at)


def reason(value: Any) -> str:
    rejected = read(value)
    assert isinstance(rejected, Rejected), rejected
    assert rejected.detail
    return rejected.reason


def track(**fields: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Clicked", "userId": "u1", "timestamp": "2026-01-02T03:04:05Z", **fields}


def order(**properties: Any) -> dict[str, Any]:
    return track(event="Order Completed", properties=properties)


def nested(depth: int) -> bytes:
    """Return a good message that nests `depth` levels in all: the message itself and its properties are two."""
    inner = b'{"a":' * (depth - 2) + b"1" + b"}" * (depth - 2)
    return b'{"type":"track","event":"x","userId":"u","properties":{"a":' + inner + b"}}"


# --- too_large, not_json, not_object ---------------------------------------------------------------------------------


def test_a_million_bytes_are_read_and_one_more_is_too_large() -> None:
    empty = len(json.dumps(track(properties={"x": ""})))
    full = track(properties={"x": "y" * (1_000_000 - empty)})
    assert isinstance(read(full), Event)
    assert reason(track(properties={"x": "y" * (1_000_001 - empty)})) == "too_large"
    assert reason(b"[" * 5_000_000) == "too_large"


@pytest.mark.parametrize(
    "raw",
    [
        None,
        b"",
        b" \n\t",
        b"null",
        b"NaN",
        b'{"type": "page", "userId": "u", "properties": {"x": NaN}}',
        b'{"type": "page", "userId": "u", "properties": {"x": -Infinity}}',
        b'{"type": "page", "userId": "\xff"}',
        b'{"type": "page", "userId": "u", "not read": "\xc3\x28"}',
        b'{"type": "page", "userId": "u", "\xff": 1}',
        b'{"type": "page", "userId": "\\ud800"}',
        b'{"type": "page", "userId": "u", "x": ["\\udc00"]}',
        b'{"type": "page", "userId": "u", "x": 1e999, "y": "\\ud800"}',
        b'{"type": "page", "userId": "u",}',
        b'{"type": "page" "userId": "u"}',
        b'{"type": "page", "userId": "u"} x',
        b'{"type": "page", "userId": "a\nb"}',
        b'{"type": "page", "userId": "u", "x": 01}',
        b'\xef\xbb\xbf{"type": "page", "userId": "u"}',
        b"{'type': 'page'}",
    ],
)
def test_what_is_no_json_is_not_json(raw: bytes | None) -> None:
    assert reason(raw) == "not_json"


def test_64_levels_are_read_and_65_are_not() -> None:
    assert isinstance(read(nested(64)), Event)
    assert reason(nested(65)) == "not_json"
    assert reason(b"[" * 64 + b"]" * 64) == "not_object"
    assert reason(b"[" * 65 + b"]" * 65) == "not_json"


def test_brackets_in_text_are_no_nesting() -> None:
    assert isinstance(read(track(properties={"x": "[{" * 500, 'quo"te\\': ']"[' * 40})), Event)


def test_many_brackets_side_by_side_are_no_nesting() -> None:
    assert isinstance(read(track(properties={"products": [{"tags": [[1], [2]]} for _ in range(500)]})), Event)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_a_hundred_thousand_levels_are_refused_at_once(opening: bytes) -> None:
    raw = opening * 100_000
    started = time.perf_counter()
    assert reason(raw) == "not_json"
    assert time.perf_counter() - started < 1.0


HARMFUL = {
    "a quote that never ends": b'"' + b'\\"' * 450_000 + b"[{" * 100,
    "a time of spaces": json.dumps(track(timestamp="2026-01-02T03:04:05" + " " * 900_000 + "+0200x")).encode(),
    "a long user agent": json.dumps(track(context={"userAgent": "x" * 900_000})).encode(),
    "a long address": json.dumps(track(context={"page": {"url": "https://" + "a." * 400_000}})).encode(),
    "a long query": json.dumps(track(context={"page": {"url": "/?" + "utm_source=&" * 70_000}})).encode(),
    "a long number": json.dumps(order(revenue=0)).replace('"revenue": 0', '"revenue": ' + "1" * 900_000).encode(),
    "a million brackets": json.dumps(track(properties={"p": [{} for _ in range(200_000)]})).encode(),
}


@pytest.mark.parametrize("raw", HARMFUL.values(), ids=HARMFUL.keys())
def test_no_message_takes_long(raw: bytes) -> None:
    started = time.perf_counter()
    read(raw)
    assert time.perf_counter() - started < 2.0


@pytest.mark.parametrize("raw", [b"[]", b'"page"', b"1", b"1e999", b"true", b'[{"type": "page"}]'])
def test_json_that_is_no_object_is_not_object(raw: bytes) -> None:
    assert reason(raw) == "not_object"


# --- bad_field, no_type, no_identifier -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"type": 5},
        {"type": "purchase"},
        {"type": ""},
        {"type": ["track"]},
        {"event": None},
        {"event": ""},
        {"event": "  "},
        {"event": 5},
        {"userId": {"id": 1}},
        {"userId": True},
        {"anonymousId": []},
        {"messageId": False},
        {"timestamp": True},
        {"timestamp": {}},
        {"originalTimestamp": []},
        {"receivedAt": False},
        {"sentAt": {}},
        {"properties": []},
        {"properties": "x"},
        {"traits": 1},
        {"context": "x"},
        {"context": {"page": "x"}},
        {"context": {"page": []}},
        {"context": {"campaign": "spring"}},
    ],
)
def test_a_field_of_the_wrong_type_is_bad_field(fields: dict[str, Any]) -> None:
    assert reason(track(**fields)) == "bad_field"


def test_bad_field_says_which_and_what() -> None:
    rejected = read(track(context={"page": [1]}))
    assert isinstance(rejected, Rejected)
    assert rejected.detail == "context.page is an array, expected an object"


def test_an_event_name_that_is_no_text_is_bad_field_on_any_type() -> None:
    assert reason({"type": "page", "event": 5, "userId": "u"}) == "bad_field"


def test_null_is_absent_everywhere() -> None:
    fields = ("anonymousId", "messageId", "originalTimestamp", "receivedAt", "sentAt", "properties", "traits")
    message = track(context={"page": None, "campaign": None, "traits": None, "userAgent": None})
    event = read({**message, **dict.fromkeys(fields)})
    assert isinstance(event, Event)
    assert (event.ids, event.properties, event.says_where) == (("user:u1",), {}, False)


@pytest.mark.parametrize(
    "context",
    [
        {"traits": "x", "userAgent": 5, "ip": [], "locale": {}, "brand": 1},
        {"page": {"url": 5, "path": [], "referrer": {}, "title": 1}, "campaign": {"source": 1, "name": []}},
    ],
)
def test_a_wrong_type_deeper_down_is_absent(context: dict[str, Any]) -> None:
    event = read(track(context=context))
    assert isinstance(event, Event)
    assert (event.brand, event.user_agent, event.ip, event.locale) == ("default", "", "", "")
    assert (event.page.url, event.page.path, event.arrival.source) == ("", "", "")


@pytest.mark.parametrize("message", [{}, {"type": None, "userId": "u"}, {"event": "Order Completed", "userId": "u"}])
def test_a_message_without_a_type_is_no_type(message: dict[str, Any]) -> None:
    assert reason(message) == "no_type"


@pytest.mark.parametrize(
    "junk",
    ["", " ", "null", "NULL", "undefined", "None", "anonymous", "0", "-1", "test", "000", "--", "00-00-00", 0, -1],
)
def test_junk_is_no_identifier(junk: Any) -> None:
    assert reason({"type": "page", "userId": junk, "anonymousId": junk}) == "no_identifier"


# --- bad_timestamp ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["timestamp", "originalTimestamp", "receivedAt", "sentAt"])
@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01T00:00:00Z", "12:30", "2026-01-02T25:00:00Z", "NaN", "1e400"]
)
def test_a_time_that_cannot_be_read_is_bad_timestamp(field: str, text: str) -> None:
    assert reason(track(**{field: text})) == "bad_timestamp"


@pytest.mark.parametrize(
    ("time_of_event", "good"),
    [
        ("1989-12-31T23:59:59.999Z", False),
        ("1990-01-01T00:00:00Z", True),
        ("2100-12-31T23:59:59.999Z", True),
        ("2101-01-01T00:00:00Z", False),
        (1_767_323_045, False),  # epoch seconds are 1970 in milliseconds
        (1_767_323_045_678, True),
        (-1, False),
        (10**30, False),
    ],
)
def test_events_are_of_1990_to_2100(time_of_event: Any, good: bool) -> None:
    result = read(track(timestamp=time_of_event))
    assert isinstance(result, Event) if good else (isinstance(result, Rejected) and result.reason == "bad_timestamp")


def test_a_device_clock_out_of_range_is_no_fault_once_it_is_corrected() -> None:
    event = read(
        track(
            timestamp=None,
            originalTimestamp="1970-01-01T00:00:10Z",
            sentAt="1970-01-01T00:01:00Z",
            receivedAt="2026-01-02T03:04:05Z",
        )
    )
    assert isinstance(event, Event)
    assert event.at == 1_767_323_045_000 - 50_000


# --- bad_amount ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Order Completed", "Order Refunded", "order_cancelled"])
@pytest.mark.parametrize(
    "amount",
    ["", "free", "1,50", "$5", "1_000", "NaN", "-0.01", -1, True, [], {}, 10**12, "1000000000000", 1e300, "١٢"],
)
def test_an_order_needs_an_amount_or_none(name: str, amount: Any) -> None:
    assert reason(track(event=name, properties={"revenue": amount})) == "bad_amount"


@pytest.mark.parametrize("digits", ["1e400", "-1e400", "1" + "0" * 5000, "9" * 400 + ".5"])
def test_an_amount_beyond_any_number_is_bad_amount(digits: str) -> None:
    raw = json.dumps(order(revenue=0)).replace('"revenue": 0', '"revenue": ' + digits).encode()
    assert reason(raw) == "bad_amount"


def test_the_first_amount_that_is_there_is_the_one_that_is_judged() -> None:
    assert reason(order(revenue="x", total=5)) == "bad_amount"
    event = read(order(revenue=None, total="12.50", value="x"))
    assert isinstance(event, Event)
    assert event.amount == "12.50"


def test_a_currency_that_is_no_code_is_bad_amount_on_an_order_with_an_amount() -> None:
    assert reason(order(revenue=5, currency="euros")) == "bad_amount"
    event = read(order(currency="euros"))
    assert isinstance(event, Event)
    assert event.currency is None


def test_amounts_of_other_events_are_not_judged() -> None:
    event = read(track(event="Deal Won", properties={"value": "a lot", "currency": "euros"}))
    assert isinstance(event, Event)
    assert (event.amount, event.currency) == ("a lot", None)


# --- order of reasons ------------------------------------------------------------------------------------------------


def test_reasons_are_tested_in_their_order() -> None:
    worst: dict[str, Any] = {"context": 1, "timestamp": "x", "properties": {"revenue": "x"}}
    assert reason(json.dumps(worst).encode()[:-1]) == "not_json"
    assert reason(worst) == "bad_field"
    worst["context"] = None
    assert reason(worst) == "no_type"
    worst |= {"type": "track", "event": "Order Completed"}
    assert reason(worst) == "no_identifier"
    worst["userId"] = "u"
    assert reason(worst) == "bad_timestamp"
    worst["timestamp"] = None
    assert reason(worst) == "bad_amount"


# --- anything at all -------------------------------------------------------------------------------------------------


def test_a_number_out_of_range_that_nobody_reads_is_absent() -> None:
    raw = b'{"type": "page", "userId": "u", "properties": {"x": 1e400, "y": [1, -1e400], "z": 5}, "other": 1e999}'
    event = read(raw)
    assert isinstance(event, Event)
    assert event.properties == {"x": None, "y": [1, None], "z": 5}


def test_of_two_fields_of_one_name_the_last_counts() -> None:
    event = read(b'{"type": "page", "userId": "a", "userId": "b", "properties": {"p": 1, "p": 2}}')
    assert isinstance(event, Event)
    assert (event.ids, event.properties) == (("user:b",), {"p": 2})


numbers = st.one_of(st.integers(), st.floats(), st.just(10**400), st.just(10**4000))
scalars = st.one_of(st.none(), st.booleans(), numbers, st.text())
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
FIELDS = [
    "type",
    "event",
    "userId",
    "anonymousId",
    "messageId",
    "timestamp",
    "originalTimestamp",
    "receivedAt",
    "sentAt",
]
DEEPER = ["email", "phone", "recipient", "revenue", "total", "value", "currency", "url", "path", "title", "referrer"]
CONTEXT = ["page", "campaign", "traits", "userAgent", "ip", "locale", "brand", "source", "search", "name"]
likely = st.sampled_from(
    ["track", "page", "Order Completed", "Email Opened", "https://a.example/?utm_source=x&gclid=%ff", "u1"]
)
objects = st.dictionaries(st.sampled_from(DEEPER + CONTEXT), values | likely)
contexts = st.dictionaries(st.sampled_from(CONTEXT), objects | values | likely)
messages = st.fixed_dictionaries(
    {"type": st.sampled_from(["track", "page", "identify", "group", "alias"]) | values},
    optional={field: values | likely for field in FIELDS if field != "type"}
    | {"properties": objects | values, "traits": objects | values, "context": contexts | values},
)


def judge(raw: bytes) -> None:
    result = parse(raw, topic="t", partition=0, offset=1, record_at=AT)
    assert isinstance(result, Event | Rejected)
    peeked = peek(raw)
    if isinstance(result, Event):
        assert result.ids
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(result), type=Event).id == result.id
        assert result.at <= AT + 300_000
        assert peeked.key == result.key.partition(":")[2]


@given(st.binary(max_size=400))
def test_any_bytes_give_an_event_or_a_reason(raw: bytes) -> None:
    judge(raw)


@given(messages | values)
def test_any_json_gives_an_event_or_a_reason(value: Any) -> None:
    judge(json.dumps(value).encode())
    judge(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_can_be_an_address(url: str, referrer: str) -> None:
    result = read({"type": "page", "userId": "u", "properties": {"url": url, "referrer": "https://" + referrer}})
    assert isinstance(result, Event | Rejected)


@given(st.text(max_size=40))
def test_any_text_can_be_a_time(text: str) -> None:
    result = read(track(timestamp=text))
    assert isinstance(result, Event) or result.reason in ("bad_timestamp", "not_json")
