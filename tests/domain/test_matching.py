"""Values and tests of the rules."""

import functools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.matching import matches, passes
from app.domain.rulebook import Test, Where

PASS, FAIL = True, False


@pytest.mark.parametrize(
    ("test", "value", "result"),
    [
        # text without regard to case
        (Test(equals="spring"), "Spring", PASS),
        (Test(equals="straße"), "STRASSE", FAIL),  # the rules are stored case-folded: strasse
        (Test(equals="strasse"), "Straße", PASS),
        (Test(equals="spring"), "springs", FAIL),
        (Test(one_of=("pl", "de")), "DE", PASS),
        (Test(one_of=("pl", "de")), "UA", FAIL),
        (Test(none_of=("bot",)), "Bot", FAIL),
        (Test(none_of=("bot",)), "chat", PASS),
        # numbers, and decimal text as its number
        (Test(equals=5), 5.0, PASS),
        (Test(equals=5), "5", PASS),
        (Test(equals=5), "5.0", PASS),
        (Test(equals="5"), 5, PASS),
        (Test(equals="5"), 6, FAIL),
        (Test(equals="five"), 5, FAIL),
        (Test(one_of=(1, "two")), "TWO", PASS),
        (Test(ge=50), 50, PASS),
        (Test(ge=50), "250", PASS),
        (Test(ge=50), 49.9, FAIL),
        (Test(gt=50), 50, FAIL),
        (Test(gt=50), 50.1, PASS),
        (Test(le=50), 50, PASS),
        (Test(lt=50), 50, FAIL),
        (Test(ge=1, lt=5), 4.9, PASS),
        (Test(ge=1, lt=5), 5, FAIL),
        (Test(ge=1), "many", FAIL),
        (Test(ge=1), "nan", FAIL),
        (Test(ge=1), "1_000", FAIL),
        (Test(ge=1), "inf", FAIL),
        # a boolean is no number
        (Test(ge=0), True, FAIL),
        (Test(equals=1), True, FAIL),
        (Test(equals=True), 1, FAIL),
        (Test(equals=True), True, PASS),
        (Test(equals=False), False, PASS),
        (Test(equals=False), True, FAIL),
        (Test(equals=True), "True", PASS),
        (Test(equals="true"), True, PASS),
        (Test(equals=False), None, FAIL),
        # patterns
        (Test(glob=("/pricing*",)), "/Pricing/teams", PASS),
        (Test(glob=("/pricing*",)), "/a/pricing", FAIL),
        (Test(glob=("/pricing",)), "/pricing/teams", FAIL),
        (Test(glob=("*@gmail.com", "*@ukr.net")), "ada@ukr.net", PASS),
        (Test(glob=("*@gmail.com", "*@ukr.net")), "ada@ukr.net.evil", FAIL),
        (Test(glob=("/p/?",)), "/p/1", PASS),
        (Test(glob=("a.c",)), "abc", FAIL),
        (Test(glob=("2*",)), 250, PASS),
        (Test(glob=("*",)), "two\nlines", PASS),
        (Test(contains="price"), "The PRICE list", PASS),
        (Test(contains="price"), "cost", FAIL),
        # absent
        (Test(exists=True), None, FAIL),
        (Test(exists=False), None, PASS),
        (Test(exists=True), "", PASS),
        (Test(exists=False), "", FAIL),
        (Test(exists=True), 0, PASS),
        (Test(none_of=("bot",)), None, PASS),
        (Test(none_of=("bot",), ge=1), None, FAIL),
        (Test(equals=""), None, FAIL),
        (Test(glob=("*",)), None, FAIL),
        # lists: one member is enough, none_of is for all
        (Test(equals="red"), ["blue", "Red"], PASS),
        (Test(contains="ed"), ["blue", "red"], PASS),
        (Test(ge=5, le=10), [1, 20], FAIL),
        (Test(ge=5, le=10), [1, 7], PASS),
        (Test(none_of=("red",)), ["blue", "red"], FAIL),
        (Test(none_of=("red",)), ["blue"], PASS),
        (Test(none_of=("red",)), [], PASS),
        (Test(equals="red"), [], FAIL),
        (Test(exists=True), [], PASS),
        # objects
        (Test(exists=True), {"a": 1}, PASS),
        (Test(equals="a"), {"a": 1}, FAIL),
        (Test(contains="a"), {"a": 1}, FAIL),
        (Test(contains="a"), [{"a": 1}], FAIL),
        # every bound must hold
        (Test(one_of=("red", "blue"), contains="e", glob=("b*",)), "Blue", PASS),
        (Test(one_of=("red", "blue"), contains="e", glob=("b*",)), "Red", FAIL),
        (Test(), "anything", PASS),
        (Test(), None, PASS),
    ],
)
def test_a_value_passes(test: Test, value: Any, result: bool) -> None:
    assert passes(test, value) is result


def field(fields: dict[str, Any], name: str) -> Any:
    return fields.get(name)


def test_every_field_must_hold() -> None:
    where = Where((("form", Test(one_of=("contact", "demo"))), ("length", Test(gt=20))))
    cases: list[tuple[dict[str, Any], bool]] = [
        ({"form": "Demo", "length": 21}, PASS),
        ({"form": "Demo", "length": 20}, FAIL),
        ({"length": 21}, FAIL),
    ]
    for fields, result in cases:
        assert matches(where, functools.partial(field, fields)) is result
    assert matches(Where(), lambda name: None)


bounds = st.none() | st.floats(allow_nan=False)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
)


@given(
    value=anything, wanted=st.text() | st.integers() | st.booleans(), ge=bounds, glob=st.none() | st.tuples(st.text())
)
def test_a_test_never_raises(value: Any, wanted: Any, ge: float | None, glob: tuple[str] | None) -> None:
    for test in (Test(equals=wanted), Test(one_of=(wanted,)), Test(none_of=(wanted,)), Test(ge=ge), Test(glob=glob)):
        assert passes(test, value) in (True, False)


@given(value=anything, wanted=st.text() | st.integers() | st.booleans())
def test_not_in_is_the_opposite_of_in(value: Any, wanted: Any) -> None:
    assert passes(Test(none_of=(wanted,)), value) is not passes(Test(one_of=(wanted,)), value)
