"""The program of a lane: have records read, fold each lead's events, say what follows."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from app.domain.event import Rejected
from app.domain.facts import Fact
from app.domain.identity import lead_id
from app.domain.lead import Lead
from app.domain.reader import Reader
from app.domain.state import Hot
from app.engine.program import Output, Record, Rows, Step
from app.leads.commands import Advance, ForwardedEvent, Switch, decode
from app.leads.inforce import Given
from app.leads.lane_rules import LaneRules
from app.leads.outgoing import Outgoing, Portion
from app.leads.recent import LeadName, RecentLeads, Room
from app.leads.records import Facts, Records, count_read
from app.leads.rows import LeadRows, hot_of, its_rows, lead_prefix, leads_of, scan_leads, wakes_at
from app.leads.sweep import Sweep, load_sweep, store_sweep
from app.rules import RulesError
from app.settings import Settings
from app.topics import Topics

log = logging.getLogger(__name__)


class LeadProgram:
    """Leads of one partition."""

    def __init__(
        self,
        partition: int,
        settings: Settings,
        topics: Topics,
        given: Given | Mapping[str, Reader],
        room: Room | None = None,
    ) -> None:
        """Args.

        given: the rules that the worker was started with; those of files may stand alone, by brand.
        room: shared with the worker's other lanes; without it the lane has all of it.
        """
        self._replay = settings.replay
        self._id_key = settings.id_key.encode()
        self._topics = topics
        self._rules = LaneRules(given if isinstance(given, Given) else Given(given))
        self._records = Records(partition, settings, topics, self._rules)
        self._unfolded: set[LeadName] = set()
        """Leads with facts that wait for `advance`, in replay."""
        self._sweep: Sweep | None = None
        self._outgoing = Outgoing(topics)
        self._step_bytes = settings.step_bytes
        self._recent = RecentLeads(room if room is not None else Room(settings.recent_leads_bytes))

    def opened(self, rows: Rows) -> None:
        """Go on with the rules that were in force, and with a sweep that a crash interrupted.

        Raises:
            RulesError: published rules that this version of the program cannot use.
        """
        self._rules.durable(rows)
        self._sweep = load_sweep(rows)

    def step(self, records: Sequence[Record], rows: Rows) -> Step:
        """Fold the records: each with the rules in force where it stands."""
        step = self._begun(rows)
        facts: Facts = {}
        told: set[LeadName] = set()
        read: Counter[tuple[str, str]] = Counter()
        sweep = self._sweep
        for record in records:
            if record.topic != self._topics.commands.name:
                read[record.topic, self._records.read(record, facts, step)] += 1
                continue
            command = decode(record.value)
            if isinstance(command, ForwardedEvent):
                self._records.read(command.record(), facts, step)
            elif isinstance(command, Advance):
                sweep = Sweep(command.to, snapshot=command.snapshot)
            elif isinstance(command, Switch):
                told |= facts.keys()
                facts = self._switch(command, record, facts, rows, step)
            else:
                self._records.reject(record, Rejected("bad_field", "no command that this version knows"), step)
        count_read(read, step)
        told |= facts.keys()
        self._fold_all(facts, rows, step)
        if sweep is not self._sweep:
            store_sweep(step.rows, sweep)
        return self._ended(step, sweep, self._unfolded | told if self._replay else self._unfolded)

    def refuse(self, record: Record, rows: Rows, size: int, limit: int) -> Step | None:
        """Reject an event for which more would be stored than a batch holds; a command cannot be refused."""
        step = self._begun(rows)
        why = Rejected("too_large", f"its lead's rows would take {size} bytes, of which a step stores {limit} at most")
        return self._ended(step) if self._records.refuse(record, why, step) else None

    def idle(self, rows: Rows, clock: int | None, most: int) -> Step | None:
        """Go on with a sweep, else take the leads whose time has come, else some whose rules have changed.

        In replay all of that comes with `advance` only.
        """
        if self._sweep is not None:
            return self._go_on(self._sweep, rows, most)
        step = self._begun(rows)
        if not self._replay and clock is not None:
            if due := rows.due(clock, most):
                self._advance(leads_of(due, rows), clock, rows, step, snapshot=False)
                step.due = [at for at, _ in due[: len(self._recent.used)]]
                step.counts["due"] = len(step.due)
                return self._ended(step)
            if self._rules.waiting(clock):
                leads = self._rules.next_leads(rows, most)
                self._close_each(leads, rows, step, lambda lead: _follow(lead, clock))
                step.counts["followed"] = len(leads)
                return self._ended(step)
        return self._ended(step) if self._rules.changed else None

    def _go_on(self, sweep: Sweep, rows: Rows, most: int) -> Step:
        """Take the next leads of a sweep: all when it asks for profiles, else those for which there is something to do.

        These are the leads with facts that wait, in replay, and those that are due.
        """
        leads: Sequence[Hot | LeadName]
        cursor: bytes | None = None
        if sweep.snapshot:
            leads, cursor = scan_leads(rows, sweep.after, most)
        elif self._replay:
            leads = sorted(self._unfolded)[:most]
            cursor = b"" if len(leads) < len(self._unfolded) else None
        else:
            leads = leads_of(rows.due(sweep.to, most), rows)
            cursor = b"" if len(leads) == most else None
        step = self._begun(rows)
        stopped = self._advance(leads, sweep.to, rows, step, snapshot=sweep.snapshot)
        done = set(self._recent.used)
        if stopped is not None:
            cursor = lead_prefix(*stopped)
            done.remove(stopped)
        rest = None if cursor is None else msgspec.structs.replace(sweep, after=cursor)
        store_sweep(step.rows, rest)
        return self._ended(step, rest, set() if sweep.snapshot and rest is None else self._unfolded - done)

    def _advance(
        self, leads: Iterable[Hot | LeadName], to: int, rows: Rows, step: Step, *, snapshot: bool
    ) -> LeadName | None:
        """Apply to leads what is due up to `to` (UTC ms), as far as there is room in the step: see `_close_each`."""

        def advance(lead: Lead) -> bool:
            whole = lead.advance(to, Portion(lead, step, self._outgoing, self._step_bytes).enough)
            if whole and snapshot:
                lead.snapshot(to)
            else:
                lead.finish()
            return whole

        return self._close_each(leads, rows, step, advance)

    def _close_each(
        self, leads: Iterable[Hot | LeadName], rows: Rows, step: Step, work: Callable[[Lead], bool]
    ) -> LeadName | None:
        """Do some work on leads until it says of one that it is too much for a step; return the name of that lead.

        The rest of it is to be done in another step, and so is the work on those after it.
        """
        for one in leads:
            lead = self._lead(one, rows, step)
            seq = lead.hot.told.seq
            whole = work(lead)
            self._close(lead, step)
            if lead.hot.told.seq == seq:
                _leave_unchanged(lead, rows, step)
            if not whole:
                return lead.hot.brand, lead.hot.key
        return None

    def _begun(self, rows: Rows) -> Step:
        self._rules.begin(rows)
        self._recent.begin()
        return Step(rows={}, outputs=[], counts={})

    def _ended(self, step: Step, sweep: Sweep | None = None, unfolded: set[LeadName] | None = None) -> Step:
        """Return the step with what is to be kept of it; without `unfolded` the sweep and what waits for it stay."""
        keep_rules = self._rules.end(step)

        def commit() -> None:
            keep_rules()
            if unfolded is not None:
                self._sweep, self._unfolded = sweep, unfolded
            self._recent.keep()

        step.commit = commit
        return step

    def render(self, ref: bytes, rows: Rows) -> Output:
        """Return the profile of the lead whose hot row is `ref`, as it was last sent."""
        hot = hot_of(rows.get(ref) or b"")
        lead = self._made(hot.brand, hot.key, rows, {}, hot, self._rules.durable(rows).reader(hot.brand))
        return self._outgoing.output("profiles", lead, lead.last_profile())

    @property
    def brands(self) -> tuple[str, ...]:
        """Brands that have rules of their own."""
        return self._rules.brands

    def peek(self, brand: str, key: str, rows: Rows) -> Lead:
        """Return a lead to look at, as the last durable step left it: what is done to it is kept nowhere."""
        return self._made(brand, key, rows, {}, None, self._rules.next(rows).reader(brand))

    def _switch(self, command: Switch, record: Record, facts: Facts, rows: Rows, step: Step) -> Facts:
        """Go by other rules from here on; return the facts that are still to be folded."""
        try:
            rules = self._rules.after(command)
        except RulesError as error:
            log.error("brand %s: published rules cannot be used here: %s", command.rules.brand, error)
            self._records.reject(
                record, Rejected("bad_field", f"rules that this version cannot use: {error.problems[0]}"), step
            )
            return facts
        if rules is None:
            return facts
        self._fold_all(facts, rows, step)
        # Profiles from before the switch cannot be made anew after it: they are kept whole until they are sent.
        step.outputs = [msgspec.structs.replace(output, ref=None) for output in step.outputs]
        self._rules.switch(rules, command)
        return {}

    # --- one lead -----------------------------------------------------------------------------------------------------

    def _fold_all(self, facts: Facts, rows: Rows, step: Step) -> None:
        for (brand, key), told in facts.items():
            self._fold(brand, key, told, rows, step)

    def _fold(self, brand: str, key: str, facts: list[Fact], rows: Rows, step: Step) -> None:
        lead = self._lead((brand, key), rows, step)
        if lead.is_new:
            step.count("leads")
        for fact in facts:
            if not lead.insert(fact):
                step.count("duplicates")
            elif fact.tagged:
                step.count("bots")
        if not self._replay:
            lead.advance(None)
            lead.finish()
        self._close(lead, step)

    def _lead(self, one: Hot | LeadName, rows: Rows, step: Step) -> Lead:
        """Return a lead by its name, or with its hot row if that has been read."""
        brand, key = name = (one.brand, one.key) if isinstance(one, Hot) else one
        hot = self._recent.take(name) or (one if isinstance(one, Hot) else None)
        return self._made(brand, key, rows, step.rows, hot, self._rules.reader(brand))

    def _made(
        self, brand: str, key: str, rows: Rows, staged: dict[bytes, bytes | None], hot: Hot | None, reader: Reader
    ) -> Lead:
        return Lead(
            key,
            brand,
            lead_id(key, self._id_key),
            reader,
            LeadRows(lead_prefix(brand, key), rows, staged),
            known=not key.startswith("anon:"),
            hot=hot,
        )

    def _close(self, lead: Lead, step: Step) -> None:
        hot = lead.hot
        self._recent.use((hot.brand, hot.key), hot, lead.save())
        its_rows(lead).time(wakes_at(hot))
        self._outgoing.move(lead, step)
        for refund in lead.refused:
            command = decode(refund.origin)
            if isinstance(command, ForwardedEvent):
                why = Rejected("bad_amount", f"a refund in {refund.currency}: not the currency of its order")
                self._records.reject(command.record(), why, step)
        if lead.tagged:
            step.count("bots", lead.tagged)
        if lead.late:
            step.count("late", lead.late)


def _follow(lead: Lead, clock: int) -> bool:
    lead.follow(clock)
    lead.finish()
    return True


def _leave_unchanged(lead: Lead, rows: Rows, step: Step) -> None:
    """Do not write a hot row that is what it was."""
    key = its_rows(lead).hot_key
    if step.rows[key] == rows.get(key):
        del step.rows[key]
