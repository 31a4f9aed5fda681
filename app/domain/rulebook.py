"""A brand's rules, compiled: plain data that the fold reads. `app.rules` makes it from the YAML file."""

from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec

DAY_MS: Final = 86_400_000


# --- what an event must look like ------------------------------------------------------------------------------------


class Test(msgspec.Struct, frozen=True):
    """One comparison of `where`, a trait condition or a threshold; a value passes when every bound that is set holds.

    Text is compared without regard to case. `equals` and the members of `one_of`/`none_of` are case-folded text,
    numbers or booleans; globs are case-folded.
    """

    __test__ = False  # not a pytest class

    equals: Any = None
    one_of: tuple[Any, ...] | None = None
    none_of: tuple[Any, ...] | None = None
    glob: tuple[str, ...] | None = None
    contains: str | None = None
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    exists: bool | None = None


class Where(msgspec.Struct, frozen=True):
    """Every field's test must hold."""

    fields: tuple[tuple[str, Test], ...] = ()


class Pattern(msgspec.Struct, frozen=True):
    """Events of one kind, or track events of one name, that pass `where`; `also` is the `where` of a condition on top.

    `kind` is a kind of SEMANTICS §1, or `any` (anything the lead did) or `visit` (a session event). `name` is a normal
    name (`normal_name`) of a track event and is set instead of `kind`.
    """

    kind: str = ""
    name: str = ""
    where: Where = Where()
    also: Where = Where()


class Tracker(msgspec.Struct, frozen=True):
    """Occurrences of a pattern whose newest times a lead keeps, because a condition asks for them."""

    id: str
    """Stable across versions of the rules: the same pattern has the same id."""
    pattern: Pattern
    depth: int
    """How many of the newest times are kept: the largest `at_least`, 100 in a sequence, else 1."""


class PointsPer(msgspec.Struct, frozen=True):
    """floor(property / each) · points, at most max points (a page view, when the property is dwell)."""

    property: str
    each: float
    points: float
    max: float | None


class Signal(msgspec.Struct, frozen=True):
    """An occurrence worth points (SEMANTICS §3)."""

    name: str
    pattern: Pattern
    points: float
    """Points of one occurrence; with `points_per`, of one unit."""
    half_life: int | None
    """ms; None = never fades."""
    once: bool = False
    max_per_day: int | None = None
    points_per: PointsPer | None = None


class TraitPoints(msgspec.Struct, frozen=True):
    """Points of `fit` for a lead whose traits pass."""

    where: Where
    points: float


class Score(msgspec.Struct, frozen=True):
    """A named score over signals, clamped to [min, max]; None = no bound."""

    name: str
    signals: tuple[str, ...]
    min: float | None
    max: float | None


class Fit(msgspec.Struct, frozen=True):
    """Points for traits, no fading."""

    traits: tuple[TraitPoints, ...]
    min: float | None
    max: float | None


class Interests(msgspec.Struct, frozen=True):
    """A fading score for each value of a product field."""

    signals: tuple[str, ...]
    by: str


# --- conditions (SEMANTICS §8) ---------------------------------------------------------------------------------------


class All(msgspec.Struct, frozen=True, tag=True):
    """Every part holds."""

    parts: tuple["Condition", ...]


class AnyOf(msgspec.Struct, frozen=True, tag=True):
    """At least one part holds."""

    parts: tuple["Condition", ...]


class Not(msgspec.Struct, frozen=True, tag=True):
    """The part does not hold."""

    part: "Condition"


class ScoreIs(msgspec.Struct, frozen=True, tag=True):
    """A score compared: `score` (the total), `fit`, `engagement` or any named score."""

    name: str
    test: Test


class GradeIs(msgspec.Struct, frozen=True, tag=True):
    """The grade is one of these (`A1` … `D4`)."""

    grades: tuple[str, ...]


class InterestIs(msgspec.Struct, frozen=True, tag=True):
    """The fading score of one category (case-folded) compared."""

    category: str
    test: Test


class Did(msgspec.Struct, frozen=True, tag=True):
    """At least `at_least` occurrences of a tracker: ever, within a window, or after the latest of another tracker."""

    tracker: str
    at_least: int = 1
    within: int | None = None
    """ms."""
    since: str | None = None
    """Tracker id; if it never occurred, every occurrence counts."""
    negated: bool = False
    """`not_did`."""


class LastIs(msgspec.Struct, frozen=True, tag=True):
    """The latest occurrence of a tracker is at least `older_than` ms ago; false when there never was one."""

    tracker: str
    older_than: int


class Sequence(msgspec.Struct, frozen=True, tag=True):
    """Occurrences in this order, each strictly later, all within `within` ms before now."""

    trackers: tuple[str, ...]
    within: int


class TraitIs(msgspec.Struct, frozen=True, tag=True):
    """Traits pass."""

    where: Where


class OrdersAre(msgspec.Struct, frozen=True, tag=True):
    """The number of orders compared; `within` ms when given."""

    test: Test
    within: int | None = None


class RevenueIs(msgspec.Struct, frozen=True, tag=True):
    """Revenue less refunds in the rules' currency, in major units, compared; `within` ms when given."""

    test: Test
    within: int | None = None


class CartValueIs(msgspec.Struct, frozen=True, tag=True):
    """The cart's value in major units compared."""

    test: Test


class SessionsAre(msgspec.Struct, frozen=True, tag=True):
    """The number of visits compared."""

    test: Test


class VisitDurationIs(msgspec.Struct, frozen=True, tag=True):
    """The longest visit compared; the test's bounds are ms."""

    test: Test


class PageDurationIs(msgspec.Struct, frozen=True, tag=True):
    """Time on all pages whose path passes, compared; the test's bounds are ms."""

    path: Test
    test: Test


class ChannelIs(msgspec.Struct, frozen=True, tag=True):
    """The channel of the first or last touch passes."""

    which: Literal["first", "last"]
    test: Test


class Known(msgspec.Struct, frozen=True, tag=True):
    """Whether a user id, address or phone number is known."""

    value: bool


class Mailable(msgspec.Struct, frozen=True, tag=True):
    """Whether the lead may be mailed."""

    value: bool


class StageIs(msgspec.Struct, frozen=True, tag=True):
    """The current stage passes."""

    test: Test


Condition = (
    All
    | AnyOf
    | Not
    | ScoreIs
    | GradeIs
    | InterestIs
    | Did
    | LastIs
    | Sequence
    | TraitIs
    | OrdersAre
    | RevenueIs
    | CartValueIs
    | SessionsAre
    | VisitDurationIs
    | PageDurationIs
    | ChannelIs
    | Known
    | Mailable
    | StageIs
)


# --- groups, goals, attribution --------------------------------------------------------------------------------------


class Stage(msgspec.Struct, frozen=True):
    """A rung of the ladder; the first has no condition."""

    name: str
    enter: Condition | None = None
    exit: Condition | None = None
    min_stay: int = 0
    """ms."""


class Segment(msgspec.Struct, frozen=True):
    """A named, overlapping audience."""

    name: str
    enter: Condition
    exit: Condition | None = None
    min_stay: int = 0
    """ms."""
    cooldown: int = 0
    """ms since leaving."""


class Goal(msgspec.Struct, frozen=True):
    """What counts as a conversion: an event pattern, or a stage reached."""

    name: str
    pattern: Pattern | None
    stage: str | None
    value: Literal["order", "amount"] | str
    """`order`, `amount`, or a decimal text in the rules' currency."""
    lookback: int = 30 * DAY_MS
    path: Literal["window", "reset", "first"] = "window"


class CustomModel(msgspec.Struct, frozen=True):
    """Weights of the `custom` model, any non-negative numbers."""

    first: float
    middle: float
    last: float


class DataDriven(msgspec.Struct, frozen=True):
    """Settings of the data-driven models."""

    min_conversions: int = 100
    refit_every: int = 3_600_000
    order: int = 1


class Attribution(msgspec.Struct, frozen=True):
    """How credit is shared."""

    half_life: int = 7 * DAY_MS
    ignore: tuple[str, ...] = ("Direct",)
    milestone_stage: str | None = "ready"
    """None when the rules have no such stage."""
    custom: CustomModel | None = None
    correction_window: int = 3 * DAY_MS
    data_driven: DataDriven = DataDriven()


class ChannelRule(msgspec.Struct, frozen=True):
    """A brand's own channel, tried before the default channel groups."""

    name: str
    where: Where


class Internal(msgspec.Struct, frozen=True):
    """Traffic of the brand's own people."""

    ips: tuple[str, ...] = ()
    """Addresses or CIDR networks."""
    email_domains: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()


class Rules(msgspec.Struct, frozen=True):
    """One brand's rules, as a whole."""

    version: str
    brand: str
    timezone: str
    """IANA name."""
    currency: str
    signals: dict[str, Signal]
    scores: dict[str, Score]
    """Every named score over signals, `engagement` among them when declared."""
    fit: Fit | None
    interests: Interests | None
    total: dict[str, float]
    """Weights of named scores and `fit`."""
    stages: tuple[Stage, ...]
    segments: tuple[Segment, ...]
    exclude: Condition | None
    grades_fit: tuple[tuple[float, str], ...]
    """(threshold, letter), highest threshold first; empty = no grades."""
    grades_engagement: tuple[tuple[float, str], ...]
    goals: tuple[Goal, ...]
    attribution: Attribution
    channels: tuple[ChannelRule, ...]
    own_domains: frozenset[str]
    payment_domains: frozenset[str]
    internal: Internal
    rates: dict[str, tuple[tuple[str, float], ...]]
    """Currency → (ISO date, value of 1 unit in the rules' currency), by date."""
    trackers: dict[str, Tracker]
    """Every tracker that a condition names, by id."""


def walk(condition: Condition) -> Iterator[Condition]:
    """Yield a condition and everything it is made of."""
    yield condition
    if isinstance(condition, All | AnyOf):
        for part in condition.parts:
            yield from walk(part)
    elif isinstance(condition, Not):
        yield from walk(condition.part)


def conditions_of(rules: Rules) -> Iterator[Condition]:
    """Yield every condition of the rules, with everything it is made of."""
    tops = [rules.exclude]
    for stage in rules.stages:
        tops += [stage.enter, stage.exit]
    for segment in rules.segments:
        tops += [segment.enter, segment.exit]
    for top in tops:
        if top is not None:
            yield from walk(top)
