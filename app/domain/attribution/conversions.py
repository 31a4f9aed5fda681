"""Conversions: when a goal is met, which touches count, and what a revision changes (SEMANTICS §6)."""

import hashlib
from bisect import bisect
from collections.abc import Iterable
from typing import Final

from app.domain.attribution.money import split
from app.domain.attribution.positional import PathTouch, weigh
from app.domain.facts import Fact
from app.domain.rulebook import Attribution, Goal
from app.domain.state import Conversion, Core, OrderState, Touch

OWN_TOUCH_KINDS: Final = frozenset({"conversation", "form_submitted"})
WHOLE: Final = "whole"
"""Refund of a goal's own value, when nothing is left of the order."""
_PAGES: Final = 10
_PAST: Final = 100
"""Conversions of a `reset` goal whose times are kept, for those that come very late between them."""


def digest(*parts: object) -> str:
    """Return a stable name for these parts: 32 hex digits."""
    text = "\n".join(str(part) for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def conversion_id(brand: str, goal: str, named_by: str) -> str:
    """Return a conversion's id; `named_by` is the order id, else the message id, else lead id and moment."""
    return digest("conversion", brand, goal, named_by)


def event_goals(fact: Fact, goals: Iterable[Goal]) -> list[tuple[Goal, int, str]]:
    """Return the goals that a fact meets, each with its value in minor units and currency."""
    by_name = {goal.name: goal for goal in goals}
    return [(by_name[name], minor, currency) for name, minor, currency in fact.goals if name in by_name]


def draft(
    core: Core, goal: Goal, fact: Fact | None, brand: str, lead_id: str, value: tuple[int, str]
) -> Conversion | None:
    """Return the conversion of a goal met now, without its path; None when the goal's path policy passes it over.

    `fact` is None for a stage reached by time. `value` is minor units and currency. The state remembers the conversion
    as the goal's latest.
    """
    earlier = core.goal_last.get(goal.name)
    if goal.path == "first" and earlier is not None:
        return None
    event_id = fact.id if fact is not None else ""
    # A refund or cancellation that is a goal itself is known by its message: its order's conversion is another one.
    order = fact.order if fact is not None and goal.pattern is not None and fact.kind == "order_completed" else None
    order_id = order.order_id if order is not None and order.named else ""
    core.goal_last[goal.name] = (core.at, event_id)
    start = note_reset(core, goal.name, (core.at, event_id)) if goal.path == "reset" else None
    here = fact.path if fact is not None else ""
    pages = [path for path, at in reversed(core.recent_pages.items()) if path != here and at > core.at - goal.lookback][
        :_PAGES
    ]
    return Conversion(
        conversion_id=conversion_id(brand, goal.name, order_id or event_id or f"{lead_id}\n{core.at}"),
        goal=goal.name,
        at=core.at,
        event_id=event_id,
        own_touch=fact is not None and fact.kind in OWN_TOUCH_KINDS,
        order_id=order_id,
        currency=value[1],
        gross=value[0],
        by_value=goal.value in ("order", "amount"),
        path_start=start,
        lookback=goal.lookback,
        touches=[],
        weights={},
        pages=pages,
        steps=core.recent_kinds[::-1],
    )


def note_reset(core: Core, goal: str, key: tuple[int, str]) -> int | None:
    """Note a conversion of a `reset` goal by its time and event id; return the time of the one before it, ms."""
    past = core.goal_past.setdefault(goal, [])
    place = bisect(past, key)
    start = past[place - 1][0] if place else None
    past.insert(place, key)
    del past[:-_PAST]
    return start


def path_of(conversion: Conversion, touches: Iterable[Touch], attribution: Attribution) -> list[Touch]:
    """Return the touches that count for a conversion, in order of time, then event id.

    T − lookback < t ≤ T, after the previous conversion of a `reset` goal, not the converting event's own; ignored
    channels only if there is no other.
    """
    after = conversion.at - conversion.lookback
    if conversion.path_start is not None:
        after = max(after, conversion.path_start)
    counted = [
        touch
        for touch in touches
        if after < touch.at <= conversion.at and not (conversion.own_touch and touch.event_id == conversion.event_id)
    ]
    ignored = {channel.casefold() for channel in attribution.ignore}
    told = [touch for touch in counted if touch.channel.casefold() not in ignored]
    return told or counted


def set_path(conversion: Conversion, touches: list[Touch], attribution: Attribution) -> None:
    """Give a conversion its path, and each model's weights over it."""
    conversion.touches = touches
    conversion.weights = weigh([PathTouch(conversion.at - touch.at, touch.channel) for touch in touches], attribution)


def credits_of(conversion: Conversion) -> dict[str, list[int]]:
    """Return the minor units of each model and touch: each model's sum to the conversion's value exactly."""
    return {name: split(conversion.value, weights) for name, weights in conversion.weights.items()}


def refund(conversion: Conversion, order: OrderState) -> bool:
    """Take over what was refunded of the conversion's order; whether its value changed.

    A goal with a value of its own loses it only with the whole order.
    """
    before = conversion.value
    if conversion.by_value:
        conversion.refunds = dict(order.refunds)
    else:
        conversion.refunds = {} if order.counts else {WHOLE: None}
    return conversion.value != before
