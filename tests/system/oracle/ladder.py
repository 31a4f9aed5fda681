"""Stages and segments over time: every group looked at again at every event and at every moment that may matter."""

from dataclasses import dataclass, field, replace
from typing import Any

from app.domain.event import Event
from app.domain.rulebook import Rules, Segment, Stage
from tests.system.oracle.story import Story
from tests.system.oracle.truth import is_true, moments


@dataclass(frozen=True)
class Groups:
    """The groups of a lead at a moment."""

    stage: str | None = None
    since: int = 0
    segments: dict[str, int] = field(default_factory=dict)
    """Segment → when it was entered."""
    left: dict[str, int] = field(default_factory=dict)
    """Segment → when it was last left."""


@dataclass(frozen=True)
class Change:
    """One change of groups."""

    at: int
    before: Groups
    after: Groups
    event: Event | None
    score: float

    @property
    def shows(self) -> bool:
        """Whether anything is to tell."""
        before, after = self.before, self.after
        return before.stage != after.stage or before.segments.keys() != after.segments.keys()

    def told(self) -> dict[str, Any]:
        """What of it a `segment_change` tells."""
        before, after = self.before.segments, self.after.segments
        return {
            "at": self.at,
            "entered": sorted(after.keys() - before.keys()),
            "left": sorted(before.keys() - after.keys()),
            "stage": self.after.stage,
            "previous_stage": self.before.stage,
            "score": round(self.score, 2),
            "cause": ("event", self.event.id) if self.event is not None else ("timer", None),
        }


def stage_holds(stage: Stage, story: Story, now: int, groups: Groups) -> bool:
    """Whether a rung of the ladder holds."""
    enter = stage.enter is None or is_true(stage.enter, story, now, groups.stage)
    if enter or stage.name != groups.stage:
        return enter
    stays = stage.exit is not None and not is_true(stage.exit, story, now, groups.stage)
    return stays or now - groups.since < stage.min_stay


def is_in(segment: Segment, story: Story, now: int, groups: Groups, stage: str | None) -> bool:
    """Whether a lead is in a segment from a moment on."""
    enter = is_true(segment.enter, story, now, stage)
    leaves = not enter if segment.exit is None else is_true(segment.exit, story, now, stage)
    if segment.name in groups.segments:
        return not leaves or now - groups.segments[segment.name] < segment.min_stay
    cooled = segment.name not in groups.left or now - groups.left[segment.name] >= segment.cooldown
    return enter and not leaves and cooled


def groups_at(story: Story, now: int, groups: Groups) -> Groups:
    """The groups of a lead at a moment, from those it was in."""
    rules = story.rules
    excluded = rules.exclude is not None and is_true(rules.exclude, story, now, groups.stage)
    holding = [] if excluded else [stage for stage in rules.stages if stage_holds(stage, story, now, groups)]
    stage = (holding or [rules.stages[0]])[-1].name
    inside = [segment.name for segment in rules.segments if not excluded and is_in(segment, story, now, groups, stage)]
    return replace(
        groups,
        stage=stage,
        since=groups.since if stage == groups.stage else now,
        segments={name: groups.segments.get(name, now) for name in inside},
        left={**groups.left, **{name: now for name in groups.segments if name not in inside}},
    )


def stays_end(rules: Rules, groups: Groups) -> set[int]:
    """When least stays and cooldowns are over."""
    ends = {groups.since + stage.min_stay for stage in rules.stages if stage.name == groups.stage}
    for segment in rules.segments:
        if segment.name in groups.segments:
            ends.add(groups.segments[segment.name] + segment.min_stay)
        elif segment.name in groups.left:
            ends.add(groups.left[segment.name] + segment.cooldown)
    return ends


def by_time(story: Story, groups: Groups, start: int, end: int) -> list[Change]:
    """The changes in (start, end] with no event."""
    known = set(moments(story, start, end))
    changes: list[Change] = []
    now = start
    while True:
        later = [at for at in known | stays_end(story.rules, groups) if now < at <= end]
        if not later:
            return changes
        now = min(later)
        for change in change_to(groups_at(story, now, groups), story, now, groups, None):
            changes.append(change)
            groups = change.after


def change_to(right: Groups, story: Story, now: int, groups: Groups, event: Event | None) -> list[Change]:
    """The change to other groups; none when they are the same."""
    change = Change(now, groups, right, event, story.scores.value("score", now))
    return [change] if change.shows else []
