"""Rules that change in a lane, over rows in a dict: from one point of its input on, and through every crash."""

import json
from typing import Any

from app.domain.reader import Reader
from app.engine.program import Output, Record, Step
from app.leads.commands import Advance, Switch, encode
from app.leads.inforce import Given
from app.leads.program import LeadProgram
from app.rules import loads
from app.rules.version import Version
from app.settings import Settings
from app.topics import topics
from tests.engine.simdisk import Disk, MemoryRows

SETTINGS = Settings(partitions=1)
TOPICS = topics(SETTINGS)
AT = 1_767_225_600_000  # 2026-01-01T00:00:00Z
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
RULES = """
version: {version}
brand: {brand}
signals: {{view: {{event: page_viewed, points: {points}}}}}
scores: {{engagement: {{signals: all}}, total: {{engagement: 1}}}}
stages: [{{name: new}}, {{name: hot, enter: {{score: {{ge: 20}}}}}}]
"""


def text(version: str = "v1", points: int = 5, brand: str = "default") -> str:
    return RULES.format(version=version, points=points, brand=brand)


def given(*texts: str, **rest: Any) -> Given:
    rules = [loads(one) for one in texts]
    return Given({one.brand: Reader(one) for one in rules}, **rest)


def switch(version: str = "v2", points: int = 25, brand: str = "default", at: int = AT + HOUR) -> Switch:
    return Switch(at, Version(brand, version, text(version, points, brand)))


class Lane:
    """A program, its rows, and what it told."""

    def __init__(self, known: Given | None = None, rows: MemoryRows | None = None, **changes: Any) -> None:
        settings = Settings(partitions=1, **changes)
        self.program = LeadProgram(0, settings, TOPICS, known if known is not None else given(text()))
        self.rows = rows if rows is not None else MemoryRows(Disk())
        self.program.opened(self.rows)
        self.told: list[Output] = []
        self.sizes: list[int] = []
        self.offset = 0

    def done(self, step: Step) -> Step:
        self.rows.put(step.rows)
        self.told += step.outputs
        self.sizes.append(step.counts.get("followed", 0))
        assert step.commit is not None
        step.commit()
        return step

    def take(self, *records: Record) -> Step:
        return self.done(self.program.step(records, self.rows))

    def rest(self, clock: int, most: int = 100) -> "Lane":
        while (step := self.program.idle(self.rows, clock, most)) is not None:
            self.done(step)
        return self

    def log(self, topic: str = "leads.segments") -> list[dict[str, Any]]:
        return [json.loads(out.value or b"") for out in self.told if out.topic == topic]

    def changes(self) -> list[tuple[str, str, str, str]]:
        """Lead, cause, stage and rules of every change."""
        return [(c["lead_id"][5:], c["cause"]["kind"], c["stage"], c["rules_version"]) for c in self.log()]


def view(user: str, at: int = AT, brand: str | None = None, number: int = 0) -> Record:
    context = {"brand": brand} if brand else {}
    message = {"type": "page", "userId": user, "messageId": f"{user}{at}{number}", "timestamp": at, "context": context}
    return Record(TOPICS.web.name, 0, number, at, None, json.dumps(message).encode())


def command(one: Switch | Advance, at: int = AT + HOUR) -> Record:
    return Record(TOPICS.commands.name, 0, 0, at, None, encode(one))


def test_what_stands_before_a_switch_is_folded_with_the_old_rules_and_what_follows_with_the_new() -> None:
    lane = Lane()
    lane.take(view("ada"), view("bob"), command(switch()), view("bob", number=1), view("cy"))
    assert lane.changes() == [
        ("ada", "event", "new", "v1"),
        ("bob", "event", "new", "v1"),
        ("bob", "rules", "hot", "v2"),
        ("cy", "event", "hot", "v2"),
    ]


def test_the_leads_follow_when_the_lanes_clock_is_there() -> None:
    lane = Lane()
    lane.take(view("ada"), view("bob"), command(switch()))
    assert len(lane.rest(AT + HOUR - 1).log()) == 2
    assert lane.rest(AT + HOUR).changes()[2:] == [("ada", "rules", "hot", "v2"), ("bob", "rules", "hot", "v2")]
    assert [change["at"] for change in lane.log()[2:]] == ["2026-01-01T01:00:00.000Z"] * 2
    assert [profile["stage"] for profile in lane.log("leads.profiles")[2:]] == ["hot", "hot"]
    assert len(lane.rest(AT + DAY).log()) == 4, "once"


def test_a_repeat_and_an_older_version_change_nothing() -> None:
    lane = Lane()
    lane.take(view("ada"), command(switch()))
    lane.rest(AT + DAY)
    before = dict(lane.rows.scan(b""))
    for again in (switch(), switch("v0", 1, at=AT + HOUR - 1), switch("v2", at=AT + 2 * HOUR)):
        lane.take(command(again))
        lane.rest(AT + DAY)
    assert len(lane.log()) == 2
    kept = {key for key, row in lane.rows.scan(b"") if before.get(key) != row}
    assert kept <= {b"\x01rules", b"\x01rules|default"}, "only when it was published is another"
    # It was published again after all of these: what is older than that is void.
    lane.take(command(switch("v3", 1, at=AT + 2 * HOUR - 1)))
    assert lane.rest(AT + DAY).changes()[2:] == []


def test_a_walk_is_taken_in_small_steps_and_goes_on_after_a_crash() -> None:
    people = [f"u{n:02}" for n in range(25)]
    lane = Lane()
    lane.take(*(view(name) for name in people))
    lane.take(command(switch()))
    step = lane.program.idle(lane.rows, AT + DAY, 4)
    assert step is not None
    lane.done(step)
    lost = lane.program.idle(lane.rows, AT + DAY, 4)
    assert lost is not None
    assert 0 < lost.counts["followed"] <= 8
    other = Lane(rows=lane.rows).rest(AT + DAY, most=4)
    assert max(other.sizes) <= 8
    assert [change[0] for change in lane.changes()[25:] + other.changes()] == people
    assert {change[1:] for change in other.changes()} == {("rules", "hot", "v2")}


def test_a_lead_that_an_event_has_settled_is_not_settled_again() -> None:
    lane = Lane()
    lane.take(view("ada"), command(switch()))
    lane.take(view("ada", AT + 2 * HOUR))
    assert lane.changes()[1:] == [("ada", "rules", "hot", "v2")]
    lane.rest(AT + DAY)
    assert lane.sizes[-1] == 0
    assert len(lane.log()) == 2


def test_due_leads_go_before_those_that_follow() -> None:
    timed = text() + "segments: {here: {enter: {did: view, within: 1d}}}\n"
    lane = Lane(given(timed))
    lane.take(view("ada"), command(Switch(AT + HOUR, Version("default", "v2", timed.replace("v1", "v2")))))
    step = lane.program.idle(lane.rows, AT + 2 * DAY, 10)
    assert step is not None
    assert (step.counts, step.due) == ({"due": 1, "segment_changes": 1}, [AT + DAY])


def test_a_step_that_is_dropped_and_asked_again_in_halves_switches_once() -> None:
    records = [view("ada"), command(switch()), view("bob"), view("cy")]
    lane = Lane()
    lane.program.step(records, lane.rows)  # too large: dropped
    lane.take(*records[:2])
    lane.take(*records[2:])
    assert [change[3] for change in lane.changes()] == ["v1", "v2", "v2"]


def test_a_profile_is_sent_again_as_it_was_whatever_rules_the_next_worker_brings() -> None:
    lane = Lane()
    lane.take(view("ada"))
    (sent,) = [out for out in lane.told if out.topic == TOPICS.profiles.name]
    assert sent.ref is not None
    for known in (
        given(text("v9", 99)),
        given(text("n1", 99, "north")),
        given(text(), published={"default": switch()}),
    ):
        again = LeadProgram(0, SETTINGS, TOPICS, known).render(sent.ref, lane.rows)
        assert (again.key, again.value) == (sent.key, sent.value)


def test_profiles_of_both_sides_of_a_switch_are_sent_again_as_they_were() -> None:
    lane = Lane()
    lane.take(view("ada"), view("bob"), command(switch()), view("ada", number=1))
    sent = [out for out in lane.told if out.topic == TOPICS.profiles.name]
    assert [json.loads(out.value or b"")["rules_version"] for out in sent] == ["v1", "v1", "v2"]
    assert [out.ref is None for out in sent] == [True, True, False], "those from before are kept whole"
    again = LeadProgram(0, SETTINGS, TOPICS, given(text("v9", 99))).render(sent[2].ref or b"", lane.rows)
    assert again.value == sent[2].value


def test_what_was_published_holds_against_the_file_of_a_later_start() -> None:
    lane = Lane()
    lane.take(view("ada"), command(switch()))
    files = (given(text()), given(text("v7", 1), started=AT + DAY), given(text(), published={"default": switch()}))
    for number, known in enumerate(files):
        later = Lane(known, lane.rows)
        later.take(view(f"bob{number}"))
        assert later.changes()[0][2:] == ("hot", "v2")


def test_a_lane_without_rows_begins_with_what_was_published() -> None:
    lane = Lane(given(text(), published={"default": switch()}))
    lane.take(view("ada"), command(switch("v1", 5, at=AT)), command(switch()), view("bob"))
    assert lane.changes() == [("ada", "event", "hot", "v2"), ("bob", "event", "hot", "v2")]


def test_a_switch_that_a_lane_has_not_read_yet_is_waited_for() -> None:
    lane = Lane()
    lane.take(view("ada"))
    later = Lane(given(text(), published={"default": switch()}), lane.rows)
    later.take(view("bob"))
    assert later.changes() == [("bob", "event", "new", "v1")]
    later.take(command(switch()), view("cy"))
    assert later.changes()[1:] == [("cy", "event", "hot", "v2")]


def test_another_file_of_a_brand_that_was_never_published_is_a_change_of_rules_too() -> None:
    lane = Lane()
    lane.take(view("ada"))
    same = Lane(given(text(), started=AT + HOUR), lane.rows)
    assert same.rest(AT + DAY).told == []
    later = Lane(given(text("v2", 25), started=AT + HOUR), lane.rows).rest(AT + DAY)
    assert later.changes() == [("ada", "rules", "hot", "v2")]
    assert later.log()[0]["at"] == "2026-01-01T01:00:00.000Z"
    again = Lane(given(text("v2", 25), started=AT + DAY), lane.rows).rest(AT + 2 * DAY)
    assert again.told == []


def test_publishing_for_one_brand_touches_no_other() -> None:
    lane = Lane(given(text(), text("n1", 5, "north")))
    lane.take(view("ada"), view("bob", brand="north"), view("cy", brand="south"), view("dot", brand="northern"))
    lane.take(command(switch("n2", 25, "north")))
    lane.rest(AT + DAY)
    assert lane.changes()[4:] == [("bob", "rules", "hot", "n2")]
    assert lane.sizes[-1] == 1
    lane.take(command(switch("v2", 25, at=AT + 2 * HOUR)))
    assert sorted(lane.rest(AT + DAY).changes()[5:]) == [(name, "rules", "hot", "v2") for name in ("ada", "cy", "dot")]


def test_a_brand_gets_rules_of_its_own_by_publishing_them() -> None:
    lane = Lane()
    lane.take(view("ada"), view("bob", brand="north"), command(switch("n1", 25, "north")), view("cy", brand="north"))
    assert lane.rest(AT + DAY).changes()[2:] == [("cy", "event", "hot", "n1"), ("bob", "rules", "hot", "n1")]
    assert lane.program.brands == ("default", "north")
    assert Lane(rows=lane.rows).program.brands == ("default", "north")


def test_rules_that_this_version_cannot_use_are_rejected_and_those_in_force_stay() -> None:
    lane = Lane()
    bad = Switch(AT, Version("default", "v2", text("v2").replace("points", "pints")))
    other = Switch(AT, Version("default", "v3", text("v2")))
    lane.take(view("ada"), command(bad), command(other), view("bob"))
    assert [change[3] for change in lane.changes()] == ["v1", "v1"]
    rejected = lane.log("events.rejected")
    assert [one["reason"] for one in rejected] == ["bad_field", "bad_field"]
    assert "pints" in rejected[0]["detail"]


def test_a_replay_settles_a_lead_when_it_is_advanced() -> None:
    lane = Lane(replay=True)
    lane.take(view("ada"), command(Advance(AT + MINUTE)))
    lane.rest(0)
    lane.take(command(switch()))
    assert len(lane.rest(AT + DAY).log()) == 1
    lane.take(command(Advance(AT + 2 * HOUR, snapshot=True)))
    assert lane.rest(AT + DAY).changes()[1:] == [("ada", "rules", "hot", "v2")]
