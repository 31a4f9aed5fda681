"""What becomes of a record: decoded, it is a fact of a lead of this partition, or is sent to its owner, or rejected."""

from collections import Counter
from typing import Final

import orjson

from app.domain.event import REFUND_KINDS, Event, Rejected
from app.domain.facts import Fact
from app.domain.identity import owner
from app.domain.reader import NOT_YET_APPLIED
from app.engine.program import Output, Record, Step
from app.leads.commands import ForwardedEvent, decode, encode
from app.leads.lane_rules import LaneRules
from app.leads.recent import LeadName
from app.leads.rejects import rejected_record
from app.settings import Settings
from app.sources.segment import parse
from app.topics import Topics

UNREADABLE: Final = "unreadable"
"""What stands for the kind of a record that is no event, in counts."""

Facts = dict[LeadName, list[Fact]]


class Records:
    """Records that the lane of one partition reads."""

    def __init__(self, partition: int, settings: Settings, topics: Topics, rules: LaneRules) -> None:
        self._partition = partition
        self._partitions = settings.partitions
        self._prefix = settings.topic_prefix
        self._topics = topics
        self._rules = rules

    def read(self, record: Record, facts: Facts, step: Step) -> str:
        """Read a record into a fact of its lead, or send it where it belongs; return its kind."""
        event = self._parsed(record)
        if isinstance(event, Rejected):
            self.reject(record, event, step)
            return UNREADABLE
        home = owner(event.key, self._partitions)
        if home != self._partition:
            step.count("forwarded")
            command = encode(self._forwarded(record))
            step.outputs.append(Output(self._topics.commands.name, None, command, partition=home))
        else:
            self._take(event, record, facts, step)
        return event.kind

    def refuse(self, record: Record, why: Rejected, step: Step) -> bool:
        """Reject an event as it was first read, whatever it says; return whether the record is one, and no command."""
        if record.topic == self._topics.commands.name:
            command = decode(record.value)
            if isinstance(command, ForwardedEvent):
                self.reject(command.record(), why, step)
            return isinstance(command, ForwardedEvent)
        event = self._parsed(record)
        kind = UNREADABLE if isinstance(event, Rejected) else event.kind
        count_read(Counter([(record.topic, kind)]), step)
        self.reject(record, why, step)
        return True

    def reject(self, record: Record, why: Rejected, step: Step) -> None:
        """Send the original to `events.rejected`, and say why."""
        step.count("rejected")
        step.count(f"rejected.{why.reason}")
        told = rejected_record(record, record.topic.removeprefix(self._prefix), why)
        step.outputs.append(Output(self._topics.rejected.name, None, orjson.dumps(told), partition=self._partition))

    def _parsed(self, record: Record) -> Event | Rejected:
        return parse(
            record.value,
            topic=record.topic.removeprefix(self._prefix),
            partition=record.partition,
            offset=record.offset,
            record_at=record.timestamp,
        )

    def _take(self, event: Event, record: Record, facts: Facts, step: Step) -> None:
        origin = encode(self._forwarded(record)) if event.kind in REFUND_KINDS else b""
        fact = self._rules.reader(event.brand).read(event, origin)
        if isinstance(fact, Rejected):
            self.reject(record, fact, step)
            return
        if event.clamped:
            step.count("clamped")
        if event.kind in NOT_YET_APPLIED:
            step.count(f"not_applied.{event.kind}")
        facts.setdefault((event.brand, event.key), []).append(fact)

    def _forwarded(self, record: Record) -> ForwardedEvent:
        topic = record.topic.removeprefix(self._prefix)
        return ForwardedEvent(topic, record.partition, record.offset, record.timestamp, record.value or b"")


def count_read(read: Counter[tuple[str, str]], step: Step) -> None:
    """Count records where they were first read, by topic and kind."""
    if read:
        step.counts["events"] = read.total()
        step.counts |= {f"read.{topic}.{kind}": number for (topic, kind), number in read.items()}
