"""Signals, scores and grades (SEMANTICS §3)."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from app.domain.rulebook import Fit, Interests, Pattern, PointsPer, Score, Signal, TraitPoints
from app.rules.comparisons import NO_WHERE, where
from app.rules.conditions import OPERATORS
from app.rules.errors import did_you_mean
from app.rules.names import event_pattern
from app.rules.place import Place

MOST_A_DAY: Final = 1_000_000
OWN_SECTIONS: Final = ("fit", "interests", "total")
"""Keys of `scores` that are no score over signals."""
GRADE_DEFAULTS: Final = {
    "fit": {"A": 75.0, "B": 50.0, "C": 25.0, "D": 0.0},
    "engagement": {"1": 75.0, "2": 50.0, "3": 25.0, "4": 0.0},
}
"""Thresholds that a partial `grades` does not give."""

Thresholds = tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Scores:
    """The section `scores`."""

    named: dict[str, Score]
    fit: Fit | None
    interests: Interests | None
    total: dict[str, float]


def read_signals(place: Place) -> dict[str, Signal]:
    """Read every signal by its name."""
    return {name: _signal(name, entry) for name, entry in place.entries("signals by name")}


def _signal(name: str, place: Place) -> Signal:
    known = ("event", "where", "points", "points_per", "half_life", "once", "max_per_day")
    before = place.report.count
    fields = place.fields(known, ("event",), "a signal")
    if before == place.report.count and "points" not in fields and "points_per" not in fields:
        place.wrong("`points` or `points_per`", "neither")
    if "points" in fields and "points_per" in fields:
        fields["points_per"].wrong("either `points` or `points_per`", "both")
    conditions = where(fields["where"]) if "where" in fields else NO_WHERE
    pattern = event_pattern(fields["event"], conditions) if "event" in fields else None
    once = "once" in fields and fields["once"].boolean()
    most = fields["max_per_day"].integer(1, MOST_A_DAY) if "max_per_day" in fields else None
    if once and most is not None:
        fields["max_per_day"].wrong("either `once` or `max_per_day`", "both")
    if "points_per" in fields and "points" not in fields:
        for cap in ("once", "max_per_day"):
            if cap in fields and (once if cap == "once" else True):
                fields[cap].wrong("no cap but `max` beside `points_per`", f"`{cap}`")
    per = _points_per(fields["points_per"]) if "points_per" in fields else None
    points = fields["points"].number() if "points" in fields else per.points if per else 0.0
    half_life = None
    if "half_life" in fields and fields["half_life"].value != "none":
        half_life = fields["half_life"].duration()
    return Signal(name, pattern or Pattern(), points, half_life, once, most, per)


def _points_per(place: Place) -> PointsPer:
    fields = place.fields(("property", "each", "points", "max"), ("property", "each", "points"), "points per property")
    return PointsPer(
        property=fields["property"].text("the name of a property") if "property" in fields else "",
        each=fields["each"].number(above=0) if "each" in fields else 1.0,
        points=fields["points"].number() if "points" in fields else 0.0,
        max=fields["max"].number() if "max" in fields else None,
    )


def read_scores(place: Place, signals: tuple[str, ...]) -> Scores:
    """Read named scores, fit, interests and their weighted total."""
    named: dict[str, Score] = {}
    own: dict[str, Place] = {}
    for name, entry in place.entries("scores by name"):
        if name in OWN_SECTIONS:
            own[name] = entry
        elif name == "score" or name in OPERATORS:
            entry.wrong("another name: conditions use this one", f"a score named `{name}`")
        else:
            named[name] = _score(name, entry, signals)
    given = {name: entry for name, entry in own.items() if not (entry.is_scalar and entry.value is None)}
    fit = _fit(given["fit"]) if "fit" in given else None
    interests = _interests(given["interests"], signals) if "interests" in given else None
    default = {"engagement": 1.0} if "engagement" in named else {}
    return Scores(named, fit, interests, _total(given["total"], tuple(named)) if "total" in given else default)


def _score(name: str, place: Place, signals: tuple[str, ...]) -> Score:
    fields = place.fields(("signals", "min", "max"), ("signals",), "a score")
    used = _used(fields["signals"], signals) if "signals" in fields else ()
    return Score(name, used, *_limits(fields))


def _used(place: Place, signals: tuple[str, ...]) -> tuple[str, ...]:
    """Read `all`, or a list of signals each named once."""
    if place.value == "all":
        return signals
    used: list[str] = []
    for item in place.items("`all` or a list of signals"):
        name = item.text("the name of a signal")
        if name and signals and name not in signals:
            item.wrong("a declared signal" + did_you_mean(name, list(signals)))
        elif name in used:
            item.wrong("each signal once", f"`{name}` a second time")
        used.append(name)
    return tuple(used)


def _limits(fields: dict[str, Place]) -> tuple[float | None, float | None]:
    low = fields["min"].number() if "min" in fields else None
    count = fields["max"].report.count if "max" in fields else 0
    high = fields["max"].number() if "max" in fields else None
    if low is not None and high is not None and low > high and fields["max"].report.count == count:
        fields["max"].wrong(f"at least the min, {low:g}")
    return low, high


def _fit(place: Place) -> Fit:
    fields = place.fields(("min", "max", "traits"), ("traits",), "fit")
    traits = tuple(_trait_points(item) for item in fields["traits"].items("a list")) if "traits" in fields else ()
    return Fit(traits, *_limits(fields))


def _trait_points(place: Place) -> TraitPoints:
    fields = place.fields(("where", "points"), ("where", "points"), "points for traits")
    return TraitPoints(
        where=where(fields["where"]) if "where" in fields else NO_WHERE,
        points=fields["points"].number() if "points" in fields else 0.0,
    )


def _interests(place: Place, signals: tuple[str, ...]) -> Interests:
    fields = place.fields(("signals", "by"), ("signals",), "interests")
    return Interests(
        signals=_used(fields["signals"], signals) if "signals" in fields else (),
        by=fields["by"].text("the name of a product field") if "by" in fields else "category",
    )


def _total(place: Place, named: tuple[str, ...]) -> dict[str, float]:
    weights: dict[str, float] = {}
    for name, weight in place.entries("weights of scores"):
        if name != "fit" and name not in named:
            near = did_you_mean(name, ["fit", *named])
            weight.wrong("fit or a declared score" + near, f"a weight of `{name}`")
        weights[name] = weight.number()
    return weights


def read_grades(place: Place) -> tuple[Thresholds, Thresholds]:
    """Read the thresholds of letters (fit) and digits (engagement), highest first; defaults fill what is not given."""
    fields = place.fields(("fit", "engagement"))
    return _thresholds(fields.get("fit"), "fit"), _thresholds(fields.get("engagement"), "engagement")


def _thresholds(place: Place | None, which: str) -> Thresholds:
    thresholds = dict(GRADE_DEFAULTS[which])
    if place is not None:
        before = place.report.count
        for grade, at in place.fields(tuple(thresholds), what="thresholds").items():
            thresholds[grade] = at.number()
        falling = list(thresholds.values())
        if before == place.report.count and any(a <= b for a, b in pairwise(falling)):
            told = ", ".join(f"{grade}: {at:g}" for grade, at in thresholds.items())
            place.wrong(f"each threshold below the one before ({told})", "thresholds that do not fall")
    return tuple((at, grade) for grade, at in thresholds.items())
