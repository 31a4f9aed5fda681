"""Stages that no lead can ever be on, and segments that nobody can enter: told only where it is certain."""

from collections.abc import Iterator

import msgspec

from app.domain.rulebook import Rules
from app.rules.possible import ELSEWHERE, Budget, Goal, Stages, impossible


class OutOfReach(msgspec.Struct, frozen=True):
    """A stage that no lead that is scored by these rules can come to."""

    index: int
    found: str
    expected: str


def stages_out_of_reach(rules: Rules) -> list[OutOfReach]:
    """Return the stages above the first that nothing a lead may do or be brings it to, from the lowest.

    A lead comes to a stage when its `enter` holds and that of no stage above it does, and when it is not excluded; to
    the first one also when it is. `stage` in conditions is then a stage that can itself be reached, or none yet.
    """
    budget = Budget()
    reached = _reached(rules, frozenset({None}), budget)
    out = {index: _told(rules, index, reached, budget) for index in _missing(rules, reached)}
    first = rules.stages[0].name
    if first not in reached:
        # A condition such as `not: {stage: new}` is true of leads that have no stage yet, and so of all at once.
        begun = _reached(rules, frozenset({first}), budget)
        told = {index: _told(rules, index, begun, budget) for index in _missing(rules, begun)}
        out = {index: one for index, one in told.items() if one.found == ELSEWHERE} | out
    return [out[index] for index in sorted(out)]


def first_is_passed_over(rules: Rules) -> bool:
    """Return whether no lead is ever on the first stage, since one above it always holds."""
    return rules.stages[0].name not in _reached(rules, frozenset({None}), Budget())


def _reached(rules: Rules, reached: Stages, budget: Budget) -> Stages:
    """Return the stages that leads may come to that are on one of these."""
    before = None
    while before != reached:
        before = reached
        for index, stage in enumerate(rules.stages):
            if stage.name not in reached and _why_not(rules, index, reached, budget) is None:
                reached |= {stage.name}
    return reached


def _missing(rules: Rules, reached: Stages) -> list[int]:
    return [index for index, stage in enumerate(rules.stages) if index and stage.name not in reached]


def segments_out_of_reach(rules: Rules) -> Iterator[tuple[str, str]]:
    """Yield the segments that nobody can enter, and why."""
    budget = Budget()
    stages: Stages = frozenset(stage.name for stage in rules.stages)
    for segment in rules.segments:
        goals: list[Goal] = [(segment.enter, True), *_not_excluded(rules)]
        goals += [(segment.exit, False)] if segment.exit is not None else []
        why = impossible(goals, rules, stages, budget)
        if why is not None:
            yield segment.name, why


def _why_not(rules: Rules, index: int, reached: Stages, budget: Budget) -> str | None:
    if index == 0 and rules.exclude is not None and impossible([(rules.exclude, True)], rules, reached, budget) is None:
        return None
    goals = [*_entering(rules, index), *_not_above(rules, index), *_not_excluded(rules)]
    return impossible(goals, rules, reached, budget)


def _entering(rules: Rules, index: int) -> list[Goal]:
    enter = rules.stages[index].enter
    return [(enter, True)] if index and enter is not None else []


def _not_above(rules: Rules, index: int) -> list[Goal]:
    return [(stage.enter, False) for stage in rules.stages[index + 1 :] if stage.enter is not None]


def _not_excluded(rules: Rules) -> list[Goal]:
    return [] if rules.exclude is None else [(rules.exclude, False)]


def _told(rules: Rules, index: int, reached: Stages, budget: Budget) -> OutOfReach:
    """Say why in the fewest words: the condition itself, then the stages that can be reached, then those above it."""
    enter, name = _entering(rules, index), rules.stages[index].name
    every: Stages = frozenset({None, *(stage.name for stage in rules.stages)})
    why = impossible(enter, rules, every, budget)
    if why is not None:
        return OutOfReach(index, f"a condition that no lead can meet ({why})", "a condition that a lead can meet")
    why = impossible(enter, rules, reached, budget)
    if why is not None:
        found = ELSEWHERE if ELSEWHERE in why else f"a condition that no lead on another stage can meet ({why})"
        return OutOfReach(index, found, "a condition that can hold at another stage that is reached")
    if impossible([*enter, *_not_excluded(rules)], rules, reached, budget) is not None:
        return OutOfReach(index, "a condition that only excluded leads meet", "a condition that others meet too")
    above = [
        stage.name
        for stage in rules.stages[index + 1 :]
        if stage.enter is not None
        and impossible([*enter, (stage.enter, False), *_not_excluded(rules)], rules, reached, budget) is not None
    ]
    by = f"`{above[0]}` above it" if above else "a stage above it"
    found = f"a stage that nobody comes to: whenever it holds, {by} holds too"
    return OutOfReach(index, found, f"`{name}` to hold at times when no stage above it does")
