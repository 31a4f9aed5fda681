"""Facts that wait for `advance` in a replay: written once each, and there after anything that may happen meanwhile."""

import random
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.intake import BLOCK
from app.engine.due import due_of
from app.engine.program import Record
from tests.agents.test_leads_due import AT, DAY, HOUR, MINUTE, Lane, cores, message

HOT = b"default/user:ada\x00h"
END = AT + 30 * DAY


def waiting_rows(lane: Lane) -> list[bytes]:
    return [key for key, _ in lane.rows.scan(b"default/user:ada\x00p|")]


def restarted(lane: Lane, **changes: Any) -> Lane:
    """Another program over the rows of a lane, and what was told so far."""
    again = Lane(**changes)
    again.rows, again.told = lane.rows, lane.told
    again.program.opened(again.rows)
    return again


def pages(*minutes: int) -> list[Record]:
    return [message(AT + minute * MINUTE, "ada", number=minute) for minute in minutes]


def test_what_a_step_writes_does_not_grow_with_the_facts_that_wait() -> None:
    lane, sizes = Lane(replay=True), []
    for start in range(0, 1_280, 10):
        step = lane.done(lane.program.step(pages(*range(start, start + 10)), lane.rows))
        sizes.append(sum(len(key) + len(row or b"") for key, row in step.rows.items()))
    first, last = sizes[32:64], sizes[-32:]  # the tails of ids and facts are full anew every 32 steps
    assert max(last) < 1.02 * max(first)
    assert sum(last) < 1.02 * sum(first)


def test_live_facts_are_never_written_down_to_wait() -> None:
    lane = Lane()
    lane.take(*pages(*range(2 * BLOCK)))
    assert not waiting_rows(lane)
    replay = Lane(replay=True)
    replay.take(*pages(*range(2 * BLOCK)))
    assert len(waiting_rows(replay)) == 2


def test_facts_wait_through_restarts_and_those_later_than_an_advance_go_on_waiting() -> None:
    """Ada's 100 page views come latest first; half of them are folded, then the rest."""
    minutes = list(range(100))[::-1]
    lane = Lane(replay=True)
    for start in range(0, 100, 7):
        lane.take(*pages(*minutes[start : start + 7]))
    assert len(waiting_rows(lane)) == 100 // BLOCK
    assert due_of(lane.rows.get(HOT)) == AT

    lane = restarted(lane, replay=True)
    lane.advance(AT + 49 * MINUTE, snapshot=True)
    assert len(waiting_rows(lane)) == 50 // BLOCK
    (half,) = lane.log("leads.profiles")["user:ada"]
    assert (half["last_seen"], half["visit_seconds"]) == ("2026-01-01T00:49:00.000Z", 49 * 60)
    assert due_of(lane.rows.get(HOT)) == AT + 50 * MINUTE

    lane = restarted(lane, replay=True)
    lane.advance(AT + 2 * HOUR, snapshot=True)
    whole = lane.log("leads.profiles")["user:ada"][-1]
    assert (whole["last_seen"], whole["visit_seconds"]) == ("2026-01-01T01:39:00.000Z", 99 * 60)
    assert not waiting_rows(lane)


def test_an_advance_to_before_all_that_waits_reads_and_writes_nothing_of_it() -> None:
    lane = Lane(replay=True)
    lane.take(*pages(*range(10, 100)))
    lane.wrote.clear()
    lane.advance(AT, snapshot=False)
    assert set().union(*lane.wrote) == {b"\x01sweep"}


def test_a_live_lane_folds_what_a_replay_left_waiting_with_the_next_event() -> None:
    replay = Lane(replay=True)
    replay.take(*pages(*range(BLOCK + 5)))
    live = restarted(replay)
    live.take(*pages(BLOCK + 5))
    (profile,) = live.log("leads.profiles")["user:ada"]
    assert profile["visit_seconds"] == (BLOCK + 5) * 60
    assert not waiting_rows(live)


DOINGS = st.lists(
    st.one_of(st.integers(1, 2 * BLOCK), st.sampled_from(["restart", "drop", "advance"])), min_size=1, max_size=15
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1_000), DOINGS)
def test_what_happens_while_facts_wait_changes_nothing(seed: int, doings: Sequence[int | str]) -> None:
    """Restarts, dropped steps and steps of any size: as if all facts between two advances came together."""
    minutes = [*range(0, 20 * 24 * 60, 90)]
    random.Random(seed).shuffle(minutes)
    told, whole, clock = Lane(replay=True), Lane(replay=True), AT
    together: list[Record] = []
    for doing in doings:
        if isinstance(doing, int):
            taken, minutes = pages(*minutes[:doing]), minutes[doing:]
            told.take(*taken)
            together += taken
        elif doing == "restart":
            told = restarted(told, replay=True)
        elif doing == "drop":
            told.program.step(pages(*minutes[: BLOCK + 3]), told.rows)
        else:
            clock += DAY
            whole.take(*together)
            together = []
            told.advance(clock, snapshot=True)
            whole.advance(clock, snapshot=True)
    whole.take(*together)
    for lane in (told, whole):
        lane.advance(END, snapshot=True)
        assert not waiting_rows(lane)
    for topic in ("leads.segments", "leads.conversions", "leads.profiles"):
        assert told.log(topic) == whole.log(topic)
    assert cores(told) == cores(whole)
