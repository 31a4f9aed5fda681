"""YAML 1.2 with lines, and limits that no text gets around."""

import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.rules import Problem, RulesError, load, loads
from app.rules.errors import Report
from app.rules.tree import parse, plain


def read(text: str) -> object:
    report = Report("t.yaml")
    tree = parse(text, report)
    report.raise_if_any()
    return plain(tree)


def problem(text: str) -> Problem:
    with pytest.raises(RulesError) as raised:
        read(text)
    (found,) = raised.value.problems
    return found


@pytest.mark.parametrize("word", ["no", "No", "on", "off", "yes", "y", "n", "2026-11-22", "12:30:45", "1_000", "0b11"])
def test_what_yaml_1_1_took_for_something_else_is_text(word: str) -> None:
    assert read(f"a: {word}") == {"a": word}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *[("true", True), ("FALSE", False), ("null", None), ("~", None), ("", None)],
        *[("12", 12), ("-3", -3), ("010", 10), ("0x1F", 31), ("0o17", 15)],
        *[("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5), ("-.INF", float("-inf")), ("'12'", "12"), ("!!str 12", "12")],
    ],
)
def test_values_of_the_core_schema(written: str, value: object) -> None:
    found = read(f"a: {written}")
    assert found == {"a": value}
    assert isinstance(found, dict)
    assert type(found["a"]) is type(value)


def test_norway_is_a_country() -> None:
    rules = loads(
        "version: 1.10\nsignals: {v: {event: e, points: 1}}\nscores: {engagement: {signals: all}}\n"
        "stages: [{name: new}, {name: on, enter: {trait: {country: {in: [no, se]}}}}]\n"
    )
    assert rules.version == "1.10"
    assert rules.stages[1].name == "on"
    assert "one_of=('no', 'se')" in repr(rules.stages[1].enter)


def test_a_key_twice_is_told_with_both_lines() -> None:
    found = problem("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n")
    assert (found.line, found.column, found.field) == (5, 3, "b.c")
    assert found.found == "`c` a second time (first on line 3)"


def test_aliases_stand_for_what_they_name() -> None:
    assert read("a: &x {b: 1}\nc: [*x, *x]\n") == {"a": {"b": 1}, "c": [{"b": 1}, {"b": 1}]}


def test_aliases_of_aliases_do_not_explode() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    assert "more than 100,000 values" in problem("\n".join(lines)).found


def test_aliases_do_not_nest_deeper_than_text_may() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 60)]
    assert problem("\n".join(lines)).found == "nesting deeper than 40"


def test_an_alias_of_what_it_stands_in_is_refused() -> None:
    assert problem("a: &x [*x]").found == "the alias *x"


@pytest.mark.parametrize("text", ["[" * 400_000, "{a: " * 200_000, "\n".join(" " * i + "a:" for i in range(1200))])
def test_deep_nesting_is_refused_at_once(text: str) -> None:
    start = time.perf_counter()
    assert problem(text).found == "nesting deeper than 40"
    assert time.perf_counter() - start < 5


def test_a_large_file_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "big.yaml").write_text("# é\n" * 2_500_000, encoding="utf-8")
    start = time.perf_counter()
    with pytest.raises(RulesError, match="more than 1,000,000 bytes"):
        load(tmp_path / "big.yaml")
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("a: 1\n b: 2\n", 2, "broken YAML"),
        ("a: [1,\n", 2, "broken YAML"),
        ("a: 'x\n", 2, "broken YAML"),
        ("a: \x00\n", 1, "unreadable text"),
        ("a: 1\n---\nb: 2\n", 2, "a second document"),
        ("a: !thing 5\n", 1, "the tag !thing"),
        ("? [1]\n: 2\n", 1, "a key that is no plain text"),
    ],
)
def test_text_that_is_no_rules_file(text: str, line: int, found: str) -> None:
    told = problem(text)
    assert told.line == line
    assert told.found.startswith(found)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    shop = (Path(__file__).parent / "shop.yaml").read_text(encoding="utf-8").replace("rates:", "# rates:")
    (tmp_path / "bom.yaml").write_text("\ufeff" + shop, encoding="utf-8")
    assert load(tmp_path / "bom.yaml").version == "2026-11-22"


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_line(text: str) -> None:
    with pytest.raises(RulesError) as raised:
        loads(text)
    assert all(found.line >= 1 and found.column >= 1 for found in raised.value.problems)


SHOP = (Path(__file__).parent / "shop.yaml").read_text(encoding="utf-8")


@settings(deadline=None)
@given(
    st.integers(0, len(SHOP) - 1),
    st.integers(0, 12),
    st.sampled_from(["", " ", ":", "[", "}", "x", "-1", "null", "\n", "&a"]),
)
def test_a_damaged_file_is_compiled_or_refused_but_never_breaks_the_reader(at: int, cut: int, put: str) -> None:
    damaged = SHOP[:at] + put + SHOP[at + cut :]
    with suppress(RulesError):
        assert loads(damaged, beside=lambda _: "date,currency,rate\n").stages
