"""What of a lead is told to consumers, and when: changes of groups, and profiles (SEMANTICS §4)."""

import hashlib
from typing import Any, Final, Literal

import msgspec

from app.domain import outputs
from app.domain.conditions import Moment
from app.domain.crossing import DIGITS
from app.domain.facts import Fact
from app.domain.groups import next_group_change
from app.domain.reader import Reader, units_of
from app.domain.state import Hot

PROFILE_REST_MS: Final = 5_000
"""A score that moved sends a profile at most this often a lead."""
_ENCODER: Final = msgspec.msgpack.Encoder()


class Out(msgspec.Struct):
    """One output of a lead."""

    to: Literal["segments", "profiles", "conversions", "rejected"]
    value: dict[str, Any]


class Teller:
    """Collects the outputs of one lead. What was told last stands in its `hot.told`: no late event takes it back."""

    def __init__(self, hot: Hot, lead_id: str, reader: Reader) -> None:
        self.outputs: list[Out] = []
        self._hot = hot
        self._lead_id = lead_id
        self._reader = reader
        self._changed = False
        """A change of groups was told, and no profile after it."""

    def cause(self, fact: Fact, *, counts: bool = True) -> dict[str, Any]:
        """Return the cause of what comes of a fact: if it counts, with the signal that is worth most, then by name."""
        cause: dict[str, Any] = {"kind": "event", "event_id": fact.id}
        signals = self._reader.rules.signals
        if fact.signals and counts and not fact.tagged:
            worth = {
                name: signals[name].points * units_of(signals[name], told)
                for name, told in fact.signals
                if name in signals
            }
            if worth:
                cause["signal"] = min(worth, key=lambda name: (-worth[name], name))
        return cause

    def change(self, moment: Moment, cause: dict[str, Any]) -> None:
        """Tell the groups at a moment, when they are others than those told last."""
        told, core = self._hot.told, self._hot.core
        segments = sorted(core.segments)
        if told.stage == core.stage and told.segments == segments:
            return
        self.outputs.append(Out("segments", outputs.segment_change(self._hot, self._lead_id, moment, cause)))
        told.seq += 1
        told.stage, told.segments = core.stage, segments
        self._changed = True

    def wants_profile(self, moment: Moment) -> bool:
        """Whether something in the profile calls for sending it; the moment is the lead's clock."""
        told, now = self._hot.told, moment.now
        return (
            self._changed
            or (round(abs(told.score_moved), DIGITS) >= 1 and now - told.profile_at >= PROFILE_REST_MS)
            or told.profile != self._digest(moment)
            or self._cools_otherwise(moment)
        )

    def _cools_otherwise(self, moment: Moment) -> bool:
        """Whether `cools_at` moved by more than a tenth of its distance."""
        now, known = moment.now, self._hot.told.cools_at
        leaves = next_group_change(moment, stage_only=True)
        if known is None or known <= now or leaves is None:
            return (leaves is None) != (known is None or known <= now)
        return abs(leaves[0] - known) * 10 > known - now

    def _digest(self, moment: Moment) -> str:
        """Return a digest of what a profile is sent again for when it changes, beside groups and scores."""
        core = self._hot.core
        touch = core.last_touch
        told = (
            moment.board.grade(),
            [name for name, order in core.orders.items() if order.counts],
            core.identifiers,
            [(name, latest.value) for name, latest in sorted(core.contact.items())],
            core.mail_blocked,
            touch and (touch.key, touch.compared, touch.landing_page),
        )
        return hashlib.sha256(_ENCODER.encode(told)).hexdigest()[:32]

    def profile(self, moment: Moment) -> None:
        """Tell the profile as of a moment."""
        told = self._hot.told
        changes = leaves = next_group_change(moment)
        if changes is not None and changes[1].stage == self._hot.core.stage:
            leaves = next_group_change(moment, stage_only=True)
        told.next_change_at = changes[0] if changes else None
        told.seq += 1
        told.profile_at = moment.now
        told.profile = self._digest(moment)
        told.score_moved = 0.0
        told.cools_at = leaves[0] if leaves else None
        self.outputs.append(Out("profiles", self.last_profile(moment)))
        self._changed = False

    def last_profile(self, moment: Moment) -> dict[str, Any]:
        """Return the profile that was told last, from the state as it was left; the moment is that of the telling."""
        told = self._hot.told
        return outputs.profile(self._hot, self._lead_id, moment, told.cools_at, told.next_change_at)
