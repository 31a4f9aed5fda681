"""Where an event was and how its lead came there: pages, campaigns, click ids, referrers, sites."""

from typing import Any

import pytest

from app.domain.event import NO_ARRIVAL, NO_PAGE, Arrival, Page
from app.sources.arrivals import NOWHERE, where
from app.sources.sites import registrable_domain, source_category
from app.sources.urls import Url, campaign_parameters, split_url


def arrival(url: str = "", referrer: str = "", **context: Any) -> Arrival:
    return where({"page": {"url": url, "referrer": referrer}, **context}, {}, about_page=False).arrival


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://User:p@Shop.Example.COM:8443/a/b?x=1#y?z", Url("https", "shop.example.com", "/a/b", "x=1")),
        ("HTTP://example.com", Url("http", "example.com", "/", "")),
        ("https://example.com?q=a://b", Url("https", "example.com", "/", "q=a://b")),
        ("http://[2001:db8::1]:80/p", Url("http", "2001:db8::1", "/p", "")),
        ("//example.com./p", Url("", "example.com", "/p", "")),
        ("https://Магазин.укр/p", Url("https", "xn--80aairftm.xn--j1amh", "/p", "")),
        ("https://ü..de/", Url("https", "ü..de", "/", "")),
        ("/pricing?a=b", Url("", "", "/pricing", "a=b")),
        ("pricing", Url("", "", "pricing", "")),
        ("", Url("", "", "", "")),
        ("http://[::1", Url("http", "::1", "/", "")),
    ],
)
def test_an_address_is_split(url: str, parts: Url) -> None:
    assert split_url(url) == parts


def test_parameters_are_decoded_and_the_first_that_is_not_empty_counts() -> None:
    query = "utm_source=&UTM_Source=caf%C3%A9+bar&utm_source=z&gclid=%ff&x=1&utm_medium&utm_term=a%20b=c"
    assert campaign_parameters(query) == {"utm_source": "café bar", "gclid": "�", "utm_term": "a b=c"}
    assert campaign_parameters("?fbclid=1") == {"fbclid": "1"}
    assert campaign_parameters("Utm_Source=a&GClid=2") == {"utm_source": "a", "gclid": "2"}
    assert campaign_parameters("a=b&c") == {}


# --- pages -----------------------------------------------------------------------------------------------------------


def test_an_event_is_on_the_page_of_its_context() -> None:
    told = {"url": "https://a.example/x?y", "title": "X", "referrer": "https://b.example/"}
    page = Page("https://a.example/x?y", "a.example", "/x", "X", "https://b.example/")
    properties = {"url": "https://a.example/other", "title": "Other"}
    assert where({"page": told}, properties, about_page=False).page == page
    assert where({}, told, about_page=False).page == page


def test_a_page_call_is_about_the_page_of_its_properties() -> None:
    context = {
        "page": {"url": "https://a.example/old", "path": "/old", "title": "Old", "referrer": "https://b.example/"}
    }
    page = where(context, {"url": "https://a.example/new"}, about_page=True).page
    assert page == Page("https://a.example/new", "a.example", "/new", "Old", "https://b.example/")
    assert where(context, {"name": "New"}, about_page=True).page.path == "/old"


AD = "https://shop.example/x?gclid=5"


@pytest.mark.parametrize(
    ("page", "properties", "about_page"),
    [
        ({"url": AD, "path": "/x"}, {"path": "/x"}, True),
        ({"url": AD}, {"url": 5}, True),
        ({"url": AD}, {"url": "", "path": " "}, True),
        ({"path": "/x", "title": "q"}, {"url": AD}, False),
        ({"url": ["no text"], "path": "/x"}, {"url": AD}, False),
    ],
)
def test_an_address_is_read_wherever_it_stands(page: Any, properties: Any, about_page: bool) -> None:
    told = where({"page": {"referrer": "https://shop.example/y", **page}}, properties, about_page=about_page)
    assert (told.page.url, told.page.path, told.arrival.click_id) == (AD, "/x", "5")
    assert told.arrival.page_domain == told.arrival.referrer_domain == "shop.example"


def test_a_path_is_of_the_page_that_the_event_is_about() -> None:
    context = {"page": {"url": "https://shop.example/now?utm_source=a"}}
    told = where(context, {"path": "/elsewhere"}, about_page=False)
    assert (told.page.path, told.arrival.source) == ("/now", "a")
    assert where(context, {"path": "/elsewhere"}, about_page=True).page.path == "/elsewhere"


def test_a_path_that_was_told_is_taken_before_the_urls() -> None:
    assert where({"page": {"url": "https://a.example/x", "path": "/y"}}, {}, about_page=False).page.path == "/y"


@pytest.mark.parametrize(
    ("context", "properties", "says"),
    [
        ({}, {}, False),
        ({"page": {}}, {}, False),
        ({"page": {"path": None, "url": ""}}, {}, False),
        ({"campaign": {}}, {}, False),
        ({"campaign": {"source": " "}}, {}, False),
        ({"page": {"path": "/"}}, {}, True),
        ({"page": {"title": "Home"}}, {}, True),
        ({"campaign": {"name": "spring"}}, {}, True),
        ({}, {"url": "/x"}, True),
        ({}, {"url": 5}, False),
        ({}, {"path": "/x"}, False),
    ],
)
def test_an_event_says_where_by_page_url_or_campaign(
    context: dict[str, Any], properties: dict[str, Any], says: bool
) -> None:
    assert where(context, properties, about_page=False).says_where is says


def test_a_servers_event_says_nothing() -> None:
    assert where({"library": {"name": "analytics-python"}}, {"order_id": "o1"}, about_page=False) == NOWHERE
    assert NOWHERE == (NO_PAGE, False, NO_ARRIVAL)


def test_lists_and_objects_are_no_text() -> None:
    odd = {"url": ["https://a.example"], "referrer": {"a": 1}}
    assert where({"page": odd}, {}, about_page=False).arrival == NO_ARRIVAL


# --- arrivals --------------------------------------------------------------------------------------------------------


def test_the_campaign_of_the_context_counts_as_a_whole_before_the_urls() -> None:
    url = "https://a.example/?utm_source=google&utm_medium=cpc&utm_campaign=c&utm_content=d&utm_term=e"
    told = arrival(url)
    assert (told.source, told.medium, told.campaign, told.content, told.term) == ("google", "cpc", "c", "d", "e")
    told = arrival(url, campaign={"source": " Newsletter ", "name": "May"})
    assert (told.source, told.medium, told.campaign, told.content, told.term) == ("Newsletter", "", "May", "", "")


def test_the_search_part_of_a_page_stands_in_for_the_urls_query() -> None:
    page = {"url": "https://a.example/x", "search": "?utm_source=bing&msclkid=m1"}
    told = where({"page": page}, {}, about_page=False).arrival
    assert (told.source, told.click_type, told.click_id) == ("bing", "msclkid", "m1")


@pytest.mark.parametrize(
    "name", ["gclid", "gbraid", "wbraid", "msclkid", "dclid", "ttclid", "twclid", "li_fat_id", "fbclid"]
)
def test_click_ids_are_known(name: str) -> None:
    told = arrival(f"https://a.example/?fbclid=f&{name}=id-1")
    assert (told.click_type, told.click_id) == (name, "id-1" if name != "fbclid" else "f")


REFERRERS = {
    "https://www.google.com/": ("google.com", "search", "google"),
    "https://www.google.co.uk/search?q=x": ("google.co.uk", "search", "google"),
    "https://mail.google.com/mail/u/0": ("google.com", "email", "gmail"),
    "https://support.google.com/x": ("google.com", "", "google"),
    "https://duckduckgo.com/": ("duckduckgo.com", "search", "duckduckgo"),
    "https://www.bing.com/search": ("bing.com", "search", "bing"),
    "https://l.facebook.com/l.php?u=x": ("facebook.com", "social", "facebook"),
    "https://t.co/x": ("t.co", "social", "twitter"),
    "https://x.com/a": ("x.com", "social", "twitter"),
    "https://www.linkedin.com/feed": ("linkedin.com", "social", "linkedin"),
    "https://lnkd.in/x": ("lnkd.in", "social", "linkedin"),
    "https://www.youtube.com/watch?v=1": ("youtube.com", "video", "youtube"),
    "https://youtu.be/1": ("youtu.be", "video", "youtube"),
    "https://www.amazon.de/dp/1": ("amazon.de", "shopping", "amazon"),
    "https://www.ebay.co.uk/itm/1": ("ebay.co.uk", "shopping", "ebay"),
    "https://chatgpt.com/": ("chatgpt.com", "", "chatgpt"),
    "https://gemini.google.com/app": ("google.com", "", "gemini"),
    "https://docs.google.com/document/d/1": ("google.com", "", "google"),
    "https://t.me/channel": ("t.me", "social", "telegram"),
    "https://www.tripadvisor.co.uk/x": ("tripadvisor.co.uk", "social", "tripadvisor"),
    "https://medium.com/@a/b": ("medium.com", "social", "medium"),
    "https://a.medium.example/": ("medium.example", "", "a.medium.example"),
    "https://www.msn.com/en-gb": ("msn.com", "search", "msn"),
    "https://www.seznam.cz/": ("seznam.cz", "search", "seznam"),
    "https://email.seznam.cz/": ("seznam.cz", "email", "seznam mail"),
    "https://www.ted.com/talks/1": ("ted.com", "video", "ted"),
    "https://www.rakuten.co.jp/": ("rakuten.co.jp", "search", "rakuten"),
    "https://blog.partner.co.uk/post": ("partner.co.uk", "", "blog.partner.co.uk"),
    "http://Blog.Partner.example:8080": ("partner.example", "", "blog.partner.example"),
    "android-app://com.google.android.gm/": ("com.google.android.gm", "email", "gmail"),
    "android-app://org.unknown.app": ("org.unknown.app", "", "org.unknown.app"),
}


@pytest.mark.parametrize(("referrer", "told"), REFERRERS.items())
def test_a_referrer_is_known_by_domain_category_and_name(referrer: str, told: tuple[str, str, str]) -> None:
    read = arrival("https://shop.example/", referrer)
    assert (read.referrer_domain, read.referrer_category, read.referrer_name) == told
    assert read.page_domain == "shop.example"


@pytest.mark.parametrize(
    "referrer", ["", "about:blank", "ftp://google.com/", "google.com", "https://", "$direct", "//x.com"]
)
def test_what_is_no_web_page_is_no_referrer(referrer: str) -> None:
    assert arrival("https://shop.example/", referrer).referrer_host == ""


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("www.example.co.uk", "example.co.uk"),
        ("a.b.example.com", "example.com"),
        ("ada.github.io", "ada.github.io"),
        ("my-shop.myshopify.com", "my-shop.myshopify.com"),
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "localhost"),
        ("www.shop.example", "shop.example"),
        ("shop.example", "shop.example"),
        ("co.uk", "co.uk"),
        ("2001:db8::1", "2001:db8::1"),
        ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
    ],
)
def test_registrable_domains_follow_the_public_suffix_list(host: str, domain: str) -> None:
    assert registrable_domain(host) == domain


@pytest.mark.parametrize(
    ("source", "category"),
    [
        ("google", "search"),
        ("Google", "search"),
        ("google.com", "search"),
        ("www.google.de", "search"),
        ("bing", "search"),
        ("duckduckgo", "search"),
        ("yahoo", "search"),
        ("ecosia.org", "search"),
        ("facebook", "social"),
        ("fb", "social"),
        ("ig", "social"),
        ("m.facebook.com", "social"),
        ("t.co", "social"),
        ("linkedin", "social"),
        ("linkedin.com", "social"),
        ("tiktok", "social"),
        ("instagram", "social"),
        ("reddit.com", "social"),
        ("youtube", "video"),
        ("youtube.com", "video"),
        ("vimeo", "video"),
        ("amazon", "shopping"),
        ("amazon.co.uk", "shopping"),
        ("igshopping", "shopping"),
        ("gmail", "email"),
        ("mail.google.com", "email"),
        ("newsletter", ""),
        ("partner.example", ""),
        ("free", ""),
        ("", ""),
    ],
)
def test_a_campaigns_source_is_known_by_name_or_domain(source: str, category: str) -> None:
    assert source_category(source) == category


def test_long_text_is_cut_to_what_a_touch_may_hold() -> None:
    url = "https://a.example/" + "x" * 10_000
    told = where({"page": {"url": url}, "campaign": {"source": "s" * 10_000}}, {}, about_page=False, cached=False)
    assert (len(told.page.url), len(told.arrival.source), told.arrival.page_domain) == (4_096, 500, "a.example")
    assert arrival(referrer="https://" + "h" * 300).referrer_domain == "h" * 300
