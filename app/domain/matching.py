"""Whether a value passes a test of the rules, and an event or traits every test of a `where` (SEMANTICS §8)."""

import fnmatch
import functools
import re
from collections.abc import Callable
from typing import Any, Final

from app.domain.rulebook import Test, Where

_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)


Get = Callable[[str], Any]
"""Gives a field's value, None when absent."""


def matches(where: Where, get: Get) -> bool:
    """Whether every field passes."""
    return all(passes(test, get(field)) for field, test in where.fields) if where.fields else True


def matcher(*wheres: Where) -> Callable[[Get], bool] | None:
    """Return `matches` of all of these as one function, made once for many events; None when everything passes."""
    tests = [(field, passer(test)) for where in wheres for field, test in where.fields]
    if not tests:
        return None
    if len(tests) == 1:
        ((only, test),) = tests
        return lambda get: test(get(only))

    def every(get: Get) -> bool:
        for field, test in tests:  # noqa: SIM110  all() would make a generator for each event
            if not test(get(field)):
                return False
        return True

    return every


def passer(test: Test) -> Callable[[Any], bool]:
    """Return `passes` of a test as a function of the value: the usual tests of text take a short way."""
    if test == Test(equals=test.equals) and isinstance(test.equals, str):
        return _text_passer(test, test.equals.__eq__)
    if test == Test(one_of=test.one_of) and test.one_of and all(isinstance(want, str) for want in test.one_of):
        return _text_passer(test, frozenset(test.one_of).__contains__)
    if test == Test(glob=test.glob) and test.glob is not None:
        match = _glob(test.glob).match
        return _text_passer(test, lambda text: match(text) is not None)
    return functools.partial(passes, test)


def _text_passer(test: Test, holds: Callable[[str], bool]) -> Callable[[Any], bool]:
    return lambda value: holds(value.casefold()) if type(value) is str else passes(test, value)


def passes(test: Test, value: Any) -> bool:
    """Whether `value` passes every bound that the test sets.

    - Text is compared without regard to case; decimal text counts as its number, in `ge`, `gt`, `le`, `lt` and against
      numbers. A boolean is no number; it equals only itself and the words `true` and `false`.
    - A list passes if one of its members does; `none_of` must hold for all of them.
    - None is absent: it passes only `exists: false` and `none_of`.
    - An object (a dict) passes nothing but `exists: true` and `none_of`.
    """
    if test.exists is not None and test.exists != (value is not None):
        return False
    if isinstance(value, list | tuple):
        if test.none_of is not None and any(_is_one_of(test.none_of, member) for member in value):
            return False
        return not _asks(test) or any(_meets(test, member) for member in value)
    if test.none_of is not None and _is_one_of(test.none_of, value):
        return False
    return not _asks(test) or _meets(test, value)


def _asks(test: Test) -> bool:
    """Whether the test sets a bound that only a value can meet."""
    return not (
        test.equals is None
        and test.one_of is None
        and test.glob is None
        and test.contains is None
        and test.ge is None
        and test.gt is None
        and test.le is None
        and test.lt is None
    )


def _meets(test: Test, value: Any) -> bool:
    if value is None or isinstance(value, dict | list):
        return False
    if test.equals is not None and not _same(test.equals, value):
        return False
    if test.one_of is not None and not _is_one_of(test.one_of, value):
        return False
    if test.glob is not None and not _glob(test.glob).match(_text(value)):
        return False
    if test.contains is not None and test.contains.casefold() not in _text(value):
        return False
    if test.ge is None and test.gt is None and test.le is None and test.lt is None:
        return True
    number = _number(value)
    return (
        number is not None
        and (test.ge is None or number >= test.ge)
        and (test.gt is None or number > test.gt)
        and (test.le is None or number <= test.le)
        and (test.lt is None or number < test.lt)
    )


def _is_one_of(wanted: tuple[Any, ...], value: Any) -> bool:
    return any(_same(want, value) for want in wanted)


def _same(want: Any, value: object) -> bool:
    if isinstance(value, str):
        value = value.casefold()
        if isinstance(want, str):
            return want == value
        if isinstance(want, bool):
            return value == ("true" if want else "false")
        return bool(_number(value) == want)
    if isinstance(value, bool):
        return _text(value) == _text(want)
    if isinstance(want, bool):
        return False
    if isinstance(value, int | float):
        number = _number(want)
        return number is not None and number == value
    return False


def _text(value: Any) -> str:
    """Return a value as the case-folded text that globs and `contains` look at; 5.0 is `5`."""
    if isinstance(value, str):
        return value.casefold()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).casefold()


def _number(value: Any) -> float | int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        text = value.strip()
        if _NUMBER.fullmatch(text):
            return float(text)
    return None


@functools.lru_cache(maxsize=4_096)
def _glob(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(pattern.casefold()) for pattern in patterns))
