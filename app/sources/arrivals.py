"""Where an event was, and what it tells about how its lead came there."""

import functools
from typing import Any, Final, NamedTuple

from app.domain.bounds import LONGEST_TEXT
from app.domain.event import NO_ARRIVAL, NO_PAGE, Arrival, Page
from app.sources import sites
from app.sources.urls import CLICK_IDS, UTM, campaign_parameters, split_url

_NOTHING: Final[dict[str, Any]] = {}
_PAGE_FIELDS: Final = frozenset({"url", "path", "title", "referrer"})
_WEB: Final = ("http", "https")
_ANDROID: Final = "android-app"
_CACHED: Final = 4_096

LONGEST_ADDRESS: Final = 4_096
"""Characters that are kept of an address."""


class Where(NamedTuple):
    """Where an event was."""

    page: Page
    says_where: bool
    arrival: Arrival


NOWHERE: Final = Where(NO_PAGE, says_where=False, arrival=NO_ARRIVAL)


def where(context: dict[str, Any], properties: dict[str, Any], *, about_page: bool, cached: bool = True) -> Where:
    """Return where a message was and how its lead came there; the types of `page` and `campaign` were checked.

    A page or screen call, or the dwell on a page (`about_page`), is about the page in its properties, else
    `context.page`; any other event happened on `context.page`, else the page in its properties. What the one does not
    tell may come from the other. `cached` keeps the answer for the next message that says the same, and is for messages
    of a few kilobytes.
    """
    told = context.get("page") or _NOTHING
    campaign = context.get("campaign") or _NOTHING
    if not told and not campaign and _PAGE_FIELDS.isdisjoint(properties):
        return NOWHERE
    first, second = (properties, told) if about_page else (told, properties)
    of_first, of_second, of_campaign = first.get, second.get, campaign.get
    said = (
        of_first("url"),
        of_first("path"),
        of_first("title"),
        of_first("referrer"),
        of_second("url"),
        of_second("path"),
        of_second("title"),
        of_second("referrer"),
        told.get("search"),
        of_campaign("source"),
        of_campaign("medium"),
        of_campaign("name"),
        of_campaign("content"),
        of_campaign("term"),
    )
    try:
        page, arrival, has_campaign = _read(*said) if cached else _read.__wrapped__(*said)
    except TypeError:  # a list or an object, which no cache can look up
        page, arrival, has_campaign = _read.__wrapped__(*said)
    says_where = has_campaign or bool(_text(properties.get("url"))) or any(told.values())
    return Where(page, says_where, arrival)


@functools.lru_cache(maxsize=_CACHED)
def _read(
    url: Any,
    path: Any,
    title: Any,
    referrer: Any,
    other_url: Any,
    other_path: Any,
    other_title: Any,
    other_referrer: Any,
    search: Any,
    *campaign: Any,
) -> tuple[Page, Arrival, bool]:
    """Return page, arrival and whether `context.campaign` told something; what is not text is absent."""
    url, other_url = _text(url, LONGEST_ADDRESS), _text(other_url, LONGEST_ADDRESS)
    path = _text(path, LONGEST_ADDRESS) or split_url(url).path or _text(other_path, LONGEST_ADDRESS)
    parts = split_url(url or other_url)
    page = Page(
        url=url or other_url,
        host=parts.host,
        path=path or parts.path,
        title=_text(title) or _text(other_title),
        referrer=_text(referrer, LONGEST_ADDRESS) or _text(other_referrer, LONGEST_ADDRESS),
    )
    told = campaign_parameters(parts.query or _text(search, LONGEST_ADDRESS))
    fields = [_text(field) for field in campaign]
    has_campaign = any(fields)
    if not has_campaign:
        fields = [told.get(field, "")[:LONGEST_TEXT] for field in UTM]
    source, medium, name, content, term = fields
    click_type = next((name for name in CLICK_IDS if name in told), "")
    host, domain, category, site = _referrer(page.referrer)
    arrival = Arrival(
        source=source,
        medium=medium,
        campaign=name,
        content=content,
        term=term,
        click_type=click_type,
        click_id=told.get(click_type, "")[:LONGEST_TEXT],
        source_category=sites.source_category(source) if source else "",
        referrer_host=host,
        referrer_domain=domain,
        referrer_category=category,
        referrer_name=site,
        page_domain=sites.registrable_domain(parts.host) if parts.host else "",
    )
    return page, NO_ARRIVAL if arrival == NO_ARRIVAL else arrival, has_campaign


def _referrer(referrer: str) -> tuple[str, str, str, str]:
    """Return host, registrable domain, category and name of a web page or Android app; empty text for any other."""
    parts = split_url(referrer)
    if not parts.host or parts.scheme not in (*_WEB, _ANDROID):
        return "", "", "", ""
    if parts.scheme == _ANDROID:
        site, domain = sites.app_site(parts.host), parts.host
    else:
        site, domain = sites.known_site(parts.host, parts.path), sites.registrable_domain(parts.host)
    return parts.host, domain, site.category if site else "", site.name if site else parts.host


def _text(value: Any, longest: int = LONGEST_TEXT) -> str:
    return value.strip()[:longest] if isinstance(value, str) else ""
