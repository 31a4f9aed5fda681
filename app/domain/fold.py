"""One fact applied to a lead's core: what adds up in any order, and what depends on order."""

from bisect import insort
from typing import Final

import msgspec

from app.domain import commerce, journey, tags
from app.domain.event import NOT_THE_LEADS_DOING, ORDER_KINDS, REFUND_KINDS
from app.domain.facts import Fact
from app.domain.matching import passes
from app.domain.reader import Reader, is_dwell, units_of
from app.domain.rulebook import Signal
from app.domain.series import Rows
from app.domain.signals import Amount, add_units, occur, undo
from app.domain.state import Core, Latest, Occurrence, OrderState, WaitingRefund

MAX_IDENTIFIERS: Final = 1_000
MAX_TRAITS: Final = 100
MAX_INTERESTS: Final = 1_000
_NO_STEP: Final = NOT_THE_LEADS_DOING | {"traits_changed"}
_STEPS: Final = 10
_CONTACT: Final = {"user": "user_id", "email": "email", "phone": "phone"}


class Effects(msgspec.Struct):
    """What applying a fact did that others have to look at."""

    touched: bool = False
    """A touch was made or changed."""
    counts: bool = True
    """False for a tagged event, the later of two orders or refunds with one id, and a refund that is refused."""
    refused: list[WaitingRefund] = []
    """Refunds in another currency than their order's."""


def apply(core: Core, fact: Fact, reader: Reader, rows: Rows) -> Effects:
    """Apply the next fact in order: the lead's clock moves to it."""
    core.at, core.event_id = fact.key
    effects = add_up(core, fact, reader, in_order=True)
    core.last_seen = max(core.last_seen, fact.at)
    if fact.mail is not None:
        core.mails = [*tags.recent(core.mails, fact.at), tags.seen(fact)]
    if fact.kind == "order_completed" and effects.counts:
        core.cart = {}
    if fact.tagged:
        return effects
    if fact.visit:
        effects.touched = journey.visit(core, fact, rows)
        _on_page(core, fact, reader, effects)
    elif fact.touch is not None:
        journey.add_touch(core, journey.touch_from(fact), rows)
        core.open_click = fact.kind == tags.CLICK
        effects.touched = True
    if fact.products:
        product = fact.products[-1]
        core.last_product = (product.product_id, product.name, product.category)
        commerce.change_cart(core, fact)
    return effects


def note_step(core: Core, fact: Fact) -> None:
    """Remember what the lead did, after its conversions have been looked at."""
    if fact.kind not in _NO_STEP and not fact.tagged:
        core.recent_kinds = [*core.recent_kinds, fact.kind][-_STEPS:]


def add_up(core: Core, fact: Fact, reader: Reader, *, in_order: bool) -> Effects:
    """Apply what is the same in any order of arrival, however late: amounts, orders, traits, who it is."""
    effects = Effects()
    if not core.first_seen or fact.at < core.first_seen:
        core.first_seen = fact.at
    _know(core, fact)
    if fact.blocks_mail:
        core.mail_blocked = True
    if fact.kind == "order_completed":
        effects.counts = commerce.first_of_order(core, fact)
        if effects.counts:
            _place_order(core, fact, reader, effects)
    elif fact.kind in REFUND_KINDS and fact.order is not None:
        _refund(core, fact, reader, effects)
    if fact.tagged:
        core.bot = True
        # Money is money whoever clicked: an order counts, and converts, though its event is never scored.
        effects.counts = effects.counts and fact.order is not None
    elif effects.counts:
        _occur(core, fact, reader, in_order=in_order)
    return effects


def _occur(core: Core, fact: Fact, reader: Reader, *, in_order: bool) -> None:
    rules = reader.rules
    for name, units in fact.signals:
        signal = rules.signals.get(name)
        if signal is None:
            continue
        amount = core.signals.get(name)
        if amount is None:
            amount = core.signals[name] = Amount()
        if is_dwell(signal) and in_order:
            # Worth something only together with its page view; see `_on_page`.
            amount.count += 1
            amount.last = max(amount.last, fact.at)
            continue
        occur(amount, signal, fact.at, units_of(signal, units), fact.day)
    for tracker_id in fact.trackers:
        tracker = rules.trackers.get(tracker_id)
        if tracker is not None:
            times = core.trackers.setdefault(tracker_id, [])
            insort(times, fact.at)
            if len(times) > tracker.depth:
                del times[0]
    told = dict(fact.signals)
    for category, names in fact.interests:
        amounts = core.interests.get(category)
        if amounts is None:
            if len(core.interests) >= MAX_INTERESTS:
                continue
            amounts = core.interests[category] = {}
        for name in names:
            signal = rules.signals.get(name)
            if signal is not None:
                units = units_of(signal, told.get(name, 1.0))
                add_units(amounts.setdefault(name, Amount()), signal.half_life, fact.at, units)


def _place_order(core: Core, fact: Fact, reader: Reader, effects: Effects) -> None:
    """Have an order count by this event instead of a later one, and apply the refunds that waited for it."""
    assert fact.order is not None
    order_id = fact.order.order_id
    _take_back(core, core.orders.get(order_id), reader)
    effects.refused = commerce.place_order(core, fact)
    for told in effects.refused:
        _take_back(core, commerce.uncount_refund(core, order_id, told), reader)


def _refund(core: Core, fact: Fact, reader: Reader, effects: Effects) -> None:
    """Apply a refund or cancellation; one that is refused or known does nothing else."""
    refused = commerce.refund(core, fact)
    if refused:
        effects.refused, effects.counts = [refused], False
    else:
        effects.counts, later = commerce.count_refund(core, fact)
        _take_back(core, later, reader)


def _take_back(core: Core, known: OrderState | Occurrence | None, reader: Reader) -> None:
    """Undo what an event was worth that does not count any more."""
    if known is None:
        return
    day = reader.day_start(known.at)
    for name, units in known.signals:
        signal = reader.rules.signals.get(name)
        if signal is not None and name in core.signals:
            undo(core.signals[name], signal, known.at, units, day)
            if signal.once:
                _count_once_from_the_next(core, known, signal)
    for tracker in known.trackers:
        times = core.trackers.get(tracker, [])
        if known.at in times:
            times.remove(known.at)
    told = dict(known.signals)
    for category, names in known.interests:
        for name in names:
            signal = reader.rules.signals.get(name)
            amount = core.interests.get(category, {}).get(name)
            if signal is not None and amount is not None:
                add_units(amount, signal.half_life, known.at, -told.get(name, 1.0))


def _count_once_from_the_next(core: Core, gone: OrderState | Occurrence, signal: Signal) -> None:
    """Have a signal that counts once fade from the earliest of the orders or refunds that are left of it."""
    amount = core.signals[signal.name]
    if amount.ref != gone.at or signal.pattern.kind not in ORDER_KINDS:
        return
    counted: list[OrderState | Occurrence] = [*core.orders.values()]
    for by_id in core.refunded.values():
        counted += by_id.values()
    left = [one.at for one in counted if one is not gone and signal.name in dict(one.signals)]
    amount.ref = min(left, default=amount.ref)


def _know(core: Core, fact: Fact) -> None:
    """Keep identifiers, traits and contact data: of each the newest by event time, then event id."""
    for identifier in fact.ids:
        if identifier not in core.identifiers and len(core.identifiers) < MAX_IDENTIFIERS:
            core.identifiers = sorted([*core.identifiers, identifier])
        field = _CONTACT.get(identifier.partition(":")[0])
        if field is not None:
            _newest(core.contact, field, identifier.partition(":")[2], fact)
    if fact.locale:
        _newest(core.contact, "locale", fact.locale, fact)
    if fact.traits:
        for name, value in fact.traits.items():
            _newest(core.traits, name, value, fact)
        while len(core.traits) > MAX_TRAITS:
            del core.traits[min(core.traits, key=lambda n: (core.traits[n].at, core.traits[n].event_id, n))]
        _name(core)


def _newest(values: dict[str, Latest], name: str, value: object, fact: Fact) -> None:
    known = values.get(name)
    if known is None or (known.at, known.event_id) <= fact.key:
        values[name] = Latest(value, fact.at, fact.id)


def _name(core: Core) -> None:
    """Have the name be `traits.name`, else first and last name, whenever each of them was told."""
    whole = _told(core, "name")
    told = [whole] if whole else [_told(core, "firstName", "first_name"), _told(core, "lastName", "last_name")]
    parts = [part for part in told if part is not None]
    if parts:
        newest = max(parts, key=lambda part: (part.at, part.event_id))
        text = " ".join(part.value.strip() for part in parts)
        core.contact["name"] = Latest(text, newest.at, newest.event_id)


def _told(core: Core, *names: str) -> Latest | None:
    """Return the first of these traits that is text and not blank."""
    for name in names:
        latest = core.traits.get(name)
        if latest is not None and isinstance(latest.value, str) and latest.value.strip():
            return latest
    return None


def _on_page(core: Core, fact: Fact, reader: Reader, effects: Effects) -> None:
    """Apply what depends on the page: its view, or the dwell told of it."""
    tracked = bool(fact.path) and any(passes(c.path, fact.path) for c in reader.page_conditions)
    if tracked:
        journey.track_page(core, fact.path)
    if fact.kind == "page_viewed":
        journey.view_page(core, fact.path, fact.at)
    elif fact.kind == "page_engaged":
        view = journey.told_dwell(core, fact)
        for name, value in fact.signals:
            signal = reader.rules.signals.get(name)
            if signal is not None and signal.points_per is not None and is_dwell(signal) and effects.counts:
                units = journey.more_units(view, name, value, signal.points_per)
                amount = core.signals[name]
                count, last = amount.count, amount.last
                occur(amount, signal, view.at, units, fact.day)
                amount.count, amount.last = count, last
