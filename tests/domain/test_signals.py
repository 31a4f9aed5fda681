"""What occurrences are worth: points that fade, the caps on them, and dwell summed over a page view."""

from datetime import datetime
from typing import Any

import pytest

from app.domain.event import Event
from app.domain.reader import Reader
from app.domain.score import Board
from tests.domain.stories import DAY, HOUR, MINUTE, START, Story, event, page, reader

TEN_DAYS = 10 * DAY


def rules(signals: str, timezone: str = "UTC") -> Reader:
    return reader(
        f"""
version: "1"
timezone: {timezone}
signals:
{signals}
scores:
  engagement: {{signals: all}}
stages:
  - name: new
"""
    )


def worth(story: Story, at: int) -> float:
    return Board(story.lead().hot.core, story.rules.rules, at).value("engagement")


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text + "+00:00").timestamp() * 1000)


def cta(at: int, id: str = "", **rest: Any) -> Event:
    return event(at, "cta_clicked", id, **rest)


FADING = "  cta: {event: cta_clicked, points: 10, half_life: 10d}"
ONCE = "  cta: {event: cta_clicked, points: 10, half_life: 10d, once: true}"
LASTING = "  cta: {event: cta_clicked, points: 10}"


# --- half-life -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "points"), [(0, 10), (5, 7.071067812), (10, 5), (20, 2.5), (100, 0.009765625), (1_000, 0)]
)
def test_an_occurrence_halves_every_half_life(days: int, points: float) -> None:
    assert worth(Story(rules(FADING)).tell(cta(START)), START + days * DAY) == points


def test_without_a_half_life_points_never_fade() -> None:
    assert worth(Story(rules(LASTING)).tell(cta(START)), START + 5_000 * DAY) == 10


def test_occurrences_fade_each_from_its_own_time() -> None:
    story = Story(rules(FADING)).tell_each([cta(START), cta(START + TEN_DAYS), cta(START + 2 * TEN_DAYS)])
    assert worth(story, START + 2 * TEN_DAYS) == 2.5 + 5 + 10


@pytest.mark.parametrize("days_late", [1, 10, 200])
def test_how_late_an_occurrence_arrives_makes_no_difference(days_late: int) -> None:
    newest = START + days_late * DAY
    late = Story(rules(FADING)).tell(cta(newest)).tell(cta(START))
    assert worth(late, newest + TEN_DAYS) == pytest.approx(5 + 5 * 2 ** (-days_late / 10), abs=1e-9)


def test_negative_points_fade_towards_zero() -> None:
    both = """
  cta: {event: cta_clicked, points: 4, half_life: 20d}
  gone: {event: email_unsubscribed, points: -15, half_life: 10d}
"""
    story = Story(rules(both)).tell(cta(START), event(START, "email_unsubscribed"))
    assert worth(story, START) == -11
    assert worth(story, START + 2 * TEN_DAYS) == 2 - 3.75


def test_a_bot_is_never_scored_and_a_repeat_counts_once() -> None:
    story = Story(rules(FADING)).tell(cta(START, "a", bot=True), cta(START, "b"), cta(START, "b"))
    assert worth(story, START) == 10
    assert story.duplicates == 1


def test_an_event_is_worth_every_signal_it_matches() -> None:
    two = """
  any_page: {event: page_viewed, points: 1}
  pricing: {event: page_viewed, where: {path: {glob: "/pricing*"}}, points: 6}
"""
    assert worth(Story(rules(two)).tell(page(START, "/pricing/teams"), page(START + 1, "/blog")), START + 1) == 8


# --- once ------------------------------------------------------------------------------------------------------------


def test_once_counts_the_first_of_many() -> None:
    story = Story(rules(ONCE)).tell_each([cta(START), cta(START + DAY), cta(START + 2 * DAY)])
    assert worth(story, START + TEN_DAYS) == 5


@pytest.mark.parametrize("days_late", [2, 10])
def test_once_counts_the_earliest_even_when_it_comes_late(days_late: int) -> None:
    story = Story(rules(ONCE)).tell(cta(START + days_late * DAY)).tell(cta(START))
    assert worth(story, START + TEN_DAYS) == 5


# --- max_per_day -----------------------------------------------------------------------------------------------------


def capped(most: int, half_life: str = "24h") -> str:
    return f"  cta: {{event: cta_clicked, points: 8, half_life: {half_life}, max_per_day: {most}}}"


def test_the_first_n_of_a_day_count_and_fade_from_its_start() -> None:
    # 2026-01-01 in Kyiv (UTC+2) begins at 2025-12-31T22:00Z; START is 02:00 there.
    story = Story(rules(capped(2), "Europe/Kyiv")).tell_each(cta(START + hour * HOUR) for hour in (0, 5, 9, 20))
    assert worth(story, utc("2026-01-01T22:00:00")) == 2 * 8 / 2


@pytest.mark.parametrize(
    ("timezone", "begins", "ends"),
    [
        ("Europe/Kyiv", "2026-01-14T22:00:00", "2026-01-15T22:00:00"),
        ("Europe/Kyiv", "2026-03-28T22:00:00", "2026-03-29T21:00:00"),  # 23 hours: clocks go forward
        ("Europe/Kyiv", "2026-10-24T21:00:00", "2026-10-25T22:00:00"),  # 25 hours: clocks go back
        ("America/New_York", "2026-03-08T05:00:00", "2026-03-09T04:00:00"),
        ("America/New_York", "2026-11-01T04:00:00", "2026-11-02T05:00:00"),
        ("Australia/Lord_Howe", "2026-04-04T13:00:00", "2026-04-05T13:30:00"),  # half an hour back
        ("Atlantic/Azores", "2026-03-29T01:00:00", "2026-03-30T00:00:00"),  # midnight itself is skipped
        ("Atlantic/Azores", "2026-10-25T00:00:00", "2026-10-26T01:00:00"),  # midnight comes twice
    ],
)
def test_a_day_is_one_of_the_rules_time_zone(timezone: str, begins: str, ends: str) -> None:
    start, end = utc(begins), utc(ends)
    told = [start - 1, start, start + 90 * MINUTE, end - 1, end]
    story = Story(rules(capped(1, "none"), timezone)).tell_each(cta(at) for at in told)
    assert worth(story, end) == 3 * 8  # one of the day before, one of the day, one of the day after
    only = Story(rules(capped(1, "none"), timezone)).tell_each(cta(at) for at in told[1:4])
    assert worth(only, end) == 8


@pytest.mark.parametrize(
    ("timezone", "begins", "event_at"),
    [
        ("Europe/Kyiv", "2026-03-28T22:00:00", "2026-03-29T20:00:00"),
        ("Europe/Kyiv", "2026-10-24T21:00:00", "2026-10-25T21:30:00"),
        ("Atlantic/Azores", "2026-03-29T01:00:00", "2026-03-29T05:00:00"),
        ("Atlantic/Azores", "2026-10-25T00:00:00", "2026-10-25T05:00:00"),
        ("Atlantic/Azores", "2026-10-25T00:00:00", "2026-10-25T01:30:00"),  # in the hour after the second midnight
    ],
)
def test_capped_points_fade_from_the_start_of_their_day(timezone: str, begins: str, event_at: str) -> None:
    story = Story(rules(capped(1), timezone)).tell(cta(utc(event_at)))
    assert worth(story, utc(begins) + DAY) == 4
    assert worth(story, utc(begins) + 2 * DAY) == 2


def test_what_was_read_before_does_not_decide_the_day() -> None:
    zone = rules(capped(1), "Atlantic/Azores")
    at = utc("2026-10-25T12:00:00")
    fresh = zone.day_start(at)
    zone.day_start(utc("2026-10-24T12:00:00"))
    zone.day_start(utc("2026-10-25T01:30:00"))
    assert zone.day_start(at) == fresh == utc("2026-10-25T00:00:00")


def test_a_late_occurrence_of_a_full_day_adds_nothing() -> None:
    story = Story(rules(capped(2, "none"))).tell(cta(START + HOUR), cta(START + 2 * HOUR)).tell(cta(START + MINUTE))
    assert worth(story, START + DAY) == 16


# --- points_per ------------------------------------------------------------------------------------------------------

READING = (
    "  reading: {event: page_engaged, points_per: {property: duration, each: 30, points: 2, max: 7}, half_life: 10d}"
)


def dwell(at: int, seconds: float, path: str = "") -> Event:
    return event(at, "page_engaged", path=path, properties={"duration": seconds})


@pytest.mark.parametrize(
    ("seconds", "points"), [(0, 0), (29.9, 0), (30, 2), (59, 2), (60, 4), (100, 6), (120, 7), (9_000, 7)]
)
def test_dwell_is_floored_and_has_a_maximum(seconds: float, points: float) -> None:
    assert worth(Story(rules(READING)).tell(page(START, "/a"), dwell(START + MINUTE, seconds, "/a")), START) == points


@pytest.mark.parametrize("parts", [(8.1, 9.7, 12.2), (10.1, 9.8, 10.1), (0.1,) * 300])
def test_dwell_that_sums_to_the_next_unit_is_worth_it(parts: tuple[float, ...]) -> None:
    told = [dwell(START + MINUTE + n, seconds, "/a") for n, seconds in enumerate(parts)]
    assert worth(Story(rules(READING)).tell_each([page(START, "/a"), *told]), START) == 2


def test_dwell_is_summed_over_a_view_before_the_floor() -> None:
    told = [page(START, "/a"), *(dwell(START + n * MINUTE, 20, "/a") for n in (1, 2, 3, 4))]
    assert [worth(Story(rules(READING)).tell_each(told[:n]), START) for n in (2, 3, 4, 5)] == [0, 2, 4, 4]


def test_the_maximum_is_for_each_view() -> None:
    told = [page(START, "/a"), dwell(START + MINUTE, 500, "/a"), dwell(START + 2 * MINUTE, 500, "/a")]
    again = [page(START + 3 * MINUTE, "/a"), dwell(START + 4 * MINUTE, 500, "/a")]
    assert worth(Story(rules(READING)).tell_each(told), START) == 7
    later = START + 3 * MINUTE
    assert worth(Story(rules(READING)).tell_each([*told, *again]), later) == round(7 * 2 ** (-3 / 14_400) + 7, 9)


def test_a_view_does_not_share_its_seconds_with_another() -> None:
    told = [page(START, "/a"), dwell(START + 1, 20, "/a"), page(START + 2, "/b"), dwell(START + 3, 20, "/b")]
    again = [page(START + 4, "/a"), dwell(START + 5, 20, "/a")]
    assert worth(Story(rules(READING)).tell_each([*told, *again]), START + 5) == 0


def test_dwell_goes_to_the_latest_view_of_its_path_or_the_latest_of_all() -> None:
    views = [page(START, "/a"), page(START + 10, "/b")]
    of_a = [dwell(START + 20, 20, "/a"), dwell(START + 30, 20, "/a"), dwell(START + 40, 20, "")]
    assert worth(Story(rules(READING)).tell_each([*views, *of_a]), START) == 2
    of_b = [dwell(START + 20, 20, "/b"), dwell(START + 30, 20, "")]
    assert worth(Story(rules(READING)).tell_each([*views, *of_b]), START + 10) == 2


def test_dwell_fades_from_its_view() -> None:
    story = Story(rules(READING)).tell(page(START, "/a"), dwell(START + 25 * MINUTE, 60, "/a"))
    assert worth(story, START + TEN_DAYS) == 2


def test_points_per_another_property_is_of_one_event() -> None:
    per = "  bulk: {event: cart_added, points_per: {property: quantity, each: 2, points: 3, max: 8}}"
    for quantities, points in [((1,), 0), ((5,), 6), ((7,), 8), ((1, 1), 0), ((7, 7), 16)]:
        told = [event(START + n, "cart_added", properties={"quantity": q}) for n, q in enumerate(quantities)]
        assert worth(Story(rules(per)).tell_each(told), START + 9) == points


def test_points_per_may_take_points_away() -> None:
    per = "  returned: {event: cart_removed, points_per: {property: quantity, each: 2, points: -3}}"
    assert worth(Story(rules(per)).tell(event(START, "cart_removed", properties={"quantity": 5})), START) == -6


def test_points_per_a_number_below_zero_is_floored_like_any_other() -> None:
    per = "  mood: {event: mood, points_per: {property: n, each: 2, points: 3, max: 9}}"
    told = [event(START, "custom", name="mood", properties={"n": -3})]
    assert worth(Story(rules(per)).tell_each(told), START) == -6  # floor(−1.5) is −2
