"""Leads that time moves, over rows in a dict: without events, exactly then, and as one leap of time would move them."""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.reader import Reader
from app.engine.due import due_of
from app.engine.program import Output, Record, Step
from app.leads.commands import Advance, encode
from app.leads.program import LeadProgram
from app.rules import loads
from app.settings import Settings
from app.topics import topics
from tests.engine.onepiece import leads_in
from tests.engine.simdisk import Disk, MemoryRows

SETTINGS = Settings(partitions=1)
TOPICS = topics(SETTINGS)
AT = 1_767_225_600_000  # 2026-01-01T00:00:00Z
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
RULES = """
version: t1
signals:
  view: {event: page_viewed, points: 10, half_life: 1d}
  talk: {event: conversation, points: 40, half_life: 2d}
  complaint: {event: "Complained", points: -15, half_life: 12h}
scores:
  engagement: {signals: all, min: 0}
  total: {engagement: 1}
stages:
  - {name: new}
  - {name: warm, enter: {score: {ge: 15}}, exit: {score: {lt: 5}}, min_stay: 1h}
  - {name: hot, enter: {score: {ge: 40}}}
segments:
  here: {enter: {did: page_viewed, within: 30m}}
  silent: {enter: {last: any, older_than: 2d}}
  gone: {enter: {all: [{last: any, older_than: 3d}, {stage: new}]}}
  often: {enter: {did: page_viewed, at_least: 3, within: 1d}, cooldown: 2d}
goals:
  mql: {stage: hot, value: 100}
"""
READERS = {"default": Reader(loads(RULES))}


class Lane:
    """A program, its rows, and what it told."""

    def __init__(self, readers: Mapping[str, Reader] = READERS, **changes: Any) -> None:
        self.program = LeadProgram(0, Settings(partitions=1, **changes), TOPICS, readers)
        self.rows = MemoryRows(Disk())
        self.told: list[Output] = []
        self.wrote: list[set[bytes]] = []

    def done(self, step: Step) -> Step:
        self.rows.put(step.rows)
        self.wrote.append(set(step.rows))
        self.told += step.outputs
        assert step.commit is not None
        step.commit()
        return step

    def take(self, *records: Record) -> None:
        self.done(self.program.step(records, self.rows))

    def advance(self, to: int, *, snapshot: bool = False) -> None:
        self.take(Record(TOPICS.commands.name, 0, 0, to, None, encode(Advance(to, snapshot))))
        while (step := self.program.idle(self.rows, None, 2)) is not None:
            self.done(step)

    def tick(self, clock: int, most: int = 100) -> list[Step]:
        """All steps that the lane's clock calls for."""
        steps = []
        while (step := self.program.idle(self.rows, clock, most)) is not None:
            steps.append(self.done(step))
        return steps

    def log(self, topic: str = "leads.segments") -> dict[str, list[dict[str, Any]]]:
        """What was told of each lead, in its order, without the numbers that profiles have part in."""
        found = defaultdict(list)
        for out in self.told:
            if out.topic == topic:
                record = json.loads(out.value or b"")
                found[record["lead_id"]].append({name: value for name, value in record.items() if name != "seq"})
        return dict(found)

    def moves(self, lead: str) -> list[tuple[str, str, list[str], list[str]]]:
        return [(r["at"], r["cause"]["kind"], r["entered"], r["left"]) for r in self.log()[lead]]


def message(at: int, user: str, kind: str = "page", number: int = 0) -> Record:
    value: dict[str, Any] = {"type": "track", "event": kind, "userId": user, "timestamp": at}
    if kind == "page":
        value = {**value, "type": "page", "properties": {"url": "https://shop.example/"}}
    value["messageId"] = f"{user}-{at}-{number}"
    return Record(TOPICS.web.name, 0, number, at, None, json.dumps(value).encode())


def test_a_lead_leaves_at_the_moment_itself_however_late_the_clock_comes_to_it() -> None:
    lane = Lane()
    lane.take(message(AT, "ada"))
    assert lane.tick(AT + 30 * MINUTE - 1) == []
    (step,) = lane.tick(AT + 31 * MINUTE)
    assert step.due == [AT + 30 * MINUTE]
    assert step.counts["due"] == 1
    assert lane.moves("user:ada") == [
        ("2026-01-01T00:00:00.000Z", "event", ["here"], []),
        ("2026-01-01T00:30:00.000Z", "timer", [], ["here"]),
    ]
    assert lane.tick(AT + 31 * MINUTE) == [], "once"


def test_all_that_time_brings_until_the_clock_is_told_each_at_its_moment() -> None:
    lane = Lane()
    lane.take(message(AT, "ada"))
    lane.tick(AT + 4 * DAY)
    assert lane.moves("user:ada")[1:] == [
        ("2026-01-01T00:30:00.000Z", "timer", [], ["here"]),
        ("2026-01-03T00:00:00.000Z", "timer", ["silent"], []),
        ("2026-01-04T00:00:00.000Z", "timer", ["gone"], []),
    ]
    assert lane.rows.next_due() is None, "nothing else can come of time alone"


def test_an_event_that_keeps_a_lead_in_its_group_moves_its_time() -> None:
    lane = Lane()
    lane.take(message(AT, "ada"))
    lane.take(message(AT + 20 * MINUTE, "ada"))
    assert lane.tick(AT + 40 * MINUTE) == []
    assert lane.rows.next_due() == AT + 50 * MINUTE


def test_without_a_known_clock_and_in_a_replay_no_lead_is_taken() -> None:
    lane = Lane()
    lane.take(message(AT, "ada"))
    assert lane.program.idle(lane.rows, None, 100) is None
    replay = Lane(replay=True)
    replay.take(message(AT, "ada"))
    replay.advance(AT + MINUTE)
    assert replay.rows.next_due() == AT + 30 * MINUTE
    assert replay.program.idle(replay.rows, AT + DAY, 100) is None


def test_a_worker_that_goes_on_after_a_replay_takes_what_is_due() -> None:
    replay, live = Lane(replay=True), Lane()
    replay.take(message(AT, "ada"))
    replay.advance(AT + MINUTE, snapshot=True)
    live.rows = replay.rows
    live.tick(AT + HOUR)
    assert live.moves("user:ada") == [("2026-01-01T00:30:00.000Z", "timer", [], ["here"])]


def test_facts_that_a_replay_left_unfolded_are_due_in_their_time() -> None:
    replay, live = Lane(replay=True), Lane()
    replay.take(message(AT, "ada"))
    live.rows = replay.rows
    assert live.tick(AT - 1) == []
    live.tick(AT)
    assert live.moves("user:ada") == [("2026-01-01T00:00:00.000Z", "event", ["here"], [])]


def test_no_more_leads_are_taken_in_a_step_than_asked_the_earliest_first() -> None:
    lane = Lane()
    lane.take(*(message(AT + n, f"u{n}", number=n) for n in range(7)))
    steps = lane.tick(AT + HOUR, most=3)
    assert [len(step.due) for step in steps] == [3, 3, 1]
    assert [at for step in steps for at in step.due] == [AT + n + 30 * MINUTE for n in range(7)]


def test_a_step_that_is_dropped_and_asked_again_with_less_takes_each_lead_once() -> None:
    lane = Lane()
    lane.take(*(message(AT, f"u{n}", number=n) for n in range(4)))
    assert lane.program.idle(lane.rows, AT + HOUR, 4) is not None  # too large: dropped
    lane.tick(AT + HOUR, most=2)
    assert [len(records) for records in lane.log().values()] == [2] * 4


def test_an_advance_of_a_live_lane_takes_and_writes_only_what_is_due() -> None:
    lane = Lane()
    lane.take(message(AT, "ada"), message(AT + HOUR, "bob", number=1))
    lane.wrote.clear()
    lane.advance(AT + HOUR)
    assert set().union(*lane.wrote) == {b"default/user:ada\x00h", b"\x01sweep"}
    assert list(lane.log()["user:ada"][-1]["left"]) == ["here"]
    assert len(lane.log()["user:bob"]) == 1


def test_a_lead_that_an_advance_does_not_change_is_not_written() -> None:
    lane = Lane(replay=True)
    lane.take(message(AT, "ada"), message(AT + HOUR, "bob", number=1))
    lane.wrote.clear()
    lane.advance(AT + MINUTE)
    assert {key for keys in lane.wrote[1:] for key in keys} == {b"default/user:ada\x00h", b"\x01sweep"}
    lane.advance(AT + HOUR, snapshot=True)
    assert len(lane.log()["user:bob"]) == 1


def test_each_rows_time_is_the_next_change_that_its_lead_has_announced() -> None:
    lane = Lane()
    lane.take(message(AT, "ada"))
    (profile,) = lane.log("leads.profiles")["user:ada"]
    assert profile["next_change_at"] == "2026-01-01T00:30:00.000Z"
    assert due_of(lane.rows.get(b"default/user:ada\x00h")) == AT + 30 * MINUTE


KINDS = st.sampled_from(["page", "page", "Call Completed", "Complained"])
GAPS = st.sampled_from([0, 1, MINUTE, 29 * MINUTE, 30 * MINUTE, 5 * HOUR, DAY, 2 * DAY, 3 * DAY, 8 * DAY])
TOLD = st.lists(st.tuples(st.sampled_from(["ada", "bob"]), KINDS, GAPS), min_size=1, max_size=12)
TICKS = st.lists(st.sampled_from([1, MINUTE, 17 * MINUTE, HOUR, 7 * HOUR, DAY, 5 * DAY]), max_size=25)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TOLD, TICKS, st.integers(1, 3))
def test_a_stepping_clock_gives_the_log_of_one_leap_at_the_end(
    told: list[tuple[str, str, int]], ticks: list[int], most: int
) -> None:
    """Profiles are not of the log: a leap tells the last one only."""
    records, at = [], AT
    for number, (user, kind, gap) in enumerate(told):
        at += gap
        records.append(message(at, user, kind, number))
    end = at + 20 * DAY
    stepping, leaping = Lane(), Lane()
    clock, left = AT - HOUR, list(records)
    for tick in ticks:
        clock += tick
        while left and left[0].timestamp <= clock:
            stepping.take(left.pop(0))
        stepping.tick(clock, most)
    for record in left:
        stepping.take(record)
    stepping.tick(end, most)
    for record in records:
        leaping.take(record)
    leaping.advance(end, snapshot=True)  # of all leads, whether the index has them or not
    for topic in ("leads.segments", "leads.conversions"):
        assert stepping.log(topic) == leaping.log(topic)
    assert cores(stepping) == cores(leaping)


def cores(lane: Lane) -> dict[tuple[str, str], Any]:
    """What folding made of each lead, without what was told of it."""
    return {name: core for name, (core, _) in leads_in(dict(lane.rows.scan(b""))).items()}
