"""Stages and segments (SEMANTICS §4)."""

from app.domain.rulebook import All, AnyOf, Condition, Not, Segment, Stage, StageIs
from app.rules.conditions import Conditions
from app.rules.place import Place
from app.rules.tree import Entries, Scalar


def stage_names(place: Place) -> tuple[str, ...]:
    """Return the names that stages are given, before anything of them is checked: conditions refer to them."""
    if not place.is_list:
        return ()
    named = [
        node.written.strip()
        for item in place.items("stages")
        if isinstance(item.node, Entries)
        for key, node in item.node.entries
        if key.written == "name" and isinstance(node, Scalar)
    ]
    return tuple(named)


def read_stages(place: Place, conditions: Conditions) -> tuple[Stage, ...]:
    """Read the ladder: names are unique, each stage but the first has a condition, and each can be reached."""
    stages: list[Stage] = []
    for index, item in enumerate(place.items("a list of stages")):
        fields = item.fields(("name", "enter", "exit", "min_stay"), ("name",), "a stage")
        name = fields["name"].text("a name") if "name" in fields else ""
        if name and name.casefold() in {stage.name.casefold() for stage in stages}:
            fields["name"].wrong("each stage once", f"a second stage `{name}`")
        if index and item.is_mapping and "enter" not in fields:
            item.wrong("`enter`: without a condition only the first stage can be reached", "no `enter`")
        before = item.report.count
        enter = conditions.read(fields["enter"]) if "enter" in fields else None
        if index and enter is not None and before == item.report.count:
            others = frozenset(stage.casefold() for stage in stage_names(place)) - {name.casefold()}
            if others and not _possible_stages(enter, others):
                what = "a condition on the stage that no other stage meets"
                fields["enter"].wrong("a condition that can hold at another stage", what)
        stages.append(
            Stage(
                name=name,
                enter=enter,
                exit=conditions.read(fields["exit"]) if "exit" in fields else None,
                min_stay=fields["min_stay"].duration(zero=True) if "min_stay" in fields else 0,
            )
        )
    return tuple(stages)


def read_segments(place: Place, conditions: Conditions) -> tuple[Segment, ...]:
    """Read every segment by its name."""
    segments: list[Segment] = []
    for name, entry in place.entries("segments by name", empty=True):
        fields = entry.fields(("enter", "exit", "min_stay", "cooldown"), ("enter",), "a segment")
        segments.append(
            Segment(
                name=name,
                enter=conditions.read(fields["enter"]) if "enter" in fields else All(()),
                exit=conditions.read(fields["exit"]) if "exit" in fields else None,
                min_stay=fields["min_stay"].duration(zero=True) if "min_stay" in fields else 0,
                cooldown=fields["cooldown"].duration(zero=True) if "cooldown" in fields else 0,
            )
        )
    return tuple(segments)


def _possible_stages(condition: Condition, names: frozenset[str]) -> frozenset[str]:
    """Return the current stages (case-folded) at which the condition may hold, whatever else is true of the lead."""
    match condition:
        case StageIs(test=test):
            possible = names
            if test.equals is not None:
                possible &= {test.equals}
            if test.one_of is not None:
                possible &= set(test.one_of)
            return possible - set(test.none_of or ())
        case All(parts=parts):
            return names.intersection(*(_possible_stages(part, names) for part in parts))
        case AnyOf(parts=parts):
            return frozenset().union(*(_possible_stages(part, names) for part in parts))
        case Not(part=StageIs(test=test)) if test.glob is None and test.contains is None and test.exists is None:
            return names - _possible_stages(StageIs(test), names)
        case _:
            return names
