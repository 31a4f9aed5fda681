"""Arrivals and their channels: GA4's default channel groups, click ids, referrers, a brand's own."""

from typing import Any

import pytest

from app.domain.channels import Classified, Classifier, Touchpoint, channel_group
from app.domain.event import Arrival, Page
from app.domain.rulebook import Attribution, ChannelRule, Internal, Rules, Test, Where


def rules(
    channels: tuple[ChannelRule, ...] = (),
    own_domains: frozenset[str] = frozenset({"shop.example"}),
    payment_domains: frozenset[str] = frozenset({"paypal.com", "checkout.stripe.com"}),
) -> Rules:
    return Rules(
        version="1",
        brand="default",
        timezone="UTC",
        currency="EUR",
        signals={},
        scores={},
        fit=None,
        interests=None,
        total={},
        stages=(),
        segments=(),
        exclude=None,
        grades_fit=(),
        grades_engagement=(),
        goals=(),
        attribution=Attribution(),
        channels=channels,
        own_domains=own_domains,
        payment_domains=payment_domains,
        internal=Internal(),
        rates={},
        trackers={},
    )


def classify(arrival: Arrival, brand: Rules | None = None) -> Classified:
    return Classifier(brand or rules()).classify(arrival)


def campaign(source: str = "", medium: str = "", name: str = "", category: str = "", **more: Any) -> Arrival:
    return Arrival(source=source, medium=medium, campaign=name, source_category=category, **more)


def referred(domain: str, category: str = "", host: str = "", name: str = "", **more: Any) -> Arrival:
    return Arrival(
        referrer_host=host or "www." + domain,
        referrer_domain=domain,
        referrer_category=category,
        referrer_name=name or domain,
        page_domain="brand.example",
        **more,
    )


# --- campaigns -------------------------------------------------------------------------------------------------------

CAMPAIGNS = [
    # source, medium, campaign, category of the source → channel, in GA4's order
    ("(direct)", "(none)", "", "", "Direct"),
    ("(direct)", "(not set)", "", "", "Direct"),
    ("google", "cpc", "Summer Cross-Network 1", "search", "Cross-network"),
    ("amazon", "cpc", "", "shopping", "Paid Shopping"),
    ("google", "cpc", "spring_shopping", "search", "Paid Shopping"),
    ("google", "cpc", "shop-now", "search", "Paid Shopping"),
    ("google", "cpc", "our shop", "search", "Paid Shopping"),
    ("google", "cpc", "eshop", "search", "Paid Shopping"),
    ("google", "cpc", "workshop", "search", "Paid Search"),  # of the letters, only an e may stand before "shop"
    ("google", "cpc", "bishop", "search", "Paid Search"),
    ("google", "cpc", "", "search", "Paid Search"),
    ("Google", "CPC", "", "search", "Paid Search"),
    ("google", "ppc", "", "search", "Paid Search"),
    ("bing", "paidsearch", "", "search", "Paid Search"),
    ("google", "retargeting", "", "search", "Paid Search"),
    ("google", "cpm", "", "search", "Paid Search"),
    ("facebook", "paid_social", "", "social", "Paid Social"),
    ("ig", "cpc", "", "social", "Paid Social"),
    ("youtube", "cpv", "", "video", "Paid Video"),
    ("youtube", "cpc", "", "video", "Paid Video"),
    ("youtube", "paid", "", "video", "Paid Video"),
    ("adnetwork", "display", "", "", "Display"),
    ("adnetwork", "Banner", "", "", "Display"),
    ("adnetwork", "expandable", "", "", "Display"),
    ("adnetwork", "interstitial", "", "", "Display"),
    ("adnetwork", "cpm", "", "", "Display"),
    ("facebook", "display", "", "social", "Display"),
    ("adnetwork", "cpc", "", "", "Paid Other"),
    ("adnetwork", "paid-anything", "", "", "Paid Other"),
    ("amazon", "", "", "shopping", "Organic Shopping"),
    ("newsletter", "email", "shopping week", "", "Organic Shopping"),
    ("facebook", "post", "", "social", "Organic Social"),
    ("partner", "social", "", "", "Organic Social"),
    ("partner", "Social-Network", "", "", "Organic Social"),
    ("partner", "sm", "", "", "Organic Social"),
    ("partner", "social media", "", "", "Organic Social"),
    ("youtube", "", "", "video", "Organic Video"),
    ("partner", "product-video", "", "", "Organic Video"),
    ("google", "", "", "search", "Organic Search"),
    ("google", "email", "", "search", "Organic Search"),
    ("partner", "organic", "", "", "Organic Search"),
    ("newsletter", "email", "", "", "Email"),
    ("newsletter", "E-Mail", "", "", "Email"),
    ("e_mail", "", "", "", "Email"),
    ("e mail", "newsletter", "", "", "Email"),
    ("gmail", "", "", "email", "Email"),
    ("partner", "affiliate", "", "", "Affiliates"),
    ("partner", "referral", "", "", "Referral"),
    ("partner", "app", "", "", "Referral"),
    ("partner", "link", "", "", "Referral"),
    ("spotify", "audio", "", "", "Audio"),
    ("sms", "", "", "", "SMS"),
    ("partner", "sms", "", "", "SMS"),
    ("partner", "web-push", "", "", "Mobile Push Notifications"),
    ("partner", "mobile app", "", "", "Mobile Push Notifications"),
    ("partner", "notifications", "", "", "Mobile Push Notifications"),
    ("firebase", "", "", "", "Mobile Push Notifications"),
    ("newsletter", "", "", "", "Unassigned"),
    ("partner", "newsletter", "", "", "Unassigned"),
    ("", "", "spring", "", "Unassigned"),
]


@pytest.mark.parametrize(("source", "medium", "name", "category", "channel"), CAMPAIGNS)
def test_a_campaign_is_of_ga4s_channel_group(source: str, medium: str, name: str, category: str, channel: str) -> None:
    assert channel_group(source, medium, name, category) == channel
    told = classify(campaign(source, medium, name, category))
    assert told.touchpoint.channel == channel
    assert told.told


def test_a_campaigns_texts_are_the_touchs() -> None:
    arrival = campaign("Google", "CPC", "Spring", "search", content="ad1", term="lead scoring")
    assert classify(arrival).touchpoint == Touchpoint("Paid Search", "Google", "CPC", "Spring", "ad1", "lead scoring")


def test_a_medium_without_a_source_is_of_the_referrer() -> None:
    arrival = referred("google.com", "search", name="google", medium="cpc")
    assert classify(arrival).touchpoint == Touchpoint("Paid Search", "google", "cpc")


def test_a_campaign_name_alone_keeps_the_referrers_channel() -> None:
    arrival = referred("google.com", "search", name="google", campaign="spring")
    assert classify(arrival).touchpoint == Touchpoint("Organic Search", "google", "organic", "spring")


# --- click ids -------------------------------------------------------------------------------------------------------

CLICKS = {
    "gclid": ("Paid Search", "google", "cpc"),
    "gbraid": ("Paid Search", "google", "cpc"),
    "wbraid": ("Paid Search", "google", "cpc"),
    "msclkid": ("Paid Search", "bing", "cpc"),
    "dclid": ("Display", "google", "cpm"),
    "ttclid": ("Paid Social", "tiktok", "cpc"),
    "twclid": ("Paid Social", "twitter", "cpc"),
    "li_fat_id": ("Paid Social", "linkedin", "cpc"),
    "fbclid": ("Organic Social", "facebook", "referral"),
}


@pytest.mark.parametrize(("click", "told"), CLICKS.items())
def test_a_click_id_alone_names_channel_source_and_medium(click: str, told: tuple[str, str, str]) -> None:
    result = classify(Arrival(click_type=click, click_id="x1"))
    point = result.touchpoint
    assert (point.channel, point.source, point.medium, point.click_id) == (*told, "x1")
    assert result.told


@pytest.mark.parametrize("click", [name for name in CLICKS if name != "fbclid"])
def test_an_ads_click_id_beats_the_medium_and_the_campaign_names_the_rest(click: str) -> None:
    point = classify(campaign("newsletter", "email", "May", click_type=click, click_id="x1")).touchpoint
    assert point == Touchpoint(CLICKS[click][0], "newsletter", "email", "May", click_id="x1")


@pytest.mark.parametrize(
    ("medium", "channel"),
    [
        ("cpc", "Paid Social"),
        ("Paid_Social", "Paid Social"),
        ("display", "Display"),
        ("social", "Organic Social"),
        ("post", "Organic Social"),
        ("", "Organic Social"),
    ],
)
def test_fbclid_is_organic_unless_the_medium_says_paid(medium: str, channel: str) -> None:
    point = classify(campaign("spring promo", medium, click_type="fbclid", click_id="f")).touchpoint
    assert (point.channel, point.source) == (channel, "spring promo")
    assert classify(Arrival(medium=medium, click_type="fbclid", click_id="f")).touchpoint.source == "facebook"


def test_fbclid_on_instagram_is_of_instagram() -> None:
    arrival = referred("instagram.com", "social", "l.instagram.com", "instagram", click_type="fbclid", click_id="f")
    assert classify(arrival).touchpoint == Touchpoint("Organic Social", "instagram", "referral", click_id="f")


# --- referrers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("category", "channel", "medium"),
    [
        ("search", "Organic Search", "organic"),
        ("social", "Organic Social", "referral"),
        ("shopping", "Organic Shopping", "referral"),
        ("video", "Organic Video", "referral"),
        ("email", "Email", "referral"),
        ("", "Referral", "referral"),
    ],
)
def test_a_referrer_is_of_the_channel_of_its_category(category: str, channel: str, medium: str) -> None:
    result = classify(referred("site.example", category, name="site"))
    assert result == Classified(Touchpoint(channel, "site", medium), told=False, external_referrer="site.example")


DIRECT = Classified(Touchpoint("Direct"), told=False, external_referrer="")


def test_nothing_to_tell_is_direct() -> None:
    assert classify(Arrival()) == DIRECT
    assert classify(Arrival(page_domain="shop.example")) == DIRECT


@pytest.mark.parametrize(
    ("domain", "host"),
    [
        ("brand.example", "www.brand.example"),  # the page's own
        ("shop.example", "shop.example"),
        ("shop.example", "blog.shop.example"),
        ("paypal.com", "www.paypal.com"),
        ("stripe.com", "checkout.stripe.com"),
        ("stripe.com", "eu.checkout.stripe.com"),
    ],
)
def test_own_domains_and_payment_providers_are_no_referrers(domain: str, host: str) -> None:
    assert classify(referred(domain, host=host)) == DIRECT


@pytest.mark.parametrize(
    ("domain", "host"), [("stripe.com", "stripe.com"), ("notpaypal.com", "notpaypal.com"), ("shop.example.org",) * 2]
)
def test_what_only_looks_like_an_own_domain_is_a_referrer(domain: str, host: str) -> None:
    assert classify(referred(domain, host=host)).external_referrer == domain


def test_an_own_domain_is_known_as_browsers_tell_it() -> None:
    brand = rules(own_domains=frozenset({"магазин.укр"}))
    assert classify(referred("xn--80aairftm.xn--j1amh"), brand) == DIRECT


def test_a_campaign_counts_whatever_the_referrer() -> None:
    told = classify(referred("paypal.com", source="google", medium="cpc", source_category="search"))
    assert told == Classified(Touchpoint("Paid Search", "google", "cpc"), told=True, external_referrer="")


# --- a brand's own channels ------------------------------------------------------------------------------------------


def own(*channels: tuple[str, str, Test]) -> Rules:
    return rules(tuple(ChannelRule(name, Where(((field, test),))) for name, field, test in channels))


def test_a_brands_own_channels_are_tried_first_and_in_order() -> None:
    brand = own(("Partner", "medium", Test(equals="partner")), ("Any", "medium", Test(exists=True)))
    assert classify(campaign("x", "Partner"), brand).touchpoint.channel == "Partner"
    assert classify(campaign("x", "email"), brand).touchpoint.channel == "Any"
    assert classify(Arrival(click_type="gclid", click_id="g", medium="partner"), brand).touchpoint.channel == "Partner"
    assert classify(Arrival(), brand).touchpoint.channel == "Direct"


@pytest.mark.parametrize(
    ("field", "test", "arrival"),
    [
        ("channel", Test(equals="organic search"), referred("google.com", "search", name="google")),
        ("source", Test(equals="google"), referred("google.com", "search", name="google")),
        ("campaign", Test(contains="may"), campaign("x", "y", "In May")),
        ("content", Test(equals="a"), Arrival(content="A")),
        ("term", Test(glob=("lead*",)), Arrival(term="lead scoring")),
        ("click_id", Test(exists=True), Arrival(click_type="gclid", click_id="g")),
        ("referrer", Test(glob=("*.partner.example",)), referred("partner.example")),
        ("host", Test(equals="brand.example"), referred("partner.example")),
    ],
)
def test_a_channel_rule_may_look_at_what_the_arrival_tells(field: str, test: Test, arrival: Arrival) -> None:
    assert classify(arrival, own(("Ours", field, test))).touchpoint.channel == "Ours"


def test_a_channel_rule_may_look_at_the_page() -> None:
    classifier = Classifier(own(("Campaign page", "path", Test(glob=("/lp/*",)))))
    assert classifier.classify(Arrival(), Page(path="/lp/spring")).touchpoint.channel == "Campaign page"
    assert classifier.classify(Arrival(), Page(path="/")).touchpoint.channel == "Direct"
    assert classifier.classify(Arrival()).touchpoint.channel == "Direct"
