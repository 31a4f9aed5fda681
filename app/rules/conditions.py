"""Conditions: what stages, segments and `exclude` ask of a lead (SEMANTICS §8)."""

from collections.abc import Callable
from typing import Final

from app.domain.rulebook import (
    All,
    AnyOf,
    CartValueIs,
    ChannelIs,
    Condition,
    Did,
    GradeIs,
    InterestIs,
    Known,
    LastIs,
    Mailable,
    Not,
    OrdersAre,
    PageDurationIs,
    RevenueIs,
    ScoreIs,
    Sequence,
    SessionsAre,
    StageIs,
    Test,
    TraitIs,
    VisitDurationIs,
)
from app.rules.comparisons import (
    BOUNDS,
    NO_WHERE,
    bounds,
    duration_bounds,
    duration_test,
    test_of,
    value_test,
    where,
)
from app.rules.errors import did_you_mean, listed
from app.rules.names import Names
from app.rules.place import Place
from app.rules.tree import Entries, Scalar

MOST_KEPT: Final = 1_000
"""`at_least` at most: so many times of one pattern are kept for a lead."""
SEQUENCE_DEPTH: Final = 100
GRADES: Final = tuple(f"{letter}{digit}" for letter in "ABCD" for digit in "1234")
SCORES_ALWAYS: Final = ("score", "engagement", "fit")

MODIFIERS: Final = {
    "did": ("where", "at_least", "within", "since"),
    "not_did": ("where", "at_least", "within", "since"),
    "last": ("older_than",),
    "sequence": ("within",),
}
"""What may stand beside an operator in its mapping."""

NEEDS: Final = {"last": "older_than", "sequence": "within"}
"""The modifier without which an operator says nothing."""

OPERATORS: Final = (
    *("all", "any", "not", "did", "not_did", "last", "sequence", "trait"),
    *("grade", "interest", "orders", "revenue", "cart_value", "sessions", "visit_duration", "page_duration"),
    *("first_channel", "last_channel", "known", "mailable", "stage"),
)
"""Every operator that is no score; no named score may be called so."""

_NEVER_MIND: Final = All(())
"""Stands in for a condition that could not be read."""


class Conditions:
    """Reads conditions by the names of one rules file."""

    def __init__(
        self, names: Names, scores: tuple[str, ...], *, interests: bool, stages: tuple[str, ...] | None
    ) -> None:
        self._names = names
        self._scores = (*SCORES_ALWAYS, *(name for name in scores if name not in SCORES_ALWAYS))
        self._interests = interests
        self._stages = stages
        """None = this condition may not look at the stage."""
        self._readers: dict[str, Callable[[Place, dict[str, Place]], Condition]] = {
            "all": lambda place, _: All(self._parts(place)),
            "any": lambda place, _: AnyOf(self._parts(place)),
            "not": lambda place, _: Not(self.read(place)),
            "did": self._did,
            "not_did": self._not_did,
            "last": self._last,
            "sequence": self._sequence,
            "trait": lambda place, _: TraitIs(where(place)),
            "grade": lambda place, _: _grade(place),
            "interest": lambda place, _: self._interest(place),
            "orders": lambda place, _: OrdersAre(*_windowed(place)),
            "revenue": lambda place, _: RevenueIs(*_windowed(place)),
            "cart_value": lambda place, _: CartValueIs(bounds(place)),
            "sessions": lambda place, _: SessionsAre(bounds(place)),
            "visit_duration": lambda place, _: VisitDurationIs(duration_bounds(place)),
            "page_duration": lambda place, _: _page_duration(place),
            "first_channel": lambda place, _: ChannelIs("first", value_test(place)),
            "last_channel": lambda place, _: ChannelIs("last", value_test(place)),
            "known": lambda place, _: Known(place.boolean()),
            "mailable": lambda place, _: Mailable(place.boolean()),
            "stage": lambda place, _: self._stage(place),
        }

    def read(self, place: Place) -> Condition:
        """Read one condition: a mapping with one operator, and what goes with it."""
        node = place.node
        if not isinstance(node, Entries) or not node.entries:
            place.wrong("a condition such as {score: {ge: 40}}")
            return _NEVER_MIND
        operators = [key for key, _ in node.entries if key.written in OPERATORS or key.written in self._scores]
        if len(operators) > 1:
            told = " and ".join(f"`{key.written}`" for key in operators)
            place.wrong("one; several that must all hold go into `all: […]`", f"{len(operators)} conditions, {told}")
            return _NEVER_MIND
        allowed = MODIFIERS.get(operators[0].written, ()) if operators else ()
        unknown = [key for key, _ in node.entries if key not in operators and key.written not in allowed]
        for key in unknown:
            place.unknown(key, (), self._why(key, operators))
        if not operators:
            return _NEVER_MIND
        operator = operators[0].written
        places = {key.written: place.at(key, value) for key, value in node.entries}
        if unknown and operator in NEEDS and NEEDS[operator] not in places:
            return _NEVER_MIND  # the unknown field stands for the missing one
        modifiers = {name: places[name] for name in allowed if name in places and not _is_null(places[name])}
        if operator in self._scores:
            return ScoreIs(operator, bounds(places[operator]))
        return self._readers[operator](places[operator], modifiers)

    def _why(self, key: Scalar, operators: list[Scalar]) -> str:
        """Say what could stand where `key` does."""
        owners = [operator for operator, names in MODIFIERS.items() if key.written in names]
        if owners:
            return "it beside " + listed([f"`{owner}`" for owner in owners])
        if key.written in ("segment", "segments"):
            return "another condition: a condition cannot look at segments"
        if operators:
            allowed = MODIFIERS.get(operators[0].written, ())
            beside = f"nothing beside `{operators[0].written}`"
            if allowed:
                beside += " but " + listed([f"`{name}`" for name in allowed])
            return beside + did_you_mean(key.written, list(allowed))
        known = [*OPERATORS, *self._scores]
        return "a condition or a declared score" + did_you_mean(key.written, known)

    def _parts(self, place: Place) -> tuple[Condition, ...]:
        return tuple(self.read(item) for item in place.items("a list of conditions"))

    # --- what the lead did -------------------------------------------------------------------------------------------

    def _not_did(self, place: Place, beside: dict[str, Place]) -> Condition:
        return self._did(place, beside, negated=True)

    def _did(self, place: Place, beside: dict[str, Place], *, negated: bool = False) -> Did:
        if "within" in beside and "since" in beside:
            beside["since"].wrong("either `within` or `since`", "both")
        at_least = beside["at_least"].integer(1, MOST_KEPT) if "at_least" in beside else 1
        extra = where(beside["where"]) if "where" in beside else NO_WHERE
        return Did(
            tracker=self._names.track(place, depth=at_least, where=extra),
            at_least=at_least,
            within=beside["within"].duration() if "within" in beside else None,
            since=self._names.track(beside["since"]) if "since" in beside else None,
            negated=negated,
        )

    def _last(self, place: Place, beside: dict[str, Place]) -> LastIs:
        tracker = self._names.track(place, last=True)
        return LastIs(tracker, _needed(place, beside, "last"))

    def _sequence(self, place: Place, beside: dict[str, Place]) -> Sequence:
        items = place.items("a list of two names or more")
        if len(items) == 1:
            place.wrong("two names or more", "one name")
        trackers = tuple(self._names.track(item, depth=SEQUENCE_DEPTH) for item in items)
        return Sequence(trackers, _needed(place, beside, "sequence"))

    # --- what the lead is --------------------------------------------------------------------------------------------

    def _interest(self, place: Place) -> InterestIs:
        if not self._interests:
            place.wrong("scores.interests to be declared", "a condition on interests")
        fields = place.fields(("category", *BOUNDS), ("category",), "an interest")
        category = fields["category"].written().casefold() if "category" in fields else ""
        return InterestIs(category, test_of(place, fields, BOUNDS) if place.is_mapping else Test())

    def _stage(self, place: Place) -> StageIs:
        test = value_test(place)
        if self._stages is None:
            place.wrong("another condition: only stages and segments may look at the stage", "`stage`")
            return StageIs(test)
        folded = {name.casefold() for name in self._stages}
        named = [place] if place.is_scalar else []
        if isinstance(place.node, Entries):
            lists = [place.at(key, node) for key, node in place.node.entries if key.written in ("in", "not_in")]
            named = [item for several in lists if several.is_list for item in several.items("stages")]
        for item in named:
            if item.is_scalar and folded and item.written().casefold() not in folded:
                near = did_you_mean(item.written(), list(self._stages))
                item.wrong("one of the stages " + ", ".join(self._stages) + near)
        return StageIs(test)


def _grade(place: Place) -> GradeIs:
    if place.is_scalar:
        return GradeIs((place.choice(GRADES),))
    fields = place.fields(("in",), ("in",), "grades")
    if "in" not in fields:
        return GradeIs(())
    return GradeIs(tuple(item.choice(GRADES) for item in fields["in"].items("a list of grades")))


def _windowed(place: Place) -> tuple[Test, int | None]:
    """Read thresholds with an optional `within` among them."""
    if not place.is_mapping:
        place.wrong("a threshold such as {ge: 3, within: 365d}")
        return Test(), None
    fields = place.fields((*BOUNDS, "within"))
    within = fields["within"].duration() if "within" in fields else None
    return test_of(place, fields, BOUNDS), within


def _page_duration(place: Place) -> PageDurationIs:
    fields = place.fields(("path", *BOUNDS), ("path",), "a page's duration")
    path = value_test(fields["path"]) if "path" in fields else Test()
    return PageDurationIs(path, duration_test(place, fields) if place.is_mapping else Test())


def _needed(place: Place, beside: dict[str, Place], operator: str) -> int:
    name = NEEDS[operator]
    if name in beside:
        return beside[name].duration()
    place.wrong(f"`{name}` beside `{operator}`", f"no `{name}`")
    return 1


def _is_null(place: Place) -> bool:
    return place.is_scalar and place.value is None
