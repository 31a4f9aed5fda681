"""What the program told, beside what the oracle says."""

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from app.domain.event import Event
from tests.system.oracle.lead import Lead
from tests.system.oracle.visits import Touch

Record = Mapping[str, Any]
Difference = tuple[str, str, Any, Any]
"""Lead, field, what the program told, what the oracle says."""


def lead_id(key: str, secret: str) -> str:
    """How a lead is named outside."""
    kind, _, _ = key.partition(":")
    if kind not in ("email", "phone"):
        return key
    return f"{kind}:{hmac.new(secret.encode(), key.encode(), hashlib.sha256).hexdigest()[:16]}"


def ms(text: str | None) -> int | None:
    """UTC ms of a told time."""
    return None if text is None else round(datetime.fromisoformat(text).timestamp() * 1000)


def by_lead(events: Iterable[Event], secret: str) -> dict[str, list[Event]]:
    """Events by the lead_id of their strongest identifier."""
    leads: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        leads[lead_id(event.key, secret)].append(event)
    return dict(leads)


def compare(
    leads: Mapping[str, Lead], profiles: list[Record], segments: list[Record], conversions: list[Record]
) -> Iterator[Difference]:
    """Yield every difference."""
    told = {profile["lead_id"]: profile for profile in profiles}
    for lead in sorted(told.keys() ^ leads.keys()):
        yield lead, "profile", lead in told, lead in leads
    changes = grouped(segments)
    converted = grouped(last_revisions(conversions))
    for name, lead in leads.items():
        if name not in told:
            continue
        yield from differences(name, read_profile(told[name]), lead.profile())
        theirs = [read_change(record) for record in changes.get(name, [])]
        ours = [change.told() for change in lead.changes]
        for number in range(max(len(theirs), len(ours))):
            one, other = (side[number] if number < len(side) else None for side in (theirs, ours))
            if one != other:
                yield name, f"segments[{number}]", one, other
                break
        yield from compare_conversions(name, converted.get(name, []), lead.conversions)


def compare_conversions(name: str, records: list[Record], ours: list[dict[str, Any]]) -> Iterator[Difference]:
    """Yield differences of one lead's conversions."""

    def key(told: Mapping[str, Any]) -> tuple[str, int, str]:
        return told["goal"], told["at"], told["order_id"] or ""

    theirs = sorted((read_conversion(record) for record in records), key=key)
    ours = sorted(ours, key=key)
    if [key(one) for one in theirs] != [key(one) for one in ours]:
        yield name, "conversions", [key(one) for one in theirs], [key(one) for one in ours]
        return
    for one, other in zip(theirs, ours, strict=True):
        if "touches" in other:
            other = {**other, "touches": [read_touch(touch) for touch in other["touches"]]}
        for _, field, left, right in differences(name, one, other):
            yield name, f"conversion {one['goal']}.{field} at {one['at']}", left, right


def differences(name: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield the fields that differ."""
    for field, value in ours.items():
        if not same(theirs[field], value):
            yield name, field, theirs[field], value


def same(one: Any, other: Any) -> bool:
    """Equality; of rounded numbers up to one unit in the last place."""
    if isinstance(one, Touch):
        one = read_touch(one)
    if isinstance(other, Touch):
        other = read_touch(other)
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) < 1e-9
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


def grouped(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Records by lead, in the order of their seq."""
    leads: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        leads[record["lead_id"]].append(record)
    for of in leads.values():
        of.sort(key=lambda record: record.get("seq", 0))
    return dict(leads)


def last_revisions(records: Iterable[Record]) -> list[Record]:
    """The newest revision of each conversion."""
    newest: dict[str, Record] = {}
    for record in records:
        known = newest.get(record["conversion_id"])
        if known is None or record["revision"] > known["revision"]:
            newest[record["conversion_id"]] = record
    return list(newest.values())


def read_touch(touch: Touch | Record | None) -> dict[str, Any] | None:
    """A touch as it is compared."""
    if touch is None:
        return None
    fields = ("channel", "source", "medium", "campaign", "content", "term", "click_id", "landing_page", "event_id")
    if isinstance(touch, Touch):
        return {"at": touch.at, **{field: getattr(touch, field) or None for field in fields}}
    return {"at": ms(touch["at"]), **{field: touch[field] for field in fields}}


def read_profile(record: Record) -> dict[str, Any]:
    """A profile as it is compared."""
    times = ("first_seen", "last_seen", "last_order_at", "cools_at", "next_change_at")
    return {
        **record,
        **{field: ms(record[field]) for field in times},
        "segments": sorted(record["segments"]),
        "identifiers": {
            field: sorted(value) if isinstance(value, list) else value for field, value in record["identifiers"].items()
        },
        "interests": {entry["category"]: entry["score"] for entry in record["interests"]},
        "revenue": {entry["currency"]: entry["minor"] for entry in record["revenue"]},
        "first_touch": read_touch(record["first_touch"]),
        "last_touch": read_touch(record["last_touch"]),
    }


def read_change(record: Record) -> dict[str, Any]:
    """A segment_change as it is compared."""
    return {
        "at": ms(record["at"]),
        "entered": sorted(record["entered"]),
        "left": sorted(record["left"]),
        "stage": record["stage"],
        "previous_stage": record["previous_stage"],
        "score": record["score"],
        "cause": (record["cause"]["kind"], record["cause"].get("event_id")),
    }


def read_conversion(record: Record) -> dict[str, Any]:
    """A conversion as it is compared."""
    return {
        **record,
        "at": ms(record["at"]),
        "first_touch_at": ms(record["first_touch_at"]),
        "touches": [read_touch(touch) for touch in record["touches"]],
    }
