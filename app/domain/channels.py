"""Channels: which of GA4's default channel groups an arrival belongs to, and what its source and medium are.

Source of names, order and patterns: Google Analytics Help, "[GA4] Default channel group", manual traffic. Click ids and
referrers: SEMANTICS §5.
"""

import re
from typing import Any, Final

import msgspec

from app.domain.event import NO_PAGE, Arrival, Page
from app.domain.hosts import ascii_host
from app.domain.matching import matches
from app.domain.rulebook import Rules

DIRECT: Final = "Direct"
UNASSIGNED: Final = "Unassigned"

CLICK_CHANNELS: Final = {
    "gclid": "Paid Search",
    "gbraid": "Paid Search",
    "wbraid": "Paid Search",
    "msclkid": "Paid Search",
    "dclid": "Display",
    "ttclid": "Paid Social",
    "twclid": "Paid Social",
    "li_fat_id": "Paid Social",
}
"""Channel that a click id decides, whatever the campaign's medium says."""

CLICK_SOURCES: Final = {
    "gclid": ("google", "cpc"),
    "gbraid": ("google", "cpc"),
    "wbraid": ("google", "cpc"),
    "msclkid": ("bing", "cpc"),
    "dclid": ("google", "cpm"),
    "ttclid": ("tiktok", "cpc"),
    "twclid": ("twitter", "cpc"),
    "li_fat_id": ("linkedin", "cpc"),
    "fbclid": ("facebook", "referral"),
}
"""Source and medium of a click id's arrival that names none."""

_PAID: Final = re.compile(r".*cp.*|ppc|retargeting|paid.*", re.DOTALL)
_SHOP_CAMPAIGN: Final = re.compile(r".*(([^a-df-z]|^)shop|shopping).*", re.DOTALL)
_EMAIL: Final = frozenset({"email", "e-mail", "e_mail", "e mail"})
_DISPLAY: Final = frozenset({"display", "banner", "expandable", "interstitial", "cpm"})
_SOCIAL: Final = frozenset({"social", "social-network", "social-media", "sm", "social network", "social media"})
_REFERRAL: Final = frozenset({"referral", "app", "link"})
_PAID_BY_CATEGORY: Final = (("search", "Paid Search"), ("social", "Paid Social"), ("video", "Paid Video"))
_REFERRER_CHANNELS: Final = {
    "search": "Organic Search",
    "social": "Organic Social",
    "shopping": "Organic Shopping",
    "video": "Organic Video",
    "email": "Email",
}
_PAGE_FIELDS: Final = frozenset({"path", "url", "host", "title", "referrer"})
_CACHE: Final = 4_096


class Touchpoint(msgspec.Struct, frozen=True, array_like=True):
    """The classification of one arrival; empty text for what it did not tell."""

    channel: str
    source: str = ""
    medium: str = ""
    campaign: str = ""
    content: str = ""
    term: str = ""
    click_id: str = ""


class Classified(msgspec.Struct, frozen=True):
    """An arrival as one brand sees it."""

    touchpoint: Touchpoint
    told: bool
    """Campaign parameters or a click id were there."""
    external_referrer: str
    """Registrable domain of the referrer; empty when there is none, or it is the page's own, ours or a payment's."""


def channel_group(source: str, medium: str, campaign: str, category: str) -> str:
    """Return GA4's default channel group of a campaign; `category` is what its source is known as.

    Text is compared without regard to case. What no rule takes is `Unassigned`. Of webmail, which GA4 has no list of, a
    source counts as `Email` where no medium says otherwise.
    """
    source, medium, campaign = source.casefold(), medium.casefold(), campaign.casefold()
    if source == "(direct)" and medium in ("(not set)", "(none)", ""):
        return DIRECT
    if "cross-network" in campaign:
        return "Cross-network"
    shop = category == "shopping" or _SHOP_CAMPAIGN.fullmatch(campaign) is not None
    if _PAID.fullmatch(medium):
        if shop:
            return "Paid Shopping"
        for name, channel in _PAID_BY_CATEGORY:
            if category == name:
                return channel
        return "Display" if medium in _DISPLAY else "Paid Other"
    if medium in _DISPLAY:
        return "Display"
    return _organic(source, medium, category, shop=shop)


def _organic(source: str, medium: str, category: str, *, shop: bool) -> str:
    """Return the channel group of a campaign that is not paid, in GA4's order."""
    rules = (
        ("Organic Shopping", shop),
        ("Organic Social", category == "social" or medium in _SOCIAL),
        ("Organic Video", category == "video" or "video" in medium),
        ("Organic Search", category == "search" or medium == "organic"),
        ("Email", source in _EMAIL or medium in _EMAIL or (category == "email" and not medium)),
        ("Affiliates", medium == "affiliate"),
        ("Referral", medium in _REFERRAL),
        ("Audio", medium == "audio"),
        ("SMS", source == "sms" or medium == "sms"),
        (
            "Mobile Push Notifications",
            medium.endswith("push") or "mobile" in medium or "notification" in medium or source == "firebase",
        ),
    )
    return next((channel for channel, holds in rules if holds), UNASSIGNED)


class Classifier:
    """One brand's own channels, domains and payment providers, over the default channel groups."""

    def __init__(self, rules: Rules) -> None:
        self._channels = rules.channels
        self._not_external = frozenset(map(ascii_host, rules.own_domains | rules.payment_domains))
        self._looks_at_page = any(field in _PAGE_FIELDS for rule in rules.channels for field, _ in rule.where.fields)
        self._known: dict[tuple[Arrival, Page], Classified] = {}

    def classify(self, arrival: Arrival, page: Page = NO_PAGE) -> Classified:
        """Return the arrival's touchpoint; `page` is what the brand's own channels may also look at."""
        key = (arrival, page if self._looks_at_page else NO_PAGE)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _CACHE:
                self._known.clear()
            known = self._known[key] = self._classify(arrival, page)
        return known

    def _classify(self, arrival: Arrival, page: Page) -> Classified:
        referrer = self._external(arrival)
        source, medium, category = _source(arrival, referrer)
        default = Touchpoint(
            _default_channel(arrival, source, medium, category, referrer),
            source,
            medium,
            arrival.campaign,
            arrival.content,
            arrival.term,
            arrival.click_id,
        )

        def get(field: str) -> Any:
            return _field(field, default, arrival, page)

        own = next((rule.name for rule in self._channels if matches(rule.where, get)), None)
        point = default if own is None else msgspec.structs.replace(default, channel=own)
        return Classified(point, arrival.has_campaign or bool(arrival.click_id), referrer)

    def _external(self, arrival: Arrival) -> str:
        """Return the referrer's registrable domain if it is somebody else's, else empty."""
        domain = arrival.referrer_domain or arrival.referrer_host
        if not domain or domain == arrival.page_domain:
            return ""
        host = arrival.referrer_host or domain
        while host:
            if host in self._not_external:
                return ""
            host = host.partition(".")[2]
        return domain


def _source(arrival: Arrival, referrer: str) -> tuple[str, str, str]:
    """Return source, medium and the source's category: of the campaign, else the click id, else the referrer.

    A referrer's medium is `organic` for search engines and `referral` for other sites, as GA4 reports them.
    """
    if arrival.source:
        source, category = arrival.source, arrival.source_category
        medium = arrival.medium or (
            CLICK_SOURCES[arrival.click_type][1] if arrival.click_type in CLICK_CHANNELS else ""
        )
        return source, medium, category
    if arrival.click_type in CLICK_SOURCES:
        source, medium = CLICK_SOURCES[arrival.click_type]
        if arrival.click_type == "fbclid" and referrer and arrival.referrer_category == "social":
            source = arrival.referrer_name
        return source, arrival.medium or medium, "social" if arrival.click_type == "fbclid" else ""
    if not referrer:
        return "", arrival.medium, ""
    category = arrival.referrer_category
    if arrival.medium:
        return arrival.referrer_name, arrival.medium, category
    return arrival.referrer_name, "organic" if category == "search" else "referral", category


def _default_channel(arrival: Arrival, source: str, medium: str, category: str, referrer: str) -> str:
    decided = CLICK_CHANNELS.get(arrival.click_type)
    if decided:
        return decided
    if arrival.click_type == "fbclid":
        said = arrival.medium.casefold()
        if _PAID.fullmatch(said):
            return "Paid Social"
        return "Display" if said in _DISPLAY else "Organic Social"
    if arrival.source or arrival.medium:
        return channel_group(source, medium, arrival.campaign, category)
    if referrer:
        return _REFERRER_CHANNELS.get(category, "Referral")
    return channel_group("", "", arrival.campaign, "") if arrival.has_campaign else DIRECT


def _field(field: str, point: Touchpoint, arrival: Arrival, page: Page) -> Any:
    """Return a field of a brand's channel rule; None when it is empty. `channel` is the default channel group."""
    if field == "referrer":
        return page.referrer or arrival.referrer_host or None
    if field == "host":
        return page.host or arrival.page_domain or None
    if field in ("channel", "source", "medium", "campaign", "content", "term", "click_id"):
        return getattr(point, field) or None
    if field in ("click_type", "path", "url", "title"):
        return getattr(arrival if field == "click_type" else page, field) or None
    return None
