"""Visits, and how long they and their pages last."""

import pytest

from app.domain.event import Event
from tests.domain.stories import DAY, HOUR, MINUTE, START, Story, event, order, page, reader
from tests.domain.ways import SPRING, SUMMER, plain, visits

SECOND = 1_000
RULES = reader(plain())
PAGES = reader(
    plain("""
segments:
  pricing: {enter: {page_duration: {path: {glob: "/pricing*"}, ge: 60s}}}
  readers: {enter: {visit_duration: {ge: 5m}}}
""")
)


def told(*events: Event) -> tuple[int, float, int]:
    return visits(Story(RULES).tell_each(events))


def test_a_visit_lasts_from_its_first_event_to_its_last() -> None:
    assert told(page(START), page(START + 90 * SECOND), page(START + 150 * SECOND)) == (1, 150.0, 150)


def test_a_single_event_is_a_visit_of_no_length() -> None:
    assert told(page(START)) == (1, 0.0, 0)


def test_just_short_of_half_an_hour_idle_is_the_same_visit() -> None:
    assert told(page(START), page(START + 30 * MINUTE - 1)) == (1, 1799.999, 1799)


def test_half_an_hour_idle_ends_a_visit() -> None:
    assert told(page(START), page(START + 30 * MINUTE)) == (2, 0.0, 0)


def test_a_day_ends_a_visit_that_is_never_idle() -> None:
    # An event each 20 minutes: the one at 24 h begins the second visit, the first lasted 23 h 40 min.
    every = [page(START + i * 20 * MINUTE, id=f"{i:03d}") for i in range(74)]
    assert told(*every) == (2, (23 * 60 + 40) * 60 + 20 * 60, (23 * 60 + 40) * 60)


def test_durations_add_up_and_the_longest_is_kept() -> None:
    first = [page(START), page(START + 4 * MINUTE)]
    second = [page(START + HOUR), page(START + HOUR + MINUTE)]
    assert told(*first, *second) == (2, 300.0, 240)


def test_a_campaign_starts_a_visit_at_once() -> None:
    assert told(page(START, arrival=SPRING), page(START + MINUTE, arrival=SUMMER)) == (2, 0.0, 0)


def test_the_same_campaign_again_does_not() -> None:
    assert told(page(START, arrival=SPRING), page(START + MINUTE, arrival=SPRING)) == (1, 60.0, 60)


@pytest.mark.parametrize("kind", ["email_opened", "email_clicked", "email_delivered", "conversation", "traits_changed"])
def test_mail_conversations_and_traits_belong_to_no_visit(kind: str) -> None:
    assert told(page(START), event(START + 20 * MINUTE, kind), page(START + 40 * MINUTE)) == (2, 0.0, 0)
    assert told(event(START, kind)) == (0, 0.0, 0)


@pytest.mark.parametrize("kind", ["order_refunded", "order_cancelled"])
def test_refunds_and_cancellations_belong_to_no_visit(kind: str) -> None:
    assert told(event(START, kind, properties={"order_id": "o"})) == (0, 0.0, 0)


@pytest.mark.parametrize(
    "kind",
    [
        "page_viewed",
        "page_engaged",
        "cta_clicked",
        "form_submitted",
        "site_searched",
        "list_filtered",
        "product_viewed",
        "cart_added",
        "cart_removed",
        "cart_viewed",
        "checkout_started",
    ],
)
def test_what_a_person_does_on_the_site_makes_a_visit(kind: str) -> None:
    assert told(page(START), event(START + MINUTE, kind)) == (1, 60.0, 60)


def test_an_order_told_by_a_server_belongs_to_the_visit() -> None:
    assert told(page(START), order(START + MINUTE, "o1", "5")) == (1, 60.0, 60)


def test_a_custom_event_belongs_to_the_visit_only_if_it_says_where() -> None:
    assert told(page(START), event(START + MINUTE, "custom", name="played", path="/video")) == (1, 60.0, 60)
    assert told(page(START), event(START + MINUTE, "custom", name="played")) == (1, 0.0, 0)


# --- time on pages ----------------------------------------------------------------------------------------------------


def on_pricing(*events: Event) -> int:
    """Return the ms on pages below /pricing."""
    story = Story(PAGES).tell_each(events)
    return sum(story.lead().core.page_ms.values())


def dwell(at: int, seconds: float, path: str = "") -> Event:
    return event(at, "page_engaged", path=path, properties={"duration": seconds})


def test_a_page_lasts_until_the_next_event_of_the_visit() -> None:
    assert on_pricing(page(START, "/pricing"), page(START + 45 * SECOND, "/")) == 45_000


def test_the_last_page_of_a_visit_lasts_no_time() -> None:
    assert on_pricing(page(START, "/pricing"), page(START + 2 * HOUR, "/")) == 0


def test_a_page_lasts_less_than_the_idle_limit() -> None:
    assert on_pricing(page(START, "/pricing"), page(START + 30 * MINUTE - 1, "/")) == 30 * MINUTE - 1


def test_a_server_event_without_a_page_ends_the_view_too() -> None:
    assert on_pricing(page(START, "/pricing"), event(START + 9_000, "cart_added"), page(START + MINUTE)) == 9_000


def test_dwell_counts_when_it_is_more_than_the_gap() -> None:
    assert on_pricing(page(START, "/pricing"), dwell(START + 20 * SECOND, 50, "/pricing")) == 50_000


def test_the_gap_counts_when_it_is_more_than_the_dwell() -> None:
    assert on_pricing(page(START, "/pricing"), dwell(START + 70 * SECOND, 50, "/pricing")) == 70_000


def test_dwell_of_one_view_adds_up() -> None:
    told = [page(START, "/pricing"), dwell(START + 10 * SECOND, 30, "/pricing"), dwell(START + 20 * SECOND, 25)]
    assert on_pricing(*told) == 55_000


def test_dwell_without_a_path_belongs_to_the_latest_view() -> None:
    events = [page(START, "/pricing"), page(START + 10 * SECOND, "/"), dwell(START + 11 * SECOND, 100)]
    assert on_pricing(*events) == 10_000


def test_dwell_belongs_to_the_latest_view_of_its_path() -> None:
    # /pricing 10 s, then / 1 s, then the dwell of /pricing: that view lasted 40 s by its own account.
    events = [page(START, "/pricing"), page(START + 10 * SECOND), dwell(START + 11 * SECOND, 40, "/pricing")]
    assert on_pricing(*events) == 40_000


def test_views_and_paths_of_a_condition_add_up_over_visits() -> None:
    events = [
        page(START, "/pricing"),
        page(START + 25 * SECOND, "/pricing/teams"),
        page(START + 45 * SECOND, "/blog"),
        page(START + DAY, "/pricing"),
        page(START + DAY + 15 * SECOND, "/"),
    ]
    story = Story(PAGES).tell_each(events[:-1])
    assert story.lead().core.segments == {}
    story.tell(events[-1])  # 25 + 20 + 15 = 60 s
    assert list(story.lead().core.segments) == ["pricing"]


def test_five_minutes_of_a_visit_make_a_reader() -> None:
    story = Story(PAGES).tell_each([page(START), page(START + 5 * MINUTE - 1, id="b")])
    assert story.segments[-1]["segments"] == []
    story.tell(page(START + 5 * MINUTE))
    assert story.segments[-1]["entered"] == ["readers"]


READING = reader(
    """
version: t2
signals:
  reading: {event: page_engaged, points_per: {property: duration, each: 30, points: 2, max: 6}, half_life: 1d}
scores: {engagement: {signals: all}, total: {engagement: 1}}
stages: [{name: new}]
"""
)


@pytest.mark.parametrize(
    ("seconds", "points"),
    [([29], 0), ([30], 2), ([29, 1], 2), ([20, 20, 20], 4), ([89.9], 4), ([300], 6), ([100, 100], 6)],
    ids=str,
)
def test_dwell_is_summed_per_view_before_the_floor(seconds: list[float], points: float) -> None:
    view = page(START, "/a")
    story = Story(READING).tell_each([view, *(dwell(START + 1 + i, s, "/a") for i, s in enumerate(seconds))])
    assert story.until(START + DAY)["score"] == points / 2  # fades from the view's time, not from the dwell's


def test_the_maximum_of_dwell_is_for_each_view() -> None:
    events = [
        page(START, "/a"),
        dwell(START + 1, 300, "/a"),
        page(START + 2, "/a", id="again"),
        dwell(START + 3, 300, "/a"),
        page(START + 4, "/b"),
        dwell(START + 5, 45, "/b"),
    ]
    core_points = Story(READING).tell_each(events).until(START + 5)["score"]
    assert core_points == pytest.approx(6 + 6 + 2, abs=0.01)


def test_visit_seconds_and_visits_stand_in_the_profile() -> None:
    profile = Story(RULES).tell_each([page(START), page(START + 1_500, id="b")]).until(START + DAY)
    assert (profile["sessions"], profile["visit_seconds"]) == (1, 1.5)


def test_a_late_event_within_three_days_joins_two_visits_into_one() -> None:
    story = Story(RULES).tell_each([page(START), page(START + 50 * MINUTE), page(START + 2 * DAY)])
    assert visits(story) == (3, 0.0, 0)
    story.tell(page(START + 25 * MINUTE))
    assert visits(story) == (2, 3000.0, 3000)
