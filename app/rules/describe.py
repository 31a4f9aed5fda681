"""What a rules file amounts to, in a few lines for its author."""

from pathlib import Path

from app.domain.rulebook import Goal, Rules
from app.rules.load import Loaded
from app.rules.reach import first_is_passed_over, segments_out_of_reach


def noted(loaded: Loaded, file: Path) -> list[str]:
    """Return lines about what is allowed and yet perhaps not meant, for the author of the file."""
    return [f"note: {note}" for note in [*loaded.notes, *(f"{file}: {note}" for note in notes(loaded.rules))]]


def summary(rules: Rules) -> list[str]:
    """Return lines that sum the rules up, for `leadstream rules check`."""
    deep = max((tracker.depth for tracker in rules.trackers.values()), default=0)
    named = [*rules.scores, *(["fit"] if rules.fit else []), *(["interests"] if rules.interests else [])]
    total = " + ".join(f"{weight:g} · {name}" for name, weight in rules.total.items())
    return [
        f"version {rules.version}, brand {rules.brand}, {rules.timezone}, {rules.currency}",
        f"{_count(len(rules.signals), 'signal')}: {', '.join(rules.signals)}",
        f"{_count(len(named), 'score')}: {', '.join(named) or 'none'}; score = {total or '0'}",
        f"{_count(len(rules.stages), 'stage')}: {' → '.join(stage.name for stage in rules.stages)}",
        f"{_count(len(rules.segments), 'segment')}: {', '.join(segment.name for segment in rules.segments) or 'none'}",
        f"{_count(len(rules.goals), 'goal')}: {', '.join(_goal(goal, rules) for goal in rules.goals) or 'none'}",
        f"{_count(len(rules.trackers), 'pattern')} followed for conditions, at most {_count(deep, 'time')} each",
        *(f"{_count(len(days), 'rate')} for {currency}" for currency, days in rules.rates.items()),
    ]


def notes(rules: Rules) -> list[str]:
    """Return what is seen only in the rules as a whole, is allowed and yet perhaps not meant."""
    found = []
    if rules.stages[0].enter is not None:
        found.append(f"stages: the first, {rules.stages[0].name}, always holds, whatever its `enter` asks")
    elif first_is_passed_over(rules):
        found.append(f"stages: nobody is ever on the first, {rules.stages[0].name}: a stage above it always holds")
    unused = [name for name in rules.signals if not _is_used(name, rules)]
    if unused:
        found.append(f"signals in no score, interest or condition: {', '.join(unused)}")
    found += [f"segments.{name}: nobody can enter it ({why})" for name, why in segments_out_of_reach(rules)]
    return found


def _is_used(signal: str, rules: Rules) -> bool:
    scored = any(signal in score.signals for score in rules.scores.values())
    interesting = rules.interests is not None and signal in rules.interests.signals
    asked = any(tracker.split("?")[0] == f"signal:{signal}" for tracker in rules.trackers)
    return scored or interesting or asked


def _goal(goal: Goal, rules: Rules) -> str:
    value = goal.value if goal.value in ("order", "amount") else f"{goal.value} {rules.currency}"
    return f"{goal.name} ({value})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
