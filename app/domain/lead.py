"""One lead: facts go in, time goes on, outputs come out. `insert` and `advance` are the whole program for it.

In order, a fact is applied to the core and what follows is sent. A fact that comes late, within three days, brings back
the copy of the core from before it and folds the facts since again, in silence; what differs then is sent once, at the
lead's clock. What comes later than that only adds up.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from app.domain import fold, history, tags
from app.domain.attribution.ledger import Ledger
from app.domain.conditions import Moment
from app.domain.event import REFUND_KINDS
from app.domain.facts import Fact
from app.domain.groups import due, from_nothing, groups_of, look_again, settle
from app.domain.intake import Intake
from app.domain.reader import Reader
from app.domain.rulebook import DAY_MS
from app.domain.series import Rows
from app.domain.state import Conversion, Core, Extras, Hot, WaitingRefund
from app.domain.telling import Out, Teller

WINDOW_MS: Final = 3 * DAY_MS
HOT: Final = "h"
EXTRAS: Final = "x"
_HOT_DECODER: Final = msgspec.msgpack.Decoder(Hot)
_ENCODER: Final = msgspec.msgpack.Encoder()


class Lead:
    """The working copy of one lead's state: read from its rows, written back by `save`."""

    def __init__(
        self,
        key: str,
        brand: str,
        lead_id: str,
        reader: Reader,
        rows: Rows,
        *,
        known: bool,
        hot: Hot | None = None,
    ) -> None:
        self.rows = rows
        self.reader = reader
        self.lead_id = lead_id
        self.known = known
        raw = None if hot is not None else rows.get(HOT)
        self.is_new = hot is None and raw is None
        if hot is None:
            hot = Hot(key=key, brand=brand) if raw is None else _HOT_DECODER.decode(raw)
        self.hot = hot
        self._intake = Intake(hot.ids, hot.pending, rows)
        self._teller = Teller(self.hot, lead_id, reader)
        self.refused: list[WaitingRefund] = []
        self.tagged = 0
        """Events found to be a scanner's."""
        self.late = 0
        self._now: Moment | None = None
        self._fit: float | None = None
        """Points for the traits, while these stay as they are."""
        self._silent = False
        self._stepping_to = 0
        """UTC ms: time of the fact that is being applied; the core gets there on the way."""
        self.drafts: list[Conversion] | None = None

    @property
    def _ledger(self) -> Ledger:
        """The lead's conversions. Made anew each time: a lead that kept it would be garbage that is a cycle."""
        return Ledger(self)

    @property
    def core(self) -> Core:
        """What folding changes."""
        return self.hot.core

    @property
    def clock(self) -> int:
        """UTC ms of the newest event or timed change, the one that is being applied among them."""
        return max(self.core.at, self._stepping_to)

    @property
    def outputs(self) -> list[Out]:
        """What is to be sent, in this order."""
        return self._teller.outputs

    def take_outputs(self) -> list[Out]:
        """Return what is to be sent, which is then somebody else's to send."""
        taken, self._teller.outputs = self._teller.outputs, []
        return taken

    # --- in -----------------------------------------------------------------------------------------------------------

    def insert(self, fact: Fact) -> bool:
        """Take a fact in; False when the lead has had its message already."""
        return self._intake.add(fact)

    def advance(self, to: int | None, enough: Callable[[], bool] | None = None) -> bool:
        """Fold what has been taken in, in order of (time, event id), and apply every timed change on the way.

        With `to` (ms), facts later than it stay, and timed changes up to it are applied; without, all facts are folded.
        Asked after each fact, `enough` says that what has come of them is much for one step: then the others wait, and
        False is returned. Advanced again, the lead goes on as if it had not stopped.
        """
        ready = self._intake.take(to)
        if self.core.planned != self.reader.plan.fingerprint:
            first = ready[0].at if ready else to
            if first is not None:
                self.follow(first)
        late = [fact for fact in ready if fact.key < self.core.key]
        if late:
            self._catch_up(late)
        for fact in ready[len(late) :]:
            if enough is not None and enough():
                self._intake.leave(fact)
                return False
            self._step(fact)
        if to is not None and self.core.stage is not None:
            self._run_to(to)
        return True

    def follow(self, until: int) -> None:
        """Bring the groups to what holds by rules that the lead has not been looked at with yet; others need nothing.

        That is at the moment these rules took the place of others, or at `until` (ms) if it is earlier; never before
        the lead's clock.
        """
        core, reader = self.core, self.reader
        if core.planned == reader.plan.fingerprint or not core.planned:
            return
        at = max(core.at, min(until, reader.since))
        before, stage = groups_of(core), core.stage
        settle(core, self._moment(at), reader.plan.every)
        if before.same(groups_of(core)):
            return
        if at > core.at:
            core.at, core.event_id = at, ""
        if any(
            rung.name == stage for rung in reader.rules.stages
        ):  # who was on one that is gone does not come from below
            self._ledger.stage(stage, None)
        self._tell_change(core.at, {"kind": "rules"})

    def finish(self) -> None:
        """Send a profile if something in it calls for one."""
        if self.core.stage is not None and self._teller.wants_profile(self._moment(self.core.at)):
            self.snapshot(self.core.at)

    def snapshot(self, at: int) -> None:
        """Send a profile as of `at`."""
        self._teller.profile(self._moment(at))

    def last_profile(self) -> dict[str, Any]:
        """Return the profile that was sent last, from the state as it was left."""
        return self._teller.last_profile(self._moment(self.hot.told.profile_at))

    def save(self) -> int:
        """Write the hot row back, and the facts that wait; return how many bytes the hot row has."""
        self._intake.save()
        row = _ENCODER.encode(self.hot)
        self.rows.put(HOT, row)
        return len(row)

    # --- in order -----------------------------------------------------------------------------------------------------

    def _step(self, fact: Fact) -> None:
        self._run_to(fact.at)
        self._stepping_to = fact.at
        if fact.at // DAY_MS != self.core.day:
            history.copy(self.hot, self.rows)
            history.trim(self.hot, self.rows, fact.at - WINDOW_MS)
        if fact.mail is not None:
            fact = self._look_for_scanner(fact)
        history.remember(self.hot, fact, self.rows)
        before = self._score(fact.at) if fact.signals or fact.traits else None
        counts = self._live_through(fact)
        if before is not None:
            self.hot.told.score_moved += self._score(fact.at) - before
        self._tell_change(self.core.at, self._teller.cause(fact, counts=counts))

    def _live_through(self, fact: Fact) -> bool:
        """Apply a fact, then the groups and conversions that come of it; return whether it counts."""
        core = self.core
        self._now = None
        if fact.traits:
            self._fit = None
        fresh, stage = not core.first_seen, core.stage
        effects = fold.apply(core, fact, self.reader, self.rows)
        core.day = fact.at // DAY_MS
        self._refuse(effects.refused)
        if effects.touched and core.last_touch is not None and not self._silent:
            self._ledger.recheck(core.last_touch.at)
        settle(core, self._moment(core.at), self._may_move(fact, effects, fresh=fresh))
        if effects.counts:
            self._ledger.event(fact)
        self._ledger.stage(stage, fact)
        if fact.kind in REFUND_KINDS and not self._silent:
            self._ledger.refunded(fact)
        elif fact.kind == "order_completed" and not self._silent:
            self._ledger.waited(fact)
        fold.note_step(core, fact)
        return effects.counts

    def _may_move(self, fact: Fact, effects: fold.Effects, *, fresh: bool) -> int:
        """Return the groups that a fact, just applied, may have moved; `fresh`: it is all that the lead ever did."""
        plan = self.reader.plan
        if effects.refused or (self.core.stage is None and not fresh):
            return plan.every  # a refund that waited and is refused is taken back, whatever it had counted for
        moved = plan.moved_by(fact, touched=effects.touched)
        return moved | from_nothing(self.reader, known=self.known) if fresh else moved

    def _run_to(self, until: int) -> None:
        """Apply every timed change up to `until`."""
        while self.core.stage is not None:
            core = self.core
            at = due(core.nexts)
            if at is None or at > until:
                return
            before, stage = groups_of(core), core.stage
            settle(core, self._moment(at), self.reader.plan.mask(n for n, look in core.nexts.items() if look <= at))
            # What time does not change has been looked at because of a late event, and need not be again.
            core.nexts = {name: look for name, look in core.nexts.items() if look > at}
            if before.same(groups_of(core)):
                continue
            core.at, core.event_id = at, ""
            self._ledger.stage(stage, None)
            self._tell_change(core.at, {"kind": "timer"})

    def _look_for_scanner(self, fact: Fact) -> Fact:
        """Tag a click that is a scanner's; earlier ones that it gives away are tagged too, and their effects undone."""
        mails = [*tags.recent(self.core.mails, fact.at), tags.seen(fact)]
        found = tags.scanner_clicks(mails)
        if fact.id in found and not fact.tagged:
            fact = msgspec.structs.replace(fact, tagged=True)
            self.tagged += 1
        earlier = [
            (mail.at, mail.fact_id)
            for mail in mails
            if mail.fact_id in found and not mail.tagged and mail.fact_id != fact.id and mail.at > self.hot.sealed
        ]
        if earlier:
            self._fold_again([], min(earlier), {fact_id for _, fact_id in earlier})
        return fact

    # --- late ---------------------------------------------------------------------------------------------------------

    def _catch_up(self, late: list[Fact]) -> None:
        at = self.core.at
        before = self._score(at)
        oldest = max(at - WINDOW_MS, self.hot.sealed + 1)
        within = [fact for fact in late if fact.at >= oldest]
        self.late += len(late)
        for fact in late[: len(late) - len(within)]:
            self._add_late(fact)
        if within:
            self._fold_again(within, within[0].key, set())
        self._now = None
        stage = self.core.stage
        settle(self.core, self._moment(at), self.reader.plan.every)
        self._ledger.stage(stage, None)
        self.hot.told.score_moved += self._score(at) - before
        self._tell_change(at, self._teller.cause(late[-1]))

    def _fold_again(self, late: list[Fact], first: tuple[int, str], tagged: set[str]) -> None:
        """Fold the facts from `first` on again, with the late ones in their places, and amend the conversions."""
        hot = self.hot
        old = hot.core
        base, redo, scanner = self._rewound(first, late)
        self._fit = None
        scanner |= tagged
        self._silent = True
        self._ledger.begin()
        for index, fact in enumerate(redo):
            if fact.id in scanner and not fact.tagged:
                self.tagged += 1
                redo[index] = fact = msgspec.structs.replace(fact, tagged=True)
            self._run_to(fact.at)
            if fact.at // DAY_MS != hot.core.day:
                history.copy(hot, self.rows)
            self._live_through(fact)
        self._run_to(old.at)
        self._silent = False
        if hot.core.key < old.key:
            hot.core.at, hot.core.event_id = old.key
        history.rewrite(hot, self.rows, redo, old)
        history.trim(hot, self.rows, hot.core.at - WINDOW_MS)
        self._ledger.settle(base, late)

    def _rewound(self, first: tuple[int, str], late: list[Fact]) -> tuple[tuple[int, str], list[Fact], set[str]]:
        """Bring back the core from before `first`, and before each click that a late fact shows to be a scanner's.

        Returns its clock, the facts to fold from there, and the ids of the clicks that are a scanner's.
        """
        hot = self.hot
        while True:
            base, redo = history.rewind(hot, self.rows, first, late)
            mails = [*hot.core.mails, *(tags.seen(fact) for fact in redo if fact.mail is not None)]
            scanner = tags.scanner_clicks(mails)
            oldest = hot.copies[0].key
            given_away = [
                (mail.at, mail.fact_id)
                for mail in hot.core.mails
                if mail.fact_id in scanner and not mail.tagged
                if mail.at > hot.sealed and (mail.at, mail.fact_id) > oldest
            ]
            if not given_away:
                return base, redo, scanner
            first = min(given_away)

    def _add_late(self, fact: Fact) -> None:
        """Apply a fact that came too late to be folded in its place: to the core and to each copy of it."""
        hot = self.hot
        self._fit = None
        effects = fold.add_up(hot.core, fact, self.reader, in_order=False)
        extras = self.extras()
        span = None if fact.tagged else history.late_visit(hot.core, extras, fact, self.rows)
        joined = span is not None and not span.fresh
        touch = None if fact.tagged else history.late_touch(hot.core, extras, fact, self.rows, joined=joined)
        history.apply_visit(hot.core, span, touch)
        for core in history.each_copy(hot, self.rows):
            fold.add_up(core, fact, self.reader, in_order=False)
            history.apply_visit(core, span, touch)
            # Folded again from there, the lead comes into a group when it did: now.
            look_again(core, hot.core.at, self.reader.plan)
        self.rows.put(EXTRAS, msgspec.msgpack.encode(extras))
        self._refuse(effects.refused)
        if effects.counts:
            self._ledger.late_event(fact)
        if fact.kind in REFUND_KINDS:
            self._ledger.refunded(fact)

    def extras(self) -> Extras:
        """Return what came too late."""
        raw = self.rows.get(EXTRAS)
        return Extras() if raw is None else msgspec.msgpack.decode(raw, type=Extras)

    def _refuse(self, refunds: list[WaitingRefund]) -> None:
        for refund in refunds:
            if refund.fact_id not in self.hot.refused:
                self.hot.refused = [*self.hot.refused, refund.fact_id][-50:]
                self.refused.append(refund)

    def tell_conversion(self, record: dict[str, Any]) -> None:
        """Send a conversion or a revision of one."""
        self._teller.outputs.append(Out("conversions", record))

    # --- out ----------------------------------------------------------------------------------------------------------

    def _score(self, at: int) -> float:
        return self._moment(at).board.value("score")

    def _moment(self, at: int) -> Moment:
        """Return the lead at a moment; the one that was asked for last is kept until the state changes."""
        moment = self._now
        if moment is None or moment.now != at or moment.core is not self.core:
            moment = self._now = Moment(self.core, self.reader, at, known=self.known, fit=self._fit)
            self._fit = moment.board.fit()
        return moment

    def _tell_change(self, at: int, cause: dict[str, Any]) -> None:
        if not self._silent:
            self._teller.change(self._moment(at), cause)
