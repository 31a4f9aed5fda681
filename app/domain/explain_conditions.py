"""Why a condition holds or does not: each of its parts, what is missing to it, and when that will change by itself."""

from typing import Final

import msgspec

from app.domain import rulebook as r
from app.domain.conditions import Moment, holds
from app.domain.findings import FINDINGS, NOTHING, Finding, window_flip
from app.domain.next_change import next_change
from app.domain.wording import described

_LOOKS: Final = 250
"""How many moments are looked at before the next possible change is told as the change."""


class Told(msgspec.Struct, frozen=True):
    """One condition at a moment."""

    rule: str
    """Where it stands in the rules file: `stages[2].enter.any[0]`."""
    text: str
    holds: bool
    wanted: bool
    """What would help: False within a `not`."""
    changes_at: int | None
    """ms; the first moment at which `holds` differs if nothing happens; None = never."""
    finding: Finding
    """Of a composition: empty, its parts tell."""
    parts: tuple["Told", ...] = ()
    any: bool = False
    """One part as wanted is enough."""

    @property
    def helps(self) -> bool:
        """Whether it is as wanted."""
        return self.holds is self.wanted


def explain_condition(condition: r.Condition, moment: Moment, rule: str, *, wanted: bool = True) -> Told:
    """Return a condition with all its parts; `rule` says where it stands, `wanted` which way is looked for."""
    parts: tuple[Told, ...] = ()
    one_is_enough = False
    finding = NOTHING
    if isinstance(condition, r.All | r.AnyOf):
        name = "all" if isinstance(condition, r.All) else "any"
        parts = tuple(
            explain_condition(part, moment, f"{rule}.{name}[{index}]", wanted=wanted)
            for index, part in enumerate(condition.parts)
        )
        # To make all of them untrue takes one that is.
        one_is_enough = (name == "any") is wanted
    elif isinstance(condition, r.Not):
        parts = (explain_condition(condition.part, moment, f"{rule}.not", wanted=not wanted),)
    else:
        finding = FINDINGS[type(condition)](condition, moment, wanted)
    if isinstance(condition, r.All | r.AnyOf):
        changes_at = _flip_of(condition, [part.changes_at for part in parts], moment)
    else:
        changes_at = parts[0].changes_at if parts else next_flip(condition, moment)
    return Told(
        rule=rule,
        text=described(condition, moment.rules),
        holds=holds(condition, moment),
        wanted=wanted,
        changes_at=changes_at,
        finding=finding,
        parts=parts,
        any=one_is_enough,
    )


def next_flip(condition: r.Condition, moment: Moment) -> int | None:
    """Return the first moment (ms) at which the truth of a condition differs if nothing happens; None = never.

    The current stage stays as it is meanwhile.
    """
    if isinstance(condition, r.Not):
        return next_flip(condition.part, moment)
    if isinstance(condition, r.All | r.AnyOf):
        return _flip_of(condition, [next_flip(part, moment) for part in condition.parts], moment)
    if isinstance(condition, r.OrdersAre | r.RevenueIs) and condition.within is not None:
        return window_flip(condition, moment)
    before, later, at = holds(condition, moment), moment, None
    for _ in range(_LOOKS):
        at = next_change(condition, later, None)
        if at is None:
            return None
        later = _at(moment, at)
        if holds(condition, later) is not before:
            return at
    return at


def _flip_of(condition: r.All | r.AnyOf, flips: list[int | None], moment: Moment) -> int | None:
    """Return when a composition's truth differs, from when its parts' does: it cannot do so at another moment."""
    before, at = holds(condition, moment), None
    for _ in range(_LOOKS):
        at = min((flip for flip in flips if flip is not None), default=None)
        if at is None:
            return None
        later = _at(moment, at)
        if holds(condition, later) is not before:
            return at
        flips = [
            next_flip(part, later) if flip == at else flip for part, flip in zip(condition.parts, flips, strict=True)
        ]
    return at


def _at(moment: Moment, at: int) -> Moment:
    later = moment.at(at)
    later.stage = moment.stage
    return later
