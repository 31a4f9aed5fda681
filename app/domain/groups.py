"""Stages and segments: which groups a lead is in, and when that changes by itself (SEMANTICS §4, §8)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from app.domain.conditions import Moment, holds, next_change
from app.domain.plan import LADDER, LADDER_BIT
from app.domain.reader import Reader
from app.domain.rulebook import Condition, Segment, Stage
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
    now, plan = moment.now, moment.reader.plan
    moment.stage = current.stage
    excluded = moment.excluded
    stage, since = current.stage, current.stage_since
    if mask & LADDER_BIT:
        stages = moment.rules.stages
        # A condition may look at the current stage, so a change may bring the next one: at most once round the ladder.
        for _ in stages:
            moment.stage = stage
            held = stages[0].name if excluded else _highest(stages, moment, since)
            if held == stage:
                break
            stage, since = held, now
        moment.stage = stage
        if stage != current.stage:
            mask |= plan.by_stage
    segments, left = current.segments, current.left
    for bit, segment in plan.segments:
        if not mask & bit:
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
    if mask & LADDER_BIT:
        _put(looks, LADDER, _ladder_look(moment, groups))
    for bit, segment in moment.reader.plan.segments:
        if mask & bit:
            _put(looks, segment.name, _segment_look(segment, moment, groups))
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


def _ladder_look(moment: Moment, groups: Groups) -> int | None:
    """Return when the stage has to be looked at again."""
    earliest: int | None = None
    conditions = []
    for stage in moment.rules.stages:
        current = stage.name == groups.stage
        if current and stage.min_stay and groups.stage_since + stage.min_stay > moment.now:
            earliest = groups.stage_since + stage.min_stay
        if stage.enter is not None:
            conditions.append(stage.enter)
        if stage.exit is not None and current:
            conditions.append(stage.exit)
    return _earliest(moment, conditions, earliest)


def _segment_look(segment: Segment, moment: Moment, groups: Groups) -> int | None:
    """Return when a segment has to be looked at again."""
    name = segment.name
    earliest = min((at for at in _segment_waits(segment, groups) if at > moment.now), default=None)
    if segment.exit is None:
        return _earliest(moment, (segment.enter,), earliest)
    conditions = (segment.exit,) if name in groups.segments else (segment.enter, segment.exit)
    return _earliest(moment, conditions, earliest)


def _earliest(moment: Moment, conditions: Iterable[Condition], earliest: int | None) -> int | None:
    """Return the next time at which one of the conditions may differ, no later than `earliest`."""
    exclude, by_events = moment.rules.exclude, moment.reader.plan.by_events
    if exclude is not None and id(exclude) not in by_events:
        conditions = (exclude, *conditions)
    for condition in conditions:
        if id(condition) not in by_events:
            at = next_change(condition, moment, earliest)
            if at is not None:
                earliest = at
    return earliest


def _segment_waits(segment: Segment, groups: Groups) -> Iterator[int]:
    """Yield when a minimum stay or a cooldown ends."""
    entered = groups.segments.get(segment.name)
    if entered is not None and segment.min_stay:
        yield entered + segment.min_stay
    left = groups.left.get(segment.name)
    if left is not None and segment.cooldown:
        yield left + segment.cooldown
