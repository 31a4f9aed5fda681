"""The rules of one lane through its steps: what is durable, and what the step under way has made of it."""

from collections.abc import Callable

from app.domain.reader import Reader
from app.domain.state import Hot
from app.engine.program import Rows, Step
from app.leads.commands import Switch
from app.leads.follow import Follow, follow_too, load_follow, next_leads, store_follow
from app.leads.inforce import Given, InForce, load_in_force


class LaneRules:
    """Each step begins with `begin` and ends with `end`."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self._durable: InForce | None = None
        self._stored: InForce | None = None
        """What the rows keep: they keep nothing as long as the lane has no rows at all."""
        self._coming: InForce | None = None
        """What the worker was started with, if it is something else: it holds from the next step on."""
        self._durable_walk: Follow | None = None
        self._now: InForce | None = None
        self._walk: Follow | None = None

    # --- what is durable

    def durable(self, rows: Rows) -> InForce:
        """Return what was in force when the last durable step ended.

        Raises:
            RulesError: published rules that this version of the program cannot use.
        """
        if self._durable is None:
            kept = load_in_force(rows, self._given)
            self._durable, self._stored = kept or self._given.at_first(), kept
            self._coming = None if kept is None else self._given.after(kept)
            self._durable_walk = load_follow(rows)
        return self._durable

    def next(self, rows: Rows) -> InForce:
        """Return what the next step begins with. Raises as `durable` does."""
        durable = self.durable(rows)
        return self._coming or durable

    @property
    def brands(self) -> tuple[str, ...]:
        """Brands that have rules of their own, as of the last durable step."""
        return tuple((self._durable or self._given.at_first()).editions)

    # --- a step

    def begin(self, rows: Rows) -> None:
        """Begin a step; what an earlier one made that was never kept is forgotten."""
        self._now, self._walk = self.durable(rows), self._durable_walk
        if self._coming is not None:
            self._change(self._coming, self._given.started)

    def reader(self, brand: str) -> Reader:
        """Return the rules of a brand at this point of the step."""
        assert self._now is not None, "no step has begun"
        return self._now.reader(brand)

    def after(self, command: Switch) -> InForce | None:
        """Return what a switch makes of the rules; None when it changes nothing.

        Raises:
            RulesError: this version of the program cannot use them.
        """
        assert self._now is not None, "no step has begun"
        return self._now.switched(command)

    def switch(self, rules: InForce, command: Switch) -> None:
        """Go by other rules from this point of the step on."""
        self._change(rules, command.at)

    def _change(self, rules: InForce, since: int) -> None:
        assert self._now is not None, "no step has begun"
        moved = rules.moved_since(self._now)
        if moved:
            self._walk = follow_too(self._walk, moved, since)
        self._now = rules

    # --- the leads follow

    def waiting(self, clock: int) -> bool:
        """Return whether leads are to be looked at because their rules have changed, at a time of the lane's clock."""
        return self._walk is not None and self._walk.since <= clock

    def next_leads(self, rows: Rows, most: int) -> list[Hot]:
        """Return about the next `most` leads that have not been looked at with the rules of now."""
        assert self._walk is not None, "no walk"
        found, self._walk = next_leads(self._walk, rows, most, self._unlike)
        return found

    def _unlike(self, hot: Hot) -> bool:
        planned = hot.core.planned
        return bool(planned) and planned != self.reader(hot.brand).plan.fingerprint

    # --- the end of a step

    @property
    def changed(self) -> bool:
        """Whether the rules are others now than when the last durable step ended."""
        return self._now is not self._durable

    def end(self, step: Step) -> Callable[[], None]:
        """Stage what has changed, the first rules of a lane with its first rows; return what keeps it once durable."""
        now, walk, stored = self._now, self._walk, self._stored
        assert now is not None, "no step has begun"
        if self.changed or (stored is None and step.rows):
            now.stage(step.rows, stored)
            stored = now
        if walk is not self._durable_walk:
            store_follow(step.rows, walk)

        def commit() -> None:
            self._durable, self._stored, self._durable_walk, self._coming = now, stored, walk, None

        return commit
