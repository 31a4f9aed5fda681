"""Stages and segments: which groups a lead is in, and when that changes by itself (SEMANTICS §4, §8)."""

from collections.abc import Mapping
from typing import Final

import msgspec

from app.domain.conditions import Moment, test_of
from app.domain.next_change import Look, first_of, look_of
from app.domain.plan import LADDER, LADDER_BIT, Plan
from app.domain.reader import Reader
from app.domain.rulebook import Segment, Stage
from app.domain.state import Core

_LOOKS: Final = 1_000
"""How many moments are looked at before a group's next change is taken as none."""


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


class ReadyStage:
    """A stage with its conditions as functions; None where it has no such condition, or time cannot change it."""

    def __init__(self, stage: Stage, plan: Plan) -> None:
        self.name = stage.name
        self.min_stay = stage.min_stay
        self.enter = test_of(stage.enter, plan) if stage.enter is not None else None
        self.exit = test_of(stage.exit, plan) if stage.exit is not None else None
        self.enter_look = look_of(stage.enter, plan) if stage.enter is not None else None
        self.exit_look = look_of(stage.exit, plan) if stage.exit is not None else None


class ReadySegment:
    """A segment likewise."""

    def __init__(self, segment: Segment, bit: int, plan: Plan) -> None:
        self.name = segment.name
        self.bit = bit
        self.min_stay = segment.min_stay
        self.cooldown = segment.cooldown
        self.enter = test_of(segment.enter, plan)
        self.exit = test_of(segment.exit, plan) if segment.exit is not None else None
        self.enter_look = look_of(segment.enter, plan)
        self.exit_look = look_of(segment.exit, plan) if segment.exit is not None else None


class Ready:
    """A brand's groups with their conditions as functions: what is looked at again and again is walked once."""

    def __init__(self, reader: Reader) -> None:
        rules, plan = reader.rules, reader.plan
        self.stages = tuple(ReadyStage(stage, plan) for stage in rules.stages)
        self.place = {stage.name: index for index, stage in enumerate(rules.stages)}
        self.segments = tuple(ReadySegment(segment, bit, plan) for bit, segment in plan.segments)
        self.exclude_look = look_of(rules.exclude, plan) if rules.exclude is not None else None


def _ready(moment: Moment) -> Ready:
    plan = moment.reader.plan
    if plan.groups is None:
        plan.groups = Ready(moment.reader)
    ready: Ready = plan.groups
    return ready


def groups_of(core: Core) -> Groups:
    """Return the groups as they stand in the state."""
    return Groups(core.stage, core.stage_since, core.segments, core.left)


def due(nexts: Mapping[str, int]) -> int | None:
    """Return when the first group has to be looked at again; None = never."""
    return min(nexts.values(), default=None)


def settle(core: Core, moment: Moment, mask: int) -> None:
    """Bring the groups of a mask to what holds at a moment, with the times at which each has to be looked at again."""
    plan = moment.reader.plan
    if core.planned != plan.fingerprint:
        mask, core.planned, core.nexts = plan.every if core.planned else mask, plan.fingerprint, {}
        core.segments = {name: since for name, since in core.segments.items() if plan.mask((name,))}
    groups, mask = evaluate(moment, groups_of(core), mask)
    core.nexts = next_looks(moment, groups, mask, core.nexts)
    core.stage, core.stage_since = groups.stage, groups.stage_since
    core.segments, core.left = groups.segments, groups.left


def look_again(core: Core, at: int, plan: Plan) -> None:
    """Have every group be looked at again at `at` (ms) at the latest."""
    names = (LADDER, *(segment.name for _, segment in plan.segments))
    core.nexts = {name: min(at, core.nexts.get(name, at)) for name in names}


def from_nothing(reader: Reader, *, known: bool) -> int:
    """Return the groups that a lead may be in for its first event even if that event does not move them.

    The others are as they are for a lead that has done nothing: not held, whatever the time.
    """
    plan = reader.plan
    mask = plan.from_nothing.get(known)
    if mask is None:
        nobody = Moment(Core(), reader, 0, known=known)
        held, _ = evaluate(nobody, groups_of(nobody.core), plan.every)
        mask = plan.from_nothing[known] = LADDER_BIT | plan.mask(held.segments)
    return mask


def evaluate(moment: Moment, current: Groups, mask: int) -> tuple[Groups, int]:
    """Return the groups that hold at a moment, given the current ones, and which were looked at.

    Only those of the mask are, and what looks at a stage that has changed.
    """
    now, ready = moment.now, _ready(moment)
    moment.stage = current.stage
    excluded = moment.excluded
    stage, since = current.stage, current.stage_since
    if mask & LADDER_BIT:
        stages = ready.stages
        # A condition may look at the current stage, so a change may bring the next one: at most once round the ladder.
        for _ in stages:
            moment.stage = stage
            held = stages[0].name if excluded else _highest(stages, moment, since)
            if held == stage:
                break
            stage, since = held, now
        moment.stage = stage
        if stage != current.stage:
            mask |= moment.reader.plan.by_stage
    segments, left = current.segments, current.left
    for segment in ready.segments:
        if not mask & segment.bit:
            continue
        name = segment.name
        entered = segments.get(name)
        if not excluded and _in_segment(segment, moment, entered, left.get(name)):
            if entered is None:
                segments = {**segments, name: now}
        elif entered is not None:
            segments = {other: at for other, at in segments.items() if other != name}
            if segment.cooldown:
                left = {**left, name: now}
    return Groups(stage, since, segments, left), mask


def next_looks(moment: Moment, groups: Groups, mask: int, nexts: dict[str, int]) -> dict[str, int]:
    """Return when each group has to be looked at again: worked out anew for those of the mask."""
    moment.stage = groups.stage
    looks = dict(nexts)
    mask &= moment.reader.plan.timed
    ready = _ready(moment)
    excludes = None if ready.exclude_look is None else ready.exclude_look(moment, None)
    if mask & LADDER_BIT:
        _put(looks, LADDER, _first(_ladder_look(ready, moment, groups), excludes))
    for segment in ready.segments:
        if mask & segment.bit:
            _put(looks, segment.name, _first(_segment_look(segment, moment, groups), excludes))
    return looks


def next_group_change(moment: Moment, *, stage_only: bool = False) -> tuple[int, Groups] | None:
    """Return the first time after the moment at which the groups of the state differ if nothing happens.

    With it come the groups from then on. None = never. With `stage_only` only the stage is looked at.
    """
    plan = moment.reader.plan
    current, nexts = groups_of(moment.core), moment.core.nexts
    if stage_only:
        nexts = {LADDER: nexts[LADDER]} if LADDER in nexts else {}
    for _ in range(_LOOKS):
        at = due(nexts)
        if at is None:
            return None
        moment = moment.at(at)
        mask = plan.mask(name for name, look in nexts.items() if look <= at)
        groups, mask = evaluate(moment, current, mask)
        if groups.stage != current.stage or (not stage_only and not groups.same(current)):
            return at, groups
        nexts = next_looks(moment, groups, mask, nexts)
    return None


def _put(looks: dict[str, int], name: str, at: int | None) -> None:
    if at is not None:
        looks[name] = at
    else:
        looks.pop(name, None)


def _first(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)


def _highest(stages: tuple[ReadyStage, ...], moment: Moment, since: int) -> str:
    for stage in reversed(stages[1:]):
        if stage.enter is not None and stage.enter(moment):
            return stage.name
        if stage.name == moment.stage and (
            moment.now - since < stage.min_stay or (stage.exit is not None and not stage.exit(moment))
        ):
            return stage.name
    return stages[0].name


def _in_segment(segment: ReadySegment, moment: Moment, entered: int | None, left: int | None) -> bool:
    if entered is None:
        cooling = left is not None and moment.now - left < segment.cooldown
        return not cooling and segment.enter(moment) and not (segment.exit is not None and segment.exit(moment))
    if moment.now - entered < segment.min_stay:
        return True
    return segment.enter(moment) if segment.exit is None else not segment.exit(moment)


def _ladder_look(ready: Ready, moment: Moment, groups: Groups) -> int | None:
    """Return when the stage has to be looked at again: a higher one may hold, or the current one no longer.

    Those below do not matter while the current one holds.
    """
    earliest: int | None = None
    here = ready.place.get(groups.stage or "", 0)
    current = ready.stages[here]
    looks = [stage.enter_look for stage in ready.stages[here:]]
    if here:
        looks.append(current.exit_look)
        if groups.stage_since + current.min_stay > moment.now:
            earliest = groups.stage_since + current.min_stay
    found = first_of((look for look in looks if look is not None), moment, earliest)
    return earliest if found is None else found


def _segment_look(segment: ReadySegment, moment: Moment, groups: Groups) -> int | None:
    """Return when a segment has to be looked at again: all that keeps the lead in it, or out of it, ends first."""
    obstacles: list[Look | None] = []
    entered, left = groups.segments.get(segment.name), groups.left.get(segment.name)
    if entered is not None:
        latest = entered + segment.min_stay
        if segment.exit is None:
            if segment.enter(moment):
                obstacles.append(segment.enter_look)
        elif not segment.exit(moment):
            obstacles.append(segment.exit_look)
    else:
        latest = 0 if left is None else left + segment.cooldown
        if not segment.enter(moment):
            obstacles.append(segment.enter_look)
        if segment.exit is not None and segment.exit(moment):
            obstacles.append(segment.exit_look)
    for look in obstacles:
        at = None if look is None else look(moment, None)
        if at is None:
            return None
        latest = max(latest, at)
    return latest if latest > moment.now else None
