"""Goals and attribution (SEMANTICS §6)."""

import re
from decimal import Decimal
from typing import Final, Literal

from app.domain.event import ORDER_KINDS
from app.domain.rulebook import DAY_MS, Attribution, CustomModel, DataDriven, Goal, Pattern
from app.rules.comparisons import NO_WHERE, where
from app.rules.errors import did_you_mean
from app.rules.names import event_pattern
from app.rules.place import Place
from app.rules.tree import Scalar

LONGEST_LOOKBACK: Final = 400 * DAY_MS
"""Touches are kept so long."""
PATHS: Final[tuple[Literal["window", "reset", "first"], ...]] = ("window", "reset", "first")
_VALUE_TEXT: Final = "`order`, `amount`, or a number from 0 to below 1,000,000,000,000"
_DECIMAL: Final = re.compile(r"\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")
_DEFAULT: Final = Attribution()


def read_goals(place: Place, stages: tuple[str, ...]) -> tuple[Goal, ...]:
    """Read every goal by its name."""
    return tuple(_goal(name, entry, stages) for name, entry in place.entries("goals by name", empty=True))


def _goal(name: str, place: Place, stages: tuple[str, ...]) -> Goal:
    before = place.report.count
    fields = place.fields(("event", "where", "stage", "value", "lookback", "path"), what="a goal")
    if before == place.report.count and ("event" in fields) == ("stage" in fields):
        place.wrong("either `event` or `stage`", "both" if "event" in fields else "neither")
    elif "stage" in fields and "where" in fields:
        fields["where"].wrong("`where` only beside `event`", "`where` beside `stage`")
    conditions = where(fields["where"]) if "where" in fields else NO_WHERE
    pattern = event_pattern(fields["event"], conditions) if "event" in fields else None
    stage = read_stage(fields["stage"], stages) if "stage" in fields else None
    orders = pattern is not None and pattern.kind in ORDER_KINDS
    path = fields["path"].choice(PATHS) if "path" in fields else "window"
    return Goal(
        name=name,
        pattern=pattern,
        stage=stage,
        value=_value(fields["value"], pattern) if "value" in fields else "order" if orders else "0",
        lookback=fields["lookback"].duration(longest=LONGEST_LOOKBACK) if "lookback" in fields else 30 * DAY_MS,
        path=next(known for known in PATHS if known == path),
    )


def _value(place: Place, pattern: Pattern | None) -> str:
    """Return `order`, `amount`, or the decimal text as written."""
    value = place.value
    if value == "order" and pattern is not None and pattern.kind not in ORDER_KINDS:
        place.wrong("`amount` or a number: only an order has an order's value", "`order`")
        return "order"
    if value in ("order", "amount"):
        if pattern is None:
            place.wrong("a number: a stage reached has no amount", f"`{value}`")
        return str(value)
    written = place.node.written if isinstance(place.node, Scalar) else ""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not _DECIMAL.fullmatch(written) or Decimal(written) >= 10**12:
        near = did_you_mean(value, ["order", "amount"]) if isinstance(value, str) else ""
        place.wrong(_VALUE_TEXT + near)
        return "0"
    return written


def read_stage(place: Place, stages: tuple[str, ...]) -> str:
    """Read the name of a declared stage."""
    name = place.text("the name of a stage")
    if name and stages and name not in stages:
        place.wrong("one of the stages " + ", ".join(stages) + did_you_mean(name, list(stages)))
    return name


def default_attribution(stages: tuple[str, ...]) -> Attribution:
    """Return attribution as it is when the rules say nothing; without a stage `ready` there is no milestone stage."""
    return Attribution(milestone_stage=_default_milestone(stages))


def read_attribution(place: Place, stages: tuple[str, ...]) -> Attribution:
    """Read how credit is shared; each field that is not given has its default."""
    known = ("half_life", "ignore", "milestone_stage", "custom", "correction_window", "data_driven")
    fields = place.fields(known)
    return Attribution(
        half_life=fields["half_life"].duration() if "half_life" in fields else _DEFAULT.half_life,
        ignore=_ignored(fields["ignore"]) if "ignore" in fields else _DEFAULT.ignore,
        milestone_stage=(
            read_stage(fields["milestone_stage"], stages) if "milestone_stage" in fields else _default_milestone(stages)
        ),
        custom=_custom(fields["custom"]) if "custom" in fields else None,
        correction_window=(
            fields["correction_window"].duration(zero=True, longest=LONGEST_LOOKBACK)
            if "correction_window" in fields
            else _DEFAULT.correction_window
        ),
        data_driven=_data_driven(fields["data_driven"]) if "data_driven" in fields else _DEFAULT.data_driven,
    )


def _default_milestone(stages: tuple[str, ...]) -> str | None:
    return _DEFAULT.milestone_stage if _DEFAULT.milestone_stage in stages else None


def _ignored(place: Place) -> tuple[str, ...]:
    return tuple(item.text("the name of a channel") for item in place.items("a list of channels", empty=True))


def _custom(place: Place) -> CustomModel:
    names = ("first", "middle", "last")
    fields = place.fields(names, names, "weights")
    before = place.report.count
    weights = {name: fields[name].number(least=0) if name in fields else 1.0 for name in names}
    if before == place.report.count and not any(weights.values()):
        place.wrong("a weight above 0", "no weight at all")
    return CustomModel(**weights)


def _data_driven(place: Place) -> DataDriven:
    fields = place.fields(("min_conversions", "refit_every", "order"))
    default = DataDriven()
    return DataDriven(
        min_conversions=(
            fields["min_conversions"].integer(1, 1_000_000_000)
            if "min_conversions" in fields
            else default.min_conversions
        ),
        refit_every=fields["refit_every"].duration() if "refit_every" in fields else default.refit_every,
        order=_order(fields["order"]) if "order" in fields else default.order,
    )


def _order(place: Place) -> int:
    if place.value != 1 or isinstance(place.value, bool):
        place.wrong("1: the chain of channels remembers one step")
    return 1
