"""What leaves a lead: the records of `leads.segments`, `leads.profiles` and `leads.conversions` (SEMANTICS §4, §6)."""

import functools
from datetime import UTC, datetime
from typing import Any, Final

from app.domain.attribution.conversions import credits_of, digest
from app.domain.bounds import MOST_MINOR
from app.domain.conditions import Moment, cart_minor
from app.domain.reader import Reader
from app.domain.score import Board
from app.domain.state import Conversion, Core, Hot, Touch

SCHEMA: Final = 1
_TOP: Final = 3
_KEPT_INTEREST: Final = 0.005


@functools.lru_cache(maxsize=8_192)
def iso(at: int | None) -> str | None:
    """Return a time as ISO 8601 UTC with milliseconds and `Z`."""
    if at is None:
        return None
    return f"{datetime.fromtimestamp(at // 1000, UTC).isoformat()[:19]}.{at % 1000:03d}Z"


def rounded(value: float) -> float:
    """Return a score as it is shown: two decimals, half to even."""
    return round(value, 2) + 0.0


def contact(core: Core) -> dict[str, Any]:
    """Return the newest user id, address, phone, name and locale."""
    return {
        field: core.contact[field].value if field in core.contact else None
        for field in ("user_id", "email", "phone", "name", "locale")
    }


def identifiers(core: Core) -> dict[str, Any]:
    """Return the lead's identifiers by kind."""
    by_kind: dict[str, list[str]] = {"user": [], "email": [], "phone": [], "anon": []}
    for identifier in core.identifiers:
        kind, _, text = identifier.partition(":")
        by_kind[kind].append(text)
    user = core.contact.get("user_id")
    return {
        "user_id": user.value if user else None,
        "emails": by_kind["email"],
        "phones": by_kind["phone"],
        "anonymous_ids": by_kind["anon"],
    }


def touch_record(touch: Touch | None) -> dict[str, Any] | None:
    """Return a touch as consumers see it; null for what was not told."""
    if touch is None:
        return None
    return {
        "at": iso(touch.at),
        "channel": touch.channel,
        "source": touch.source or None,
        "medium": touch.medium or None,
        "campaign": touch.campaign or None,
        "content": touch.content or None,
        "term": touch.term or None,
        "click_id": touch.click_id or None,
        "landing_page": touch.landing_page or None,
        "event_id": touch.event_id,
    }


def cart_record(core: Core, reader: Reader) -> dict[str, Any]:
    """Return the cart: pieces, and its value, in its own currency when it has only one."""
    currencies = {line.currency for line in core.cart.values()}
    items = sum(line.quantity for line in core.cart.values())
    if len(currencies) == 1:
        currency = currencies.pop()
        minor = sum(round(line.quantity * line.price) for line in core.cart.values())
    else:
        currency, minor = reader.rules.currency, cart_minor(core, reader)
    items = int(items) if items == int(items) else items
    return {"items": items, "currency": currency, "minor": min(minor, MOST_MINOR)}


def revenue(core: Core) -> list[dict[str, Any]]:
    """Return what orders brought less refunds, by currency."""
    totals: dict[str, int] = {}
    for order in core.orders.values():
        totals[order.currency] = totals.get(order.currency, 0) + order.remaining
    return [{"currency": currency, "minor": min(totals[currency], MOST_MINOR)} for currency in sorted(totals)]


def _shown_interests(board: Board) -> list[tuple[str, float]]:
    return [(category, score) for category, score in board.interests() if score >= _KEPT_INTEREST]


def segment_change(hot: Hot, lead_id: str, moment: Moment, cause: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a change of groups at a moment; `hot.told` still holds what was told before."""
    core, told = hot.core, hot.told
    reader, board, at, known = moment.reader, moment.board, moment.now, moment.known
    now = set(core.segments)
    before = set(told.segments)
    product = core.last_product
    # Rules may change twice while a lead's clock stands still.
    told_by = str(reader.since) if cause["kind"] == "rules" else cause.get("event_id", "")
    return {
        "schema": SCHEMA,
        "id": digest("segment_change", hot.brand, lead_id, at, cause["kind"], told_by),
        "type": "segment_change",
        "lead_id": lead_id,
        "brand": hot.brand,
        "seq": told.seq + 1,
        "at": iso(at),
        "entered": sorted(now - before),
        "left": sorted(before - now),
        "segments": sorted(now),
        "stage": core.stage,
        "previous_stage": told.stage,
        "score": rounded(board.value("score")),
        "engagement": rounded(board.value("engagement")),
        "fit": rounded(board.fit()),
        "grade": board.grade(),
        "contact": contact(core),
        "mailable": not core.mail_blocked,
        "known": known,
        "top_interests": [category for category, _ in _shown_interests(board)[:_TOP]],
        "last_product": None
        if product is None
        else {"product_id": product[0] or None, "name": product[1] or None, "category": product[2] or None},
        "cart": cart_record(core, reader),
        "cause": cause,
        "rules_version": reader.rules.version,
    }


def profile(hot: Hot, lead_id: str, moment: Moment, cools_at: int | None, next_change_at: int | None) -> dict[str, Any]:
    """Return a lead's profile as of a moment; `hot.told.seq` is already its own."""
    core = hot.core
    reader, board, at, known = moment.reader, moment.board, moment.now, moment.known
    orders = [order for order in core.orders.values() if order.counts]
    return {
        "schema": SCHEMA,
        "lead_id": lead_id,
        "brand": hot.brand,
        "seq": hot.told.seq,
        "at": iso(at),
        "identifiers": identifiers(core),
        "contact": contact(core),
        "mailable": not core.mail_blocked,
        "known": known,
        "stage": core.stage,
        "segments": sorted(core.segments),
        "score": rounded(board.value("score")),
        "engagement": rounded(board.value("engagement")),
        "fit": rounded(board.fit()),
        "grade": board.grade(),
        "scores": {name: rounded(board.value(name)) for name in sorted(reader.rules.scores)},
        "interests": [{"category": category, "score": rounded(score)} for category, score in _shown_interests(board)],
        "sessions": core.sessions,
        "visit_seconds": core.visit_ms / 1000,
        "first_seen": iso(core.first_seen),
        "last_seen": iso(core.last_seen),
        "first_touch": touch_record(core.first_touch),
        "last_touch": touch_record(core.last_touch),
        "last_page": core.last_page or None,
        "orders": len(orders),
        "revenue": revenue(core),
        "last_order_at": iso(max((order.at for order in orders), default=None)),
        "cools_at": iso(cools_at),
        "next_change_at": iso(next_change_at),
        "consent": {"marketing": None},
        "bot": core.bot,
        "conflicts": 0,
        "rules_version": reader.rules.version,
    }


def conversion(
    told: Conversion, hot: Hot, lead_id: str, reader: Reader, cause: str, supersedes: str | None, amended_at: int | None
) -> dict[str, Any]:
    """Return a conversion's newest revision."""
    first = told.touches[0].at if told.touches else None
    return {
        "schema": SCHEMA,
        "id": told.id,
        "conversion_id": told.conversion_id,
        "type": "conversion",
        "lead_id": lead_id,
        "brand": hot.brand,
        "goal": told.goal,
        "order_id": told.order_id or None,
        "at": iso(told.at),
        "amended_at": iso(amended_at),
        "currency": told.currency,
        "value_minor": told.value,
        "revision": told.revision,
        "supersedes": supersedes,
        "cause": cause,
        "touches": [touch_record(touch) for touch in told.touches],
        "credits": credits_of(told),
        "first_touch_at": iso(first),
        "days_to_convert": None if first is None else round((told.at - first) / 86_400_000, 2),
        "pages_before": told.pages,
        "steps_before": told.steps,
        "model_version": None,
        "fallback": None,
        "rules_version": reader.rules.version,
    }
