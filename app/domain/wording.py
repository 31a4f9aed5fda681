"""Conditions in words, as their author would say them."""

from collections.abc import Callable
from typing import Any, Final

from app.domain import rulebook as r

_UNITS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms"))
_DEEDS: Final = {"kind:any": "anything", "kind:visit": "a visit"}
_BOUNDS: Final = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))


def span(ms: float) -> str:
    """Return a duration in its two largest units, rounded down: `3d 4h`, `59s 999ms`; `0s` for none."""
    left, told = int(ms), []
    for size, unit in _UNITS:
        if left >= size:
            told.append(f"{left // size}{unit}")
            left %= size
    return " ".join(told[:2]) or "0s"


def number(value: float) -> str:
    """Return a number without zeros at its end: `40`, `0.5`."""
    return f"{value:.9f}".rstrip("0").rstrip(".")


def described(condition: r.Condition, rules: r.Rules) -> str:
    """Return a condition in a few words; of a composition only its kind."""
    return _WORDS[type(condition)](condition, rules)


def deed(tracker: str, rules: r.Rules) -> str:
    """Return what a tracker follows: the name that the rules use, and the `where` of the condition."""
    known = rules.trackers.get(tracker)
    name = _DEEDS.get(tracker, tracker.partition(":")[2].partition("?")[0])
    also = where(known.pattern.also) if known is not None else ""
    return f"{name} where {also}" if also else name


def where(conditions: r.Where) -> str:
    """Return the tests of fields, joined."""
    return " and ".join(f"{name} {asked(one)}" for name, one in conditions.fields)


def asked(one: r.Test, value: Callable[[float], str] = number) -> str:
    """Return a test in words; `value` writes its bounds."""
    told = []
    if one.equals is not None:
        told.append(f"is {_word(one.equals)}")
    if one.one_of is not None:
        told.append("is " + " or ".join(map(_word, one.one_of)))
    if one.none_of is not None:
        told.append("is not " + " nor ".join(map(_word, one.none_of)))
    if one.glob is not None:
        told.append("looks like " + " or ".join(one.glob))
    if one.contains is not None:
        told.append(f"contains {one.contains}")
    if one.exists is not None:
        told.append("is there" if one.exists else "is not there")
    told += [f"{sign} {value(bound)}" for name, sign in _BOUNDS if (bound := getattr(one, name)) is not None]
    return " and ".join(told)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return number(value) if isinstance(value, float) else str(value)


def _points(one: r.Test) -> str:
    return asked(one, lambda bound: f"{number(bound)} points")


def _within(window: int | None) -> str:
    return "" if window is None else f" within {span(window)}"


def _money(one: r.Test, rules: r.Rules) -> str:
    return asked(one, lambda bound: f"{number(bound)} {rules.currency}")


def when(c: r.Did, rules: r.Rules) -> str:
    """Return within or since when occurrences count; empty = ever."""
    return (_within(c.within) if c.since is None else f" since the last {deed(c.since, rules)}").strip()


def _did(c: r.Did, rules: r.Rules) -> str:
    times = "" if c.at_least == 1 else f" at least {c.at_least} times"
    return f"{'did not' if c.negated else 'did'} {deed(c.tracker, rules)}{times} {when(c, rules)}".rstrip()


def _sequence(c: r.Sequence, rules: r.Rules) -> str:
    return ", then ".join(deed(tracker, rules) for tracker in c.trackers) + _within(c.within)


_WORDS: Final[dict[type, Callable[[Any, r.Rules], str]]] = {
    r.All: lambda *_: "all of these",
    r.AnyOf: lambda *_: "any of these",
    r.Not: lambda *_: "not",
    r.ScoreIs: lambda c, _: f"{c.name} {_points(c.test)}",
    r.GradeIs: lambda c, _: "grade is " + " or ".join(c.grades),
    r.InterestIs: lambda c, _: f"interest in {c.category} {_points(c.test)}",
    r.Did: _did,
    r.LastIs: lambda c, rules: f"last {deed(c.tracker, rules)} at least {span(c.older_than)} ago",
    r.Sequence: _sequence,
    r.TraitIs: lambda c, _: f"trait {where(c.where)}",
    r.OrdersAre: lambda c, _: f"orders {asked(c.test)}{_within(c.within)}",
    r.RevenueIs: lambda c, rules: f"revenue {_money(c.test, rules)}{_within(c.within)}",
    r.CartValueIs: lambda c, rules: f"cart value {_money(c.test, rules)}",
    r.SessionsAre: lambda c, _: f"sessions {asked(c.test)}",
    r.VisitDurationIs: lambda c, _: f"longest visit {asked(c.test, span)}",
    r.PageDurationIs: lambda c, _: f"time on pages whose path {asked(c.path)} {asked(c.test, span)}",
    r.ChannelIs: lambda c, _: f"{c.which} channel {asked(c.test)}",
    r.Known: lambda c, _: "known by user id, address or phone" if c.value else "not known by user id, address or phone",
    r.Mailable: lambda c, _: "may be mailed" if c.value else "may not be mailed",
    r.StageIs: lambda c, _: f"stage {asked(c.test)}",
}
