"""`where`, trait conditions and thresholds."""

from typing import Final

from app.domain.rulebook import Test, Where
from app.rules.place import Place

BOUNDS: Final = ("ge", "gt", "le", "lt")
OPERATORS: Final = ("in", "not_in", "glob", "contains", *BOUNDS, "exists")
NO_WHERE: Final = Where()
MOST: Final = 10**18
"""Larger numbers, and `.nan`, are compared with nothing."""


def where(place: Place) -> Where:
    """Read field → test; every field must hold."""
    return Where(tuple((name, value_test(test)) for name, test in place.entries("fields with what they must be")))


def value_test(place: Place) -> Test:
    """Read a bare value (equality) or the operators that must hold together."""
    if place.is_scalar:
        return Test(equals=_comparable(place))
    if place.is_list:
        place.wrong("a value, or operators: {in: […]} for one of several")
        return Test()
    fields = place.fields(OPERATORS)
    return test_of(place, fields, OPERATORS)


def bounds(place: Place) -> Test:
    """Read `{ge, gt, le, lt}` over numbers."""
    if not place.is_mapping:
        place.wrong("a threshold such as {ge: 40}")
        return Test()
    return test_of(place, place.fields(BOUNDS), BOUNDS)


def duration_bounds(place: Place) -> Test:
    """Read `{ge, gt, le, lt}` over durations; the bounds are ms."""
    if not place.is_mapping:
        place.wrong("a threshold such as {ge: 5m}")
        return Test()
    return duration_test(place, place.fields(BOUNDS))


def duration_test(place: Place, fields: dict[str, Place]) -> Test:
    """Make a test of bounds given as durations, of which there must be one."""
    read = {name: float(fields[name].duration(zero=True)) for name in BOUNDS if name in fields}
    _need_one(place, read, BOUNDS)
    return Test(ge=read.get("ge"), gt=read.get("gt"), le=read.get("le"), lt=read.get("lt"))


def test_of(place: Place, fields: dict[str, Place], allowed: tuple[str, ...]) -> Test:
    """Make a test of fields that were read already, of which there must be one of `allowed`."""
    read = [name for name in allowed if name in fields]
    _need_one(place, read, allowed)
    bound = {name: fields[name].number() for name in read if name in BOUNDS}
    return Test(
        one_of=comparables(fields["in"]) if "in" in read else None,
        none_of=comparables(fields["not_in"]) if "not_in" in read else None,
        glob=_globs(fields["glob"]) if "glob" in read else None,
        contains=fields["contains"].written().casefold() if "contains" in read else None,
        ge=bound.get("ge"),
        gt=bound.get("gt"),
        le=bound.get("le"),
        lt=bound.get("lt"),
        exists=fields["exists"].boolean() if "exists" in read else None,
    )


def comparables(place: Place) -> tuple[str | int | float | bool, ...]:
    """Read a list of values to compare with."""
    return tuple(_comparable(item) for item in place.items("a list of values"))


def _comparable(place: Place) -> str | int | float | bool:
    value = place.value
    if value is None:
        place.wrong("a value; {exists: false} asks for none")
        return ""
    if isinstance(value, int | float) and not abs(value) < MOST:
        place.wrong("a number of at most 18 digits")
        return 0
    return value.casefold() if isinstance(value, str) else value


def _globs(place: Place) -> tuple[str, ...]:
    items = [place] if place.is_scalar else place.items("a pattern, or a list of patterns")
    return tuple(item.written("a pattern such as /pricing*").casefold() for item in items)


def _need_one(place: Place, read: object, allowed: tuple[str, ...]) -> None:
    # An unknown operator was noted already: `{gte: 5}` is one mistake, not two.
    if not read and not any(p.field.startswith(place.path + ".") for p in place.report.problems):
        place.wrong("one of " + ", ".join(allowed))
