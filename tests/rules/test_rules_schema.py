"""The JSON Schema for editors knows the whole language, and the mistakes that a shape can show."""

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from app.rules.errors import Report
from app.rules.schema import json_schema
from app.rules.tree import parse, plain

HERE = Path(__file__).parent


def tree(text: str) -> Any:
    return plain(parse(text, Report("t.yaml")))


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


SHIPPED = sorted((HERE.parents[1] / "deploy" / "rules").glob("*.yaml"))


@pytest.mark.parametrize("path", [HERE / "shop.yaml", *SHIPPED], ids=str)
def test_good_rules_are_valid(validator: Draft202012Validator, path: Path) -> None:
    assert [error.message for error in validator.iter_errors(tree(path.read_text(encoding="utf-8")))] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("timezone:", "timezon:"),
        ("points: 10, half", "points: ten, half"),
        ("half_life: 14d, max_per_day: 10", "half_life: 14, max_per_day: 10"),
        ("half_life: 14d, max_per_day: 10", "half_life: -14d, max_per_day: 10"),
        ("max_per_day: 10", "max_per_day: 0"),
        ("max_per_day: 10", "max_per_day: 10, once: true"),
        ("max: 5}, half", "max: 5}, once: true, half"),
        ("event: cta_clicked, points: 4", "event: cta_clicked"),
        ('{glob: "/pricing*"}}, points', '{glub: "/pricing*"}}, points'),
        ("{signals: all,", "{signals: every,"),
        ("{A: 75,", "{E: 75,"),
        ("    enter: {score: {ge: 8}}\n", ""),
        ("{did: checkout, within: 3d}", "{did: checkout, known: true}"),
        ("{did: checkout, within: 3d}", "{did: checkout, within: 3d, since: cta}"),
        ("{did: checkout, within: 3d}", "{did: checkout, at_least: 1001}"),
        ("{did: checkout, within: 3d}", "{score: 40}"),
        ("{did: checkout, within: 3d}", "{score: {gte: 40}}"),
        ("{did: checkout, within: 3d}", "{segment: vip}"),
        ("{enter: {last: any, older_than: 30d}}", "{enter: {last: any}}"),
        ("[mail_click, pricing_view]", "[mail_click]"),
        ("{in: [A1, A2, B1]}", "{in: [E1]}"),
        ("{mailable: true}", "{mailable: maybe}"),
        ("{visit_duration: {ge: 5m}}", "{visit_duration: {ge: 300}}"),
        ("{stage: ready, value: 100}", "{value: 100}"),
        ("{stage: ready, value: 100}", "{stage: ready, event: a, value: 100}"),
        ("{stage: ready, value: 100}", "{stage: ready, value: order}"),
        ("{stage: ready, value: 100}", "{stage: ready, value: -1}"),
        ("path: reset", "path: resets"),
        ("{first: 10, middle: 30, last: 60}", "{first: 10, last: 60}"),
        ("order: 1}", "order: 2}"),
    ],
)
def test_broken_rules_are_not(validator: Draft202012Validator, old: str, new: str) -> None:
    shop = (HERE / "shop.yaml").read_text(encoding="utf-8")
    assert old in shop
    assert not validator.is_valid(tree(shop.replace(old, new, 1)))
