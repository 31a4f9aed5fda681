"""A lead explained as tables and trees."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text
from rich.tree import Tree

from app.cli.explain.words import measured, missing
from app.cli.terminal import Section
from app.domain.wording import number, span

Record = dict[str, Any]
_MS: Final = 1_000
_NOTHING: Final = "–"


def parts(told: Record) -> Iterator[RenderableType]:
    """Yield everything that is told of a lead, from what the worker's page answered."""
    yield _head(told)
    for score in told["scores"]:
        if score["signals"] or score["lines"]:
            yield _score(score)
    interests = [score for score in told["interests"] if score["value"]]
    if interests:
        yield _interests(interests)
    yield from _stages(told)
    if told["audiences"]:
        yield _segments(told)


def _head(told: Record) -> Text:
    segments = ", ".join(told["segments"]) or "none"
    grade = f", grade {told['grade']}" if told["grade"] else ""
    since = next((stage["since"] for stage in told["ladder"] if stage["inside"]), None)
    lines = [
        f"{told['brand']}/{told['lead_id']} at {told['at']}, rules {told['rules_version']}",
        f"score {told['score']:.2f} points{grade}; stage {told['stage']} since {since}; segments: {segments}",
    ]
    if told["excluded"]:
        lacks = missing(told["exclude"])
        lines.append(f"excluded by the rules: scored, but in no group{f'; missing: {lacks}' if lacks else ''}")
    if told["cools_at"]:
        lines.append(f"if nothing happens it goes from {told['stage']} to {told['cools_to']} {_when(told, 'cools_at')}")
    else:
        lines.append(f"if nothing happens it stays {told['stage']}")
    change = told["next_change"]
    if change is not None and (change["entered"] or change["left"]):
        moves = [f"enters {name}" for name in change["entered"]] + [f"leaves {name}" for name in change["left"]]
        lines.append(f"by itself it {' and '.join(moves)} {_when(told, 'next_change_at')}")
    if told.get("others"):
        lines.append(f"also called so: {', '.join(told['others'])}")
    return Text("\n".join(lines))


def _when(told: Record, field: str) -> str:
    return f"at {told[field]}, in {_until(told[field], told)}"


def _until(at: str, told: Record) -> str:
    ahead = datetime.fromisoformat(at) - datetime.fromisoformat(told["at"])
    return span(ahead.total_seconds() * _MS)


# --- scores -----------------------------------------------------------------------------------------------------------


def _score(score: Record) -> Section:
    title = f"{score['score']}: {score['value']:.2f} points"
    if not score["signals"]:
        section = Section(title, "what", "*points")
        for line in score["lines"]:
            section.add_row(line["what"], f"{line['points']:,.2f}")
        return section
    section = Section(title, "what", "*times", "last", "half-life", "*raw points", "caps", "*points now")
    for line in score["signals"]:
        half_life = line["half_life_seconds"]
        section.add_row(
            line["signal"],
            f"{line['count']:,}",
            line["last_at"],
            "never fades" if half_life is None else span(half_life * _MS),
            f"{line['raw_points']:,.2f}",
            ", ".join(map(_cap, line["caps"])) or _NOTHING,
            f"{line['points']:,.2f}",
        )
    for line in score["lines"]:
        section.add_row(line["what"], "", "", "", "", "", f"{line['points']:,.2f}")
    return section


def _cap(cap: Record) -> str:
    unit = cap["unit"].replace("occurrences", "occurrence") if cap["limit"] == 1 else cap["unit"]
    told = "once" if cap["cap"] == "once" else f"at most {number(cap['limit'])} {unit}"
    return f"{told}, {cap['held_back']} held back" if cap["held_back"] else told


def _interests(interests: list[Record]) -> Section:
    section = Section("interests", "in", "made of", "*points now")
    for score in interests:
        made = ", ".join(f"{line['signal']} {line['points']:,.2f}" for line in score["signals"])
        section.add_row(score["category"], made, f"{score['value']:,.2f}")
    return section


# --- groups -----------------------------------------------------------------------------------------------------------


def _stages(told: Record) -> Iterator[RenderableType]:
    for stage in told["ladder"]:
        if stage["next"]:
            yield _tree(f"next stage: {stage['name']}", stage["enter"], told)
        elif stage["inside"]:
            staying = f", stays until {stage['stays_until']} at least" if _ahead(stage["stays_until"], told) else ""
            title = f"stage: {stage['name']}{staying}"
            if stage["enter"] is not None:
                yield _tree(f"{title}; entered by", stage["enter"], told)
            if stage["exit"] is not None:
                yield _tree(f"{title}; left by", stage["exit"], told)


def _tree(title: str, condition: Record | None, told: Record) -> Tree:
    tree = Tree(Text(title, style="bold cyan"), guide_style="dim")
    if condition is None:
        tree.add(Text("always"))
    else:
        _grow(tree, condition, told)
    return tree


def _grow(tree: Tree, condition: Record, told: Record) -> None:
    holds = condition["holds"]
    line = Text.assemble(("yes " if holds else "no  ", "green" if holds else "red"), condition["text"])
    facts = [f"has {has}" for has in [measured(condition)] if has]
    if "parts" not in condition and (lacks := missing(condition)):
        facts.append(f"missing: {lacks}")
    if condition["changes_at"]:
        facts.append(f"becomes {'untrue' if holds else 'true'} in {_until(condition['changes_at'], told)} by itself")
    if facts:
        line.append(f"  [{'; '.join(facts)}]", style="dim")
    branch = tree.add(line)
    for part in condition.get("parts", ()):
        _grow(branch, part, told)


def _segments(told: Record) -> Section:
    section = Section("segments", "segment", "in it", "since", "by itself", "missing")
    for group in told["audiences"]:
        by_itself = [f"{name} {_becomes(group[name], told)}" for name in ("enter", "exit") if _changes(group[name])]
        lacks = [] if group["inside"] else [text for name in ("enter", "exit") if (text := missing(group[name]))]
        waits = [
            f"{what} until {group[field]}"
            for field, what in (("stays_until", "stays"), ("closed_until", "closed"))
            if _ahead(group[field], told)
        ]
        section.add_row(
            group["name"],
            "yes" if group["inside"] else "no",
            group["since"] or _NOTHING,
            "; ".join([*by_itself, *waits]) or _NOTHING,
            " and ".join(lacks) or _NOTHING,
        )
    return section


def _changes(condition: Record | None) -> bool:
    return condition is not None and condition["changes_at"] is not None


def _becomes(condition: Record, told: Record) -> str:
    truth = "untrue" if condition["holds"] else "true"
    return f"becomes {truth} in {_until(condition['changes_at'], told)}"


def _ahead(at: str | None, told: Record) -> bool:
    return at is not None and at > told["at"]
