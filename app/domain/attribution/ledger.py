"""A lead's conversions as they are told: made, revised when their path changes, lessened by refunds."""

from typing import Any, Final, Protocol

import msgspec

from app.domain import history, journey, outputs
from app.domain.attribution import conversions as conv
from app.domain.attribution.money import to_minor
from app.domain.event import REFUND_KINDS
from app.domain.facts import Fact
from app.domain.reader import Reader
from app.domain.rulebook import Goal
from app.domain.series import Rows
from app.domain.state import Conversion, Core, Extras, Hot, OrderState, Touch

ROW: Final = "v|"


class Holder(Protocol):
    """The lead whose conversions these are."""

    lead_id: str
    reader: Reader
    rows: Rows
    hot: Hot
    drafts: list[Conversion] | None
    """Conversions of the facts that are being folded again; None while facts come in order."""

    @property
    def core(self) -> Core:
        """What folding changes."""
        ...

    @property
    def clock(self) -> int:
        """UTC ms of the newest event or timed change, the one that is being applied among them."""
        ...

    def extras(self) -> Extras:
        """Return what came too late."""
        ...

    def tell_conversion(self, record: dict[str, Any]) -> None:
        """Send a conversion or a revision of one."""
        ...


class Ledger:
    """The conversions of one lead."""

    def __init__(self, lead: Holder) -> None:
        self.lead = lead
        self.rules = lead.reader.rules

    def event(self, fact: Fact) -> None:
        """Convert the goals that a fact meets."""
        for goal, minor, currency in conv.event_goals(fact, self.rules.goals):
            self._met(goal, fact, (minor, currency))

    def stage(self, before: str | None, fact: Fact | None) -> None:
        """Convert the goals of the stages that the lead has come to, or passed, from below."""
        ladder = [stage.name for stage in self.rules.stages]
        now = self.lead.core.stage
        if now == before or now is None:
            return
        rung = ladder.index(before) if before in ladder else -1
        for goal in self.rules.goals:
            if goal.stage is not None and rung < ladder.index(goal.stage) <= ladder.index(now):
                minor = 0 if goal.value in ("order", "amount") else to_minor(goal.value, self.rules.currency)
                self._met(goal, fact, (minor, self.rules.currency))

    def recheck(self, since: int) -> None:
        """Look again at the conversions from `since` (ms) on: a touch of that time was made or changed after them.

        In order this happens to conversions of the touch's very moment, and between a mail click and its landing.
        """
        for name in [name for at, _, name in self.lead.hot.conversions if at >= since]:
            known = self._load(name)
            if known is not None and not known.void:
                self._repath(known, "late_touch")

    def refunded(self, fact: Fact) -> None:
        """Lessen the conversions of a refunded or cancelled order."""
        if fact.order is not None:
            self._lessen(fact.order.order_id, _refund_cause(fact))

    def waited(self, fact: Fact) -> None:
        """Lessen the conversions of an order by the refunds that waited for it."""
        if fact.order is not None:
            self._lessen(fact.order.order_id, self._waited_cause(fact.order.order_id))

    def late_event(self, fact: Fact) -> None:
        """Convert the goals of a fact that came too late to be folded: it revises nothing, but counts itself."""
        hot, core = self.lead.hot, self.lead.core
        for goal, minor, currency in conv.event_goals(fact, self.rules.goals):
            clock, latest = core.key, core.goal_last.get(goal.name)
            core.at, core.event_id = fact.key
            draft = conv.draft(core, goal, fact, hot.brand, self.lead.lead_id, (minor, currency))
            core.at, core.event_id = clock
            if latest is not None and latest > fact.key:
                core.goal_last[goal.name] = latest
            if draft is None or self._load(draft.conversion_id) is not None:
                continue
            draft.pages = [path for path in draft.pages if core.recent_pages[path] <= fact.at]
            draft.steps = []
            self._make(draft)
            hot.conversions.pop()  # Its fact cannot be folded again, so no folding may find it missing.
            for copy in history.each_copy(hot, self.lead.rows):
                copy.goal_last[goal.name] = max(fact.key, copy.goal_last.get(goal.name, fact.key))
                if goal.path == "reset":
                    conv.note_reset(copy, goal.name, fact.key)
        if fact.kind == "order_completed":
            self.waited(fact)

    def begin(self) -> None:
        """Collect the conversions of facts that are folded again, instead of sending them."""
        self.lead.drafts = []

    def settle(self, base: tuple[int, str], late: list[Fact]) -> None:
        """Send what folding again from after `base` has changed.

        New conversions, paths that differ, and conversions that are none any more.
        """
        drafts = {draft.conversion_id: draft for draft in self.lead.drafts or []}
        self.lead.drafts = None
        causes = {fact.order.order_id: _refund_cause(fact) for fact in late if fact.order and fact.kind in REFUND_KINDS}
        before = [(at, event_id, name) for at, event_id, name in self.lead.hot.conversions if (at, event_id) > base]
        for draft in drafts.values():
            known = self._load(draft.conversion_id)
            if known is None:
                self._make(draft)
            else:
                self._amend(known, draft)
            if draft.order_id and draft.order_id not in causes:
                self._lessen(draft.order_id, self._waited_cause(draft.order_id))
        for order_id, cause in causes.items():
            # A late refund of an order from before: it was not folded again, and has its conversion all the same.
            self._lessen(order_id, cause)
        for _, _, name in before:
            known = self._load(name)
            if name not in drafts and known is not None and not known.void and self._in_window(known):
                # What earned it did not come about: an earlier conversion took its place, or a stage was not reached.
                known.void = True
                self._revise(known, "late_conversion")
        if late:
            # Conversions of the moment of the first late event are before `base`, and yet count touches of that moment.
            self.recheck(late[0].at)

    def _met(self, goal: Goal, fact: Fact | None, value: tuple[int, str]) -> None:
        lead = self.lead
        draft = conv.draft(lead.core, goal, fact, lead.hot.brand, lead.lead_id, value)
        if draft is None:
            return
        if self.lead.drafts is not None:
            self.lead.drafts.append(draft)
        elif (known := self._load(draft.conversion_id)) is not None:
            self._amend(known, draft)
        else:
            self._make(draft)

    def _make(self, draft: Conversion) -> None:
        conv.set_path(draft, self._path(draft), self.rules.attribution)
        self.lead.hot.conversions.append((draft.at, draft.event_id, draft.conversion_id))
        self._send(draft, "conversion", amended_at=None)

    def _amend(self, known: Conversion, draft: Conversion) -> None:
        """Bring a conversion to what folding again made of it; sent when its path, value or time differs."""
        cause = "late_touch" if known.path_start == draft.path_start and not known.void else "late_conversion"
        moved = known.void or (known.at, known.gross, known.currency) != (draft.at, draft.gross, draft.currency)
        draft.touches, draft.weights = known.touches, known.weights
        draft.refunds, draft.revision, draft.id = known.refunds, known.revision, known.id
        if moved:
            index = self.lead.hot.conversions
            index[:] = [entry for entry in index if entry[2] != known.conversion_id]
            index.append((draft.at, draft.event_id, draft.conversion_id))
            cause = "late_conversion"
        if not self._repath(draft, cause, always=moved):
            self._store(draft)

    def _repath(self, known: Conversion, cause: str, *, always: bool = False) -> bool:
        """Revise a conversion whose path is another now; whether it was revised."""
        path = self._path(known)
        if (path == known.touches and not always) or not self._in_window(known):
            return False
        conv.set_path(known, path, self.rules.attribution)
        self._revise(known, cause)
        return True

    def _lessen(self, order_id: str, cause: str) -> None:
        order: OrderState | None = self.lead.core.orders.get(order_id)
        if order is None:
            return
        for goal in self.rules.goals:
            if goal.pattern is not None:
                known = self._load(conv.conversion_id(self.lead.hot.brand, goal.name, order_id))
                if known is not None and conv.refund(known, order):
                    self._revise(known, cause)

    def _waited_cause(self, order_id: str) -> str:
        order: OrderState | None = self.lead.core.orders.get(order_id)
        return "cancel" if order is not None and order.cancelled else "refund"

    def _path(self, conversion: Conversion) -> list[Touch]:
        touches = journey.all_touches(self.lead.core, self.lead.extras().touches, self.lead.rows)
        return conv.path_of(conversion, touches, self.rules.attribution)

    def _in_window(self, conversion: Conversion) -> bool:
        return self.lead.core.at - conversion.at <= self.rules.attribution.correction_window

    def _revise(self, known: Conversion, cause: str) -> None:
        self._send(known, cause, amended_at=self.lead.clock)

    def _send(self, conversion: Conversion, cause: str, amended_at: int | None) -> None:
        lead = self.lead
        supersedes = conversion.id or None
        conversion.revision += 1
        conversion.id = conv.digest(
            "conversion", lead.hot.brand, lead.lead_id, conversion.conversion_id, conversion.revision
        )
        self._store(conversion)
        record = outputs.conversion(conversion, lead.hot, lead.lead_id, lead.reader, cause, supersedes, amended_at)
        lead.tell_conversion(record)

    def _load(self, name: str) -> Conversion | None:
        raw = self.lead.rows.get(ROW + name)
        return None if raw is None else msgspec.msgpack.decode(raw, type=Conversion)

    def _store(self, conversion: Conversion) -> None:
        self.lead.rows.put(ROW + conversion.conversion_id, msgspec.msgpack.encode(conversion))


def _refund_cause(fact: Fact) -> str:
    return "cancel" if fact.kind == "order_cancelled" else "refund"
