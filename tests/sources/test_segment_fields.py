"""What is read of a message: kind, identifiers, time, traits, amount, and what a replay looks at."""

import json
from typing import Any

import pytest

from app.domain.event import Event
from app.sources.segment import Peek, bare_key, parse, peek

AT = 1_767_323_045_678  # 2026-01-02T03:04:05.678Z


def raw(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode()


def read(message: dict[str, Any] | bytes, *, record_at: int = AT) -> Event:
    value = message if isinstance(message, bytes) else raw(message)
    event = parse(value, topic="events.web", partition=3, offset=7, record_at=record_at)
    assert isinstance(event, Event), event
    return event


def track(event: str = "Clicked", **fields: Any) -> dict[str, Any]:
    return {"type": "track", "event": event, "userId": "u1", **fields}


# --- kinds -----------------------------------------------------------------------------------------------------------

KINDS = {
    "Page Engaged": "page_engaged",
    "Page Left": "page_engaged",
    "Page Ping": "page_engaged",
    "CTA Clicked": "cta_clicked",
    "Button Clicked": "cta_clicked",
    "Form Submitted": "form_submitted",
    "Products Searched": "site_searched",
    "Site Searched": "site_searched",
    "Product List Filtered": "list_filtered",
    "Email Sent": "email_sent",
    "Email Delivered": "email_delivered",
    "Email Opened": "email_opened",
    "Email Link Clicked": "email_clicked",
    "Email Bounced": "email_bounced",
    "Unsubscribed": "email_unsubscribed",
    "Email Marked as Spam": "email_complained",
    "Product Viewed": "product_viewed",
    "Product Added": "cart_added",
    "Product Removed": "cart_removed",
    "Cart Viewed": "cart_viewed",
    "Checkout Started": "checkout_started",
    "Order Completed": "order_completed",
    "Order Refunded": "order_refunded",
    "Order Cancelled": "order_cancelled",
    "Conversation Started": "conversation",
    "Live Chat Conversation Started": "conversation",
    "Call Completed": "conversation",
    "Enquiry Sent": "conversation",
    "Consent Updated": "consent_changed",
    "Erase Requested": "erase_requested",
    "Page Viewed": "page_viewed",
    "email_clicked": "email_clicked",
    "Newsletter Subscribed": "custom",
    "Order": "custom",
}


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_a_track_events_name_decides_its_kind(name: str, kind: str) -> None:
    assert read(track(name)).kind == kind


@pytest.mark.parametrize(
    "name", ["order completed", "ORDER_COMPLETED", "Order-Completed", "orderCompleted", " Order Completed "]
)
def test_names_match_without_regard_to_case_and_marks(name: str) -> None:
    event = read(track(name))
    assert (event.kind, event.name) == ("order_completed", "ordercompleted")


@pytest.mark.parametrize(
    ("of_type", "kind"),
    [("page", "page_viewed"), ("screen", "page_viewed"), ("identify", "traits_changed"), ("group", "traits_changed")],
)
def test_other_messages_are_of_the_kind_of_their_type(of_type: str, kind: str) -> None:
    event = read({"type": of_type, "userId": "u1", "event": "Order Completed"})
    assert (event.kind, event.name) == (kind, "")


def test_an_alias_keeps_its_previous_id_beside_its_properties() -> None:
    event = read({"type": "alias", "userId": "u1", "previousId": "a1"})
    assert (event.kind, event.ids, event.properties) == ("alias", ("user:u1",), {"previousId": "a1"})


def test_a_page_keeps_its_name_and_category_unless_its_properties_tell_others() -> None:
    event = read({"type": "page", "userId": "u1", "name": "Home", "category": "Docs", "properties": {"name": "Start"}})
    assert event.properties == {"name": "Start", "category": "Docs"}


# --- identifiers -----------------------------------------------------------------------------------------------------


def test_the_strongest_identifier_is_the_key() -> None:
    message = {
        "type": "identify",
        "userId": " u1 ",
        "anonymousId": "a1",
        "traits": {"email": " Ada@Example.COM ", "phone": "+380 (50) 123-45-67"},
    }
    event = read(message)
    assert event.ids == ("user:u1", "email:ada@example.com", "phone:+380501234567", "anon:a1")
    assert event.key == "user:u1"
    del message["userId"]
    assert read(message).key == "email:ada@example.com"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("42", "42"),
        ("42.0", "42"),
        ("4.2e1", "42"),
        ("42.5", "42.5"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("1e400", "1" + "0" * 400),
    ],
)
def test_a_number_as_user_id_is_its_exact_text(written: str, text: str) -> None:
    assert read(b'{"type": "page", "userId": %s}' % written.encode()).ids == ("user:" + text,)


@pytest.mark.parametrize("address", ["no address", "@x.com", "a@", "a b@x.com", "a@b@c", 5, None, "test"])
def test_what_is_no_address_is_no_identifier(address: Any) -> None:
    assert read(track(context={"traits": {"email": address}})).ids == ("user:u1",)


@pytest.mark.parametrize(
    ("phone", "text"),
    [
        ("+44 (0)20 7946 0958", "+442079460958"),
        ("0044 20.7946.0958", "+442079460958"),
        ("+1-202-555-0123", "+12025550123"),
        ("+12345678", "+12345678"),
        ("+123456789012345", "+123456789012345"),
        ("+1234567", ""),
        ("+1234567890123456", ""),
        ("050 123 45 67", ""),
        ("+0123456789", ""),
        ("+380501234567 ext 5", ""),
        ("+000000000", ""),
        (380501234567, ""),
    ],
)
def test_a_phone_number_is_e164_or_nothing(phone: Any, text: str) -> None:
    ids = read(track(context={"traits": {"phone": phone}})).ids
    assert ids == (("user:u1", "phone:" + text) if text else ("user:u1",))


def test_addresses_are_read_from_properties_only_on_mail_and_forms() -> None:
    properties = {"email": "a@x.com", "phone": "+380501234567"}
    both = ("user:u1", "email:a@x.com", "phone:+380501234567")
    assert read(track("Email Opened", properties=properties)).ids == both
    assert read(track("Form Submitted", properties=properties)).ids == both
    assert read(track("Order Completed", properties=properties)).ids == ("user:u1",)
    recipient = {"recipient": "b@x.com"}
    assert read(track("Email Sent", properties=recipient)).ids == ("user:u1", "email:b@x.com")
    assert read(track("Form Submitted", properties=recipient)).ids == ("user:u1",)


def test_one_address_a_message_traits_before_context_before_properties() -> None:
    message = track(
        "Form Submitted",
        traits={"email": "1@x.com"},
        context={"traits": {"email": "2@x.com"}},
        properties={"email": "3@x.com"},
    )
    assert read(message).ids == ("user:u1", "email:1@x.com")
    message["traits"] = {"email": "none"}
    assert read(message).ids == ("user:u1", "email:2@x.com")


def test_the_traits_of_a_group_are_the_companys() -> None:
    event = read({"type": "group", "userId": "u1", "traits": {"name": "Acme", "email": "info@acme.com", "size": None}})
    assert event.ids == ("user:u1",)
    assert event.traits == {"company.name": "Acme", "company.email": "info@acme.com"}


def test_null_traits_are_absent() -> None:
    assert read({"type": "identify", "userId": "u1", "traits": {"a": None, "b": 0}}).traits == {"b": 0}


def test_traits_of_an_identify_may_stand_in_its_context() -> None:
    """RudderStack's trackers put them there; what stands in both places is the identify's own."""
    context = {"traits": {"country": "UA", "plan": "free", "age": None}}
    told = {"type": "identify", "userId": "u1", "context": context, "traits": {"plan": "pro", "country": None}}
    assert read(told).traits == {"country": "UA", "plan": "pro"}
    assert read({"type": "identify", "userId": "u1", "context": {"traits": "none"}}).traits == {}
    assert read({**told, "type": "group"}).traits == {"company.plan": "pro"}
    assert read(track(context=context)).traits == {}


def test_dwell_is_of_the_page_that_it_names() -> None:
    """In an application of one page the tracker fills in the page that has come since."""
    left = track("Page Left", properties={"duration": 30, "path": "/pricing"}, context={"page": {"path": "/next"}})
    assert read(left).page.path == "/pricing"
    assert read({**left, "event": "CTA Clicked"}).page.path == "/next"
    assert read({**left, "properties": {"duration": 30}}).page.path == "/next"


def test_a_message_without_id_is_named_by_its_record() -> None:
    assert read(track()).id == "events.web-3-7"
    assert read(track(messageId=" ")).id == "events.web-3-7"
    assert read(track(messageId="m1")).id == "m1"
    assert read(track(messageId=5)).id == "5"


# --- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        "2026-01-02T03:04:05.678Z",
        "2026-01-02T03:04:05.678+00:00",
        "2026-01-02T05:04:05.678+02:00",
        "2026-01-02T05:04:05.678+0200",
        "2026-01-01T22:34:05.678-04:30",
        "2026-01-02T03:04:05.678999Z",
        "2026-01-02T03:04:05.678999999Z",
        "2026-01-02 03:04:05.678",
        "2026-01-02 03:04:05.678 UTC",
        "2026-01-02 05:04:05.678 +0200",
        " 2026-01-02T03:04:05.678Z ",
        "20260102T030405.678Z",
        1767323045678,
        1767323045678.9,
        "1767323045678",
    ],
)
def test_times_are_read_in_the_variants_of_trackers_and_rounded_down(written: Any) -> None:
    assert read(track(timestamp=written)).at == AT


def test_a_date_alone_is_its_midnight_utc() -> None:
    assert read(track(timestamp="2026-01-02")).at == 1_767_312_000_000


def test_an_original_timestamp_is_corrected_by_how_far_the_senders_clock_is_off() -> None:
    message = track(originalTimestamp="2026-01-01T12:00:00Z", sentAt="2026-01-01T12:00:01Z")
    assert read(message).at == 1_767_268_800_000
    message["receivedAt"] = "2026-01-01T13:00:01Z"
    assert read(message).at == 1_767_268_800_000 + 3_600_000
    message["timestamp"] = "2026-01-01T14:00:00Z"
    assert read(message).at == 1_767_268_800_000 + 7_200_000


def test_a_message_without_time_is_of_its_record() -> None:
    event = read(track(sentAt="2026-01-01T00:00:00Z"))
    assert (event.at, event.clamped) == (AT, False)


def test_a_time_more_than_five_minutes_ahead_is_the_records() -> None:
    just = read(track(timestamp=AT + 300_000))
    assert (just.at, just.clamped) == (AT + 300_000, False)
    over = read(track(timestamp=AT + 300_001))
    assert (over.at, over.clamped) == (AT, True)


# --- amounts and the rest --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("25", "25"),
        ("25.0", "25.0"),
        ('"12.50"', "12.50"),
        ('" 7 "', "7"),
        ("2.67499999999999999999", "2.67499999999999999999"),
        ("999999999999.99", "999999999999.99"),
        ("0", "0"),
        ("1e2", "1e2"),
        ("1e-400", "1e-400"),
    ],
)
def test_an_amount_is_the_decimal_text_as_sent(written: str, text: str) -> None:
    message = b'{"type": "track", "event": "Order Completed", "userId": "u", "properties": {"revenue": %s}}'
    assert read(message % written.encode()).amount == text


def test_a_currency_is_upper_case() -> None:
    assert read(track(properties={"currency": " usd "})).currency == "USD"
    assert read(track(properties={"currency": 840})).currency is None


def test_context_names_brand_locale_and_address() -> None:
    event = read(track(context={"brand": " acme ", "locale": "uk-UA", "ip": "203.0.113.7"}))
    assert (event.brand, event.locale, event.ip) == ("acme", "uk-UA", "203.0.113.7")
    assert read(track(context={"brand": " "})).brand == "default"


@pytest.mark.parametrize(
    ("user_agent", "bot"),
    [
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", True),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0 Safari/537.36",
            True,
        ),
        ("GPTBot/1.0", True),
        ("python-requests/2.31", True),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
            False,
        ),
        ("Dalvik/2.1.0 (Linux; U; Android 13; Pixel 7)", False),
        ("analytics-python/2.4.0", False),
        ("", False),
        ("x" * 100_000, False),
    ],
)
def test_bots_are_known_by_their_user_agent(user_agent: str, bot: bool) -> None:
    assert read(track(context={"userAgent": user_agent})).bot is bot


@pytest.mark.parametrize(
    "user_agent",
    [
        "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
        "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
        "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.12026; Pro)",
        "Outlook-iOS/709.2226530.prod.iphone (3.24.1)",
    ],
)
def test_what_people_read_mail_with_is_no_bot_when_a_mailer_tells_it(user_agent: str) -> None:
    context = {"userAgent": user_agent}
    assert not read(track("Email Opened", context=context)).bot
    assert read(track("Product Viewed", context=context)).bot


# --- what a replay looks at ------------------------------------------------------------------------------------------


def test_a_replay_sees_key_time_and_record_time() -> None:
    message = track(timestamp="2026-01-02T03:04:05Z", sentAt="2026-01-02T03:04:06Z", receivedAt="2026-01-02T03:04:07Z")
    assert peek(raw(message)) == Peek("u1", 1_767_323_045_000, 1_767_323_047_000)
    del message["receivedAt"]
    assert peek(raw(message)) == Peek("u1", 1_767_323_045_000, 1_767_323_046_000)
    del message["sentAt"]
    assert peek(raw(message)) == Peek("u1", 1_767_323_045_000, 1_767_323_045_000)
    del message["timestamp"]
    assert peek(raw(message)) == Peek("u1", None, None)


def test_a_replay_sees_the_time_that_parse_will_find() -> None:
    without = raw(track(sentAt="2026-01-02T03:04:06Z"))
    ahead = raw(track(timestamp="2026-01-02T04:00:00Z", sentAt="2026-01-02T03:04:06Z"))
    for message in (without, ahead):
        seen = peek(message)
        assert seen == Peek("u1", 1_767_323_046_000, 1_767_323_046_000)
        assert seen.record_at is not None
        assert read(message, record_at=seen.record_at).at == seen.at


@pytest.mark.parametrize("value", [b"", None, b"{", b"[]", b'{"type": "page"}', b'{"userId": "u"}'])
def test_a_replay_sees_nothing_of_what_is_no_message(value: bytes | None) -> None:
    assert peek(value) == Peek(None, None, None)


def test_a_replay_sees_no_time_where_one_is_bad() -> None:
    assert peek(raw(track(timestamp="soon", sentAt="2026-01-02T03:04:06Z"))) == Peek("u1", None, None)
    assert peek(raw(track(timestamp=5))) == Peek("u1", None, None)


@pytest.mark.parametrize(
    ("message", "key"),
    [
        ({"type": "page", "anonymousId": "a1"}, "a1"),
        ({"type": "page", "anonymousId": "a1", "context": {"traits": {"phone": "+380501234567"}}}, "+380501234567"),
        ({"type": "identify", "anonymousId": "a1", "traits": {"email": "Ada@x.com"}}, "ada@x.com"),
        ({"type": "page", "userId": "a:b", "anonymousId": "a1"}, "a:b"),
        ({"type": "page"}, None),
    ],
)
def test_the_record_key_is_the_bare_text_of_the_strongest_identifier(message: dict[str, Any], key: str | None) -> None:
    assert bare_key(raw(message)) == key
