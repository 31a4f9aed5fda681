"""Turns among lanes: who may work without input, and when nobody may."""

import asyncio

from app.engine.turns import Turns


class Told:
    """Lanes that were told to ask again."""

    def __init__(self) -> None:
        self.now = 100.0
        self.woken: list[str] = []
        self.turns = Turns(clock=lambda: self.now)

    def take(self, lane: str) -> bool:
        return self.turns.take(lane, lambda: self.woken.append(lane))


async def soon() -> None:
    await asyncio.sleep(0.02)


async def test_after_a_turn_nobody_has_one_for_a_quarter_of_the_time_it_took() -> None:
    told = Told()
    assert told.take("a")
    told.turns.took(0.004)
    assert not told.take("b")
    told.now += 0.0009
    assert not told.take("b")
    told.now += 0.0002
    assert told.take("b")


async def test_a_lane_that_has_no_others_to_mind_needs_no_pause() -> None:
    turns = Turns(pause=0.0, beside_events=0.0, clock=lambda: 7.0)
    turns.busy("b", busy=True)
    for _ in range(3):
        assert turns.take("a", lambda: None)
        turns.took(0.5)


async def test_beside_events_the_pause_is_twice_the_turn() -> None:
    told = Told()
    assert told.take("a")
    told.turns.took(0.004)
    told.turns.busy("c", busy=True)
    told.now += 0.0079
    assert not told.take("a")
    told.now += 0.0002
    assert told.take("a")
    told.turns.took(0.004)
    told.now += 0.002
    assert not told.take("a")
    told.turns.busy("c", busy=False)
    assert told.take("a"), "the events are done"


async def test_lanes_have_their_turns_in_the_order_in_which_they_asked() -> None:
    told = Told()
    assert told.take("a")
    told.turns.took(0.004)
    assert [told.take(lane) for lane in ("b", "c", "a", "b")] == [False] * 4
    told.now += 1
    assert [told.take(lane) for lane in ("a", "c", "b", "a", "c", "a")] == [False, False, True, False, True, True]


async def test_the_next_lane_is_told_when_the_pause_is_over() -> None:
    told = Told()
    assert told.take("a")
    told.turns.took(0.04)
    assert not told.take("b")
    assert not told.take("c")
    await asyncio.sleep(0)
    assert told.woken == []
    await soon()
    assert told.woken == ["b"]


async def test_a_lane_that_has_events_or_ends_does_not_hold_the_others_up() -> None:
    told = Told()
    assert told.take("a")
    told.turns.took(0.004)
    assert not told.take("b")
    assert not told.take("c")
    assert told.turns.waits("b")
    told.turns.leave("b")
    assert not told.turns.waits("b")
    told.now += 1
    await soon()
    assert told.woken == ["c"]
    assert told.take("c")
