"""Addresses of pages, as far as marketing reads them. Any text is an address; nothing raises."""

from typing import Final, NamedTuple
from urllib.parse import unquote_plus

from app.domain.hosts import ascii_host

UTM: Final = ("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term")
CLICK_IDS: Final = ("gclid", "gbraid", "wbraid", "msclkid", "dclid", "ttclid", "twclid", "li_fat_id", "fbclid")
"""Click ids, the one that decides first: an ad's before the id that every Facebook link carries."""

_WANTED: Final = frozenset(UTM + CLICK_IDS)
_MARKS: Final = ("utm_", "clid", "braid", "msclkid", "li_fat_id")
_LONGEST_QUERY: Final = 16_384


class Url(NamedTuple):
    """Parts of an address; empty text for what is not there."""

    scheme: str
    host: str
    """As browsers tell it (`ascii_host`), without user, port and the brackets of IPv6."""
    path: str
    query: str
    """Without the question mark."""


def split_url(url: str) -> Url:
    """Split an absolute, scheme-relative or relative address; a host without a path has the path `/`."""
    rest, _, _ = url.partition("#")
    rest, _, query = rest.partition("?")
    scheme, mark, after = rest.partition("://")
    if not mark:
        if not rest.startswith("//"):
            return Url("", "", rest, query)
        scheme, after = "", rest[2:]
    authority, slash, path = after.partition("/")
    return Url(scheme.lower(), _host(authority), slash + path or "/", query)


def campaign_parameters(query: str) -> dict[str, str]:
    """Return a query's `utm_*` parameters and click ids, decoded and trimmed: the first of each that is not empty."""
    found: dict[str, str] = {}
    lower = query.lower()
    if not any(mark in lower for mark in _MARKS):
        return found
    for pair in query[:_LONGEST_QUERY].lstrip("?").split("&"):
        name, _, value = pair.partition("=")
        name = name.lower()
        if name in _WANTED and name not in found:
            text = unquote_plus(value).strip()
            if text:
                found[name] = text
    return found


def _host(authority: str) -> str:
    host = authority.rpartition("@")[2].lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return ascii_host(host.partition(":")[0].rstrip("."))
