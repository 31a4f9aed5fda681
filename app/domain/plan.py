"""Which groups an event can move: each group's conditions, by what they look at.

Between events only time changes what holds, and each group knows when it has to be looked at again; so an event need
only look at the groups whose conditions depend on something that it changed.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

from app.domain import rulebook as r
from app.domain.facts import Fact

LADDER: Final = ""
"""The name of the stages among the groups."""
LADDER_BIT: Final = 1

_INPUT: Final[dict[type, str]] = {
    r.InterestIs: "interests",
    r.TraitIs: "traits",
    r.OrdersAre: "orders",
    r.RevenueIs: "orders",
    r.CartValueIs: "cart",
    r.SessionsAre: "visit",
    r.VisitDurationIs: "visit",
    r.PageDurationIs: "visit",
    r.ChannelIs: "touch",
    r.Mailable: "mail",
    r.StageIs: "stage",
}


class Plan:
    """A brand's groups as bits of a mask: the ladder of stages first, then the segments in their order."""

    def __init__(self, rules: r.Rules) -> None:
        self.fingerprint = f"{zlib.crc32(msgspec.msgpack.encode(rules, order='deterministic')):08x}"
        """Of the rules: what was worked out with others has to be worked out again."""
        self.segments = tuple((LADDER_BIT << index, segment) for index, segment in enumerate(rules.segments, start=1))
        self.every = (LADDER_BIT << len(rules.segments) + 1) - 1
        self._bits = {LADDER: LADDER_BIT} | {segment.name: bit for bit, segment in self.segments}
        self._masks: dict[str, int] = {}
        for stage in rules.stages:
            self._note(rules, LADDER_BIT, stage.enter, stage.exit)
        for bit, segment in self.segments:
            self._note(rules, bit, segment.enter, segment.exit)
        self._note(rules, self.every, rules.exclude)
        self.by_stage = self._masks.get("stage", 0)
        """Groups that look at the current stage."""
        self.by_events = frozenset(id(c) for c in r.conditions_of(rules) if not any(_fades(p) for p in r.walk(c)))
        """Conditions that no passing of time can change, by identity."""
        self.lasting = frozenset(
            id(c)
            for c in r.conditions_of(rules)
            if id(c) in self.by_events and not any(isinstance(p, r.StageIs) for p in r.walk(c))
        )
        """Those of them that do not look at the stage either: only another state of the lead can change them."""
        self.timed = self._timed(rules)
        """Groups that time alone can change."""
        self.tests: dict[int, tuple[r.Condition, Callable[[Any], bool]]] = {}
        """Conditions by identity, each as a function of the moment (`conditions.test_of`)."""
        self.looks: dict[int, tuple[r.Condition, Callable[[Any, int | None], int | None]]] = {}
        """Those that time can change, by identity, each as when it may (`next_change.look_of`)."""
        self.groups: Any = None
        """The stages and segments as functions (`groups.Ready`), once they have been asked for."""
        self.from_nothing: dict[bool, int] = {}
        """Whether a lead is known → the groups that it may be in having done nothing (`groups.from_nothing`)."""

    def mask(self, names: Iterable[str]) -> int:
        """Return the mask of groups by name."""
        mask = 0
        for name in names:
            mask |= self._bits.get(name, 0)
        return mask

    def moved_by(self, fact: Fact, *, touched: bool) -> int:
        """Return the groups that a fact may move; `touched`: it made or changed a touch."""
        masks = self._masks
        mask = 0
        if fact.order is not None:
            mask |= masks.get("orders", 0) | masks.get("cart", 0)
        if fact.traits:
            mask |= masks.get("traits", 0)
        if fact.blocks_mail:
            mask |= masks.get("mail", 0)
        for tracker in fact.trackers:
            mask |= masks.get("t:" + tracker, 0)
        for signal, _ in fact.signals:
            mask |= masks.get("s:" + signal, 0)
        if fact.interests:
            mask |= masks.get("interests", 0)
        if fact.visit:
            mask |= masks.get("visit", 0)
        if fact.products:
            mask |= masks.get("cart", 0)
        if touched:
            mask |= masks.get("touch", 0)
        return mask

    def _timed(self, rules: r.Rules) -> int:
        if rules.exclude is not None and id(rules.exclude) not in self.by_events:
            return self.every
        mask = LADDER_BIT
        for bit, segment in self.segments:
            waits = segment.min_stay or segment.cooldown
            if waits or not {id(c) for c in (segment.enter, segment.exit) if c is not None} <= self.by_events:
                mask |= bit
        return mask

    def _note(self, rules: r.Rules, bits: int, *conditions: r.Condition | None) -> None:
        for condition in conditions:
            if condition is not None:
                for part in r.walk(condition):
                    for name in _inputs(part, rules):
                        self._masks[name] = self._masks.get(name, 0) | bits


def _fades(condition: r.Condition) -> bool:
    """Return whether time alone can change what a condition, its parts apart, says."""
    if isinstance(condition, r.Did | r.OrdersAre | r.RevenueIs):
        return condition.within is not None
    if isinstance(condition, r.ScoreIs):
        return condition.name != "fit"
    return isinstance(condition, r.GradeIs | r.InterestIs | r.LastIs | r.Sequence)


def _inputs(condition: r.Condition, rules: r.Rules) -> Iterator[str]:
    """Yield what a condition looks at, its parts apart."""
    if isinstance(condition, r.Did):
        yield "t:" + condition.tracker
        if condition.since is not None:
            yield "t:" + condition.since
    elif isinstance(condition, r.LastIs):
        yield "t:" + condition.tracker
    elif isinstance(condition, r.Sequence):
        yield from ("t:" + tracker for tracker in condition.trackers)
    elif isinstance(condition, r.ScoreIs):
        yield from _score_inputs(condition.name, rules)
    elif isinstance(condition, r.GradeIs):
        yield from _score_inputs("engagement", rules)
        yield "traits"
    elif type(condition) in _INPUT:
        yield _INPUT[type(condition)]


def _score_inputs(name: str, rules: r.Rules) -> Iterator[str]:
    if name == "score":
        for part in rules.total:
            yield from _score_inputs(part, rules)
    elif name == "fit":
        yield "traits"
    elif name in rules.scores:
        yield from ("s:" + signal for signal in rules.scores[name].signals)
