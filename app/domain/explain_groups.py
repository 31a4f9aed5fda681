"""Why a lead is in the groups it is in: each stage and segment with its conditions, and what changes by itself."""

import msgspec

from app.domain.conditions import Moment
from app.domain.explain_conditions import Told, explain_condition
from app.domain.groups import Groups, groups_of, next_group_change
from app.domain.rulebook import Condition, Segment, Stage


class GroupTold(msgspec.Struct, frozen=True):
    """One stage or segment."""

    name: str
    inside: bool
    since: int | None
    """ms; None when the lead is not inside."""
    enter: Told | None
    exit: Told | None
    stays_until: int | None
    """ms; while it lies ahead nobody is let out."""
    closed_until: int | None
    """ms; while it lies ahead the lead's cooldown keeps it out."""
    next: bool = False
    """The stage above the current one."""


class Change(msgspec.Struct, frozen=True):
    """What will change if nothing happens."""

    at: int
    """ms."""
    stage: str | None
    """From then on."""
    entered: tuple[str, ...]
    left: tuple[str, ...]


class GroupsTold(msgspec.Struct, frozen=True):
    """All groups of a lead at a moment."""

    stages: tuple[GroupTold, ...]
    segments: tuple[GroupTold, ...]
    exclude: Told | None
    """None when the rules exclude nobody."""
    cools_at: int | None
    """ms; when the lead leaves its stage if nothing happens."""
    cools_to: str | None
    """The stage that it then comes to."""
    changes: Change | None
    """When any of its groups changes."""


def explain_groups(moment: Moment) -> GroupsTold:
    """Return the groups of a lead whose state is settled at the moment (`groups.settle`)."""
    current, rules = groups_of(moment.core), moment.rules
    names = [stage.name for stage in rules.stages]
    above = names.index(current.stage) + 1 if current.stage in names else 0
    changes = cools = next_group_change(moment)
    if changes is not None and changes[1].stage == current.stage:
        cools = next_group_change(moment, stage_only=True)
    exclude = rules.exclude
    return GroupsTold(
        stages=tuple(_stage(index, stage, moment, current, above) for index, stage in enumerate(rules.stages)),
        segments=tuple(_segment(segment, moment, current) for segment in rules.segments),
        exclude=None if exclude is None else explain_condition(exclude, moment, "exclude", wanted=False),
        cools_at=cools[0] if cools else None,
        cools_to=cools[1].stage if cools else None,
        changes=_change(changes, current),
    )


def _stage(index: int, stage: Stage, moment: Moment, current: Groups, above: int) -> GroupTold:
    inside = stage.name == current.stage
    rule = f"stages[{index}]"
    return GroupTold(
        name=stage.name,
        inside=inside,
        since=current.stage_since if inside else None,
        enter=_told(stage.enter, moment, f"{rule}.enter", wanted=True),
        # Only the stage that the lead is on can be left.
        exit=_told(stage.exit, moment, f"{rule}.exit", wanted=False) if inside else None,
        stays_until=current.stage_since + stage.min_stay if inside and stage.min_stay else None,
        closed_until=None,
        next=index == above,
    )


def _segment(segment: Segment, moment: Moment, current: Groups) -> GroupTold:
    since, left = current.segments.get(segment.name), current.left.get(segment.name)
    rule = f"segments.{segment.name}"
    return GroupTold(
        name=segment.name,
        inside=since is not None,
        since=since,
        enter=_told(segment.enter, moment, f"{rule}.enter", wanted=True),
        exit=_told(segment.exit, moment, f"{rule}.exit", wanted=False),
        stays_until=since + segment.min_stay if since is not None and segment.min_stay else None,
        closed_until=left + segment.cooldown if since is None and left is not None and segment.cooldown else None,
    )


def _told(condition: Condition | None, moment: Moment, rule: str, *, wanted: bool) -> Told | None:
    return None if condition is None else explain_condition(condition, moment, rule, wanted=wanted)


def _change(found: tuple[int, Groups] | None, current: Groups) -> Change | None:
    if found is None:
        return None
    at, groups = found
    return Change(
        at=at,
        stage=groups.stage,
        entered=tuple(sorted(groups.segments.keys() - current.segments.keys())),
        left=tuple(sorted(current.segments.keys() - groups.segments.keys())),
    )
