"""Named scores, fit, interests, their weighted total and the grade: every number worked out by hand."""

from typing import Any

import pytest

from app.domain.event import Event
from app.domain.reader import Reader
from app.domain.score import Board
from tests.domain.stories import DAY, START, Story, event, page, reader

TEN_DAYS = 10 * DAY
SIGNALS = """
  cta:    {event: cta_clicked, points: 10, half_life: 10d}
  talk:   {event: conversation, points: 60, half_life: 10d}
  gone:   {event: email_unsubscribed, points: -25, half_life: 20d}
  viewed: {event: product_viewed, points: 2, half_life: 10d}
  put:    {event: cart_added, points: 8, half_life: 20d}
  bought: {event: order_completed, points: 5}
"""


def rules(scores: str, rest: str = "", signals: str = SIGNALS) -> Reader:
    return reader(f'version: "1"\nsignals:{signals}\nscores:\n{scores}\nstages:\n  - name: new\n{rest}')


def told(rules: Reader, *events: Event) -> Story:
    return Story(rules).tell_each(events)


def board(story: Story, at: int = START) -> Board:
    return Board(story.lead().hot.core, story.rules.rules, at)


def talk(at: int) -> Event:
    return event(at, "conversation")


def identify(at: int, traits: dict[str, Any], **rest: Any) -> Event:
    return event(at, "traits_changed", traits=traits, **rest)


# --- named scores ----------------------------------------------------------------------------------------------------


def test_a_score_is_over_its_own_signals_and_all_means_all() -> None:
    two = rules("  engagement: {signals: all}\n  service: {signals: [talk]}")
    story = told(two, talk(START), event(START, "cta_clicked"))
    assert board(story).value("engagement") == 70
    assert board(story).value("service") == 60


def test_a_score_is_clamped_but_what_it_is_made_of_is_not() -> None:
    story = told(rules("  engagement: {signals: all, min: 0, max: 100}"), talk(START), talk(START + 1), talk(START + 2))
    assert board(story, START + 2).value("engagement") == 100  # of 180
    assert board(story, START + 1 + TEN_DAYS).value("engagement") == pytest.approx(90, abs=1e-6)
    assert board(story, START + 1 + 2 * TEN_DAYS).value("engagement") == pytest.approx(45, abs=1e-6)


def test_below_its_minimum_a_score_stands_at_it_and_comes_back_as_the_negative_part_fades() -> None:
    story = told(
        rules("  engagement: {signals: all, min: 0}"),
        event(START, "email_unsubscribed"),
        event(START, "order_completed"),
    )
    assert board(story).value("engagement") == 0  # 5 − 25
    assert board(story, START + 40 * DAY).value("engagement") == 0  # 5 − 6.25
    assert board(story, START + 60 * DAY).value("engagement") == 1.875  # 5 − 3.125


def test_without_limits_a_score_may_be_anything() -> None:
    story = told(rules("  engagement: {signals: all}"), event(START, "email_unsubscribed"))
    assert board(story).value("engagement") == -25


# --- fit -------------------------------------------------------------------------------------------------------------

FIT = """
  engagement: {signals: all, min: 0, max: 100}
  fit:
    min: 0
    max: 100
    traits:
      - {where: {country: {in: [UA, PL]}}, points: 40}
      - {where: {employees: {ge: 50}, role: owner}, points: 80}
      - {where: {email: {glob: ["*@gmail.com"]}}, points: -10}
"""


@pytest.mark.parametrize(
    ("traits", "points"),
    [
        ({}, 0),
        ({"country": "ua"}, 40),
        ({"country": "FR"}, 0),
        ({"employees": 50}, 0),
        ({"employees": 50, "role": "Owner"}, 80),
        ({"employees": 49, "role": "owner", "country": "PL"}, 40),
        ({"employees": 50, "role": "owner", "country": "PL"}, 100),
        ({"email": "a@gmail.com"}, 0),
        ({"email": "a@gmail.com", "country": "UA"}, 30),
    ],
)
def test_fit_is_the_points_for_traits_within_its_limits(traits: dict[str, Any], points: float) -> None:
    assert board(told(rules(FIT), identify(START, traits))).fit() == points


def test_fit_does_not_fade_and_follows_the_newest_traits() -> None:
    story = told(rules(FIT), identify(START, {"country": "UA"}))
    assert board(story, START + 3_000 * DAY).fit() == 40
    assert board(story.tell(identify(START + DAY, {"country": "FR"}))).fit() == 0
    assert board(story.tell(identify(START + 1, {"country": "PL"}))).fit() == 0  # told late: FR is newer


def test_without_fit_it_is_nothing() -> None:
    assert board(told(rules("  engagement: {signals: all}"), identify(START, {"country": "UA"}))).fit() == 0


# --- total -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "total"),
    [
        ("{engagement: 0.8, fit: 0.2}", 64),  # 0.8 · 70 + 0.2 · 40
        ("{engagement: 1, fit: 1}", 100),  # 110
        ("{engagement: 1, fit: -0.5}", 50),
        ("{engagement: 0.5, fit: -1}", 0),  # −5
        ("{service: 2}", 100),  # 120
        ("{service: 0.25, engagement: 0.1}", 22),
    ],
)
def test_the_total_is_the_weighted_sum_within_0_and_100(weights: str, total: float) -> None:
    weighed = rules(f"{FIT}  service: {{signals: [talk]}}\n  total: {weights}")
    story = told(weighed, identify(START, {"country": "UA"}), talk(START), event(START, "cta_clicked"))
    assert board(story).value("score") == total


def test_weights_take_the_clamped_scores() -> None:
    story = told(rules(FIT + "  total: {engagement: 0.5}"), talk(START), talk(START + 1))
    assert board(story, START + 1).value("score") == 50  # half of 100, not of 120


# --- interests -------------------------------------------------------------------------------------------------------

INTERESTS = "  engagement: {signals: all}\n  interests: {signals: [viewed, put], by: category}"


def product(at: int, kind: str, category: str, **rest: Any) -> Event:
    return event(at, kind, f"{at}-{kind}-{category}", properties={"category": category, **rest})


def interests(story: Story, at: int) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = story.until(at)["interests"]
    return shown


def test_an_interest_adds_its_signals_points_and_fades_with_their_half_lives() -> None:
    story = told(
        rules(INTERESTS),
        product(START, "product_viewed", "shoes"),
        product(START, "cart_added", "shoes"),
        product(START, "product_viewed", "bags"),
        event(START, "cta_clicked", properties={"category": "hats"}),
    )
    assert interests(story, START) == [{"category": "shoes", "score": 10}, {"category": "bags", "score": 2}]
    later = interests(story, START + 2 * TEN_DAYS)
    assert later == [{"category": "shoes", "score": 4.5}, {"category": "bags", "score": 0.5}]  # 2/4 + 8/2, 2/4


def test_each_distinct_value_of_several_products_counts_once() -> None:
    several = [{"category": "shoes"}, {"category": "bags"}, {"category": "shoes"}]
    story = told(rules(INTERESTS), event(START, "product_viewed", properties={"products": several}))
    assert interests(story, START) == [{"category": "bags", "score": 2}, {"category": "shoes", "score": 2}]
    assert board(story).value("engagement") == 2


def test_an_interest_in_what_is_measured_is_worth_what_was_measured() -> None:
    bulk = "\n  viewed: {event: cart_added, points_per: {property: quantity, each: 2, points: 3}}\n"
    by_category = rules("  engagement: {signals: all}\n  interests: {signals: [viewed], by: category}", signals=bulk)
    story = told(by_category, product(START, "cart_added", "shoes", quantity=5))
    assert board(story).value("engagement") == 6
    assert interests(story, START) == [{"category": "shoes", "score": 6}]


def test_interests_may_be_by_another_field() -> None:
    by_brand = rules(INTERESTS.replace("category", "brand"))
    story = told(by_brand, event(START, "product_viewed", properties={"brand": "Acme", "category": "shoes"}))
    assert interests(story, START) == [{"category": "Acme", "score": 2}]


# --- grade -----------------------------------------------------------------------------------------------------------

GRADES = """
grades:
  fit: {A: 75, B: 50, C: 25, D: 0}
  engagement: {"1": 75, "2": 50, "3": 25, "4": 0}
"""
GRADED = """
  engagement: {signals: all, min: -10, max: 100}
  fit:
    min: -10
    traits: [{where: {p: 75}, points: 75}, {where: {p: 74}, points: 74.99}, {where: {p: 50}, points: 50},
             {where: {p: 25}, points: 25}, {where: {p: 1}, points: -1}]
"""
POINTS = "\n  some: {event: some, points_per: {property: n, each: 0.01, points: 0.01}}\n"


@pytest.mark.parametrize(
    ("p", "n", "grade"),
    [
        (75, 75, "A1"),
        (74, 74.5, "B2"),
        (50, 50, "B2"),
        (25, 49.5, "C3"),
        (25, 25, "C3"),
        (0, 24.5, "D4"),
        (1, 0, "D4"),
        (75, 0, "A4"),
        (0, 100, "D1"),
    ],
)
def test_a_grade_is_the_letter_of_fit_and_the_digit_of_engagement(p: float, n: float, grade: str) -> None:
    story = told(
        rules(GRADED, GRADES, POINTS),
        identify(START, {"p": p}),
        event(START, "custom", name="some", properties={"n": n}),
    )
    assert story.until(START)["grade"] == grade


def test_a_partial_section_of_grades_keeps_the_other_thresholds() -> None:
    partial = rules(GRADED, "grades:\n  fit: {A: 60}\n", POINTS)
    assert told(partial, identify(START, {"p": 74})).until(START)["grade"] == "A4"
    assert told(partial, identify(START, {"p": 50})).until(START)["grade"] == "B4"


def test_without_declared_grades_there_is_none() -> None:
    assert told(rules(GRADED, "", POINTS), identify(START, {"p": 75})).until(START)["grade"] is None


# --- at once for every lead, and as shown ----------------------------------------------------------------------------


def test_new_points_and_weights_are_right_at_once() -> None:
    before, after = (
        rules("  engagement: {signals: all, max: 100}\n  total: {engagement: 1}"),
        rules(
            "  engagement: {signals: all, max: 150}\n  total: {engagement: 0.5}",
            signals=SIGNALS.replace("points: 60", "points: 80"),
        ),
    )
    story = told(before, talk(START), talk(START + 1), talk(START + 2))
    story.rules = after
    assert board(story, START + 2 + TEN_DAYS).value("engagement") == pytest.approx(120, abs=1e-5)
    assert board(story, START + 2 + TEN_DAYS).value("score") == pytest.approx(60, abs=1e-5)


@pytest.mark.parametrize(("points", "shown"), [(0.125, 0.12), (0.375, 0.38), (7.0001, 7.0), (2.5, 2.5), (-0.001, 0.0)])
def test_scores_are_shown_with_two_decimals_half_to_even(points: float, shown: float) -> None:
    some = f"\n  some: {{event: page_viewed, points: {points}}}\n"
    profile = told(rules("  engagement: {signals: all}", signals=some), page(START)).until(START)
    assert profile["engagement"] == profile["scores"]["engagement"] == shown
    assert str(profile["engagement"]) != "-0.0"
