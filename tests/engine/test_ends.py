"""How long it counts what a broker told of a partition's end; with a fetch wait of 500 ms that is 2.5 s."""

from app.engine.ends import Freshness


def test_an_answer_counts_until_the_next_should_have_come() -> None:
    fresh = Freshness(500).fresh
    assert not fresh("p", None, 10_000)
    assert fresh("p", 10_000, 10_000)
    assert fresh("p", 10_000, 12_500)
    assert not fresh("p", 10_000, 12_501)


def test_the_first_answer_after_a_gap_does_not_count_and_the_second_does() -> None:
    """A worker that was suspended for an hour finds an answer of before in its socket."""
    fresh = Freshness(500).fresh
    assert fresh("p", 10_000, 10_100)
    assert not fresh("p", 10_000, 3_610_000), "nothing has come yet"
    assert not fresh("p", 3_610_001, 3_610_002), "this may have been sent an hour ago"
    assert not fresh("p", 3_610_001, 3_610_400)
    assert fresh("p", 3_610_020, 3_610_410), "this was asked for after the gap"


def test_partitions_are_apart_and_one_that_is_ours_anew_begins_anew() -> None:
    fresh = Freshness(500).fresh
    assert fresh("p", 10_000, 10_000)
    assert fresh("q", 90_000, 90_000)
    assert not fresh("p", None, 90_000)
    assert fresh("p", 90_000, 90_000)
