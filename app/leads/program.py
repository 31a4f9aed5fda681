"""The program of a lane: decode, find the owner, fold each lead's events, say what follows."""

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import orjson

from app.domain.event import REFUND_KINDS, Event, Rejected
from app.domain.facts import Fact
from app.domain.identity import lead_id, owner
from app.domain.lead import Lead
from app.domain.reader import NOT_YET_APPLIED, Reader
from app.domain.state import Hot
from app.engine.program import Output, Record, Rows, Step
from app.leads.commands import Advance, ForwardedEvent, decode, encode
from app.leads.rejects import rejected_record
from app.leads.rows import LeadRows, hot_rows, lead_prefix
from app.leads.sweep import Sweep, load_sweep, store_sweep
from app.settings import Settings
from app.sources.segment import parse
from app.topics import Topics

DEFAULT_BRAND: Final = "default"
UNREADABLE: Final = "unreadable"
"""What stands for the kind of a record that is no event, in counts."""

HOT_LEADS: Final = 4_096
"""Leads of a lane whose hot rows stay decoded."""

LeadName = tuple[str, str]
"""Brand and key."""


class LeadProgram:
    """Leads of one partition."""

    def __init__(self, partition: int, settings: Settings, topics: Topics, readers: Mapping[str, Reader]) -> None:
        self._partition = partition
        self._partitions = settings.partitions
        self._replay = settings.replay
        self._id_key = settings.id_key.encode()
        self._prefix = settings.topic_prefix
        self._topics = topics
        self._readers = readers
        self._fallback = readers.get(DEFAULT_BRAND) or next(iter(readers.values()))
        self._unfolded: set[LeadName] = set()
        """Leads with facts that wait for `advance`, in replay."""
        self._sweep: Sweep | None = None
        self._hot: OrderedDict[LeadName, Hot] = OrderedDict()
        """Decoded hot rows as the last durable step left them, the least recently used first."""
        self._used: dict[LeadName, Hot] = {}
        """Those of the step under way: changed in place, and so no longer what is durable."""

    def opened(self, rows: Rows) -> None:
        """Go on with a sweep that a crash interrupted."""
        self._sweep = load_sweep(rows)

    def step(self, records: Sequence[Record], rows: Rows) -> Step:
        """Fold the records."""
        step = Step(rows={}, outputs=[], counts={})
        self._used = {}
        facts: dict[LeadName, list[Fact]] = {}
        read: Counter[tuple[str, str]] = Counter()
        sweep = self._sweep
        for record in records:
            if record.topic != self._topics.commands.name:
                read[record.topic, self._read(record, facts, step)] += 1
                continue
            command = decode(record.value)
            if isinstance(command, ForwardedEvent):
                self._read(command.record(), facts, step)
            elif isinstance(command, Advance):
                sweep = Sweep(command.to, snapshot=command.snapshot)
            else:
                self._reject(record, Rejected("bad_field", "no command that this version knows"), step)
        if read:
            step.counts["events"] = read.total()
            step.counts |= {f"read.{topic}.{kind}": number for (topic, kind), number in read.items()}
        for (brand, key), told in facts.items():
            self._fold(brand, key, told, rows, step)
        if sweep is not self._sweep:
            store_sweep(step.rows, sweep)
        unfolded = self._unfolded | facts.keys() if self._replay else self._unfolded

        def commit() -> None:
            self._sweep, self._unfolded = sweep, unfolded
            self._keep_hot()

        step.commit = commit
        return step

    def idle(self, rows: Rows, clock: int | None, most: int) -> Step | None:
        """Take the next leads of a sweep."""
        del clock  # timed changes wait for the lead's next event or an `advance`
        sweep = self._sweep
        if sweep is None:
            return None
        step = Step(rows={}, outputs=[], counts={})
        self._used = {}
        if sweep.snapshot or not self._replay:
            names, cursor = self._scan(rows, sweep.after, most)
        else:
            names = sorted(self._unfolded)[:most]
            cursor = b"" if len(names) < len(self._unfolded) else None
        for brand, key in names:
            lead = self._lead(brand, key, rows, step)
            lead.advance(sweep.to)
            if sweep.snapshot:
                lead.snapshot(sweep.to)
            else:
                lead.finish()
            self._close(lead, step)
        rest = None if cursor is None else msgspec.structs.replace(sweep, after=cursor)
        store_sweep(step.rows, rest)

        def commit() -> None:
            self._sweep = rest
            self._unfolded = set() if sweep.snapshot and rest is None else self._unfolded - set(names)
            self._keep_hot()

        step.commit = commit
        return step

    def render(self, ref: bytes, rows: Rows) -> Output:
        """Return the profile of the lead whose hot row is `ref`, as it was last sent."""
        hot = msgspec.msgpack.decode(rows.get(ref) or b"", type=Hot)
        lead = self._lead(hot.brand, hot.key, rows, Step(rows={}))
        return self._output("profiles", lead, lead.last_profile())

    # --- one record ---------------------------------------------------------------------------------------------------

    def _read(self, record: Record, facts: dict[LeadName, list[Fact]], step: Step) -> str:
        """Read a record into a fact of its lead, or send it where it belongs; return its kind."""
        topic = record.topic.removeprefix(self._prefix)
        event = parse(
            record.value,
            topic=topic,
            partition=record.partition,
            offset=record.offset,
            record_at=record.timestamp,
        )
        if isinstance(event, Rejected):
            self._reject(record, event, step)
            return UNREADABLE
        home = owner(event.key, self._partitions)
        if home != self._partition:
            _count(step, "forwarded")
            command = encode(self._forwarded(record))
            step.outputs.append(Output(self._topics.commands.name, None, command, partition=home))
        else:
            self._take(event, record, facts, step)
        return event.kind

    def _forwarded(self, record: Record) -> ForwardedEvent:
        topic = record.topic.removeprefix(self._prefix)
        return ForwardedEvent(topic, record.partition, record.offset, record.timestamp, record.value or b"")

    def _take(self, event: Event, record: Record, facts: dict[LeadName, list[Fact]], step: Step) -> None:
        origin = encode(self._forwarded(record)) if event.kind in REFUND_KINDS else b""
        fact = self._reader(event.brand).read(event, origin)
        if isinstance(fact, Rejected):
            self._reject(record, fact, step)
            return
        if event.kind in NOT_YET_APPLIED:
            _count(step, f"not_applied.{event.kind}")
        facts.setdefault((event.brand, event.key), []).append(fact)

    def _reject(self, record: Record, why: Rejected, step: Step) -> None:
        _count(step, "rejected")
        _count(step, f"rejected.{why.reason}")
        told = rejected_record(record, record.topic.removeprefix(self._prefix), why)
        step.outputs.append(Output(self._topics.rejected.name, None, _json(told), partition=self._partition))

    # --- one lead -----------------------------------------------------------------------------------------------------

    def _fold(self, brand: str, key: str, facts: list[Fact], rows: Rows, step: Step) -> None:
        lead = self._lead(brand, key, rows, step)
        if lead.is_new:
            _count(step, "leads")
        for fact in facts:
            if not lead.insert(fact):
                _count(step, "duplicates")
            elif fact.tagged:
                _count(step, "bots")
        if not self._replay:
            lead.advance(None)
            lead.finish()
        self._close(lead, step)

    def _lead(self, brand: str, key: str, rows: Rows, step: Step) -> Lead:
        lead = Lead(
            key,
            brand,
            lead_id(key, self._id_key),
            self._reader(brand),
            LeadRows(lead_prefix(brand, key), rows, step.rows),
            known=not key.startswith("anon:"),
            hot=self._hot.pop((brand, key), None),
        )
        self._used[brand, key] = lead.hot
        return lead

    def _keep_hot(self) -> None:
        """Keep what the step that is now durable has left."""
        self._hot.update(self._used)
        self._used = {}
        while len(self._hot) > HOT_LEADS:
            self._hot.popitem(last=False)

    def _close(self, lead: Lead, step: Step) -> None:
        lead.save()
        for out in lead.outputs:
            step.outputs.append(self._output(out.to, lead, out.value))
            if out.to == "conversions":
                _count(step, "revisions" if out.value["supersedes"] else "conversions")
            elif out.to == "segments":
                _count(step, "segment_changes")
        for refund in lead.refused:
            command = decode(refund.origin)
            if isinstance(command, ForwardedEvent):
                why = Rejected("bad_amount", f"a refund in {refund.currency}: not the currency of its order")
                self._reject(command.record(), why, step)
        if lead.tagged:
            _count(step, "bots", lead.tagged)
        if lead.late:
            _count(step, "late", lead.late)

    def _output(self, to: str, lead: Lead, value: dict[str, Any]) -> Output:
        key = f"{lead.hot.brand}/{lead.lead_id}".encode()
        if to == "profiles":
            ref = lead_prefix(lead.hot.brand, lead.hot.key) + b"h"
            return Output(self._topics.profiles.name, key, _json(value), ref=ref)
        topic = self._topics.segments if to == "segments" else self._topics.conversions
        return Output(topic.name, key, _json(value))

    def _reader(self, brand: str) -> Reader:
        return self._readers.get(brand) or self._fallback

    def _scan(self, rows: Rows, after: bytes | None, most: int) -> tuple[list[LeadName], bytes | None]:
        """Return the next leads of the partition, and the key to go on after; None at the end."""
        found: list[LeadName] = []
        read = rows.scan(b"", after, most)
        for _, value in hot_rows(read):
            hot = msgspec.msgpack.decode(value, type=Hot)
            found.append((hot.brand, hot.key))
        return found, read[-1][0] if len(read) == most else None


def _count(step: Step, name: str, by: int = 1) -> None:
    step.counts[name] = step.counts.get(name, 0) + by


def _json(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value)
