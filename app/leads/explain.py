"""The worker's page that explains a lead: found by anything that names it, read as the last durable step left it."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from app.domain.event import Rejected
from app.domain.identity import lead_id, owner
from app.engine.clock import wall_ms
from app.engine.program import Rows
from app.leads.inforce import DEFAULT_BRAND
from app.leads.program import LeadProgram
from app.leads.rows import hot_rows
from app.leads.view import explained
from app.settings import Settings
from app.sources.times import in_range, read_time
from app.sources.who import address_of, is_junk, phone_of

PATH: Final = "/leads/explain"
_PIECE: Final = 500
"""Rows that are looked at before the event loop is let go."""
_HASHED: Final = re.compile(r"(email|phone):[0-9a-f]{16}")
_KINDS: Final = ("user", "email", "phone", "anon")
_NAMED: Final = rf"(?:{'|'.join(_KINDS)}):"
_OUTPUT_KEY: Final = re.compile(rf"(?!{_NAMED})([^/]+)/({_NAMED}.+)", re.DOTALL)
"""Brand and lead_id, as they stand together in the keys of outputs and in `rules diff`."""

Lanes = Callable[[], Mapping[int, tuple[LeadProgram, Rows]]]
"""Returns the open lanes of this worker as they are now, by partition."""


class Found(msgspec.Struct, frozen=True):
    """Where a lead is."""

    partition: int
    brand: str
    key: str


def candidates(text: str) -> list[str]:
    """Return the identifiers that a marketer may mean, the strongest first.

    `user:…`, `email:…`, `phone:…` and `anon:…` mean that; any other text is an address or phone number if it looks like
    one, and a user id or anonymous id. A `lead_id` with a hash in it is none of these.
    """
    text = text.strip()
    kind, colon, rest = text.partition(":")
    if colon and kind in _KINDS:
        return [] if _HASHED.fullmatch(text) else [f"{kind}:{known}" for known in [_normal(kind, rest)] if known]
    return [f"{kind}:{known}" for kind in _KINDS if (known := _normal(kind, text))]


def _normal(kind: str, text: str) -> str:
    if kind == "email":
        return address_of(text)
    if kind == "phone":
        return phone_of(text)
    return "" if is_junk(text.strip()) else text.strip()


class Explainer:
    """Answers `PATH?lead=…&brand=…&at=…&search=1`."""

    def __init__(self, settings: Settings, lanes: Lanes, now: Callable[[], int] = wall_ms) -> None:
        self._partitions = settings.partitions
        self._id_key = settings.id_key.encode()
        self._lanes = lanes
        self._now = now
        self._searching = asyncio.Lock()
        """One search at a time: the lanes share their event loop with it."""

    async def page(self, query: Mapping[str, str]) -> tuple[int, Any]:
        """Explain the lead; 400: it cannot be understood, 404: not on this worker, 409: in several brands.

        `at` (ISO 8601, default: now) is when; a moment before the lead's newest event is that event's. Without `search`
        a lead is found by the identifier that it is kept under; with it all leads of the worker are looked through for
        one that has the identifier among its own, or is called so in the outputs.
        """
        name, brand = query.get("lead", "").strip(), query.get("brand", "").strip()
        together = _OUTPUT_KEY.fullmatch(name)
        if together is not None and brand in ("", together[1]):
            brand, name = together.groups()
        names = candidates(name)
        if not names and not _HASHED.fullmatch(name):
            expected = "a user id, address, phone number, anonymous id or lead_id"
            return 400, {"why": f"lead: found {name!r}, expected {expected}"}
        at = _time(query["at"]) if query.get("at") else self._now()
        if isinstance(at, Rejected):
            return 400, {"why": at.detail}
        found = self._kept_under(names, brand)
        if not found and query.get("search"):
            async with self._searching:
                found = [one async for one in self._search(name, names, brand)]
        return self._answer(name, names, found, at)

    def _answer(self, name: str, names: Sequence[str], found: Sequence[Found], at: int) -> tuple[int, Any]:
        lanes = self._lanes()
        here = [one for one in found if one.partition in lanes]
        brands = sorted({one.brand for one in here})
        if len(brands) > 1:
            return 409, {"why": f"{name} is a lead of several brands, {', '.join(brands)}: say which", "brands": brands}
        for one in here:
            program, rows = lanes[one.partition]
            told = explained(program.peek(one.brand, one.key, rows), at)
            if told is not None:
                others = [lead_id(other.key, self._id_key) for other in here if other is not one]
                return 200, told | {"others": others}
        return 404, {
            "why": f"no lead {name} on this worker",
            "partitions": self._partitions,
            "here": sorted(lanes),
            "belongs_to": sorted({owner(known, self._partitions) for known in names}),
        }

    def _kept_under(self, names: Sequence[str], brand: str) -> list[Found]:
        lanes = self._lanes()
        found = []
        for key in names:
            partition = owner(key, self._partitions)
            if partition in lanes:
                program, rows = lanes[partition]
                found += [
                    Found(partition, one, key)
                    for one in _brands(program, brand)
                    if not program.peek(one, key, rows).is_new
                ]
        return found

    async def _search(self, name: str, names: Sequence[str], brand: str) -> AsyncIterator[Found]:
        """Yield the leads that have one of the identifiers, or are called `name` in the outputs."""
        needles = [known.encode("utf-8", "surrogatepass") for known in names]
        hashed = _HASHED.fullmatch(name) is not None
        for partition in sorted(self._lanes()):
            after: bytes | None = None
            while (lane := self._lanes().get(partition)) is not None:
                program, rows = lane
                read = rows.scan(f"{brand}/".encode() if brand else b"", after, _PIECE)
                for row, value in hot_rows(read):
                    if not hashed and not any(needle in value for needle in needles):
                        continue
                    known_brand, key = _lead_name(row)
                    if hashed:
                        fits = lead_id(key, self._id_key) == name
                    else:
                        fits = not set(names).isdisjoint(program.peek(known_brand, key, rows).core.identifiers)
                    if fits:
                        yield Found(partition, known_brand, key)
                if len(read) < _PIECE:
                    break
                after = read[-1][0]
                await asyncio.sleep(0)


def _brands(program: LeadProgram, brand: str) -> list[str]:
    return [brand] if brand else sorted({DEFAULT_BRAND, *program.brands})


def _lead_name(row: bytes) -> tuple[str, str]:
    """Return the brand and key of a lead from the key of its hot row."""
    text = row.rpartition(b"\x00")[0].replace(b"\x00\x01", b"\x00").decode("utf-8", "surrogatepass")
    brand, _, key = text.partition("/")
    return brand, key


def _time(text: str) -> int | Rejected:
    at = read_time(text)
    if at is None or not in_range(at):
        return Rejected("bad_timestamp", f"at: found {text!r}, expected a time such as 2026-03-01T00:00:00Z")
    return int(at)
