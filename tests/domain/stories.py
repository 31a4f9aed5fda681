"""Leads told in a few words: events of one lead, folded in memory, for the tests of the domain."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from app.domain.event import Arrival, Event, Page, Rejected
from app.domain.identity import lead_id
from app.domain.lead import Lead
from app.domain.reader import Reader
from app.rules import load, loads

SHOP = Path(__file__).parents[1] / "rules" / "shop.yaml"
DAY = 86_400_000
HOUR = 3_600_000
MINUTE = 60_000
START = 1_767_225_600_000  # 2026-01-01T00:00:00Z
KEY = "user:ada"


def shop_reader() -> Reader:
    return Reader(load(SHOP))


def reader(text: str) -> Reader:
    return Reader(loads(text))


def event(
    at: int,
    kind: str,
    id: str = "",
    *,
    path: str = "",
    says_where: bool | None = None,
    arrival: Arrival | None = None,
    key: str = KEY,
    **rest: Any,
) -> Event:
    """An event at `at`; its id says when and what unless one is given."""
    page = Page(url=f"https://shop.example{path}", host="shop.example", path=path) if path else Page()
    return Event(
        id=id or f"{at}-{kind}",
        at=at,
        kind=kind,
        brand="default",
        ids=rest.pop("ids", (key,)),
        page=page,
        says_where=bool(path) if says_where is None else says_where,
        arrival=arrival or Arrival(page_domain="shop.example" if path else ""),
        **rest,
    )


def page(at: int, path: str = "/", **rest: Any) -> Event:
    return event(at, "page_viewed", path=path, **rest)


def order(at: int, order_id: str, amount: str, currency: str | None = None, **rest: Any) -> Event:
    return event(at, "order_completed", properties={"order_id": order_id}, amount=amount, currency=currency, **rest)


class DictRows(dict[str, bytes]):
    """Rows of one lead in memory."""

    def put(self, name: str, value: bytes | None) -> None:
        if value is None:
            self.pop(name, None)
        else:
            self[name] = value


class Story:
    """One lead's events told to the fold, and what came out."""

    def __init__(self, rules: Reader, key: str = KEY, brand: str = "default") -> None:
        self.rules = rules
        self.key = key
        self.brand = brand
        self.rows = DictRows()
        self.segments: list[dict[str, Any]] = []
        self.conversions: list[dict[str, Any]] = []
        self.profiles: list[dict[str, Any]] = []
        self.duplicates = 0
        self.refused: list[str] = []
        self.rejected: list[Rejected] = []

    def lead(self) -> Lead:
        known = not self.key.startswith("anon:")
        return Lead(self.key, self.brand, lead_id(self.key, b"k"), self.rules, self.rows, known=known)

    def tell(self, *events: Event, to: int | None = None, fold: bool = True) -> "Story":
        """Tell events that arrive together."""
        lead = self.lead()
        for told in events:
            fact = self.rules.read(told)
            if isinstance(fact, Rejected):
                self.rejected.append(fact)
            elif not lead.insert(fact):
                self.duplicates += 1
        if fold:
            lead.advance(to)
            lead.finish()
        self._close(lead)
        return self

    def tell_each(self, events: Iterable[Event]) -> "Story":
        """Tell events one by one."""
        for told in events:
            self.tell(told)
        return self

    def tell_in_chunks(self, events: Sequence[Event], size: int) -> "Story":
        for start in range(0, len(events), size):
            self.tell(*events[start : start + size])
        return self

    def until(self, at: int) -> dict[str, Any]:
        """Let time pass to `at` and return the profile as of then."""
        lead = self.lead()
        lead.advance(at)
        lead.snapshot(at)
        self._close(lead)
        return self.profiles[-1]

    def _close(self, lead: Lead) -> None:
        lead.save()
        into = {"segments": self.segments, "conversions": self.conversions, "profiles": self.profiles}
        for out in lead.outputs:
            into[out.to].append(out.value)
        self.refused += [refund.refund_id for refund in lead.refused]

    def last_revisions(self) -> dict[str, dict[str, Any]]:
        """Return each conversion in its last revision."""
        return {record["conversion_id"]: record for record in self.conversions}

    def core(self) -> dict[str, Any]:
        return msgspec.to_builtins(self.lead().hot.core)
