"""Stages and segments (SEMANTICS §4)."""

from app.domain.rulebook import All, Rules, Segment, Stage
from app.rules.conditions import Conditions
from app.rules.place import Place
from app.rules.reach import stages_out_of_reach
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
    """Read the ladder: names are unique, and each stage but the first has a condition."""
    stages: list[Stage] = []
    for index, item in enumerate(place.items("a list of stages")):
        before = item.report.count
        fields = item.fields(("name", "enter", "exit", "min_stay"), ("name",), "a stage")
        complete = item.report.count == before  # else what is missing may be there, misspelt
        name = fields["name"].text("a name") if "name" in fields else ""
        if name and name.casefold() in {stage.name.casefold() for stage in stages}:
            fields["name"].wrong("each stage once", f"a second stage `{name}`")
        if index and complete and "enter" not in fields:
            item.wrong("`enter`: without a condition only the first stage can be reached", "no `enter`")
        stages.append(
            Stage(
                name=name,
                enter=conditions.read(fields["enter"]) if "enter" in fields else None,
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


def check_reach(place: Place, rules: Rules) -> None:
    """Note each stage that no lead can come to; `rules` were compiled from the file that `place` stands in."""
    items = place.items("a list of stages")
    for told in stages_out_of_reach(rules):
        stage = items[told.index].fields(("name", "enter", "exit", "min_stay"))
        stage["enter"].wrong(told.expected, told.found)
