"""How much a step takes, from how long the last ones took."""

import pytest

from app.engine.pace import Pace


def test_it_begins_small_and_doubles_while_full_steps_are_quick() -> None:
    pace = Pace(4_000, first=500, wanted_s=0.1)
    taken = [pace.most]
    for _ in range(4):
        pace.took(0.049, full=True)
        taken.append(pace.most)
    assert taken == [500, 1_000, 2_000, 4_000, 4_000]


def test_a_step_that_had_not_all_it_might_have_says_nothing_of_larger_ones() -> None:
    pace = Pace(4_000, first=500, wanted_s=0.1)
    pace.took(0.001, full=False)
    assert pace.most == 500


@pytest.mark.parametrize("took_s", [0.05, 0.08, 0.1])
def test_a_full_step_that_took_about_the_wanted_time_changes_nothing(took_s: float) -> None:
    pace = Pace(4_000, first=500, wanted_s=0.1)
    pace.took(took_s, full=True)
    assert pace.most == 500


@pytest.mark.parametrize("full", [True, False])
def test_a_step_that_took_too_long_shrinks_the_next_in_proportion(*, full: bool) -> None:
    pace = Pace(4_000, first=500, wanted_s=0.1)
    pace.took(0.25, full=full)
    assert pace.most == 200
    pace.took(1_000.0, full=full)
    assert pace.most == 1, "one is taken always"


def test_what_else_a_step_uses_up_counts_as_its_time_does() -> None:
    pace = Pace(4_000, first=500, wanted_s=0.1)
    pace.took(0.001, full=True, share=0.6)
    assert pace.most == 500, "twice as much would be too much"
    pace.took(0.001, full=True, share=1.25)
    assert pace.most == 400
    pace.took(0.2, full=True, share=1.25)
    assert pace.most == 200, "the scarcer one decides"


def test_it_never_goes_above_the_limit() -> None:
    pace = Pace(300, first=500, wanted_s=0.1)
    assert pace.most == 300
    pace.took(0.001, full=True)
    assert pace.most == 300


@pytest.mark.parametrize(("had", "most"), [(200, 50), (100, 50), (7, 3), (1, 1), (0, 1)])
def test_half_of_what_was_too_much_is_next(had: int, most: int) -> None:
    pace = Pace(100, first=100, wanted_s=None)
    pace.halve(had)
    assert pace.most == most


def test_without_a_wanted_time_it_is_the_limit_whatever_steps_cost() -> None:
    pace = Pace(4_000, first=500, wanted_s=None)
    assert pace.most == 4_000
    pace.halve(4_000)
    assert pace.most == 2_000
    pace.took(1_000.0, full=True, share=7.0)
    assert pace.most == 4_000
