"""The state of one lead, as values: what is kept between its events, and how it is written down.

A lead is several rows, so that an event in order touches little: the hot row (everything a usual event needs), blocks
of older touches, facts and message ids, a copy of the core for each of the last days, and one row per conversion.
"""

from typing import Any, Final

import msgspec

from app.domain.intake import Pending
from app.domain.message_ids import MessageIds
from app.domain.series import Series
from app.domain.signals import Amount

VERSION: Final = 1
"""Of the hot row; `load` migrates older ones."""


class Touch(msgspec.Struct, frozen=True, array_like=True):
    """An arrival of the lead: the fields of a touch in the outputs."""

    at: int
    event_id: str
    channel: str
    source: str = ""
    medium: str = ""
    campaign: str = ""
    content: str = ""
    term: str = ""
    click_id: str = ""
    landing_page: str = ""

    @property
    def key(self) -> tuple[int, str]:
        """Touches are ordered by time, then event id."""
        return (self.at, self.event_id)

    @property
    def compared(self) -> tuple[str, str, str, str, str]:
        """What two arrivals are compared by."""
        return (self.channel, self.source, self.medium, self.campaign, self.click_id)


class View(msgspec.Struct, array_like=True):
    """The latest view of one path in the current session."""

    at: int
    gap: int = 0
    """ms to the next event of the session, at most the idle limit."""
    dwell: int = 0
    """ms told by `page_engaged`."""
    measured: dict[str, float] = {}
    """Signal → sum of its measured value in this view."""


class Session(msgspec.Struct, array_like=True):
    """The current visit."""

    start: int
    last: int
    arrived: bool = False
    """An event has said where it was."""
    referrers: list[str] = []
    """External referrers seen."""
    views: dict[str, View] = {}
    open_path: str | None = None
    """Path of the view that no later event has closed yet."""


class OrderState(msgspec.Struct, array_like=True):
    """One order."""

    at: int
    event_id: str
    minor: int
    currency: str
    refunds: dict[str, int | None] = {}
    """Refund id → minor units; None = the whole."""
    signals: tuple[tuple[str, float], ...] = ()
    """What its event was worth: taken back when an earlier event with the same order id arrives."""
    trackers: tuple[str, ...] = ()
    """What else it counted for, and is taken back likewise."""
    interests: tuple[tuple[str, tuple[str, ...]], ...] = ()
    cancelled: bool = False
    refunded_by: dict[str, tuple[int, str]] = {}
    """Refund id → time and id of the event that told it: of repeats the earliest."""

    @property
    def remaining(self) -> int:
        """Value less refunds, in minor units, never below zero."""
        if not self.refunds:
            return self.minor
        if None in self.refunds.values():
            return 0
        return max(0, self.minor - sum(amount or 0 for amount in self.refunds.values()))

    @property
    def counts(self) -> bool:
        """Whether it still is an order: not cancelled, not refunded in full."""
        return not self.refunds or self.remaining > 0


class Occurrence(msgspec.Struct, frozen=True, array_like=True):
    """What an event counted for: taken back when it turns out that it does not count."""

    at: int
    event_id: str
    signals: tuple[tuple[str, float], ...] = ()
    trackers: tuple[str, ...] = ()
    interests: tuple[tuple[str, tuple[str, ...]], ...] = ()


class WaitingRefund(msgspec.Struct, frozen=True, array_like=True):
    """A refund that came before its order."""

    at: int
    refund_id: str
    minor: int | None
    currency: str
    cancels: bool
    fact_id: str
    origin: bytes = b""
    """Of its record, for when it has to be rejected after all."""
    amount: str = ""
    """Decimal text of an amount that is in the order's currency."""


class Latest(msgspec.Struct, frozen=True, array_like=True):
    """The newest value of something, by event time, then event id."""

    value: Any
    at: int
    event_id: str


class SeenMail(msgspec.Struct, frozen=True, array_like=True):
    """A delivery or click of a mail, while it can tell a scanner."""

    at: int
    kind: str
    mail: str
    link: str
    fact_id: str
    tagged: bool = False


class CartLine(msgspec.Struct, array_like=True):
    """One product in the cart."""

    quantity: float
    price: int
    """Minor units of one piece."""
    currency: str
    at: int
    """When it was put in: the day whose rate holds."""


class Core(msgspec.Struct, array_like=True):
    """Everything that folding changes: what a late event brings back to an earlier day and folds again."""

    at: int = 0
    """The lead's clock: ms of the newest event or timed change applied."""
    event_id: str = ""
    """Id of that event; empty for a timed change."""
    day: int = -1
    """UTC day of the newest event; -1 before the first."""
    # What adds up in any order.
    signals: dict[str, Amount] = {}
    trackers: dict[str, list[int]] = {}
    """Newest times of each tracker, ascending."""
    interests: dict[str, dict[str, Amount]] = {}
    """Category → signal → amount."""
    orders: dict[str, OrderState] = {}
    waiting: dict[str, list[WaitingRefund]] = {}
    traits: dict[str, Latest] = {}
    contact: dict[str, Latest] = {}
    """user_id, email, phone, name, locale."""
    identifiers: list[str] = []
    first_seen: int = 0
    last_seen: int = 0
    mail_blocked: bool = False
    bot: bool = False
    # What depends on order.
    sessions: int = 0
    visit_ms: int = 0
    longest_visit: int = 0
    session: Session | None = None
    closed_sessions: Series = msgspec.field(default_factory=Series)
    """[start, last] of earlier visits."""
    page_ms: dict[str, int] = {}
    """Path → ms, for paths that a condition asks about."""
    last_page: str = ""
    recent_pages: dict[str, int] = {}
    """Path → latest view; the newest 11."""
    recent_kinds: list[str] = []
    """The lead's own newest 10 kinds, oldest first."""
    last_product: tuple[str, str, str] | None = None
    cart: dict[str, CartLine] = {}
    touches: Series = msgspec.field(default_factory=Series)
    """Every touch but the newest."""
    first_touch: Touch | None = None
    last_touch: Touch | None = None
    open_click: bool = False
    """The newest touch is a mail click whose landing has not been seen."""
    mails: list[SeenMail] = []
    """Deliveries and clicks of the last seconds."""
    goal_last: dict[str, tuple[int, str]] = {}
    """Goal → the latest conversion's time and event id, for `reset` and `first` paths."""
    stage: str | None = None
    stage_since: int = 0
    segments: dict[str, int] = {}
    """Segment → since."""
    left: dict[str, int] = {}
    """Segment → when it was left, while its cooldown lasts."""
    nexts: dict[str, int] = {}
    """Group → when it has to be looked at again if nothing happens: at its next change or, at times, earlier."""
    planned: str = ""
    """Fingerprint of the rules that this was worked out with."""
    goal_past: dict[str, list[tuple[int, str]]] = {}
    """`reset` goal → its newest 100 conversions' times and event ids, ascending."""
    refunded: dict[str, dict[str, Occurrence]] = {}
    """Order id → refund id → the event that the refund or cancellation counts by."""

    @property
    def key(self) -> tuple[int, str]:
        """A fact with a lower key is late."""
        return (self.at, self.event_id)


class Copy(msgspec.Struct, frozen=True, array_like=True):
    """Where the core of the past is kept: as it was just before a day's first event."""

    at: int
    event_id: str
    row: str
    """Row that holds it; empty for a lead without a past."""

    @property
    def key(self) -> tuple[int, str]:
        """The clock of the copy."""
        return (self.at, self.event_id)


class Told(msgspec.Struct, array_like=True):
    """What was last sent to consumers: never brought back by a late event."""

    seq: int = 0
    stage: str | None = None
    segments: list[str] = []
    profile_at: int = 0
    profile: str = ""
    """Digest of what a profile is sent again for when it changes."""
    score_moved: float = 0.0
    """Sum of what events moved the score by since the last profile."""
    cools_at: int | None = None
    next_change_at: int | None = None


class Hot(msgspec.Struct, array_like=True):
    """The hot row."""

    version: int = VERSION
    key: str = ""
    brand: str = ""
    core: Core = msgspec.field(default_factory=Core)
    told: Told = msgspec.field(default_factory=Told)
    ids: MessageIds = msgspec.field(default_factory=MessageIds)
    log: Series = msgspec.field(default_factory=Series)
    """Facts since the oldest copy, in order."""
    copies: list[Copy] = []
    copied: int = 0
    """Copies ever made: names their rows."""
    pending: Pending = msgspec.field(default_factory=Pending)
    """Facts read, not yet folded."""
    conversions: list[tuple[int, str, str]] = []
    """(at, event id, conversion id) of the conversions that can still be revised."""
    refused: list[str] = []
    """Refunds that were rejected for their currency."""
    sealed: int = -1
    """ms; facts at it and before can no longer be folded again."""


class Conversion(msgspec.Struct, array_like=True):
    """One conversion in its newest revision."""

    conversion_id: str
    goal: str
    at: int
    event_id: str
    """Empty for a stage reached by time."""
    own_touch: bool
    """The converting event is a conversation or form, whose own touch does not count."""
    order_id: str
    currency: str
    gross: int
    """Minor units before refunds."""
    by_value: bool
    """Its value is an amount, which a partial refund lessens; else a number of the rules."""
    path_start: int | None
    """ms; touches at it and before are out (`reset`)."""
    lookback: int
    touches: list[Touch]
    weights: dict[str, list[float]]
    pages: list[str]
    steps: list[str]
    refunds: dict[str, int | None] = {}
    void: bool = False
    """No conversion any more: an earlier one took its place, or the stage was not reached after all."""
    revision: int = 0
    id: str = ""

    @property
    def value(self) -> int:
        """What remains, in minor units."""
        if self.void or None in self.refunds.values():
            return 0
        return max(0, self.gross - sum(amount or 0 for amount in self.refunds.values()))


class Extras(msgspec.Struct, array_like=True):
    """Visits and touches of events that came too late to be folded in their place."""

    touches: list[Touch] = []
    sessions: list[tuple[int, int]] = []
    """[start, last]; a late event that made an earlier visit longer leaves its new span here."""
