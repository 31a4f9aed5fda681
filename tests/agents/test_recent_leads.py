"""How many decoded leads lanes keep: what there is room for, shared out among the lanes that are open."""

import gc

from app.domain.state import Hot
from app.leads.recent import DECODED, RecentLeads, Room


def name(number: int) -> tuple[str, str]:
    return "default", f"anon:{number}"


def step(lane: RecentLeads, *leads: int, size: int = 100) -> None:
    """Have the lane use leads whose rows have `size` bytes, in one durable step."""
    lane.begin()
    for number in leads:
        lane.use(name(number), Hot(key=f"anon:{number}"), size)
    lane.keep()


def kept(lane: RecentLeads, *leads: int) -> list[int]:
    """Return which of the leads the lane still has; they are taken out."""
    return [number for number in leads if lane.take(name(number)) is not None]


def test_the_leads_used_last_stay_as_far_as_there_is_room() -> None:
    lane = RecentLeads(Room(300 * DECODED))
    step(lane, 1, 2)
    step(lane, 3, 4)
    assert kept(lane, 1, 2, 3, 4) == [2, 3, 4]


def test_a_lead_that_is_used_again_is_the_newest() -> None:
    lane = RecentLeads(Room(300 * DECODED))
    step(lane, 1, 2, 3)
    lane.begin()
    assert lane.take(name(1)) is not None
    lane.use(name(1), Hot(key="anon:1"), 100)
    lane.keep()
    step(lane, 4)
    assert kept(lane, 1, 2, 3, 4) == [1, 3, 4]


def test_large_rows_take_the_room_of_several_small_ones() -> None:
    lane = RecentLeads(Room(300 * DECODED))
    step(lane, 1, 2, 3)
    step(lane, 4, size=200)
    assert kept(lane, 1, 2, 3, 4) == [3, 4]


def test_a_row_for_which_there_is_no_room_at_all_is_not_kept() -> None:
    lane = RecentLeads(Room(300 * DECODED))
    step(lane, 1, size=301)
    assert kept(lane, 1) == []
    step(lane, 2)
    assert kept(lane, 2) == [2]


def test_lanes_share_the_room_and_one_that_is_closed_leaves_its_part() -> None:
    room = Room(400 * DECODED)
    one, other = RecentLeads(room), RecentLeads(room)
    step(one, 1, 2, 3)
    assert kept(one, 1, 2, 3) == [2, 3]
    del other
    gc.collect()
    step(one, 4, 5, 6, 7)
    assert kept(one, 4, 5, 6, 7) == [4, 5, 6, 7]


def test_what_a_dropped_step_used_is_not_kept() -> None:
    lane = RecentLeads(Room(300 * DECODED))
    step(lane, 1)
    lane.begin()
    lane.take(name(1))
    lane.use(name(1), Hot(key="anon:1"), 100)
    step(lane, 2)
    assert kept(lane, 1, 2) == [2]
