"""Which records of a lane's inputs a step takes: those with the oldest timestamps, whatever input they are of."""

from collections.abc import Sequence
from typing import Any

import msgspec

from app.engine.abreast import PATIENCE_S, Abreast
from app.engine.inbox import LIVE_MS, Chunk, Inbox

WEB, EMAIL, COMMANDS = "events.web", "events.email", "leads.commands"
NOW = 100_000


class Fetched(msgspec.Struct, frozen=True):
    """What an inbox looks at of a record."""

    topic: str
    offset: int
    timestamp: int


def chunk(topic: str, start: int, *timestamps: int, done: Any = lambda: None) -> Chunk:
    records = [Fetched(topic, start + index, at) for index, at in enumerate(timestamps)]
    return Chunk(topic, 0, start, records, done)


def inbox(*chunks: Chunk) -> Inbox:
    made = Inbox((WEB, EMAIL, COMMANDS), {COMMANDS}, lambda: NOW)
    for one in chunks:
        made.put(one)
    return made


def times(chunks: Sequence[Chunk]) -> dict[str, list[int]]:
    """Return the timestamps of taken records by topic."""
    taken: dict[str, list[int]] = {}
    for one in chunks:
        taken.setdefault(one.topic, []).extend(record.timestamp for record in one.records)
    return taken


def test_records_of_two_inputs_are_taken_in_the_order_of_their_timestamps() -> None:
    waiting = inbox(chunk(EMAIL, 0, 10, 40, 70, 100), chunk(WEB, 0, 20, 30), chunk(WEB, 2, 35, 50, 90))
    assert times(waiting.take(5)) == {EMAIL: [10, 40], WEB: [20, 30, 35]}
    assert times(waiting.take(3)) == {EMAIL: [70], WEB: [50, 90]}
    assert waiting.records == 1
    assert times(waiting.take(3)) == {EMAIL: [100]}
    assert not waiting
    assert waiting.take(3) == []


def test_of_equal_timestamps_the_first_input_is_taken_first() -> None:
    waiting = inbox(chunk(EMAIL, 0, 10, 20), chunk(WEB, 0, 10, 20))
    assert times(waiting.take(1)) == {WEB: [10]}
    assert times(waiting.take(2)) == {WEB: [20], EMAIL: [10]}


def test_offsets_decide_within_an_input_whatever_its_timestamps() -> None:
    waiting = inbox(chunk(WEB, 0, 50, 10, 60), chunk(EMAIL, 0, 20, 55))
    assert times(waiting.take(2)) == {EMAIL: [20], WEB: [50]}
    assert times(waiting.take(2)) == {WEB: [10], EMAIL: [55]}


def test_what_is_live_comes_before_the_backlog_of_others_and_after_its_own() -> None:
    waiting = inbox(chunk(WEB, 0, 20, 30, NOW), chunk(EMAIL, 0, NOW - LIVE_MS, NOW + 5_000))
    assert times(waiting.take(2)) == {EMAIL: [NOW - LIVE_MS, NOW + 5_000]}
    waiting.put(chunk(EMAIL, 2, NOW - LIVE_MS - 1))
    assert times(waiting.take(3)) == {WEB: [20, 30, NOW]}


def test_while_backlogs_are_held_only_what_is_live_is_taken_and_what_lanes_told_each_other() -> None:
    waiting = inbox(chunk(WEB, 0, 20, NOW), chunk(EMAIL, 0, NOW, 30, NOW))
    assert waiting.ready(held=True)
    assert times(waiting.take(9, held=True)) == {EMAIL: [NOW]}
    assert not waiting.ready(held=True)
    assert waiting.ready(held=False)
    waiting.put(chunk(COMMANDS, 0, 10))
    assert waiting.ready(held=True)
    assert times(waiting.take(9, held=True)) == {COMMANDS: [10]}
    assert not waiting.ready(held=True)


def test_nothing_is_taken_beyond_the_last_record_of_an_input_that_has_more() -> None:
    waiting = inbox(chunk(WEB, 0, 10, 20), chunk(EMAIL, 0, 15, 30, 40))
    assert times(waiting.take(5, {WEB})) == {WEB: [10, 20], EMAIL: [15]}
    waiting.put(chunk(WEB, 2, 25, 60))
    waiting.put(chunk(COMMANDS, 0, 900))
    assert times(waiting.take(1, {EMAIL})) == {COMMANDS: [900]}
    assert times(waiting.take(5, {EMAIL})) == {WEB: [25], EMAIL: [30, 40]}
    assert times(waiting.take(5)) == {WEB: [60]}


def test_what_lanes_told_each_other_comes_before_all_else() -> None:
    waiting = inbox(chunk(WEB, 0, 10, 20), chunk(COMMANDS, 0, 900, 901, 902))
    assert times(waiting.take(2)) == {COMMANDS: [900, 901]}
    assert times(waiting.take(2)) == {COMMANDS: [902], WEB: [10]}
    assert times(waiting.take(2)) == {WEB: [20]}


def test_the_parts_of_a_chunk_follow_each_other_and_the_last_tells_that_it_is_done() -> None:
    done: list[str] = []
    waiting = inbox(chunk(WEB, 5, 10, 20, 30, done=lambda: done.append(WEB)), chunk(EMAIL, 0, 15))
    (first,) = waiting.take(1)
    assert (first.start, [record.offset for record in first.records]) == (5, [5])
    first.done()
    assert done == []
    rest = waiting.take(3)
    assert {(one.topic, one.start, len(one.records)) for one in rest} == {(WEB, 6, 2), (EMAIL, 0, 1)}
    for one in rest:
        one.done()
    assert done == [WEB]


# --- waiting for an input


def test_an_input_with_more_to_read_is_waited_for_until_it_brings_something() -> None:
    ends = {WEB: 10, EMAIL: 3}
    abreast, waiting = Abreast((WEB, EMAIL), ends.get), inbox(chunk(WEB, 0, 10))
    assert abreast.wait_s(waiting, {WEB: 0, EMAIL: 1}, 100.0) == PATIENCE_S
    assert abreast.wait_s(waiting, {WEB: 0, EMAIL: 1}, 100.2) == PATIENCE_S - (100.2 - 100.0)
    waiting.put(chunk(EMAIL, 1, 5, 6))
    assert abreast.wait_s(waiting, {WEB: 0, EMAIL: 1}, 100.3) == 0


def test_an_input_that_is_read_to_its_end_is_not_waited_for() -> None:
    abreast, waiting = Abreast((WEB, EMAIL), {WEB: 10, EMAIL: 3}.get), inbox(chunk(WEB, 0, 10))
    assert abreast.wait_s(waiting, {WEB: 0, EMAIL: 3}, 100.0) == 0


def test_nothing_is_waited_for_when_nothing_waits() -> None:
    assert Abreast((WEB, EMAIL), {WEB: 10, EMAIL: 3}.get).wait_s(inbox(), {WEB: 0, EMAIL: 0}, 100.0) == 0


def test_an_input_of_which_nothing_is_known_yet_is_waited_for() -> None:
    abreast, waiting = Abreast((WEB, EMAIL), {WEB: 10}.get), inbox(chunk(WEB, 0, 10))
    assert abreast.wait_s(waiting, {WEB: 0, EMAIL: 0}, 100.0) == PATIENCE_S


def test_patience_ends_and_comes_back_when_the_input_has_brought_something() -> None:
    ends = {WEB: 10, EMAIL: 3}
    abreast, waiting = Abreast((WEB, EMAIL), ends.get), inbox(chunk(WEB, 0, 10))
    following = {WEB: 0, EMAIL: 1}
    abreast.wait_s(waiting, following, 100.0)
    assert abreast.wait_s(waiting, following, 100.0 + PATIENCE_S) == 0
    assert abreast.wait_s(waiting, following, 200.0) == 0, "nobody can read what it has: the others go on"
    waiting.put(chunk(EMAIL, 1, 5))
    assert abreast.wait_s(waiting, following, 201.0) == 0
    waiting.take(2)
    waiting.put(chunk(WEB, 1, 20))
    assert abreast.wait_s(waiting, {WEB: 1, EMAIL: 2}, 202.0) == PATIENCE_S


def test_inputs_with_more_than_what_waits_are_known() -> None:
    abreast = Abreast((WEB, EMAIL), {WEB: 3, EMAIL: 3}.get)
    assert abreast.more(inbox(chunk(WEB, 0, 10, 20), chunk(EMAIL, 0, 10, 20, 30))) == {WEB}
    assert abreast.more(inbox(chunk(WEB, 0, 10, 20, 30))) == set()
    assert Abreast((WEB, EMAIL), {WEB: 3}.get).more(inbox(chunk(EMAIL, 0, 10))) == {EMAIL}
