"""How people come to the shop: campaigns, click ids and referrers, as data, and a draw among them."""

import random
import string
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import quote_plus, urlencode

from app.cli.traffic.catalogue import CATEGORY_WEIGHTS

LETTERS: Final = string.ascii_letters + string.digits


class Way(NamedTuple):
    """One way to come: an advertisement, a search, a post, a link."""

    name: str
    referrer: str = ""
    source: str = ""
    medium: str = ""
    campaigns: tuple[tuple[str, str], ...] = ()
    """(name, search term); one whose name begins with a category is for people who want that."""
    click_id: str = ""
    """Name of the click id's parameter that the advertiser adds."""
    landings: tuple[str, ...] = ()
    """Paths; empty = wherever the visit begins."""


WAYS: Final = {
    way.name: way
    for way in (
        Way(
            "google_cpc",
            "https://www.google.com/",
            "google",
            "cpc",
            (
                ("shoes_autumn", "hiking boots"),
                ("shoes_running", "buy trail shoes"),
                ("jackets_winter", "winter jacket"),
                ("bags_gifts", "trek backpack"),
                ("shop_generic", "outdoor clothing"),
            ),
            "gclid",
        ),
        Way(
            "google_brand",
            "https://www.google.com/",
            "google",
            "cpc",
            (("brand", "shop example"),),
            "gclid",
            ("/",),
        ),
        Way(
            "bing_cpc",
            "https://www.bing.com/",
            "bing",
            "cpc",
            (("shoes_autumn", "hiking boots"), ("shop_generic", "outdoor wear")),
            "msclkid",
        ),
        Way("google", "https://www.google.com/"),
        Way("bing", "https://www.bing.com/"),
        Way("duckduckgo", "https://duckduckgo.com/"),
        Way(
            "facebook_paid",
            "https://l.facebook.com/",
            "facebook",
            "paid_social",
            (("autumn_lookbook", ""), ("retargeting", "")),
            click_id="fbclid",
        ),
        Way(
            "instagram_paid",
            "https://l.instagram.com/",
            "instagram",
            "paid_social",
            (("autumn_lookbook", ""), ("jackets_reels", "")),
            click_id="fbclid",
        ),
        Way("facebook", "https://m.facebook.com/", click_id="fbclid"),
        Way("instagram", "https://l.instagram.com/", click_id="fbclid"),
        Way("linkedin", "https://www.linkedin.com/", landings=("/blog/team-wear-that-people-wear", "/pricing")),
        Way(
            "linkedin_paid",
            "https://www.linkedin.com/",
            "linkedin",
            "cpc",
            (("team_wear", ""),),
            click_id="li_fat_id",
            landings=("/pricing", "/demo"),
        ),
        Way("youtube", "https://www.youtube.com/"),
        Way("partner", "https://trailclub.example/", "trailclub", "partner", (("members", ""),)),
        Way("affiliate", "https://dealhunter.example/", "dealhunter", "affiliate", (("voucher10", ""),)),
        Way(
            "blog_boots",
            "https://outdoorblog.example/best-winter-boots",
            landings=("/p/ridge-hiking-boots", "/p/winter-boots-nord"),
        ),
        Way("blog_packs", "https://lighthiker.example/packs-tested", landings=("/p/trek-pack-45",)),
        Way("chatgpt", "https://chatgpt.com/"),
        Way("direct"),
    )
}

FIRST: Final = {
    "google_cpc": 300,
    "bing_cpc": 35,
    "google": 190,
    "bing": 20,
    "duckduckgo": 15,
    "facebook_paid": 75,
    "instagram_paid": 80,
    "facebook": 25,
    "instagram": 30,
    "youtube": 25,
    "partner": 30,
    "affiliate": 35,
    "blog_boots": 25,
    "blog_packs": 12,
    "chatgpt": 8,
    "direct": 95,
}
"""Weights of a person's first visit: advertising brings most strangers."""

AGAIN: Final = {
    "direct": 330,
    "google": 230,
    "google_brand": 120,
    "google_cpc": 90,
    "facebook_paid": 60,
    "instagram_paid": 35,
    "instagram": 25,
    "affiliate": 40,
    "partner": 20,
    "youtube": 10,
    "duckduckgo": 15,
}
"""Weights of later visits: search, habit and retargeting assist and close."""

BUSINESS: Final = {"linkedin_paid": 30, "linkedin": 20, "google_cpc": 25, "google": 20, "direct": 15, "partner": 6}
"""Weights of people who buy for a company, at any visit."""


class Arrival(NamedTuple):
    """One arrival: what the landing page's address and referrer say."""

    way: str
    referrer: str = ""
    campaign: Mapping[str, str] = MappingProxyType({})
    """As in `context.campaign`: source, medium, name, term, content."""
    click: tuple[str, str] | None = None
    landing: str = ""

    @property
    def search(self) -> str:
        """Query string with its `?`, or empty text."""
        names = {"name": "campaign"}
        query = {f"utm_{names.get(key, key)}": value for key, value in self.campaign.items()}
        if self.click:
            query[self.click[0]] = self.click[1]
        return "?" + urlencode(query, quote_via=quote_plus) if query else ""


def draw(rng: random.Random, weights: dict[str, int]) -> str:
    """Return one of the names, by weight."""
    return rng.choices(list(weights), list(weights.values()))[0]


def arrive(rng: random.Random, name: str, category: str) -> Arrival:
    """Return an arrival by the way of that name, of someone who wants that category."""
    way = WAYS[name]
    campaign: dict[str, str] = {}
    if way.campaigns:
        fitting = [c for c in way.campaigns if c[0].startswith(category)]
        others = [c for c in way.campaigns if c[0].split("_")[0] not in CATEGORY_WEIGHTS]
        campaign_name, term = rng.choice(fitting or others)
        campaign = {"source": way.source, "medium": way.medium, "name": campaign_name}
        if term:
            campaign["term"] = term
        if rng.random() < 0.6:
            campaign["content"] = f"ad{rng.randint(1, 4)}"
    click = None
    if way.click_id:
        prefix = {"gclid": "EAIaIQ", "fbclid": "IwAR"}.get(way.click_id, "")
        click = (way.click_id, prefix + "".join(rng.choices(LETTERS, k=18)))
    return Arrival(name, way.referrer, campaign, click, rng.choice(way.landings) if way.landings else "")


def from_mail(campaign: str, landing: str) -> Arrival:
    """Return the arrival that a click in one of the shop's mails makes."""
    return Arrival("mail", "", {"source": "newsletter", "medium": "email", "name": campaign}, None, landing)
