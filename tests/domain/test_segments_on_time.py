"""Groups that change because time passes: the exact millisecond, told in advance, and before any later event."""

from collections.abc import Sequence
from datetime import datetime
from math import ceil, log2, sqrt
from typing import Any

import pytest

from app.domain.event import Event
from app.domain.outputs import iso
from app.domain.reader import Reader
from tests.domain.stories import DAY, HOUR, START, Story, event, order, page, reader

SIGNALS = """
  cta:   {event: cta_clicked, points: 8, half_life: 10d}
  slow:  {event: site_searched, points: 1, half_life: 90d}
  long:  {event: conversation, points: 16, half_life: 2d}
  short: {event: email_unsubscribed, points: -16, half_life: 1d}
  short_plus: {event: email_opened, points: 16, half_life: 1d}
  big:   {event: checkout_started, points: 200, half_life: 1d}
  base:  {event: list_filtered, points: 2}
  viewed: {event: product_viewed, points: 8, half_life: 10d}
"""


def rules(segment: str, stages: str = "", scores: str = "engagement: {signals: all}") -> Reader:
    return reader(
        f"""
version: "1"
signals:{SIGNALS}
scores:
  {scores}
  interests: {{signals: [viewed], by: category}}
  half: {{signals: all}}
grades: {{engagement: {{"1": 75, "2": 50, "3": 25, "4": 0}}}}
stages:
  - name: new
{stages}
segments:
  s: {segment}
"""
    )


def changes(reader: Reader, told: Sequence[Event], until: int = 3_000 * DAY) -> list[tuple[int, bool]]:
    """When (ms after START) the lead came into and out of the segment by time alone."""
    story = Story(reader).tell_each(told)
    profile = story.until(told[-1].at)
    found = []
    for record in story.segments:
        if record["cause"]["kind"] == "timer":
            raise AssertionError("nothing is due yet")
    count = len(story.segments)
    promised = profile["next_change_at"]
    story.until(START + until)
    for record in story.segments[count:]:
        assert record["cause"] == {"kind": "timer"}
        found.append((record["at"], bool(record["entered"])))
    assert promised == (found[0][0] if found else None)
    return [(ms_of(at) - START, entered) for at, entered in found]


def ms_of(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000


def cta(at: int) -> Event:
    return event(at, "cta_clicked", f"cta{at}")


# --- windows and absences --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "told", "expected"),
    [
        ("{did: cta, within: 1d}", [cta(START)], [(DAY, False)]),
        ("{not_did: cta, within: 1d}", [cta(START)], [(DAY, True)]),
        ("{did: cta, at_least: 2, within: 1d}", [cta(START), cta(START + 5), cta(START + 9)], [(5 + DAY, False)]),
        ("{last: cta, older_than: 1d}", [cta(START), cta(START + 7)], [(7 + DAY, True)]),
        ("{last: any, older_than: 30d}", [cta(START), event(START + 9, "email_sent")], [(30 * DAY, True)]),
        ("{last: visit, older_than: 14d}", [page(START), event(START + 9, "conversation")], [(14 * DAY, True)]),
        ("{orders: {ge: 1, within: 365d}}", [order(START, "o", "1")], [(365 * DAY, False)]),
        ("{revenue: {ge: 5, within: 30d}}", [order(START, "a", "5"), order(START + 3, "b", "3")], [(30 * DAY, False)]),
        ("{sequence: [cta, page_viewed], within: 7d}", [cta(START), page(START + HOUR)], [(7 * DAY, False)]),
        ("{not: {did: cta, within: 1d}}", [cta(START)], [(DAY, True)]),
        ("{all: [{did: cta, within: 3d}, {last: cta, older_than: 1d}]}", [cta(START)], [(DAY, True), (3 * DAY, False)]),
        ("{any: [{did: cta, within: 1d}, {last: cta, older_than: 3d}]}", [cta(START)], [(DAY, False), (3 * DAY, True)]),
        ("{did: cta}", [cta(START)], []),
        ("{all: [{did: cta, within: 1d}, {known: false}]}", [cta(START)], []),
        ("{any: [{did: cta, within: 1d}, {known: true}]}", [cta(START)], []),
    ],
)
def test_windows_and_absences_change_at_their_own_millisecond(
    condition: str, told: list[Event], expected: list[tuple[int, bool]]
) -> None:
    assert changes(rules(f"{{enter: {condition}}}"), told) == expected


def test_revenue_may_come_up_through_a_bound_as_orders_leave() -> None:
    told = [order(START, "a", "5"), order(START + DAY, "b", "3")]
    between = "{enter: {revenue: {ge: 2, le: 4, within: 30d}}}"
    assert changes(rules(between), told) == [(30 * DAY, True), (31 * DAY, False)]


# --- scores ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "told", "expected"),
    [
        # 8 points halve in 10 days: exactly 4 then, less a millisecond later.
        ("{engagement: {ge: 4}}", [cta(START)], [(10 * DAY + 1, False)]),
        ("{engagement: {gt: 4}}", [cta(START)], [(10 * DAY, False)]),
        ("{engagement: {lt: 4}}", [cta(START)], [(10 * DAY + 1, True)]),
        ("{engagement: {le: 4}}", [cta(START)], [(10 * DAY, True)]),
        # 8 · 2^(−t/10 d) = 3: t = 10 d · log2(8/3), rounded up to the millisecond.
        ("{engagement: {lt: 3}}", [cta(START)], [(ceil(10 * DAY * log2(8 / 3)), True)]),
        (
            "{engagement: {le: 6, ge: 5}}",
            [cta(START)],
            [(ceil(10 * DAY * log2(8 / 6)), True), (ceil(10 * DAY * log2(8 / 5)), False)],
        ),
        # Compared after rounding to 9 decimals: 0.5 − 4.9e-10 is still 0.5, 0.5 − 5.3e-10 is not.
        ("{engagement: {lt: 0.5}}", [event(START, "site_searched")], [(90 * DAY + 12, True)]),
        (
            "{interest: {category: shoes, lt: 2}}",
            [event(START, "product_viewed", properties={"category": "Shoes"})],
            [(20 * DAY + 1, True)],
        ),
        ("{engagement: {lt: 0}}", [cta(START)], []),
        ("{engagement: {ge: 2}}", [event(START, "list_filtered"), cta(START)], []),
    ],
)
def test_a_score_crosses_at_the_first_millisecond_at_which_the_truth_differs(
    condition: str, told: list[Event], expected: list[tuple[int, bool]]
) -> None:
    assert changes(rules(f"{{enter: {condition}}}"), told) == expected


def test_a_total_crosses_by_its_weights_and_constant_parts() -> None:
    weighed = "engagement: {signals: all}\n  total: {engagement: 0.5}"
    # 0.5 · (2 + 8 · 2^(−t/10 d)) = 2 at 20 days less log: 8x = 2, x = 1/4.
    told = [event(START, "list_filtered"), cta(START)]
    assert changes(rules("{enter: {score: {lt: 2}}}", scores=weighed), told) == [(20 * DAY + 1, True)]


def test_a_grade_changes_on_time() -> None:
    # 200 points halve daily: 75 at log2(200/75) days, 50 at exactly two days.
    told = [event(START, "checkout_started")]
    expected = [(ceil(DAY * log2(200 / 75)), True), (2 * DAY + 1, False)]
    assert changes(rules("{enter: {grade: {in: [D2]}}}"), told) == expected


NEGATIVE = [event(START, "conversation", "p"), event(START, "email_unsubscribed", "n")]
RISES = ceil(2 * DAY * log2(4 / 3))
FALLS = 4 * DAY
"""16x − 16x² with x = 2^(−t/2 d): it is 3 at x = 3/4 rising and at x = 1/4 falling, at most 4 at x = 1/2."""


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("{ge: 3}", [(RISES, True), (FALLS + 1, False)]),
        ("{lt: 3}", [(RISES, False), (FALLS + 1, True)]),
        ("{gt: 3}", [(RISES, True), (FALLS, False)]),
        ("{ge: 1.75, le: 3}", [(RISES, False), (FALLS, True)]),
        ("{gt: 4}", []),
        ("{ge: 4.000001}", []),
        ("{gt: 100}", []),
    ],
)
def test_a_score_may_rise_as_its_negative_part_fades_and_cross_more_than_once(
    test: str, expected: list[tuple[int, bool]]
) -> None:
    found = changes(rules(f"{{enter: {{engagement: {test}}}}}"), NEGATIVE, until=7 * DAY)
    if test == "{ge: 1.75, le: 3}":
        found = found[1:3]  # it comes to 1.75 at x = 7/8 first
    assert found == expected


def test_a_threshold_that_is_only_just_reached_is_seen() -> None:
    # 4 − 16(x − 1/2)² rounds to 3.9999 or more: |x − 1/2| ≤ d.
    d = sqrt((1e-4 + 5e-10) / 16)
    found = changes(rules("{enter: {engagement: {ge: 3.9999}}}"), NEGATIVE, until=7 * DAY)
    assert found == [(ceil(2 * DAY * log2(1 / (0.5 + d))), True), (int(2 * DAY * log2(1 / (0.5 - d))) + 1, False)]


def test_the_highest_point_itself_is_seen() -> None:
    found = changes(rules("{enter: {engagement: {ge: 4}}}"), NEGATIVE, until=7 * DAY)
    assert [entered for _, entered in found] == [True, False]
    # 16(x − 1/2)² < 5e-10 by rounding to 9 decimals: |x − 1/2| < 5.59017e-6, dx/dt = ln 2/(4 d) there.
    assert found[0][0] == pytest.approx(2 * DAY - 2_787, abs=1)
    assert found[1][0] == pytest.approx(2 * DAY + 2_788, abs=1)


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("{gt: 0, lt: 100}", DAY + 1),  # clamped to 100 for a day
        ("{lt: 100}", DAY + 1),
        ("{ge: 50, lt: 100}", DAY + 1),
        ("{gt: 99, lt: 100}", DAY + 1),
    ],
)
def test_a_score_comes_off_its_limit_on_time(test: str, expected: int) -> None:
    limited = rules(f"{{enter: {{engagement: {test}}}}}", scores="engagement: {signals: all, min: 0, max: 100}")
    assert changes(limited, [event(START, "checkout_started")])[:1] == [(expected, True)]


@pytest.mark.timeout(5)
def test_a_score_comes_up_from_its_lower_limit_on_time() -> None:
    # 8 · 2^(−t/10 d) − 16 · 2^(−t/1 d) = 0 at t = 10/9 d exactly; it rounds to 0 again once 8 · 2^(−t/10 d) ≤ 5e-10.
    limited = rules("{enter: {engagement: {gt: 0}}}", scores="engagement: {signals: all, min: 0}")
    found = changes(limited, [cta(START), event(START, "email_unsubscribed")])
    assert found == [(DAY * 10 // 9 + 1, True), (ceil(10 * DAY * log2(8 / 5e-10)), False)]


# --- before any later event ------------------------------------------------------------------------------------------


def test_an_event_first_applies_every_change_due_before_it() -> None:
    windows = rules("{enter: {any: [{did: cta, within: 1d}, {last: cta, older_than: 3d}]}}")
    story = Story(windows).tell(cta(START)).tell(page(START + 300 * DAY))
    told = [(one["at"], one["entered"], one["left"], one["cause"]["kind"]) for one in story.segments]
    assert told == [
        (iso(START), ["s"], [], "event"),
        (iso(START + DAY), [], ["s"], "timer"),
        (iso(START + 3 * DAY), ["s"], [], "timer"),
    ]


def test_an_event_a_millisecond_before_the_end_prevents_it() -> None:
    story = Story(rules("{enter: {did: cta, within: 1d}}")).tell(cta(START)).tell(cta(START + DAY - 1))
    assert len(story.segments) == 1
    assert story.until(START + DAY)["next_change_at"] == iso(START + 2 * DAY - 1)


def test_events_of_one_chunk_have_the_changes_between_them() -> None:
    told = [cta(START), cta(START + 2 * DAY), cta(START + 4 * DAY)]
    one_by_one = Story(rules("{enter: {did: cta, within: 1d}}")).tell_each(told)
    together = Story(rules("{enter: {did: cta, within: 1d}}")).tell(*told)
    ats = [START, START + DAY, START + 2 * DAY, START + 3 * DAY, START + 4 * DAY]
    for story in (one_by_one, together):
        assert [one["at"] for one in story.segments] == [iso(at) for at in ats]


# --- what is announced -----------------------------------------------------------------------------------------------

STAGES = "  - {name: hot, enter: {engagement: {ge: 8}}, exit: {engagement: {lt: 4}}, min_stay: 1d}"


def announced(reader: Reader, told: Sequence[Event], at: int) -> tuple[Any, Any]:
    profile = Story(reader).tell_each(told).until(at)
    return profile["next_change_at"], profile["cools_at"]


def test_next_change_is_of_any_group_and_cooling_is_of_the_stage() -> None:
    both = rules("{enter: {did: cta, within: 1d}}", STAGES)
    assert announced(both, [cta(START)], START) == (iso(START + DAY), iso(START + 10 * DAY + 1))
    assert announced(both, [cta(START)], START + DAY) == (iso(START + 10 * DAY + 1),) * 2
    assert announced(both, [cta(START)], START + 10 * DAY + 1) == (None, None)


def test_cooling_waits_for_the_minimum_stay() -> None:
    # 16 points that halve daily are below 4 after two days.
    stages = STAGES.replace("min_stay: 1d", "min_stay: 5d")
    assert announced(rules("{enter: {did: cta}}", stages), [event(START, "email_opened")], START) == (
        iso(START + 5 * DAY),
        iso(START + 5 * DAY),
    )


def test_a_cooldown_that_ends_while_enter_holds_is_announced() -> None:
    segment = rules("{enter: {did: cta, within: 10d}, exit: {did: long, within: 1h}, cooldown: 2d}")
    told = [cta(START), event(START + HOUR, "conversation")]
    story = Story(segment).tell_each(told)
    assert story.until(START + HOUR)["next_change_at"] == iso(START + HOUR + 2 * DAY)
    story.until(START + 100 * DAY)
    assert [one["at"] for one in story.segments[2:]] == [iso(START + HOUR + 2 * DAY)]
