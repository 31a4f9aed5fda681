"""Conversions, each as its last revision must tell it."""

from typing import Any

from app.domain.event import Event
from app.domain.rulebook import Goal
from tests.system.oracle.commerce import minor, order_id_of
from tests.system.oracle.credit import split, weights
from tests.system.oracle.ladder import Change
from tests.system.oracle.matching import distinct
from tests.system.oracle.story import Story
from tests.system.oracle.visits import Touch

DAY_MS = 86_400_000
Moment = tuple[int, Event | None]


def conversions(story: Story, ideal: list[Change], told_changes: list[Change]) -> list[dict[str, Any]]:
    """All conversions of a lead; one by a stage that was not reached after all is worth nothing."""
    told: list[dict[str, Any]] = []
    for goal in story.rules.goals:
        moments = reached(goal, story, ideal) if goal.pattern is None else converting(goal, story)
        if goal.pattern is None:
            undone = [at for at, event in reached(goal, story, told_changes) if (at, event) not in moments]
            told += [{"goal": goal.name, "at": at, "order_id": None, "value_minor": 0} for at in undone]
        if goal.path == "first":
            moments = moments[:1]
        before: Moment | None = None
        for moment in moments:
            told.append(conversion(goal, story, moment, before))
            before = moment
    return told


def converting(goal: Goal, story: Story) -> list[Moment]:
    """Events that convert, an order once."""
    assert goal.pattern is not None
    own = {event.id for event in story.events} | {order.event.id for order in story.orders}
    return [(event.at, event) for event in story.told if event.id in own and story.reader.matches(goal.pattern, event)]


def reached(goal: Goal, story: Story, changes: list[Change]) -> list[Moment]:
    """When a lead came to a stage or above from below it."""
    rank = {stage.name: number for number, stage in enumerate(story.rules.stages)}
    least = rank[goal.stage or ""]
    return [
        (change.at, change.event)
        for change in changes
        if rank.get(change.before.stage or "", -1) < least <= rank[change.after.stage or ""]
    ]


def worth(goal: Goal, story: Story, event: Event | None) -> tuple[str, int]:
    """Currency and minor units that are left of a conversion."""
    own = story.rules.currency
    if event is None or goal.value not in ("order", "amount"):
        return own, minor(goal.value, own)
    order = next((order for order in story.orders if order.event.id == event.id), None)
    if order is not None:
        return order.currency, order.left
    currency = event.currency or own
    return currency, minor(event.amount, currency)


def path_of(goal: Goal, story: Story, moment: Moment, before: Moment | None) -> list[Touch]:
    """The touches that count."""
    at, event = moment
    since = at - goal.lookback
    if goal.path == "reset" and before is not None:
        since = max(since, before[0])
    own = event.id if event is not None and event.kind in ("conversation", "form_submitted") else ""
    touches = [touch for touch in story.journey.touches if since < touch.at <= at and touch.event_id != own]
    ignored = story.rules.attribution.ignore
    return [touch for touch in touches if touch.channel not in ignored] or touches


def conversion(goal: Goal, story: Story, moment: Moment, before: Moment | None) -> dict[str, Any]:
    """One conversion."""
    at, event = moment
    currency, value = worth(goal, story, event)
    path = path_of(goal, story, moment, before)
    attribution = story.rules.attribution
    models = weights(path, at, attribution.half_life, attribution.custom)
    earlier = [
        other
        for other in story.own_steps()
        if (other.at <= at if event is None else (other.at, other.id) < (event.at, event.id))
    ]
    pages = [
        other.page.path
        for other in reversed(earlier)
        if other.kind == "page_viewed" and other.page.path and other.at > at - goal.lookback
    ]
    own_page = event.page.path if event is not None else ""
    return {
        "goal": goal.name,
        "at": at,
        "order_id": (order_id_of(event) or None) if event is not None and goal.value == "order" else None,
        "currency": currency,
        "value_minor": value,
        "touches": path,
        "credits": {model: split(value, parts) for model, parts in models.items()},
        "first_touch_at": path[0].at if path else None,
        "days_to_convert": round((at - path[0].at) / DAY_MS, 2) if path else None,
        "pages_before": [page for page in distinct(pages) if page != own_page][:10],
        "steps_before": [other.kind for other in reversed(earlier)][:10],
    }
