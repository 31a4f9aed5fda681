"""Which events a pattern means, and which values pass a test."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

from app.domain.channels import Classifier
from app.domain.event import NOT_THE_LEADS_DOING, SESSION_KINDS, Event
from app.domain.rulebook import Pattern, Rules, Test, Where

Field = Callable[[str], Any]
PAGE_FIELDS = ("path", "url", "host", "title", "referrer")
ARRIVAL_FIELDS = ("channel", "source", "medium", "campaign")


def folded(value: Any) -> Any:
    """Text without regard to case."""
    return value.casefold() if isinstance(value, str) else value


def passes(test: Test, value: Any) -> bool:
    """Whether a value passes every bound that is set."""
    if isinstance(value, list):
        return any(passes(test, member) for member in value)
    value = folded(value)
    if test.exists is not None and (value is not None) != test.exists:
        return False
    if test.equals is not None and not same(test.equals, value):
        return False
    if test.one_of is not None and not any(same(one, value) for one in test.one_of):
        return False
    if test.none_of is not None and any(same(one, value) for one in test.none_of):
        return False
    if test.glob is not None and not (isinstance(value, str) and any(fnmatchcase(value, glob) for glob in test.glob)):
        return False
    if test.contains is not None and not (isinstance(value, str) and folded(test.contains) in value):
        return False
    bounds = (test.ge, test.gt, test.le, test.lt)
    if all(bound is None for bound in bounds):
        return True
    value = number(value)
    if value is None:
        return False
    return (
        (test.ge is None or value >= test.ge)
        and (test.gt is None or value > test.gt)
        and (test.le is None or value <= test.le)
        and (test.lt is None or value < test.lt)
    )


def number(value: Any) -> Decimal | float | None:
    """A number, or decimal text as one; None for anything else."""
    if isinstance(value, str):
        try:
            return Decimal(value)
        except ArithmeticError:
            return None
    return value if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else None


def same(one: Any, other: Any) -> bool:
    """Equality, in which true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(folded(one) == folded(other))


def dotted(values: dict[str, Any], name: str) -> Any:
    """A property by its own name, or inside others by a dotted one."""
    if name in values:
        return values[name]
    head, _, rest = name.partition(".")
    inside = values.get(head)
    return dotted(inside, rest) if rest and isinstance(inside, dict) else None


def holds(where: Where, field: Field) -> bool:
    """Whether every field of a `where` holds."""
    return all(passes(test, field(name)) for name, test in where.fields)


def is_visit(event: Event) -> bool:
    """Whether an event is something done on the site."""
    return event.kind in SESSION_KINDS or (event.kind == "custom" and event.says_where)


class Reader:
    """What a brand's rules see in an event."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.classifier = Classifier(rules)

    def matches(self, pattern: Pattern, event: Event) -> bool:
        """Whether an event is what a signal, condition or goal means."""
        if pattern.kind == "any":
            meant = event.kind not in NOT_THE_LEADS_DOING
        elif pattern.kind == "visit":
            meant = is_visit(event)
        elif pattern.kind:
            meant = event.kind == pattern.kind
        else:
            meant = event.name == pattern.name
        return meant and self.holds(pattern.where, event) and self.holds(pattern.also, event)

    def holds(self, where: Where, event: Event) -> bool:
        """Whether an event passes a `where`."""
        return holds(where, lambda name: self.field(event, name))

    def field(self, event: Event, name: str) -> Any:
        """A field of an event; None when it is absent."""
        if name in PAGE_FIELDS:
            return getattr(event.page, name) or dotted(event.properties, name)
        if name in ARRIVAL_FIELDS and event.says_where and event.kind != "conversation":
            return getattr(self.classifier.classify(event.arrival, event.page).touchpoint, name) or dotted(
                event.properties, name
            )
        if name == "amount":
            return self.amount(event)
        return dotted(event.properties, name)

    def amount(self, event: Event) -> Decimal | None:
        """An event's amount in the rules' currency, major units."""
        if event.amount is None:
            return None
        rate = self.rate(event.currency or self.rules.currency, event.at)
        return None if rate is None else Decimal(event.amount) * rate

    def rate(self, currency: str, at: int) -> Decimal | None:
        """What one unit of a currency is worth in the rules': the newest rate of the day or before, else the first."""
        if currency == self.rules.currency:
            return Decimal(1)
        day = datetime.fromtimestamp(at / 1000, UTC).date().isoformat()
        rates = self.rules.rates.get(currency, ())
        known = [rate for since, rate in rates if since <= day] or [rate for _, rate in rates[:1]]
        return Decimal(str(known[-1])) if known else None


def distinct(values: Iterable[Any]) -> list[Any]:
    """Values without repetitions, in their order."""
    return list(dict.fromkeys(values))
