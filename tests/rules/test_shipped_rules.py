"""The shipped rules: each is right as it is, and together they show the whole language."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.rules import comparisons, conditions, load_with_notes
from app.rules.describe import notes
from app.rules.errors import Report
from app.rules.goals import PATHS
from app.rules.load import FIELDS
from app.rules.tree import parse, plain

FOLDER = Path(__file__).parents[2] / "deploy" / "rules"
NAMES = ("default", "b2b_saas", "web_shop", "clinic")


@pytest.mark.parametrize("name", NAMES)
def test_shipped_rules_load_without_a_warning(name: str) -> None:
    loaded = load_with_notes(FOLDER / f"{name}.yaml")
    assert (*loaded.notes, *notes(loaded.rules)) == ()
    assert loaded.rules.brand == "default"


def test_every_file_of_rules_that_is_shipped_is_tested() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.yaml")) == sorted(NAMES)


# --- the whole language -----------------------------------------------------------------------------------------------


def written(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of a file with where it stands (names that its author chose are `*`), and every value."""
    if isinstance(node, dict):
        own = path in ("signals", "segments", "goals") or path.endswith((".where", ".trait"))
        for key, below in node.items():
            here = f"{path}.{'*' if own else key}".removeprefix(".")
            yield here, below if not isinstance(below, dict | list) else None
            if own and path.endswith((".where", ".trait")):
                yield f"where {key}", None
            yield from written(below, here)
    elif isinstance(node, list):
        for below in node:
            yield from written(below, path)
            if not isinstance(below, dict | list):
                yield path, below


TREES = [plain(parse((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"), Report(name))) for name in NAMES]
WRITTEN = [one for tree in TREES for one in written(tree)]
PLACES = {place for place, _ in WRITTEN}


def used(pattern: str) -> bool:
    return any(re.fullmatch(pattern, place) for place in PLACES)


@pytest.mark.parametrize("field", FIELDS)
def test_every_section_is_used(field: str) -> None:
    assert used(field)


@pytest.mark.parametrize("operator", [*conditions.OPERATORS, *conditions.SCORES_ALWAYS])
def test_every_condition_is_used(operator: str) -> None:
    assert used(rf"(stages|segments|exclude).*\.{operator}")


@pytest.mark.parametrize(
    ("operator", "modifier"), [(op, beside) for op, names in conditions.MODIFIERS.items() for beside in names]
)
def test_everything_that_stands_beside_a_condition_is_used(operator: str, modifier: str) -> None:
    pairs = [node for tree in TREES for node in mappings(tree) if operator in node and modifier in node]
    assert pairs, f"{modifier} beside {operator}"


def mappings(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for below in node.values():
            yield from mappings(below)
    elif isinstance(node, list):
        for below in node:
            yield from mappings(below)


@pytest.mark.parametrize("operator", comparisons.OPERATORS)
def test_every_comparison_is_used(operator: str) -> None:
    assert used(rf".*(where|trait)\.\*\.{operator}")


WHERE = (
    "path",
    "url",
    "host",
    "title",
    "referrer",
    "channel",
    "source",
    "medium",
    "campaign",
    "product_id",
    "category",
)


@pytest.mark.parametrize("field", [*WHERE, "amount", r".*\..*"])
def test_every_field_of_an_event_is_asked_about(field: str) -> None:
    assert used(f"where {field}")


@pytest.mark.parametrize(
    "place",
    [
        r"signals\.\*\.(points_per\.(property|each|points|max))",
        *(rf"signals\.\*\.{field}" for field in ("event", "where", "points", "half_life", "once", "max_per_day")),
        *(f"scores.{field}" for field in (r"fit\.traits\.where", r"fit\.min", r"fit\.max", r"interests\.by", "total")),
        *(rf"internal\.{field}" for field in ("ips", "email_domains", "emails")),
        *(rf"stages\.{field}" for field in ("enter", "exit", "min_stay")),
        *(rf"segments\.\*\.{field}" for field in ("enter", "exit", "min_stay", "cooldown")),
        *(rf"goals\.\*\.{field}" for field in ("event", "where", "stage", "value", "lookback", "path")),
        *(
            f"attribution.{field}"
            for field in ("half_life", "ignore", "milestone_stage", "custom", "correction_window")
        ),
        r"attribution\.data_driven\.order",
        r"grades\.fit\.A",
        r"grades\.engagement\.4",
        r"(?:stages|segments).*\.(?:orders|revenue)\.within",
        r"segments.*\.interest\.category",
    ],
)
def test_every_key_is_used(place: str) -> None:
    assert used(place)


@pytest.mark.parametrize(
    ("place", "values"),
    [
        (r"goals\.\*\.path", {"reset", "first"}),  # `window` is what is meant without
        (r"goals\.\*\.value", {"order", "amount"}),
        (r"scores\..*\.signals", {"all"}),
        (r"signals\.\*\.half_life", {"none"}),
        (r"segments.*\.last", {"any", "visit"}),
    ],
)
def test_every_word_with_a_meaning_of_its_own_is_used(place: str, values: set[str]) -> None:
    assert values <= {str(value) for where, value in WRITTEN if re.fullmatch(place, where)}
    assert set(PATHS) == {"window", "reset", "first"}
