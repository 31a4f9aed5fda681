"""Identifiers: who a message is about (SEMANTICS §2)."""

import functools
import re
from collections.abc import Callable
from typing import Any, Final

from app.domain.bounds import short
from app.domain.event import MAIL_KINDS
from app.sources.decode import OutOfRange

_JUNK: Final = frozenset({"", "null", "undefined", "none", "anonymous", "0", "-1", "test"})
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+")
_PHONE: Final = re.compile(r"\+[1-9]\d{7,14}", re.ASCII)
_PHONE_MARKS: Final = str.maketrans("", "", " -.()\t\u00a0\u2010\u2011\u2013")


def identifiers(message: dict[str, Any], kind: str) -> tuple[str, ...]:
    """Return the message's identifiers, strongest first: user, email, phone, anon.

    One address and one phone number at most: of `traits`, else `context.traits`, else (on mail kinds and forms)
    `properties`. The traits of a `group` are the company's, and name nobody. The fields' types were checked.
    """
    found = []
    user = _id(message.get("userId"))
    if user:
        found.append("user:" + user)
    places = _places(message, kind)
    if places:
        address = _first(address_of, places, ("email", "recipient"))
        if address:
            found.append("email:" + short(address))
        number = _first(phone_of, places, ("phone",))
        if number:
            found.append("phone:" + number)
    anonymous = _id(message.get("anonymousId"))
    if anonymous:
        found.append("anon:" + anonymous)
    return tuple(found)


def is_junk(text: str) -> bool:
    """Whether trimmed text is no identifier: empty, a word for nothing, or only zeros and dashes."""
    return text.lower() in _JUNK or not text.strip("0-")


def id_text(value: Any) -> str:
    """Return a text or number as id text, trimmed: 12 and 12.0 are both `12`; empty for None."""
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, OutOfRange):
        return value.text
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16:
        return str(int(value))
    return str(value)


def address_of(value: Any) -> str:
    """Return an e-mail address in lower case; empty when the value is none."""
    if not isinstance(value, str):
        return ""
    text = value.strip().lower()
    return text if _ADDRESS.fullmatch(text) and not is_junk(text) else ""


def phone_of(value: Any) -> str:
    """Return a phone number in E.164; empty when the value is none, or names no country."""
    return _phone(value) if isinstance(value, str) and len(value) <= 64 else ""


@functools.lru_cache(maxsize=4_096)
def _phone(text: str) -> str:
    # "+44 (0)20 …": the zero is dialled only without the country code.
    text = text.strip()
    text = text.replace("(0)", "", 1) if text.startswith(("+", "00")) else text
    text = text.translate(_PHONE_MARKS)
    if text.startswith("00"):
        text = "+" + text[2:]
    return text if _PHONE.fullmatch(text) else ""


def _id(value: Any) -> str:
    text = id_text(value)
    return "" if is_junk(text) else short(text)


def _places(message: dict[str, Any], kind: str) -> list[tuple[dict[str, Any], bool]]:
    """Return the objects that may tell an address or number, and whether `recipient` is one there."""
    places: list[tuple[dict[str, Any], bool]] = []
    traits = message.get("traits")
    if traits and message["type"] != "group":
        places.append((traits, False))
    context = message.get("context")
    if context:
        known = context.get("traits")
        if isinstance(known, dict) and known:
            places.append((known, False))
    mail = kind in MAIL_KINDS
    if mail or kind == "form_submitted":
        properties = message.get("properties")
        if properties:
            places.append((properties, mail))
    return places


def _first(read: Callable[[Any], str], places: list[tuple[dict[str, Any], bool]], names: tuple[str, ...]) -> str:
    for place, is_mail in places:
        for name in names:
            if name == "recipient" and not is_mail:
                continue
            text = read(place.get(name))
            if text:
                return text
    return ""
