"""The program of a lane, over rows in a dict."""

import json
from pathlib import Path
from typing import Any

from app.domain.identity import owner
from app.domain.reader import Reader
from app.engine.program import Output, Record, Step
from app.leads.commands import Advance, ForwardedEvent, decode, encode
from app.leads.program import LeadProgram
from app.rules import load
from app.settings import Settings
from app.topics import topics
from tests.engine.simdisk import Disk, MemoryRows

SETTINGS = Settings(partitions=4)
TOPICS = topics(SETTINGS)
READERS = {"default": Reader(load(Path(__file__).parents[1] / "rules" / "shop.yaml"))}
AT = 1_767_225_600_000  # 2026-01-01T00:00:00Z
HERE = 1


class DictRows(MemoryRows):
    """Rows of a partition in memory."""

    def __init__(self) -> None:
        self.disk = Disk()
        super().__init__(self.disk)

    def store(self, step: Step) -> list[Output]:
        self.put(step.rows)
        assert step.commit is not None
        step.commit()
        return step.outputs


def user_of(partition: int) -> str:
    return next(name for n in range(100) if owner(f"user:{(name := f'u{n}')}", 4) == partition)


def page(offset: int, user: str, **more: Any) -> Record:
    at = AT + offset * 60_000
    message = {"type": "page", "userId": user, "messageId": f"m{offset}", "timestamp": at, **more}
    value = json.dumps(message | {"properties": {"url": f"https://shop.example/p{offset}"}}).encode()
    return Record(TOPICS.web.name, HERE, offset, at, None, value)


def program(**changes: Any) -> LeadProgram:
    return LeadProgram(HERE, Settings(partitions=4, **changes), TOPICS, READERS)


def profiles(outputs: list[Output]) -> list[dict[str, Any]]:
    return [json.loads(out.value or b"") for out in outputs if out.topic == TOPICS.profiles.name]


def test_a_step_that_is_dropped_and_asked_again_in_halves_counts_each_event_once() -> None:
    records = [page(offset, user_of(HERE)) for offset in range(6)]
    whole, halves = program(), program()
    rows, rows_of_halves = DictRows(), DictRows()
    rows.store(whole.step(records[:2], rows))
    rows_of_halves.store(halves.step(records[:2], rows_of_halves))
    rows.store(whole.step(records[2:], rows))
    halves.step(records[2:], rows_of_halves)  # too large: dropped
    rows_of_halves.store(halves.step(records[2:4], rows_of_halves))
    rows_of_halves.store(halves.step(records[4:], rows_of_halves))
    command = Record(TOPICS.commands.name, HERE, 0, AT, None, encode(Advance(AT + 3_600_000, snapshot=True)))
    seen = []
    for lane, its_rows in ((whole, rows), (halves, rows_of_halves)):
        its_rows.store(lane.step([command], its_rows))
        step = lane.idle(its_rows, None, 100)
        assert step is not None
        (profile,) = profiles(its_rows.store(step))
        seen.append({name: value for name, value in profile.items() if name != "seq"})
    assert seen[0] == seen[1]
    assert seen[0]["visit_seconds"] == 300.0


def test_an_event_of_another_partitions_lead_is_sent_to_its_owner_as_it_was_read() -> None:
    record = page(7, user_of(2))
    step = program().step([record], DictRows())
    (out,) = step.outputs
    assert (out.topic, out.partition) == (TOPICS.commands.name, 2)
    assert decode(out.value) == ForwardedEvent("events.web", HERE, 7, record.timestamp, record.value or b"")
    assert step.counts["forwarded"] == 1
    assert not step.rows


def test_a_forwarded_event_without_an_id_is_named_by_where_it_was_first_read() -> None:
    record = page(7, user_of(HERE), messageId=None)
    forwarded = ForwardedEvent("events.web", 3, 7, record.timestamp, record.value or b"")
    commands = [Record(TOPICS.commands.name, HERE, offset, AT, None, encode(forwarded)) for offset in (0, 1)]
    step = program().step(commands, DictRows())
    change = next(json.loads(out.value or b"") for out in step.outputs if out.topic == TOPICS.segments.name)
    assert change["cause"]["event_id"] == "events.web-3-7"
    assert step.counts["duplicates"] == 1
    assert "events" not in step.counts


def test_a_command_that_nobody_knows_is_rejected_and_the_stream_goes_on() -> None:
    rows = DictRows()
    unknown = Record(TOPICS.commands.name, HERE, 0, AT, None, b"\xc1")
    outputs = rows.store(program().step([unknown, page(1, user_of(HERE))], rows))
    (rejected,) = [json.loads(out.value or b"") for out in outputs if out.topic == TOPICS.rejected.name]
    assert (rejected["reason"], rejected["topic"], rejected["raw_bytes"]) == ("bad_field", "leads.commands", 1)
    assert profiles(outputs)


def test_an_event_whose_time_is_its_records_because_it_was_too_far_ahead_is_counted() -> None:
    def ahead(offset: int, ms: int) -> Record:
        return page(offset, user_of(HERE), timestamp=AT + offset * 60_000 + ms)

    step = program().step([ahead(0, 300_000), ahead(1, 300_001), ahead(2, 86_400_000)], DictRows())
    assert step.counts["clamped"] == 2


def test_an_event_that_is_refused_is_rejected_whole_and_its_lead_stays_as_it_was() -> None:
    user = user_of(HERE)
    refused = page(1, user)
    told = []
    for with_it in (True, False):
        rows, lane = DictRows(), program()
        rows.store(lane.step([page(0, user)], rows))
        before = dict(rows.disk.rows)
        if with_it:
            lane.step([refused], rows)  # too large for a batch: dropped
            step = lane.refuse(refused, rows, 12_000_000, 10_485_760)
            assert step is not None
            (out,) = rows.store(step)
            assert rows.disk.rows == before
            assert step.counts == {
                "rejected": 1,
                "rejected.too_large": 1,
                "events": 1,
                "read.events.web.page_viewed": 1,
            }
            rejected = json.loads(out.value or b"")
            assert (out.topic, rejected["reason"]) == (TOPICS.rejected.name, "too_large")
            assert "12000000 bytes" in rejected["detail"]
            assert "10485760" in rejected["detail"]
            assert (rejected["topic"], rejected["offset"]) == ("events.web", 1)
            assert rejected["raw"].encode() == refused.value
        told.append(rows.store(lane.step([page(2, user)], rows)))
    assert told[0] == told[1]


def test_a_forwarded_event_that_is_refused_is_rejected_as_it_was_first_read() -> None:
    record = page(7, user_of(HERE))
    forwarded = ForwardedEvent("events.web", 3, 7, record.timestamp, record.value or b"")
    command = Record(TOPICS.commands.name, HERE, 40, AT + 1, None, encode(forwarded))
    step = program().refuse(command, DictRows(), 12_000_000, 10_485_760)
    assert step is not None
    (rejected,) = [json.loads(out.value or b"") for out in step.outputs]
    assert (rejected["reason"], rejected["topic"]) == ("too_large", "events.web")
    assert (rejected["partition"], rejected["offset"]) == (3, 7)
    assert rejected["raw"].encode() == record.value
    assert step.counts == {"rejected": 1, "rejected.too_large": 1}


def test_only_events_can_be_refused() -> None:
    for value in (encode(Advance(AT)), b"\xc1"):
        command = Record(TOPICS.commands.name, HERE, 0, AT, None, value)
        assert program().refuse(command, DictRows(), 12_000_000, 10_485_760) is None


def test_a_brand_without_rules_of_its_own_falls_under_the_default_and_keeps_its_name() -> None:
    rows = DictRows()
    outputs = rows.store(program().step([page(0, user_of(HERE), context={"brand": "north"})], rows))
    (profile,) = profiles(outputs)
    assert profile["brand"] == "north"
    assert {out.key for out in outputs} == {f"north/user:{user_of(HERE)}".encode()}


def test_a_profile_is_rendered_again_byte_for_byte() -> None:
    rows = DictRows()
    lane = program()
    outputs = rows.store(lane.step([page(offset, user_of(HERE)) for offset in range(3)], rows))
    (sent,) = [out for out in outputs if out.topic == TOPICS.profiles.name]
    assert sent.ref is not None
    again = program().render(sent.ref, rows)
    assert (again.key, again.value) == (sent.key, sent.value)


def test_in_a_replay_nothing_is_folded_before_it_is_told_to() -> None:
    rows = DictRows()
    lane = program(replay=True)
    assert rows.store(lane.step([page(1, user_of(HERE)), page(0, user_of(HERE))], rows)) == []
    assert lane.idle(rows, None, 100) is None
    command = Record(TOPICS.commands.name, HERE, 0, AT, None, encode(Advance(AT + 30_000)))
    rows.store(lane.step([command], rows))
    step = lane.idle(rows, None, 100)
    assert step is not None
    changes = [json.loads(out.value or b"") for out in rows.store(step) if out.topic == TOPICS.segments.name]
    assert [change["cause"]["event_id"] for change in changes] == ["m0"]
