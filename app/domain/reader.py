"""Events read with a brand's rules: which signals, trackers and goals an event matches, and what it is worth."""

import functools
import ipaddress
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from app.domain import fields
from app.domain.attribution.money import BadAmountError, convert, plain_text, to_major, to_minor
from app.domain.bounds import bounded
from app.domain.channels import Classifier, Touchpoint
from app.domain.event import (
    KINDS,
    NOT_THE_LEADS_DOING,
    ORDER_KINDS,
    REFUND_KINDS,
    SESSION_KINDS,
    Event,
    Rejected,
)
from app.domain.facts import Fact, Order
from app.domain.hosts import ascii_host
from app.domain.matching import Get, matcher
from app.domain.plan import Plan
from app.domain.rulebook import Goal, PageDurationIs, Pattern, Rules, Signal, conditions_of
from app.domain.score import Scoring
from app.domain.signals import measured_units

NOT_YET_APPLIED: Final = frozenset({"alias", "consent_changed", "erase_requested"})
"""Kinds that are only counted, and seen like any other event, until identities, consent and erasure are handled."""

ANY_KINDS: Final = KINDS - NOT_THE_LEADS_DOING
ARRIVAL_KINDS: Final = SESSION_KINDS | {"custom"}
PRODUCT_KINDS: Final = frozenset({"product_viewed", "cart_added", "cart_removed", "cart_viewed"})

T = TypeVar("T")
Index = dict[str, list[tuple[T, Callable[[Get], bool] | None]]]
"""By kind or name: what may match, and the test of its `where`; None = everything passes."""


def is_dwell(signal: Signal) -> bool:
    """Whether a signal measures dwell: summed per page view before it is worth anything."""
    per = signal.points_per
    return per is not None and per.property == "duration" and signal.pattern.kind == "page_engaged"


def units_of(signal: Signal, told: float) -> float:
    """Return the units that one occurrence is worth by itself, from what a fact tells of it."""
    if signal.points_per is not None and is_dwell(signal):
        return measured_units(signal.points_per, told)
    return told


def _index(items: Iterable[tuple[T, Pattern]]) -> Index[T]:
    index: Index[T] = {}
    for item, pattern in items:
        if pattern.kind == "any":
            keys: Iterable[str] = sorted(ANY_KINDS)
        elif pattern.kind == "visit":
            keys = [*sorted(SESSION_KINDS), "visit:custom"]
        else:
            keys = [pattern.kind] if pattern.kind else ["name:" + pattern.name]
        test = matcher(pattern.where, pattern.also)
        for key in keys:
            index.setdefault(key, []).append((item, test))
    return index


def _matching(index: Index[T], event: Event, visit: bool, get: Get) -> list[T]:
    found = index.get(event.kind, [])
    if event.kind == "custom":
        found = found + index.get("name:" + event.name, [])
        if visit:
            found = found + index.get("visit:custom", [])
    return [item for item, test in found if test is None or test(get)]


class Reader:
    """One brand's rules, indexed by kind and name."""

    def __init__(self, rules: Rules, since: int = 0) -> None:
        self.rules = rules
        self.since = since
        """UTC ms; when these rules took the place of others, 0 = they are the first."""
        self._classify = Classifier(rules).classify
        self._zone = ZoneInfo(rules.timezone)
        self._day: tuple[int, int] = (1, 0)
        networks = [ipaddress.ip_network(text, strict=False) for text in rules.internal.ips]
        self._internal_ip = _ip_test(networks) if networks else None
        self._internal_domains = frozenset(map(ascii_host, rules.internal.email_domains))
        self._signals = _index((signal, signal.pattern) for signal in rules.signals.values())
        self._trackers = _index((tracker, tracker.pattern) for tracker in rules.trackers.values())
        self._goals = _index((goal, goal.pattern) for goal in rules.goals if goal.pattern is not None)
        self.plan = Plan(rules)
        """Which groups an event can move."""
        self.scoring = Scoring(rules)
        self.page_conditions = tuple(c for c in conditions_of(rules) if isinstance(c, PageDurationIs))
        """What asks for time on pages."""
        self._interests = frozenset(rules.interests.signals) if rules.interests else frozenset()

    def read(self, event: Event, origin: bytes = b"") -> Fact | Rejected:
        """Return what the event means, or why one of its amounts is bad; `origin` is kept with a refund."""
        kind = event.kind
        visit = kind in SESSION_KINDS or (kind == "custom" and event.says_where)
        told = fields.Fields(
            event,
            lambda: self._classify(fields.arrival_of(event), event.page),
            self.rules.currency,
            lambda: self._amount(event),
        )
        signals = _matching(self._signals, event, visit, told.get)
        try:
            goals = tuple(self._goal_value(goal, event) for goal in _matching(self._goals, event, visit, told.get))
            order = self._order(event)
        except BadAmountError as error:
            return Rejected("bad_amount", str(error))
        touch, campaign_told, referrer = self._touch(event, told)
        return Fact(
            at=event.at,
            id=event.id,
            kind=kind,
            day=self.day_start(event.at),
            tagged=event.bot or self._internal(event),
            visit=visit,
            path=event.page.path,
            says_where=event.says_where,
            signals=tuple(self._worth(signal, told.get) for signal in signals),
            trackers=tuple(tracker.id for tracker in _matching(self._trackers, event, visit, told.get)),
            interests=self._interest_values(signals, told),
            touch=touch,
            told=campaign_told,
            referrer=referrer,
            dwell=fields.dwell_ms(event),
            mail=fields.mail_of(event),
            products=told.products() if kind in PRODUCT_KINDS else (),
            currency=told.currency,
            order=order,
            traits=fields.kept_traits(event.traits) if event.traits else None,
            ids=event.ids,
            locale=event.locale,
            goals=goals,
            blocks_mail=fields.blocks_mail(event),
            origin=origin if kind in REFUND_KINDS else b"",
        )

    def day_start(self, at: int) -> int:
        """Return the start of the day of `at` in the rules' time zone, UTC ms."""
        start, end = self._day
        if not start <= at < end:
            midnight = datetime.fromtimestamp(at / 1000, self._zone).replace(
                hour=0, minute=0, second=0, microsecond=0, fold=0
            )
            tomorrow = (midnight + timedelta(hours=36)).replace(hour=0, fold=0)
            start, end = (int(day.astimezone(UTC).timestamp() * 1000) for day in (midnight, tomorrow))
            self._day = (start, end)
        return start

    def in_rules_currency(self, minor: int, currency: str, at: int) -> int | None:
        """Return minor units of `currency` as minor units of the rules' currency; None if no rate is known.

        The rate is the newest of that day or before; before the first rate, the first.
        """
        if currency == self.rules.currency:
            return minor
        rates = self.rules.rates.get(currency)
        if not rates:
            return None
        day = datetime.fromtimestamp(at / 1000, self._zone).date().isoformat()
        rate = next((rate for date, rate in reversed(rates) if date <= day), rates[0][1])
        return convert(minor, currency, self.rules.currency, rate)

    def _amount(self, event: Event) -> float | None:
        """Return the event's amount in major units of the rules' currency; None when it has none that is known."""
        if event.amount is None:
            return None
        currency = event.currency or self.rules.currency
        try:
            minor = self.in_rules_currency(to_minor(event.amount, currency), currency, event.at)
        except BadAmountError:
            return None
        return None if minor is None else to_major(minor, self.rules.currency)

    def _worth(self, signal: Signal, get: Get) -> tuple[str, float]:
        if signal.points_per is None:
            return signal.name, 1.0
        value = bounded(fields.number_of(get(signal.points_per.property)) or 0.0)
        return signal.name, max(value, 0.0) if is_dwell(signal) else measured_units(signal.points_per, value)

    def _goal_value(self, goal: Goal, event: Event) -> tuple[str, int, str]:
        if goal.value in ("order", "amount"):
            currency = event.currency or self.rules.currency
            return goal.name, to_minor("0" if event.amount is None else event.amount, currency), currency
        return goal.name, to_minor(goal.value, self.rules.currency), self.rules.currency

    def _order(self, event: Event) -> Order | None:
        if event.kind not in ORDER_KINDS:
            return None
        order_id = fields.first_text(event.properties, "order_id", "orderId")
        if event.kind == "order_completed":
            currency = event.currency or self.rules.currency
            minor = to_minor(event.amount or "0", currency)
            return Order(order_id or event.id, minor, currency, named=bool(order_id))
        if not order_id:
            return None
        refund_id = fields.first_text(event.properties, "refund_id", "refundId") or event.id
        if event.amount is None:
            return Order(order_id, None, event.currency or "", refund_id)
        minor = to_minor(event.amount, event.currency or self.rules.currency)
        if event.currency is None:
            return Order(order_id, None, "", refund_id, amount=plain_text(event.amount))
        return Order(order_id, minor, event.currency, refund_id)

    def _touch(self, event: Event, told: fields.Fields) -> tuple[Touchpoint | None, bool, str]:
        """Return the touch that the event may make, whether a campaign or click id told it, and its referrer."""
        if event.kind == "conversation":
            return Touchpoint(channel="Conversation", source=fields.conversation_medium(event)), False, ""
        if event.kind == "email_clicked":
            return told.arrival.touchpoint, True, ""
        if event.kind in ARRIVAL_KINDS and event.says_where:
            return told.arrival.touchpoint, told.arrival.told, told.arrival.external_referrer
        return None, False, ""

    def _interest_values(self, signals: list[Signal], told: fields.Fields) -> tuple[tuple[str, tuple[str, ...]], ...]:
        names = tuple(signal.name for signal in signals if signal.name in self._interests)
        if not names or self.rules.interests is None:
            return ()
        return tuple((value, names) for value in told.values(self.rules.interests.by))

    def _internal(self, event: Event) -> bool:
        internal = self.rules.internal
        for identifier in event.ids:
            if identifier.startswith("email:"):
                address = identifier[6:]
                domain = ascii_host(address.rpartition("@")[2])
                if address in internal.emails or domain in self._internal_domains:
                    return True
        return bool(self._internal_ip and event.ip and self._internal_ip(event.ip))


def _ip_test(networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> Callable[[str], bool]:
    @functools.lru_cache(maxsize=4_096)
    def internal(text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped  # as servers write it that listen to both
        return any(address in network for network in networks)

    return internal
