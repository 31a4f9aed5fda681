"""Conditions on what a lead did and when: counts, half-open windows to the millisecond, absences and sequences."""

from collections.abc import Sequence
from typing import Any

import pytest

from app.domain.event import Event
from app.domain.reader import Reader
from tests.domain.stories import DAY, HOUR, START, Story, event, page, reader


def rules(condition: str) -> Reader:
    return reader(
        f"""
version: "1"
signals:
  cta: {{event: cta_clicked, points: 1}}
  pricing_view: {{event: page_viewed, where: {{path: {{glob: "/pricing*"}}}}, points: 6}}
  letter: {{event: "Newsletter Subscribed", points: 8, once: true}}
  capped: {{event: form_submitted, points: 1, max_per_day: 1}}
  worthless: {{event: site_searched, points: 0}}
scores:
  engagement: {{signals: all}}
stages:
  - name: new
segments:
  s: {{enter: {condition}}}
"""
    )


def holds(condition: str, told: Sequence[Event], at: int) -> bool:
    """Whether a condition holds at a moment, after a history."""
    return "s" in Story(rules(condition)).tell_each(told).until(at)["segments"]


def cta(at: int, id: str = "", **rest: Any) -> Event:
    return event(at, "cta_clicked", id or f"cta-{at}", **rest)


def form(at: int, name: str = "contact", id: str = "") -> Event:
    return event(at, "form_submitted", id or f"form-{at}", properties={"form": name})


def search(at: int) -> Event:
    return event(at, "site_searched")


# --- did, not_did ----------------------------------------------------------------------------------------------------


def test_did_without_a_window_is_ever() -> None:
    assert not holds("{did: cta}", [page(START)], START + DAY)
    assert holds("{did: cta}", [cta(START)], START + 3_000 * DAY)
    assert not holds("{not_did: cta}", [cta(START)], START + 3_000 * DAY)
    assert holds("{not_did: cta}", [page(START)], START)


@pytest.mark.parametrize(("after", "inside"), [(0, True), (DAY - 1, True), (DAY, False), (DAY + 1, False)])
def test_a_window_is_half_open(after: int, inside: bool) -> None:
    assert holds("{did: cta, within: 24h}", [cta(START)], START + after) is inside
    assert holds("{not_did: cta, within: 24h}", [cta(START)], START + after) is not inside


def test_at_least_counts_the_newest_in_the_window() -> None:
    told = [cta(START), cta(START + 2 * HOUR), cta(START + 4 * HOUR)]
    three, two = "{did: cta, at_least: 3, within: 24h}", "{did: cta, at_least: 2, within: 24h}"
    assert not holds(three, told[:2], START + 4 * HOUR)
    assert holds(three, told, START + DAY - 1)
    assert not holds(three, told, START + DAY)
    assert holds(two, told, START + 2 * HOUR + DAY - 1)
    assert not holds(two, told, START + 2 * HOUR + DAY)
    assert holds("{not_did: cta, at_least: 3, within: 24h}", told, START + DAY)
    assert not holds("{not_did: cta, at_least: 3}", told, START + 9 * DAY)
    assert holds("{did: cta, at_least: 3}", told, START + 900 * DAY)


def test_two_at_one_moment_are_two() -> None:
    assert holds("{did: cta, at_least: 2, within: 1h}", [cta(START, "a"), cta(START, "b")], START)


def test_occurrences_count_whatever_points_and_caps_say() -> None:
    letters = [event(START + n, "custom", f"n{n}", name="newslettersubscribed") for n in range(3)]
    assert holds("{did: letter, at_least: 3}", letters, START + DAY)
    assert holds("{did: capped, at_least: 3}", [form(START + n) for n in range(3)], START + DAY)
    assert holds("{did: worthless, at_least: 2}", [search(START), search(START + 1)], START + 1)


def test_a_name_is_a_signal_then_a_kind_then_an_event_name() -> None:
    pages = [page(START, "/pricing"), page(START + 1, "/blog")]
    assert not holds("{did: pricing_view, at_least: 2}", pages, START + 1)
    assert holds("{did: page_viewed, at_least: 2}", pages, START + 1)
    deal = [event(START, "custom", name="dealwon")]
    assert holds('{did: "Deal Won"}', deal, START)
    assert holds("{did: deal_won}", deal, START)
    assert not holds('{did: "Deal Lost"}', deal, START)
    assert holds('{did: "Order Completed"}', [event(START, "order_completed")], START)


def test_where_narrows_a_name_and_comes_on_top_of_the_signals_own() -> None:
    assert holds("{did: form_submitted, where: {form: Booking}}", [form(START, "booking")], START)
    assert not holds("{did: form_submitted, where: {form: booking}}", [form(START, "contact")], START)
    teams = "{did: pricing_view, where: {path: {contains: TEAMS}}}"
    assert holds(teams, [page(START, "/pricing/teams")], START)
    assert not holds(teams, [page(START, "/pricing")], START)
    assert not holds(teams, [page(START, "/teams")], START)


@pytest.mark.parametrize(
    ("test", "passing", "failing"),
    [
        ("contact", ["contact", "CONTACT"], ["contact us", None]),
        ("5", [5, "5", 5.0], [6, None]),
        ("{in: [a, b]}", ["A", "b"], ["c", None]),
        ("{not_in: [a, b]}", ["c", None], ["A", "b"]),
        ("{glob: 'x*y'}", ["xy", "X--y"], ["xyz", None]),
        ("{glob: ['x*', 'y?']}", ["x", "y1"], ["y", "ax"]),
        ("{contains: price}", ["The Price is", "price"], ["prize", None]),
        ("{ge: 5}", [5, 6, "5"], [4.99, None, "many"]),
        ("{gt: 5}", [5.01], [5]),
        ("{le: 5}", [5, -1], [5.01, None]),
        ("{lt: 5}", [4.99], [5]),
        ("{gt: 20, le: 40}", [40, 21], [20, 41]),
        ("{exists: true}", ["", 0, False], [None]),
        ("{exists: false}", [None], ["x"]),
        ("no", ["no", "NO"], [None, "yes"]),
    ],
)
def test_every_comparison_of_where(test: str, passing: list[object], failing: list[object]) -> None:
    for value in [*passing, *failing]:
        properties = {} if value is None else {"a": {"b": value}}
        told = [event(START, "form_submitted", properties=properties)]
        assert holds(f"{{did: form_submitted, where: {{a.b: {test}}}}}", told, START) is (value in passing), value


# --- since -----------------------------------------------------------------------------------------------------------


def test_since_counts_only_what_came_after_the_latest_of_the_other() -> None:
    after = "{did: cta, since: form_submitted}"
    assert not holds(after, [cta(START), form(START + 1)], START + DAY)
    assert holds(after, [form(START), cta(START + 1)], START + 300 * DAY)
    assert not holds(after, [form(START), cta(START + 1), form(START + 2)], START + DAY)
    assert not holds(after, [cta(START), form(START)], START)  # at the same moment is not after


def test_not_since_and_how_many_since() -> None:
    assert holds("{not_did: cta, since: form_submitted}", [cta(START), form(START + 1)], START + 1)
    assert not holds("{not_did: cta, since: form_submitted}", [form(START), cta(START + 1)], START + 1)
    twice = "{did: cta, since: form_submitted, at_least: 2}"
    assert not holds(twice, [cta(START), form(START + 1), cta(START + 2)], START + 2)
    assert holds(twice, [form(START + 1), cta(START + 2), cta(START + 3)], START + 3)


# --- last ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("after", "absent"), [(0, False), (DAY - 1, False), (DAY, True), (400 * DAY, True)])
def test_older_than_holds_from_its_moment_on(after: int, absent: bool) -> None:
    assert holds("{last: cta, older_than: 1d}", [cta(START)], START + after) is absent


def test_what_never_happened_is_not_long_ago() -> None:
    assert not holds("{last: cta, older_than: 1d}", [page(START)], START + 30 * DAY)


def test_the_latest_decides_even_when_told_out_of_order() -> None:
    condition = "{last: cta, older_than: 1d}"
    assert not holds(condition, [cta(START + HOUR), cta(START)], START + DAY + HOUR - 1)
    assert holds(condition, [cta(START + HOUR), cta(START)], START + DAY + HOUR)


@pytest.mark.parametrize(
    ("kind", "doing"),
    [
        ("email_sent", False),
        ("email_delivered", False),
        ("email_bounced", False),
        ("email_opened", True),
        ("email_clicked", True),
        ("conversation", True),
        ("custom", True),
        ("page_engaged", True),
        ("cart_viewed", True),
    ],
)
def test_last_any_is_what_the_lead_did(kind: str, doing: bool) -> None:
    told = [page(START), event(START + HOUR, kind, name="dealwon" if kind == "custom" else "")]
    assert holds("{last: any, older_than: 1d}", told, START + DAY) is not doing
    assert holds("{last: any, older_than: 1d}", told, START + HOUR + DAY)


@pytest.mark.parametrize(
    ("kind", "path", "visit"),
    [
        ("page_viewed", "/a", True),
        ("page_engaged", "", True),
        ("form_submitted", "", True),
        ("order_completed", "", True),
        ("custom", "/a", True),
        ("custom", "", False),
        ("email_clicked", "/a", False),
        ("conversation", "/a", False),
        ("order_refunded", "", False),
        ("order_cancelled", "", False),
        ("traits_changed", "", False),
    ],
)
def test_last_visit_is_a_session_event(kind: str, path: str, visit: bool) -> None:
    properties = {"order_id": "o"} if kind.startswith("order") else {}
    told = [page(START), event(START + HOUR, kind, path=path, name="x", properties=properties)]
    assert holds("{last: visit, older_than: 1d}", told, START + DAY) is not visit


def test_tagged_traffic_is_no_deed() -> None:
    assert holds("{last: any, older_than: 1d}", [page(START), page(START + HOUR, bot=True)], START + DAY)
    assert not holds("{did: cta}", [page(START), cta(START + 1, bot=True)], START + 1)


# --- sequence --------------------------------------------------------------------------------------------------------

STEPS = "{sequence: [cta, form_submitted, site_searched], within: 24h}"


def test_a_sequence_is_in_order_and_each_strictly_later() -> None:
    assert holds(STEPS, [cta(START), form(START + 1), search(START + 2)], START + 2)
    assert not holds(STEPS, [cta(START), search(START + 1), form(START + 2)], START + 2)
    assert not holds(STEPS, [cta(START), form(START), search(START + 2)], START + 2)
    assert not holds(STEPS, [cta(START), form(START + 1)], START + 2)


def test_all_of_a_sequence_is_within_its_window_before_now() -> None:
    told = [cta(START), form(START + HOUR), search(START + 2 * HOUR)]
    assert holds(STEPS, told, START + DAY - 1)
    assert not holds(STEPS, told, START + DAY)


def test_the_latest_possible_beginning_of_a_sequence_counts() -> None:
    told = [
        cta(START),
        form(START + 1),
        cta(START + HOUR),
        form(START + 2 * HOUR),
        cta(START + 3 * HOUR),
        search(START + 4 * HOUR),
    ]
    assert holds(STEPS, told, START + HOUR + DAY - 1)
    assert not holds(STEPS, told, START + HOUR + DAY)


def test_other_things_between_the_steps_do_not_matter_nor_does_the_order_of_arrival() -> None:
    told = [search(START + 9), form(START + 5), page(START + 7), search(START + 1), cta(START)]
    assert holds(STEPS, told, START + 9)


def test_a_sequence_of_one_thing_twice_needs_two_moments() -> None:
    twice = "{sequence: [cta, cta], within: 24h}"
    assert not holds(twice, [cta(START, "a"), cta(START, "b")], START)
    assert holds(twice, [cta(START), cta(START + 1)], START + DAY - 1)
    assert not holds(twice, [cta(START), cta(START + 1)], START + DAY)
