"""A lead with more to fold than one step holds: it is folded in portions, and nobody can tell from what comes out."""

import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.facts import Fact
from app.domain.intake import BLOCK, PREFIX, Intake, Pending
from app.domain.message_ids import MessageIds
from app.engine.program import Record
from app.leads.commands import Advance, encode
from tests.agents.test_leads_due import AT, DAY, MINUTE, TOPICS, Lane, cores, message
from tests.agents.test_leads_waiting import restarted
from tests.domain.stories import DictRows, reader
from tests.domain.ways import plain

END = AT + 30 * DAY
STEP_BYTES = 65_536
SHOP = {"default": reader(plain("goals: {purchase: {event: order_completed, value: order}}\n"))}


def arrival(number: int) -> Record:
    at = AT + number * MINUTE
    told = {
        "type": "page",
        "userId": "acme",
        "messageId": f"p{number}",
        "timestamp": at,
        "properties": {"url": f"https://shop.example/?utm_source=s{number}&utm_medium=cpc&utm_campaign=a-long-one"},
    }
    return Record(TOPICS.web.name, 0, number, at, None, json.dumps(told).encode())


def order(number: int) -> Record:
    at = AT + number * MINUTE
    told = {
        "type": "track",
        "event": "Order Completed",
        "userId": "acme",
        "messageId": f"o{number}",
        "timestamp": at,
        "properties": {"order_id": f"o{number}", "revenue": number},
    }
    return Record(TOPICS.cart.name, 0, number, at, None, json.dumps(told).encode())


@pytest.mark.parametrize("snapshot", [False, True])
def test_each_step_over_an_account_with_many_conversions_fits_a_batch(snapshot: bool) -> None:
    """30 arrivals, then 60 orders, each with the 30 in its path: some 900 kB, in steps that hold 64 KiB."""
    records = [*map(arrival, range(30)), *map(order, range(100, 160))]
    whole, parts = Lane(SHOP, replay=True), Lane(SHOP, replay=True, step_bytes=STEP_BYTES)
    for lane in (whole, parts):
        lane.take(*records)
        lane.take(Record(TOPICS.commands.name, 0, 0, END, None, encode(Advance(END, snapshot))))
    sizes = []
    while (step := parts.program.idle(parts.rows, None, 10)) is not None:
        parts.done(step)
        rows = sum(len(row or b"") for row in step.rows.values())
        sizes.append(rows + sum(len(out.value or b"") for out in step.outputs if out.ref is None))
    step = whole.program.idle(whole.rows, None, 10)
    assert step is not None
    whole.done(step)
    assert whole.program.idle(whole.rows, None, 10) is None
    assert max(sizes) < STEP_BYTES
    assert len(sizes) > 50
    assert len(parts.log("leads.conversions")["user:acme"]) == 60
    assert parts.log("leads.conversions") == whole.log("leads.conversions")
    assert cores(parts) == cores(whole)
    assert not parts.rows.scan(b"default/user:acme\x00p|")


def test_a_profile_follows_each_portion_in_which_the_lead_changed_its_group() -> None:
    lane = Lane(replay=True, step_bytes=8)
    lane.take(message(AT, "ada"), message(AT + DAY, "ada", number=1), message(AT + 9 * DAY, "ada", number=2))
    lane.advance(END)
    changes = [json.loads(out.value or b"") for out in lane.told if out.topic == TOPICS.segments.name]
    assert {change["at"][:10] for change in changes} >= {"2026-01-01", "2026-01-02", "2026-01-10"}
    told = [(out.topic, json.loads(out.value or b"")["segments"]) for out in lane.told]
    last_change = max(n for n, (topic, _) in enumerate(told) if topic == TOPICS.segments.name)
    assert told[last_change + 1 :] == [(TOPICS.profiles.name, told[last_change][1])]


def snapshots(lane: Lane) -> list[str]:
    """Whose profile was told as of the end, in that order."""
    profiles = [json.loads(out.value or b"") for out in lane.told if out.topic == TOPICS.profiles.name]
    return [told["lead_id"] for told in profiles if told["at"] == "2026-01-31T00:00:00.000Z"]


DOINGS = st.lists(st.sampled_from(["step", "step", "step", "drop", "restart", "more"]), max_size=40)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1_000), st.sampled_from([8, 4_000, 8_000, 40_000]), DOINGS)
def test_portions_of_any_size_fold_what_one_step_folds(seed: int, step_bytes: int, doings: list[str]) -> None:
    """Also when steps are dropped, the lane is restarted between them, and new events come meanwhile."""
    chance = random.Random(seed)
    leads = ["ada", "bob", "cy"]
    moments = [(AT + n * 90 * MINUTE, leads[n % 3 if n % 5 else 0], n) for n in range(200)]
    kinds = ["page", "page", "page", "Conversation Started", "Complained"]
    records = [message(at, who, chance.choice(kinds), n) for at, who, n in moments]
    later = [message(END + n * MINUTE, chance.choice(leads), "page", 1_000 + n) for n in range(40)]
    chance.shuffle(records)
    whole, parts = Lane(replay=True), Lane(replay=True, step_bytes=step_bytes)
    for lane in (whole, parts):
        lane.take(*records)
    whole.advance(END, snapshot=True)
    parts.take(Record(TOPICS.commands.name, 0, 0, END, None, encode(Advance(END, snapshot=True))))
    came = []
    for doing in doings:
        if doing == "step" and (step := parts.program.idle(parts.rows, None, 2)) is not None:
            parts.done(step)
        elif doing == "drop":
            parts.program.idle(parts.rows, None, 2)
        elif doing == "restart":
            parts = restarted(parts, replay=True, step_bytes=step_bytes)
        elif doing == "more" and later:
            came.append(later.pop())
            parts.take(came[-1])
    while (step := parts.program.idle(parts.rows, None, 2)) is not None:
        parts.done(step)
    assert snapshots(parts) == snapshots(whole), "one profile of each lead at the end"
    for lane in (whole, parts):
        lane.take(*(came if lane is whole else []))
        lane.advance(END + DAY, snapshot=True)
    for topic in ("leads.segments", "leads.conversions"):
        assert parts.log(topic) == whole.log(topic)
    for lead, told in whole.log("leads.profiles").items():
        assert parts.log("leads.profiles")[lead][-1] == told[-1]
    assert cores(parts) == cores(whole)
    assert not [key for key, _ in parts.rows.scan(b"") if b"\x00p|" in key]


def test_an_event_that_comes_between_portions_waits_with_those_that_are_left_however_early_it_is() -> None:
    rows = DictRows()
    first = Intake(MessageIds(), pending := Pending(), rows)
    facts = [Fact(at=AT + n, id=f"f{n:02}", kind="page_viewed", day=AT) for n in range(3 * BLOCK)]
    for fact in facts:
        first.add(fact)
    first.save()
    second = Intake(MessageIds(), pending, rows)
    assert second.take(AT + DAY) == facts
    second.leave(facts[40])
    second.save()
    assert pending.earliest == AT + 40
    third = Intake(MessageIds(), pending, rows)
    early = Fact(at=AT + 7, id="early", kind="page_viewed", day=AT)
    third.add(early)
    third.save()
    assert pending.earliest == AT + 7
    fourth = Intake(MessageIds(), pending, rows)
    assert fourth.take(AT + DAY) == [early, *facts[40:]]
    fourth.save()
    assert (pending.earliest, len(pending.facts)) == (None, 0)
    assert not [name for name in rows if name.startswith(PREFIX)]
    fifth = Intake(MessageIds(), pending, rows)
    fifth.add(early)
    fifth.save()
    assert Intake(MessageIds(), pending, rows).take(AT + DAY) == [early], "no mark is left"
