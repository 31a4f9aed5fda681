"""Stages and segments: which groups a lead is in, and when that changes by itself (SEMANTICS §4, §8)."""

from collections.abc import Iterator
from typing import Final

import msgspec

from app.domain.conditions import Moment, holds, next_change
from app.domain.rulebook import Condition, Segment, Stage
from app.domain.state import Core

_LOOKS: Final = 1_000
"""How many moments are looked at before a bound is given instead of the moment itself."""


class Groups(msgspec.Struct, frozen=True):
    """The groups of a lead at a moment, and since when."""

    stage: str | None
    stage_since: int
    segments: dict[str, int]
    """Segment → since."""
    left: dict[str, int]
    """Segment → when it was left, of those with a cooldown."""

    def same(self, other: "Groups") -> bool:
        """Whether both are the same groups, since whenever."""
        return self.stage == other.stage and self.segments.keys() == other.segments.keys()


def groups_of(core: Core) -> Groups:
    """Return the groups as they stand in the state."""
    return Groups(core.stage, core.stage_since, core.segments, core.left)


def apply(core: Core, groups: Groups) -> None:
    """Write groups into the state."""
    core.stage, core.stage_since = groups.stage, groups.stage_since
    core.segments, core.left = groups.segments, groups.left


def evaluate(moment: Moment, current: Groups) -> Groups:
    """Return the groups that hold at a moment, given the current ones."""
    now = moment.now
    moment.stage = current.stage
    rules = moment.rules
    excluded = rules.exclude is not None and holds(rules.exclude, moment)
    stage = current.stage
    since = current.stage_since
    # A condition may look at the current stage, so a change may bring the next one: at most once round the ladder.
    for _ in rules.stages:
        moment.stage = stage
        held = rules.stages[0].name if excluded else _highest(rules.stages, moment, since)
        if held == stage:
            break
        stage, since = held, now
    moment.stage = stage
    segments: dict[str, int] = {}
    left = current.left
    for segment in rules.segments:
        entered = current.segments.get(segment.name)
        stays = not excluded and _in_segment(segment, moment, entered, current.left.get(segment.name))
        if stays:
            segments[segment.name] = now if entered is None else entered
        elif entered is not None and segment.cooldown:
            left = {**left, segment.name: now}
    return Groups(stage, since, segments, left)


def _highest(stages: tuple[Stage, ...], moment: Moment, since: int) -> str:
    for stage in reversed(stages[1:]):
        current = stage.name == moment.stage
        if stage.enter is not None and holds(stage.enter, moment):
            return stage.name
        if current and (
            moment.now - since < stage.min_stay or (stage.exit is not None and not holds(stage.exit, moment))
        ):
            return stage.name
    return stages[0].name


def _in_segment(segment: Segment, moment: Moment, entered: int | None, left: int | None) -> bool:
    if entered is None:
        cooling = left is not None and moment.now - left < segment.cooldown
        return (
            not cooling
            and holds(segment.enter, moment)
            and not (segment.exit is not None and holds(segment.exit, moment))
        )
    if moment.now - entered < segment.min_stay:
        return True
    return holds(segment.enter, moment) if segment.exit is None else not holds(segment.exit, moment)


def next_group_change(
    moment: Moment, until: int | None, *, stage_only: bool = False, current: Groups | None = None
) -> tuple[int, Groups] | None:
    """Return the first time after the moment, not after `until`, at which the groups differ if nothing happens.

    With it come the groups from then on. None = no change. With `stage_only` a change of segments is passed over.
    `current` are the groups at the moment, unless they are those of the state.
    """
    current = current or groups_of(moment.core)
    for _ in range(_LOOKS):
        at = _next_look(moment, until, current, stage_only=stage_only)
        if at is None:
            return None
        moment = moment.at(at)
        groups = evaluate(moment, current)
        if groups.stage != current.stage or (not stage_only and not groups.same(current)):
            return at, groups
        if stage_only:
            current = groups
    return None


def _next_look(moment: Moment, until: int | None, current: Groups, *, stage_only: bool) -> int | None:
    """Return the next time at which anything that the groups depend on may differ."""
    moment.stage = current.stage
    earliest: int | None = None
    for condition in _conditions(moment, current, stage_only=stage_only):
        at = next_change(condition, moment, until)
        if at is not None:
            earliest = until = at
    for at in _waits(moment, current, stage_only=stage_only):
        if at > moment.now and (until is None or at <= until):
            earliest = until = at
    return earliest


def _conditions(moment: Moment, current: Groups, *, stage_only: bool) -> Iterator[Condition]:
    rules = moment.rules
    if rules.exclude is not None:
        yield rules.exclude
    for stage in rules.stages:
        if stage.enter is not None:
            yield stage.enter
        if stage.exit is not None and stage.name == current.stage:
            yield stage.exit
    if stage_only:
        return
    for segment in rules.segments:
        inside = segment.name in current.segments
        if not inside or segment.exit is None:
            yield segment.enter
        if segment.exit is not None:
            yield segment.exit


def _waits(moment: Moment, current: Groups, *, stage_only: bool) -> Iterator[int]:
    """Yield when a minimum stay or a cooldown ends."""
    for stage in moment.rules.stages:
        if stage.name == current.stage and stage.min_stay:
            yield current.stage_since + stage.min_stay
    if stage_only:
        return
    for segment in moment.rules.segments:
        entered = current.segments.get(segment.name)
        if entered is not None and segment.min_stay:
            yield entered + segment.min_stay
        left = current.left.get(segment.name)
        if left is not None and segment.cooldown:
            yield left + segment.cooldown
