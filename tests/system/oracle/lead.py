"""One lead from its first event to a moment: its changes, conversions and profile."""

from dataclasses import dataclass
from typing import Any

from app.domain.event import Event
from tests.system.oracle.goals import conversions
from tests.system.oracle.ladder import Change, Groups, by_time, change_to, groups_at
from tests.system.oracle.matching import Reader
from tests.system.oracle.past import once_each
from tests.system.oracle.story import Story

HORIZON_MS = 12 * 365 * 86_400_000


@dataclass
class Lead:
    """What became of a lead."""

    story: Story
    changes: list[Change]
    """What was told."""
    ideal: list[Change]
    """What would have been told, had every tag been known from the start."""
    groups: Groups
    until: int

    @property
    def conversions(self) -> list[dict[str, Any]]:
        """Its conversions."""
        return conversions(self.story, self.ideal, self.changes)

    def profile(self) -> dict[str, Any]:
        """Its profile, times in ms."""
        story, until = self.story, self.until
        scores = story.scores
        orders = [order for order in story.orders if not order.undone]
        revenue: dict[str, int] = {}
        for order in story.orders:
            revenue[order.currency] = revenue.get(order.currency, 0) + order.left
        ahead = by_time(story, self.groups, until, until + HORIZON_MS)
        touches = story.journey.touches
        pages = [event.page.path for event in story.events if event.kind == "page_viewed" and event.page.path]
        visits = story.journey.visits
        interests = {
            name: round(sum(worth.now(until) for worth in worths), 2) for name, worths in scores.interests.items()
        }
        return {
            "identifiers": story.identifiers(),
            "contact": story.contact(),
            "mailable": story.mailable,
            "known": story.known,
            "stage": self.groups.stage,
            "segments": sorted(self.groups.segments),
            "score": round(scores.value("score", until), 2),
            "engagement": round(scores.value("engagement", until), 2),
            "fit": round(scores.fit, 2),
            "grade": scores.grade(until),
            "scores": {name: round(scores.value(name, until), 2) for name in story.rules.scores},
            "interests": {name: score for name, score in interests.items() if score},
            "sessions": len(visits),
            "visit_seconds": round(sum(visit.span for visit in visits) / 1000, 3),
            "first_seen": story.told[0].at,
            "last_seen": story.told[-1].at,
            "first_touch": touches[0] if touches else None,
            "last_touch": touches[-1] if touches else None,
            "last_page": pages[-1] if pages else None,
            "orders": len(orders),
            "revenue": revenue,
            "last_order_at": orders[-1].at if orders else None,
            "cools_at": next((c.at for c in ahead if c.after.stage != self.groups.stage), None),
            "next_change_at": ahead[0].at if ahead else None,
            "bot": bool(story.tags),
        }


def live(events: list[Event], reader: Reader, until: int) -> Lead:
    """Tell a lead its events one by one, all worked out anew at each."""
    told = once_each(events)
    changes: list[Change] = []
    ideal: list[Change] = []
    groups = Groups()
    story = Story([], reader)
    for number, event in enumerate(told):
        before, story = story, Story(told[: number + 1], reader)
        new = step(before, story, groups, event)
        ideal += new
        if story.tags - {event.id} != before.tags:
            ideal = relive(story)
            timed = [change for change in new if change.event is None]
            new = [*timed, *change_to(ideal[-1].after, story, event.at, after(timed, groups), event)]
        changes += new
        groups = after(new, groups)
    timed = by_time(story, groups, told[-1].at, until)
    return Lead(story, changes + timed, ideal + timed, after(timed, groups), until)


def relive(story: Story) -> list[Change]:
    """The changes of a lead whose tags are known from the start."""
    changes: list[Change] = []
    past = Story([], story.reader)
    for number, event in enumerate(story.told):
        told = story.told[: number + 1]
        before, past = past, Story(told, story.reader, story.tags & {one.id for one in told})
        changes += step(before, past, after(changes, Groups()), event)
    return changes


def step(before: Story, story: Story, groups: Groups, event: Event) -> list[Change]:
    """The changes with no event since the last one, and that by an event."""
    timed = by_time(before, groups, before.told[-1].at, event.at) if before.told else []
    groups = after(timed, groups)
    return [*timed, *change_to(groups_at(story, event.at, groups), story, event.at, groups, event)]


def after(changes: list[Change], groups: Groups) -> Groups:
    """The groups after some changes."""
    return changes[-1].after if changes else groups
