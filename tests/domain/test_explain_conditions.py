"""What is told of each kind of condition: its words, what it looks at, what is missing, when it changes; by hand."""

from typing import Any

import pytest

from app.domain.conditions import Moment
from app.domain.event import Event
from app.domain.explain_conditions import Told, explain_condition
from app.domain.explain_groups import Change, GroupTold, explain_groups
from app.domain.needs import Need
from tests.domain.stories import DAY, HOUR, MINUTE, START, Story, event, order, page, reader
from tests.domain.ways import SPRING

RULES = """
version: "1"
timezone: UTC
currency: EUR
signals:
  view:  {event: page_viewed, points: 1}
  talk:  {event: conversation, points: 20, half_life: 10d}
  put:   {event: cart_added, points: 8, half_life: 10d}
  click: {event: email_clicked, points: 2}
scores:
  engagement: {signals: all, min: 0, max: 60}
  fit: {max: 50, traits: [{where: {country: UA}, points: 30}, {where: {employees: {ge: 50}}, points: 40}]}
  interests: {signals: [put]}
  total: {engagement: 0.5, fit: 0.25}
grades: {fit: {A: 40, B: 30, C: 10, D: 0}, engagement: {"1": 40, "2": 25, "3": 5, "4": 0}}
stages:
  - {name: new}
  - {name: warm, enter: {score: {ge: 5}}, exit: {score: {lt: 2}}, min_stay: 2h}
  - {name: ready, enter: {any: [{score: {ge: 40}}, {all: [{did: talk, within: 3d}, {known: true}]}]}}
  - {name: customer, enter: {orders: {ge: 1}}}
segments:
  s: {enter: CONDITION, exit: {did: click}, cooldown: 1d}
"""
SHOE = {"product_id": "p", "category": "Shoes", "price": 30, "quantity": 2}
NOW = START + DAY


def told() -> list[Event]:
    """A morning on the site; a day later 20 minutes of it are left: 3 views, 1 cart of 60 EUR, country UA."""
    return [
        page(START, "/", arrival=SPRING),
        page(START + MINUTE, "/pricing"),
        page(START + 5 * MINUTE, "/about"),
        event(START + 6 * MINUTE, "cart_added", "put", properties=SHOE, path="/about"),
        event(START + 6 * MINUTE, "traits_changed", "who", traits={"country": "UA", "plan": "free"}),
    ]


def explained(condition: str, *more: Event, at: int = NOW, wanted: bool = True) -> Told:
    story = Story(reader(RULES.replace("CONDITION", condition))).tell(*told(), *more)
    lead = story.lead()
    lead.advance(at)
    moment = Moment(lead.core, story.rules, at, known=lead.known)
    return explain_condition(story.rules.rules.segments[0].enter, moment, "segments.s.enter", wanted=wanted)


def need(of: str, amount: float | None = None, unit: str = "", way: Any = "more", **rest: Any) -> Need:
    return Need(of, amount, unit, way, **rest)


PUT_LEFT = round(8 * 2 ** -((DAY - 6 * MINUTE) / (10 * DAY)), 9)  # of the 8 points of the cart, after a day

CASES: list[tuple[str, str, Any, str, list[Need]]] = [
    ("{score: {ge: 5}}", "score ≥ 5 points", round(0.5 * (3 + PUT_LEFT) + 7.5, 9), "points", []),
    ("{fit: {ge: 50}}", "fit ≥ 50 points", 30, "points", [need("fit", 20, "points")]),
    ("{fit: {ge: 51}}", "fit ≥ 51 points", 30, "points", []),  # its limits keep it at 50
    ("{fit: {lt: 30}}", "fit < 30 points", 30, "points", [need("fit", 1e-9, "points", "less")]),
    ("{fit: {gt: 30}}", "fit > 30 points", 30, "points", [need("fit", 1e-9, "points")]),
    (
        "{interest: {category: SHOES, ge: 10}}",
        "interest in shoes ≥ 10 points",
        *(PUT_LEFT, "points", [need("interest in shoes", round(10 - PUT_LEFT, 9), "points")]),
    ),
    ("{grade: {in: [A1, B3]}}", "grade is A1 or B3", "B3", "", []),
    ("{grade: A3}", "grade is A3", "B3", "", [need("fit", 10, "points")]),
    ("{did: view, at_least: 5}", "did view at least 5 times", 3, "occurrences", [need("view", 2, "occurrences")]),
    (
        "{did: view, at_least: 2, within: 1h}",
        "did view at least 2 times within 1h",
        *(0, "occurrences", [need("view", 2, "occurrences", when="within 1h")]),
    ),
    (
        "{did: view, since: put}",
        "did view since the last put",
        *(0, "occurrences", [need("view", 1, "occurrences", when="since the last put")]),
    ),
    (
        "{not_did: view, within: 3d}",
        "did not view within 3d",
        1,
        "occurrences",
        [need("view", 1, "occurrences", "less", when="within 3d")],
    ),
    (
        "{did: form_submitted, where: {form: booking}}",
        "did form_submitted where form is booking",
        *(0, "occurrences", [need("form_submitted where form is booking", 1, "occurrences")]),
    ),
    ("{last: view, older_than: 12h}", "last view at least 12h ago", DAY / 1000 - 300, "seconds", []),
    (
        "{last: any, older_than: 30d}",
        "last anything at least 30d ago",
        *(DAY / 1000 - 360, "seconds", [need("time without anything", 29 * 86_400 + 360, "seconds")]),
    ),
    (
        "{last: talk, older_than: 1d}",
        "last talk at least 1d ago",
        *(None, "seconds", [need("talk", 1, "occurrences"), need("time without talk", 86_400, "seconds")]),
    ),
    (
        "{sequence: [view, put, click, talk], within: 2d}",
        "view, then put, then click, then talk within 2d",
        *(2, "steps", [need("click", 1, "occurrences"), need("talk", 1, "occurrences")]),
    ),
    (
        "{sequence: [put, view], within: 2d}",
        "put, then view within 2d",
        *(1, "steps", [need("view", 1, "occurrences")]),
    ),
    (
        "{trait: {country: PL, plan: {exists: true}}}",
        "trait country is pl and plan is there",
        *({"country": "UA", "plan": "free"}, "", [need("trait country", way="", wanted="is pl")]),
    ),
    ("{orders: {ge: 3, within: 9d}}", "orders ≥ 3 within 9d", 0, "orders", [need("orders", 3, "orders")]),
    ("{revenue: {gt: 99.5}}", "revenue > 99.5 EUR", 0, "EUR", [need("revenue", 99.51, "EUR")]),
    ("{cart_value: {ge: 75}}", "cart value ≥ 75 EUR", 60, "EUR", [need("cart value", 15, "EUR")]),
    ("{cart_value: {lt: 60}}", "cart value < 60 EUR", 60, "EUR", [need("cart value", 0.01, "EUR", "less")]),
    ("{sessions: {ge: 2}}", "sessions ≥ 2", 1, "sessions", [need("sessions", 1, "sessions")]),
    (
        "{visit_duration: {ge: 10m}}",
        "longest visit ≥ 10m",
        *(360, "seconds", [need("time in the longest visit", 240, "seconds")]),
    ),
    (
        "{page_duration: {path: {glob: /pric*}, gt: 4m}}",
        "time on pages whose path looks like /pric* > 4m",
        *(240, "seconds", [need("time on pages whose path looks like /pric*", 0.001, "seconds")]),
    ),
    ("{first_channel: Paid Search}", "first channel is paid search", "Paid Search", "", []),
    (
        "{last_channel: {in: [Email, SMS]}}",
        "last channel is email or sms",
        *("Paid Search", "", [need("last channel", way="", wanted="is email or sms")]),
    ),
    (
        "{known: false}",
        "not known by user id, address or phone",
        *(True, "", [need("known", way="", wanted="no user id, address or phone number")]),
    ),
    ("{mailable: true}", "may be mailed", True, "", []),
    (
        "{stage: {in: [new, ready]}}",
        "stage is new or ready",
        "warm",
        "",
        [need("stage", way="", wanted="is new or ready")],
    ),
]


@pytest.mark.parametrize(("condition", "text", "value", "unit", "needs"), CASES, ids=[case[0] for case in CASES])
def test_a_condition_is_told(condition: str, text: str, value: Any, unit: str, needs: list[Need]) -> None:
    found = explained(condition)
    assert (found.text, found.finding.value, found.finding.unit) == (text, value, unit)
    assert list(found.finding.needs) == needs
    assert found.rule == "segments.s.enter"
    assert found.holds is (not needs and condition != "{fit: {ge: 51}}")


def test_more_points_of_the_total_are_told_by_what_can_bring_them() -> None:
    found = explained("{score: {ge: 15}}")
    has = 0.5 * (3 + PUT_LEFT) + 7.5
    (missing,) = found.finding.needs
    assert (missing.of, missing.amount) == ("score", round(15 - has, 9))
    ways = dict(missing.by)
    assert ways.keys() == {"engagement", "fit"}
    assert ways["engagement"] == pytest.approx((15 - has) / 0.5, abs=2e-9)
    assert ways["fit"] == pytest.approx((15 - has) / 0.25, abs=2e-9)
    # 30 more points of fit would be above its 50: 75 · 0.5 − 10 are brought by engagement alone, and it has at most 60.
    (far,) = explained("{score: {ge: 40}}").finding.needs
    assert far.by == ()


def test_only_so_many_occurrences_are_known_as_are_kept() -> None:
    assert explained("{did: view}").finding.or_more
    assert not explained("{did: view, at_least: 5}").finding.or_more


def test_what_is_wanted_turns_round_within_a_not() -> None:
    found = explained("{not: {any: [{known: true}, {did: view, within: 2d}, {orders: {ge: 1}}]}}")
    assert (found.holds, found.wanted) == (False, True)
    (inner,) = found.parts
    assert (inner.holds, inner.wanted, inner.any) == (True, False, False)
    assert [(part.rule, part.helps) for part in inner.parts] == [
        ("segments.s.enter.not.any[0]", False),
        ("segments.s.enter.not.any[1]", False),
        ("segments.s.enter.not.any[2]", True),
    ]
    assert inner.parts[0].finding.needs == (need("known", way="", wanted="no user id, address or phone number"),)
    assert inner.parts[1].finding.needs == (need("view", 1, "occurrences", "less", when="within 2d"),)


@pytest.mark.parametrize(
    ("condition", "at"),
    [
        ("{did: view, within: 2d}", START + 5 * MINUTE + 2 * DAY),
        ("{did: view, at_least: 2, within: 2d}", START + MINUTE + 2 * DAY),
        ("{not_did: view, within: 2d}", START + 5 * MINUTE + 2 * DAY),
        ("{did: view}", None),
        ("{last: visit, older_than: 2d}", START + 6 * MINUTE + 2 * DAY),
        ("{sequence: [view, put], within: 2d}", START + 5 * MINUTE + 2 * DAY),
        ("{interest: {category: shoes, ge: 4}}", START + 6 * MINUTE + 10 * DAY + 1),
        ("{interest: {category: shoes, gt: 4}}", START + 6 * MINUTE + 10 * DAY),
        ("{engagement: {lt: 7}}", START + 6 * MINUTE + 10 * DAY + 1),  # 3 that stay, and 8 that halve
        ("{fit: {ge: 5}}", None),
        ("{orders: {ge: 1, within: 5d}}", None),
        ("{all: [{did: view, within: 2d}, {did: put, within: 36h}]}", START + 6 * MINUTE + 36 * HOUR),
        ("{any: [{did: view, within: 2d}, {did: put, within: 36h}]}", START + 5 * MINUTE + 2 * DAY),
        ("{all: [{did: view, within: 2d}, {last: put, older_than: 3d}]}", None),
    ],
)
def test_a_condition_says_when_its_truth_changes_by_itself(condition: str, at: int | None) -> None:
    assert explained(condition).changes_at == at


# --- groups -----------------------------------------------------------------------------------------------------------


def groups(*more: Event, at: int = NOW, rules: str = RULES) -> tuple[dict[str, GroupTold], Any]:
    story = Story(reader(rules.replace("CONDITION", "{did: view, within: 2d}"))).tell(*told(), *more)
    lead = story.lead()
    lead.advance(at)
    found = explain_groups(Moment(lead.core, story.rules, at, known=lead.known))
    return {group.name: group for group in (*found.stages, *found.segments)}, found


def test_the_stage_above_is_the_next_one_with_what_is_missing_to_it() -> None:
    named, found = groups()
    assert [(stage.name, stage.inside, stage.next) for stage in found.stages] == [
        ("new", False, False),
        ("warm", True, False),
        ("ready", False, True),
        ("customer", False, False),
    ]
    ready = named["ready"].enter
    assert ready is not None
    assert not ready.holds
    score, talked = ready.parts
    assert score.rule == "stages[2].enter.any[0]"
    assert [part.holds for part in talked.parts] == [False, True]
    assert talked.parts[0].finding.needs == (need("talk", 1, "occurrences", when="within 3d"),)


def test_a_stage_tells_since_when_and_until_when_at_least_it_lasts() -> None:
    # The first view brings 0.5 points; with the cart's 8 and country UA at six minutes it is 0.5 · 11 + 0.25 · 30.
    named, found = groups()
    assert (named["warm"].since, named["warm"].stays_until) == (START + 6 * MINUTE, START + 6 * MINUTE + 2 * HOUR)
    assert named["warm"].exit is not None
    assert named["ready"].exit is None
    # 1.5 + 7.5 points stay for ever, so nothing cools; and the segment is left by its exit alone.
    assert (found.cools_at, found.changes) == (None, None)


def test_what_changes_first_is_told_and_when_the_stage_is_left() -> None:
    # The talk makes it `ready` for three days from NOW on; a segment without an exit ends with its window before that.
    _, found = groups(event(NOW, "conversation", "t"), rules=RULES.replace(", exit: {did: click}", ""))
    assert found.changes == Change(START + 5 * MINUTE + 2 * DAY, "ready", (), ("s",))
    assert (found.cools_at, found.cools_to) == (NOW + 3 * DAY, "warm")


def test_a_segment_that_was_left_tells_until_when_it_is_closed() -> None:
    click = event(START + HOUR, "email_clicked", "c", properties={"email_id": "m"})
    named, _ = groups(click)
    assert (named["s"].inside, named["s"].since) == (False, None)
    assert named["s"].closed_until == START + HOUR + DAY
    assert named["s"].exit is not None
    assert named["s"].exit.finding.needs == (need("click", 1, "occurrences", "less"),)
    named, _ = groups(order(START + 2 * HOUR, "o", "5"))
    assert (named["s"].inside, named["s"].since, named["s"].closed_until) == (True, START, None)
    assert named["customer"].inside
    assert not any(group.next for group in named.values())
