"""Touches: which events are arrivals, and what they tell."""

import pytest
from msgspec.structs import replace

from app.domain.event import Arrival, Event
from tests.domain.stories import HOUR, MINUTE, START, Story, event, order, page, reader
from tests.domain.ways import (
    BLOG,
    DIRECT,
    GOOGLE,
    MAILED,
    PARTNER,
    SITE,
    SPRING,
    SUMMER,
    plain,
    referred,
    touches,
    visits,
)

RULES = reader(plain())


def made(*events: Event) -> list[tuple[str, str, str]]:
    return touches(Story(RULES).tell_each(events))


def ids(*events: Event) -> list[str]:
    return [event_id for event_id, _, _ in made(*events)]


def click(at: int, id: str = "click", **properties: str) -> Event:
    return event(at, "email_clicked", id, properties={"email_id": "m1", "link_url": "a"} | properties)


# --- the first event of a visit ---------------------------------------------------------------------------------------


def test_a_visit_with_nothing_to_tell_is_direct() -> None:
    assert made(page(START, id="a")) == [("a", "Direct", "")]


def test_later_pages_of_a_visit_are_no_arrivals() -> None:
    assert ids(page(START, id="a", arrival=GOOGLE), page(START + MINUTE, "/b", id="b")) == ["a"]


def test_each_visit_has_its_touch_though_it_tells_the_same() -> None:
    assert ids(page(START, id="a"), page(START + 30 * MINUTE, id="b")) == ["a", "b"]
    assert ids(page(START, id="a", arrival=SPRING), page(START + HOUR, id="b", arrival=SPRING)) == ["a", "b"]


def test_a_server_event_is_no_touch_and_leaves_it_to_the_next_that_says_where_it_was() -> None:
    events = [event(START, "cart_added", "server"), page(START + MINUTE, id="a", arrival=GOOGLE)]
    assert made(*events) == [("a", "Organic Search", "")]
    assert visits(Story(RULES).tell_each(events)) == (1, 60.0, 60)


def test_server_events_alone_make_a_visit_without_a_touch() -> None:
    story = Story(RULES).tell_each([order(START, "o1", "5")])
    assert touches(story) == []
    assert visits(story) == (1, 0.0, 0)


def test_a_custom_event_that_says_where_may_be_the_arrival() -> None:
    assert ids(event(START, "custom", "a", name="played", path="/video"), page(START + 1, id="b")) == ["a"]
    assert ids(event(START, "custom", "a", name="played"), page(START + 1, id="b")) == ["b"]


def test_a_touch_tells_what_the_arrival_told() -> None:
    told = replace(SPRING, content="banner", term="boots", click_type="gclid", click_id="g7")
    profile = Story(RULES).tell(page(START, "/land", id="a", arrival=told)).until(START)
    assert profile["first_touch"] == profile["last_touch"]
    assert profile["last_touch"] == {
        "at": "2026-01-01T00:00:00.000Z",
        "channel": "Paid Search",
        "source": "google",
        "medium": "cpc",
        "campaign": "spring",
        "content": "banner",
        "term": "boots",
        "click_id": "g7",
        "landing_page": "/land",
        "event_id": "a",
    }


# --- later arrivals of a visit ----------------------------------------------------------------------------------------


def test_another_campaign_is_a_touch_and_starts_a_visit() -> None:
    story = Story(RULES).tell_each([page(START, id="a", arrival=SPRING), page(START + 1, id="b", arrival=SUMMER)])
    assert touches(story) == [("a", "Paid Search", "spring"), ("b", "Paid Search", "summer")]
    assert visits(story)[0] == 2


@pytest.mark.parametrize(
    "other",
    [
        replace(SPRING, source="bing"),
        replace(SPRING, medium="email"),
        replace(SPRING, campaign="x"),
        replace(SPRING, click_type="gclid", click_id="g1"),
    ],
    ids=["source", "medium", "campaign", "click id"],
)
def test_each_compared_field_makes_another_arrival(other: Arrival) -> None:
    story = Story(RULES).tell_each([page(START, id="a", arrival=SPRING), page(START + 1, id="b", arrival=other)])
    assert [name for name, _, _ in touches(story)] == ["a", "b"]
    assert visits(story)[0] == 2


@pytest.mark.parametrize("other", [replace(SPRING, content="x"), replace(SPRING, term="x")], ids=["content", "term"])
def test_content_and_term_are_not_compared(other: Arrival) -> None:
    story = Story(RULES).tell_each([page(START, id="a", arrival=SPRING), page(START + 1, id="b", arrival=other)])
    assert [name for name, _, _ in touches(story)] == ["a"]
    assert visits(story)[0] == 1


def test_another_click_id_is_a_touch_and_starts_a_visit() -> None:
    one, two = (Arrival(click_type="gclid", click_id=text, page_domain=SITE) for text in ("g1", "g2"))
    story = Story(RULES).tell_each([page(START, id="a", arrival=one), page(START + 1, id="b", arrival=two)])
    assert touches(story) == [("a", "Paid Search", ""), ("b", "Paid Search", "")]
    assert visits(story)[0] == 2


def test_a_new_referrer_is_a_touch_and_starts_no_visit() -> None:
    story = Story(RULES).tell_each([page(START, id="a"), page(START + MINUTE, id="b", arrival=BLOG)])
    assert touches(story) == [("a", "Direct", ""), ("b", "Referral", "")]
    assert visits(story) == (1, 60.0, 60)


def test_a_referrer_already_seen_in_the_visit_is_no_arrival() -> None:
    events = [
        page(START, id="a", arrival=GOOGLE),
        page(START + 1, id="b", arrival=BLOG),
        page(START + 2, id="c", arrival=GOOGLE),
        page(START + 3, id="d", arrival=BLOG),
    ]
    assert ids(*events) == ["a", "b"]


def test_a_referrer_seen_beside_a_campaign_counts_as_seen() -> None:
    both = replace(SPRING, referrer_host=GOOGLE.referrer_host, referrer_domain=GOOGLE.referrer_domain)
    assert ids(page(START, id="a", arrival=both), page(START + 1, id="b", arrival=GOOGLE)) == ["a"]


def test_a_referrer_of_an_earlier_visit_may_arrive_again() -> None:
    events = [
        page(START, id="a", arrival=GOOGLE),
        page(START + HOUR, id="b"),
        page(START + HOUR + 1, id="c", arrival=GOOGLE),
    ]
    assert ids(*events) == ["a", "b", "c"]


@pytest.mark.parametrize("domain", [SITE, "paypal.com"])
def test_own_domains_and_payment_providers_are_no_referrers(domain: str) -> None:
    back = replace(referred(domain), page_domain="other.example")
    assert ids(page(START, id="a", arrival=GOOGLE), page(START + 1, id="b", arrival=back)) == ["a"]
    assert made(page(START, id="a", arrival=back)) == [("a", "Direct", "")]


def test_the_referrer_of_the_same_site_is_no_arrival() -> None:
    inside = replace(referred("elsewhere.example"), page_domain="elsewhere.example")
    assert ids(page(START, id="a", arrival=GOOGLE), page(START + 1, id="b", arrival=inside)) == ["a"]


def test_tagged_pages_are_no_touch_and_no_visit() -> None:
    story = Story(RULES).tell_each([page(START, id="a", arrival=SPRING, bot=True)])
    assert touches(story) == []
    assert visits(story)[0] == 0


# --- mail -------------------------------------------------------------------------------------------------------------


def test_a_mail_click_is_a_touch_of_the_email_channel() -> None:
    assert made(click(START, campaign_name="weekly")) == [("click", "Email", "weekly")]


@pytest.mark.parametrize("kind", ["email_opened", "email_clicked"])
@pytest.mark.parametrize("where", ["{channel: Email}", "{medium: email}", "{campaign: Weekly}"])
def test_rules_see_of_a_mail_event_what_its_touch_says(kind: str, where: str) -> None:
    mailed, direct = (f"{{enter: {{did: {kind}, where: {test}}}}}" for test in (where, "{channel: Direct}"))
    rules = reader(plain(f"segments: {{mailed: {mailed}, direct: {direct}}}\n"))
    story = Story(rules).tell(event(START, kind, properties={"email_id": "m1", "campaign_name": "weekly"}))
    assert story.segments[-1]["segments"] == ["mailed"]


def test_the_landing_with_medium_email_is_the_same_touch_with_its_campaign() -> None:
    story = Story(RULES).tell_each([click(START), page(START + 3_000, "/offer", id="land", arrival=MAILED)])
    assert touches(story) == [("click", "Email", "weekly")]
    touch = story.until(START + MINUTE)["last_touch"]
    assert (touch["at"], touch["source"], touch["landing_page"]) == ("2026-01-01T00:00:00.000Z", "news", "/offer")


def test_the_landing_with_nothing_to_tell_is_the_same_touch() -> None:
    story = Story(RULES).tell_each([click(START, campaign_name="weekly"), page(START + 3_000, "/offer", id="land")])
    assert touches(story) == [("click", "Email", "weekly")]
    assert story.until(START + MINUTE)["first_touch"]["landing_page"] == "/offer"


@pytest.mark.parametrize("other", [SPRING, BLOG], ids=["campaign", "referrer"])
def test_an_arrival_by_another_way_is_no_landing(other: Arrival) -> None:
    assert ids(click(START), page(START + 3_000, id="b", arrival=other)) == ["click", "b"]


@pytest.mark.parametrize(("after", "touched"), [(5 * MINUTE - 1, ["click"]), (5 * MINUTE, ["click", "b"])])
def test_a_landing_comes_within_five_minutes(after: int, touched: list[str]) -> None:
    assert ids(click(START), page(START + after, id="b", arrival=MAILED)) == touched


def test_a_click_has_one_landing() -> None:
    other = replace(MAILED, campaign="other")
    events = [click(START), page(START + 1_000, id="b", arrival=MAILED), page(START + 2_000, id="c", arrival=other)]
    assert made(*events) == [("click", "Email", "weekly"), ("c", "Email", "other")]


def test_a_click_in_the_middle_of_a_visit_is_a_touch_and_its_plain_landing_goes_on_with_the_visit() -> None:
    story = Story(RULES).tell_each([page(START, id="a"), click(START + MINUTE), page(START + 2 * MINUTE, id="b")])
    assert [name for name, _, _ in touches(story)] == ["a", "click"]
    assert visits(story) == (1, 120.0, 120)


def test_a_landing_of_another_visit_than_the_last_does_not_touch_twice() -> None:
    events = [page(START, id="a"), click(START + HOUR), page(START + HOUR + 1_000, id="b")]
    story = Story(RULES).tell_each(events)
    assert [name for name, _, _ in touches(story)] == ["a", "click"]
    assert visits(story)[0] == 2


def test_opened_and_delivered_mail_is_no_touch() -> None:
    told = {"email_id": "m1"}
    assert (
        made(*(event(START + i, kind, properties=told) for i, kind in enumerate(["email_sent", "email_opened"]))) == []
    )


# --- conversations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "properties", "source"),
    [
        ("conversationstarted", {}, "chat"),
        ("livechatconversationstarted", {}, "chat"),
        ("callcompleted", {}, "call"),
        ("enquirysent", {}, "form"),
        ("conversationstarted", {"medium": "whatsapp"}, "whatsapp"),
    ],
)
def test_a_conversation_is_a_touch_by_its_medium(name: str, properties: dict[str, str], source: str) -> None:
    story = Story(RULES).tell(event(START, "conversation", "talk", name=name, properties=properties))
    touch = story.until(START)["last_touch"]
    assert (touch["channel"], touch["source"]) == ("Conversation", source)
    assert visits(story)[0] == 0


def test_each_conversation_is_a_touch() -> None:
    assert ids(*(event(START + i, "conversation", f"t{i}") for i in range(2))) == ["t0", "t1"]


# --- order and bounds -------------------------------------------------------------------------------------------------


def test_touches_stand_in_order_of_time_then_event_id() -> None:
    events = [
        event(START + 5, "conversation", "b"),
        event(START + 5, "conversation", "a"),
        event(START + 1, "conversation", "z"),
    ]
    assert ids(*events) == ["z", "a", "b"]
    profile = Story(RULES).tell_each(events).until(START + 5)
    assert (profile["first_touch"]["event_id"], profile["last_touch"]["event_id"]) == ("z", "b")


def test_the_newest_five_hundred_touches_are_kept() -> None:
    story = Story(RULES).tell(*(event(START + i, "conversation", f"{i:03d}") for i in range(510)))
    assert [name for name, _, _ in touches(story)] == [f"{i:03d}" for i in range(10, 510)]


def test_touches_are_kept_for_four_hundred_days() -> None:
    day = 86_400_000
    events = [page(START, id="a"), page(START + 1, id="b", arrival=SPRING), page(START + 400 * day, id="c")]
    assert ids(*events) == ["b", "c"]
    assert Story(RULES).tell_each(events).until(START + 400 * day)["first_touch"]["event_id"] == "a"


def test_a_brands_own_channel_comes_before_the_default_ones() -> None:
    rules = reader(plain("channels:\n  - {name: Partner, where: {medium: affiliate}}\n"))
    assert touches(Story(rules).tell(page(START, id="a", arrival=PARTNER))) == [("a", "Partner", "")]
    assert made(page(START, id="a", arrival=PARTNER)) == [("a", "Affiliates", "")]


def test_a_direct_page_after_a_campaign_in_the_same_visit_is_no_arrival() -> None:
    assert ids(page(START, id="a", arrival=SPRING), page(START + 1, id="b", arrival=DIRECT)) == ["a"]


def test_of_a_lead_that_arrives_all_the_time_the_newest_500_touches_are_kept() -> None:
    """At 2,000 events nothing before them can be folded again: touches that no longer count go then."""
    told = [page(START + n * 1_000, id=f"{n}", arrival=(SPRING, SUMMER)[n % 2]) for n in range(4_100)]
    story = Story(RULES).tell_in_chunks(told, 1_025)
    assert [name for name, _, _ in touches(story)] == [f"{n}" for n in range(3_600, 4_100)]
    assert sum(name.startswith("t|") for name in story.rows) == (500 + 100) // 8
    story.tell(page(START + 4_050_500, id="late", arrival=PARTNER))
    named = [*range(3_601, 4_051), "late", *range(4_051, 4_100)]
    assert [name for name, _, _ in touches(story)] == [f"{n}" for n in named]
