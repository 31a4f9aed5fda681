"""Every example of docs/rules.md compiles, and everything of the language is in it."""

import re
from pathlib import Path

import pytest

from app.domain.event import KINDS
from app.rules import comparisons, conditions, load, loads
from app.rules.load import FIELDS

DOC = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", DOC, re.DOTALL | re.MULTILINE)

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
    ),
    "stages": "stages: [{name: new}, {name: aware, enter: {score: {ge: 1}}}, {name: ready, enter: {score: {ge: 2}}}]\n",
}
"""What an example that is only a part of a file is a part of."""


def whole(example: str) -> str:
    told = set(re.findall(r"^(\w+):", example, re.MULTILINE))
    return example + "".join(text for section, text in BASE.items() if section not in told)


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.split("\n")[0] for example in EXAMPLES])
def test_an_example_of_the_documentation_compiles(example: str) -> None:
    rules = loads(whole(example), beside=lambda _: "date,currency,rate\n2026-01-01,USD,0.92\n")
    told = re.search(r"^version: \"?([^\"#\n]*)\"?", whole(example), re.MULTILINE)
    assert told is not None
    assert rules.version == told[1].strip()


def test_the_defaults_of_attribution_are_those_that_the_documentation_gives() -> None:
    (example,) = (example for example in EXAMPLES if example.startswith("attribution:"))
    shown = loads(whole(re.sub(r".*custom:.*\n", "", example))).attribution
    assert shown == loads(whole("")).attribution


def test_the_thresholds_of_grades_are_those_that_the_documentation_gives() -> None:
    (example,) = (example for example in EXAMPLES if "\ngrades:" in example)
    shown, default = loads(whole(example)), loads(whole("grades: {}\n"))
    assert (shown.grades_fit, shown.grades_engagement) == (default.grades_fit, default.grades_engagement)


@pytest.mark.parametrize(
    "word",
    sorted({*FIELDS, *comparisons.OPERATORS, *conditions.OPERATORS, *conditions.SCORES_ALWAYS, *KINDS})
    + sorted({name for names in conditions.MODIFIERS.values() for name in names}),
)
def test_every_word_of_the_language_is_documented(word: str) -> None:
    assert re.search(rf"\b{word}\b", DOC)


def test_the_shipped_rules_that_the_documentation_names_are_there() -> None:
    (path,) = re.findall(r"\]\((\.\./deploy[^)]*)\)", DOC)
    assert load(Path(__file__).parents[2] / "docs" / path).stages
