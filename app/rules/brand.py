"""What a brand is: its name, money, time and the addresses and channels that are its own."""

import re
from ipaddress import ip_network
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from app.domain.attribution import currency
from app.domain.identity import is_brand
from app.domain.rulebook import ChannelRule, Internal
from app.rules.comparisons import NO_WHERE, where
from app.rules.errors import did_you_mean
from app.rules.place import Place

DEFAULT_BRAND: Final = "default"
DEFAULT_TIMEZONE: Final = "UTC"
DEFAULT_CURRENCY: Final = "EUR"
_DOMAIN: Final = re.compile(r"[^\W_]([\w-]*[^\W_])?(\.[^\W_]([\w-]*[^\W_])?)*")


def read_brand(place: Place) -> str:
    """Read the brand's name; it is the part of output keys before the slash."""
    name = place.text("a name")
    if name and not is_brand(name):
        place.wrong("a name of at most 100 characters without a slash")
    return name


def read_timezone(place: Place) -> str:
    """Read an IANA name."""
    name = place.text("a time zone such as Europe/Kyiv")
    try:
        if name:
            ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; no name at all; a folder of the data base
        place.wrong("a time zone such as Europe/Kyiv" + did_you_mean(name, sorted(available_timezones())))
    return name


def read_currency(place: Place) -> str:
    """Read an ISO 4217 code in use, upper case."""
    code = place.text("a currency code such as EUR").upper()
    if code and not currency.known(code):
        place.wrong("an ISO 4217 currency code such as EUR" + did_you_mean(code, currency.codes()))
    return code


def read_domains(place: Place) -> frozenset[str]:
    """Read domain names, lower case."""
    return frozenset(_domain(item) for item in place.items("a list of domains", empty=True))


def _domain(place: Place) -> str:
    name = place.text("a domain such as shop.example").lower()
    if name and (len(name) > 253 or not _DOMAIN.fullmatch(name)):
        place.wrong("a domain such as shop.example, without scheme or path")
    return name


def read_internal(place: Place) -> Internal:
    """Read the addresses of the brand's own people."""
    fields = place.fields(("ips", "email_domains", "emails"))
    return Internal(
        ips=tuple(_network(item) for item in _listed(fields, "ips")),
        email_domains=tuple(_domain(item) for item in _listed(fields, "email_domains")),
        emails=tuple(_address(item) for item in _listed(fields, "emails")),
    )


def _listed(fields: dict[str, Place], name: str) -> list[Place]:
    return fields[name].items("a list", empty=True) if name in fields else []


def _network(place: Place) -> str:
    text = place.text("an address or network such as 203.0.113.0/24")
    try:
        return str(ip_network(text, strict=False)) if text else ""
    except ValueError:
        place.wrong("an address or network such as 203.0.113.0/24")
        return ""


def _address(place: Place) -> str:
    text = place.text("an email address").lower()
    name, _, domain = text.rpartition("@")
    if text and (not name or "@" in name or not _DOMAIN.fullmatch(domain)):
        place.wrong("an email address")
    return text


def read_channels(place: Place) -> tuple[ChannelRule, ...]:
    """Read the brand's own channels, in the order in which they are tried."""
    rules = []
    for item in place.items("a list of channels", empty=True):
        fields = item.fields(("name", "where"), ("name", "where"), "a channel")
        name = fields["name"].text("the channel's name") if "name" in fields else ""
        rules.append(ChannelRule(name, where(fields["where"]) if "where" in fields else NO_WHERE))
    return tuple(rules)
