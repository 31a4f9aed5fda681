"""Every example of docs/rules.md is executed, the whole language is in it, and its defaults are the defaults."""

import re
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from click.testing import CliRunner

from app.cli.main import cli
from app.domain.event import KINDS
from app.domain.kinds import TRACK_NAMES
from app.rules import comparisons, conditions, load, loads
from app.rules.load import FIELDS
from app.rules.rates import read_rates
from app.rules.schema import json_schema

ROOT: Final = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")


class Block(msgspec.Struct, frozen=True):
    """One example: what stands between two fences."""

    line: int
    kind: str
    text: str


def blocks_of(text: str) -> list[Block]:
    """Every example of a document, whatever it is."""
    found: list[Block] = []
    begin, kind = 0, ""
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.startswith("```"):
            continue
        if begin:
            found.append(Block(begin, kind, "\n".join(lines[begin : number - 1]) + "\n"))
            begin = 0
        else:
            begin, kind = number, line.removeprefix("```")
    assert not begin, "an example without an end"
    return found


BLOCKS = blocks_of(DOC)
EXAMPLES = [block.text for block in BLOCKS if block.kind == "yaml"]

BASE = {
    "version": "version: base\n",
    "signals": (
        "signals:\n"
        "  page_view: {event: page_viewed, points: 1}\n"
        "  pricing_view: {event: page_viewed, where: {path: /pricing}, points: 1}\n"
        "  product_view: {event: product_viewed, points: 1}\n"
        "  cart_add: {event: cart_added, points: 1}\n"
        "  checkout: {event: checkout_started, points: 1}\n"
        "  mail_click: {event: email_clicked, points: 1}\n"
        "  talk: {event: conversation, points: 1}\n"
        "  contact_form: {event: form_submitted, points: 1}\n"
    ),
    "scores": (
        "scores:\n  engagement: {signals: all}\n  service_interest: {signals: all}\n  interests: {signals: all}\n"
        "  fit: {traits: [{where: {country: UA}, points: 90}]}\n"
    ),
    "grades": "grades: {}\n",
    "stages": "stages: [{name: new}, {name: aware, enter: {score: {ge: 1}}}, {name: ready, enter: {score: {ge: 2}}}]\n",
}
"""What an example that is only a part of a file is a part of."""


def whole(example: str) -> str:
    told = set(re.findall(r"^(\w+):", example, re.MULTILINE))
    if {"version", "signals", "scores", "stages"} <= told:
        return example
    return example + "".join(text for section, text in BASE.items() if section not in told)


def ids(blocks: list[Block]) -> list[str]:
    return [f"line {block.line}" for block in blocks]


# --- every example is executed ----------------------------------------------------------------------------------------

EXECUTED = {"yaml", "yaml wrong", "csv", "console"}


def test_there_is_no_example_of_a_kind_that_is_not_executed() -> None:
    assert {block.kind for block in BLOCKS} == EXECUTED
    indented = re.findall(
        r"^(?:\t| {4,})\S.*$", re.sub(r"^```.*?^```$", "", DOC, flags=re.DOTALL | re.MULTILINE), re.MULTILINE
    )
    assert indented == [], "an example that is not between fences would not be executed"


def test_an_example_of_another_kind_would_be_found() -> None:
    assert [block.kind for block in blocks_of("a\n```\nx\n```\n```toml\ny\n```\n")] == ["", "toml"]


PARTS = [block for block in BLOCKS if block.kind == "yaml"]


@pytest.mark.parametrize("block", PARTS, ids=ids(PARTS))
def test_an_example_of_the_documentation_compiles(block: Block) -> None:
    text = whole(block.text)
    rules = loads(text, beside=lambda _: "date,currency,rate\n2026-01-01,USD,0.92\n")
    told = re.search(r"^version: \"?([^\"#\n]*)\"?", text, re.MULTILINE)
    assert told is not None
    assert rules.version == told[1].strip()
    for section in ("signals", "segments", "goals"):
        names = re.search(rf"^{section}:\n((?: .*\n)+)", block.text, re.MULTILINE)
        shown = re.findall(r"^  (\w+):", names[1], re.MULTILINE) if names else None
        compiled = getattr(rules, section)
        if shown is not None:
            assert shown == [one if isinstance(one, str) else one.name for one in compiled]


RATES = [block for block in BLOCKS if block.kind == "csv"]


@pytest.mark.parametrize("block", RATES, ids=ids(RATES))
def test_a_rate_file_of_the_documentation_is_read(block: Block) -> None:
    rates, report = read_rates(block.text, "rates.csv")
    assert report.problems == []
    assert rates == {"USD": (("2026-01-01", 0.92), ("2026-02-01", 0.93))}


CONSOLE = [block for block in BLOCKS if block.kind == "console"]


@pytest.mark.parametrize("block", CONSOLE, ids=ids(CONSOLE))
def test_a_command_of_the_documentation_says_what_stands_there(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, _, expected = block.text.partition("\n")
    words = command.removeprefix("$ leadstream ").split()
    if words[-1] == "rules.yaml":
        # It is the file shown just before it.
        (tmp_path / "rules.yaml").write_text(max((b for b in WRONG if b.line < block.line), key=lambda b: b.line).text)
        monkeypatch.chdir(tmp_path)
    else:
        monkeypatch.chdir(ROOT)
    assert CliRunner().invoke(cli, words).output == expected


WRONG = [block for block in BLOCKS if block.kind == "yaml wrong"]


def test_each_wrong_file_is_followed_by_what_the_check_says_of_it() -> None:
    order = [block.kind for block in BLOCKS if block.kind in ("yaml wrong", "console")]
    assert order == ["console", *["yaml wrong", "console"] * len(WRONG)]


# --- everything is in it, with its default ----------------------------------------------------------------------------


def test_the_smallest_file_is_the_same_with_every_default_written_out() -> None:
    smallest, written_out = (example for example in EXAMPLES if example.startswith("version: first try"))
    assert loads(smallest) == loads(written_out)
    told = set(re.findall(r"^(\w+):", written_out, re.MULTILINE))
    assert set(FIELDS) - told == {"rates", "exclude", "grades"}, "what has no default that can be written"


def test_the_defaults_of_attribution_are_those_that_the_documentation_gives() -> None:
    (example,) = (example for example in EXAMPLES if example.startswith("attribution:"))
    shown = loads(whole(re.sub(r".*custom:.*\n", "", example))).attribution
    assert shown == loads(whole("")).attribution


def test_the_thresholds_of_grades_are_those_that_the_documentation_gives() -> None:
    (example,) = (example for example in EXAMPLES if "\ngrades:" in example)
    shown, default = loads(whole(example)), loads(whole("grades: {}\n"))
    assert (shown.grades_fit, shown.grades_engagement) == (default.grades_fit, default.grades_engagement)


def rows_of(section: str) -> dict[str, list[str]]:
    """The table rows of a section of the documentation, by what stands in code in their first cell."""
    (text,) = re.findall(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", DOC, re.DOTALL | re.MULTILINE)
    rows: dict[str, list[str]] = {}
    for line in re.findall(r"^\| (.*) \|$", text, re.MULTILINE):
        cells = [cell.strip() for cell in line.split(" | ")]
        rows |= dict.fromkeys(re.findall(r"`([^`]+)`", cells[0]), cells[1:])
    return rows


SCHEMA = json_schema()
PROPERTIES = SCHEMA["properties"]
SCORES = PROPERTIES["scores"]["properties"]
KEYS: dict[str, list[dict[str, Any]]] = {
    "The brand": [PROPERTIES["internal"], PROPERTIES["channels"]["items"]],
    "Signals: what a deed is worth": [SCHEMA["$defs"]["signal"], SCHEMA["$defs"]["signal"]["properties"]["points_per"]],
    "Scores": [PROPERTIES["scores"], SCHEMA["$defs"]["score"], SCORES["fit"], SCORES["interests"]],
    "Stages and segments": [PROPERTIES["stages"]["items"], SCHEMA["$defs"]["group"]],
    "Goals: what is a conversion": [SCHEMA["$defs"]["goal"]],
    "Attribution": [
        PROPERTIES["attribution"],
        PROPERTIES["attribution"]["properties"]["custom"],
        PROPERTIES["attribution"]["properties"]["data_driven"],
    ],
}


@pytest.mark.parametrize("section", KEYS)
def test_every_key_stands_in_a_table_with_what_it_is_and_its_default(section: str) -> None:
    rows = rows_of(section)
    for mapping in KEYS[section]:
        for key in mapping["properties"]:
            assert key in rows, key
            assert all(rows[key][:1]), f"{key}: what is it?"


def test_every_section_of_the_file_stands_in_a_table_or_has_a_chapter() -> None:
    rows = rows_of("The brand") | rows_of("Scores") | rows_of("Stages and segments")
    chapters = " ".join(re.findall(r"^## (.*)$", DOC, re.MULTILINE)).lower()
    assert [field for field in FIELDS if field not in rows and field not in chapters] == []


@pytest.mark.parametrize("grade", [*"ABCD", *"1234"])
def test_every_grade_has_its_threshold(grade: str) -> None:
    assert grade in rows_of("Scores")


@pytest.mark.parametrize("operator", [*conditions.OPERATORS, *conditions.SCORES_ALWAYS])
def test_every_condition_says_when_it_holds_and_whether_time_changes_it(operator: str) -> None:
    holds, by_itself = rows_of("Stages and segments")[operator]
    assert holds
    assert by_itself


@pytest.mark.parametrize("operator", comparisons.OPERATORS)
def test_every_comparison_says_what_passes(operator: str) -> None:
    assert rows_of("Signals: what a deed is worth")[operator][0]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_tells_what_trackers_send(kind: str) -> None:
    sent = rows_of("Signals: what a deed is worth")[kind][0]
    assert all(f'"{name}"' in sent for name in TRACK_NAMES.get(kind, ()))


@pytest.mark.parametrize("word", sorted({name for names in conditions.MODIFIERS.values() for name in names}))
def test_everything_that_stands_beside_a_condition_is_documented(word: str) -> None:
    assert re.search(rf"`{word}`", DOC)


def test_the_shipped_rules_are_all_named_and_are_there() -> None:
    named = re.findall(r"\]\(\.\./deploy/rules/([\w.]+)\)", DOC)
    assert sorted(named) == sorted(path.name for path in (ROOT / "deploy" / "rules").glob("*.yaml"))
    assert all(load(ROOT / "deploy" / "rules" / name).stages for name in named)
