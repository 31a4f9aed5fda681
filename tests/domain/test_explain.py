"""Why a lead has its score: the lines, worked out by hand, and that they sum to what they explain."""

from app.domain.explain import Explained, explain, explain_interest, hundredths
from app.domain.reader import Reader
from app.domain.score import Board
from tests.domain.stories import DAY, MINUTE, START, Story, event, page, reader

RULES = """
version: "1"
signals:
  view:    {event: page_viewed, points: 1, half_life: 10d, max_per_day: 2}
  reading: {event: page_engaged, points_per: {property: duration, each: 30, points: 1, max: 3}, half_life: 10d}
  letter:  {event: "Newsletter Subscribed", points: 8, once: true}
  talk:    {event: conversation, points: 60, half_life: 10d}
  gone:    {event: email_unsubscribed, points: -20, half_life: 20d}
  silent:  {event: order_completed, points: 5}
scores:
  engagement: {signals: all, min: 0, max: 100}
  service: {signals: [talk, gone], min: 0, max: 50}
  fit:
    min: 0
    max: 60
    traits:
      - {where: {country: UA}, points: 40}
      - {where: {employees: {ge: 50}}, points: 30}
      - {where: {email: {glob: "*@gmail.com"}}, points: -5}
  total: {engagement: 0.5, fit: 0.2, service: -0.1}
stages:
  - name: new
"""


def told() -> Story:
    return Story(reader(RULES)).tell(
        page(START, "/a"),
        page(START + MINUTE, "/b"),
        page(START + 2 * MINUTE, "/c"),
        event(START + 3 * MINUTE, "page_engaged", path="/c", properties={"duration": 40}),
        event(START + 4 * MINUTE, "page_engaged", path="/c", properties={"duration": 200}),
        event(START + 5 * MINUTE, "custom", "first", name="newslettersubscribed"),
        event(START + 6 * MINUTE, "custom", "again", name="newslettersubscribed"),
        event(START + 7 * MINUTE, "conversation", "one"),
        event(START + 8 * MINUTE, "conversation", "two"),
        event(START + 9 * MINUTE, "email_unsubscribed"),
        event(START + 9 * MINUTE, "traits_changed", traits={"country": "UA", "employees": 60}),
    )


def explained(story: Story, at: int) -> dict[str, Explained]:
    return {one.score: one for one in explain(Board(story.lead().hot.core, story.rules.rules, at))}


TEN_DAYS_ON = START + 10 * DAY


def test_each_signal_tells_its_count_last_time_and_points() -> None:
    lines = {line.signal: line for line in explained(told(), TEN_DAYS_ON)["engagement"].signals}
    facts = {name: (line.count, line.last_at - START, line.raw_points) for name, line in lines.items()}
    assert facts == {
        "view": (3, 2 * MINUTE, 2),
        "reading": (2, 4 * MINUTE, 3),
        "letter": (2, 6 * MINUTE, 8),
        "talk": (2, 8 * MINUTE, 120),
        "gone": (1, 9 * MINUTE, -20),
    }
    assert lines["view"].points == 1  # 2 points of the day that begins at START, halved
    assert lines["letter"].points == 8
    assert round(lines["reading"].points, 9) == round(3 * 2 ** -(1 - 2 / 14_400), 9)  # from its view's time
    assert round(lines["talk"].points, 9) == round(60 * 2 ** -(1 - 7 / 14_400) + 60 * 2 ** -(1 - 8 / 14_400), 9)
    assert round(lines["gone"].points, 9) == round(-20 * 2 ** -(0.5 - 9 / 28_800), 9)


def test_the_caps_that_held_a_signal_back_are_told() -> None:
    caps = {
        line.signal: ", ".join(map(str, line.caps)) for line in explained(told(), START + DAY)["engagement"].signals
    }
    assert caps == {
        "view": "max_per_day 2 occurrences a day: 1 held back",
        "reading": "max 3 points a page view",
        "letter": "once: 1 held back",
        "talk": "",
        "gone": "",
    }


def test_limits_stand_as_a_line_of_their_own() -> None:
    now = START + 9 * MINUTE
    parts = explained(told(), now)
    plain = sum(line.points for line in parts["service"].signals)
    assert plain > 50
    assert [round(line.points, 6) for line in parts["service"].lines] == [round(50 - plain, 6)]
    assert parts["service"].value == 50
    assert explained(told(), START + 30 * DAY)["service"].lines == ()  # 15 − 7.07: within its limits


def test_fit_is_told_trait_by_trait() -> None:
    fit = explained(told(), START)["fit"]
    assert sorted(line.points for line in fit.lines) == [-10, 30, 40]  # 70 held at 60
    assert fit.value == 60


def test_the_total_is_told_by_its_weights() -> None:
    total = explained(told(), START + 9 * MINUTE)["score"]
    assert sorted(round(line.points, 6) for line in total.lines) == [-5, 12, 50]  # −0.1 · 50, 0.2 · 60, 0.5 · 100
    assert total.value == 57


def test_lines_sum_to_every_score_at_any_time() -> None:
    story = told()
    for days in range(0, 400, 7):
        for one in explain(Board(story.lead().hot.core, story.rules.rules, START + 9 * MINUTE + days * DAY)):
            assert abs(one.sum() - one.value) <= 2e-9, one


def test_a_lead_that_did_nothing_of_worth_has_a_score_of_nothing() -> None:
    quiet: Reader = reader(RULES)
    story = Story(quiet).tell(event(START, "email_delivered", properties={"email_id": "m"}))
    assert {name: one.value for name, one in explained(story, START).items()} == {
        "engagement": 0,
        "service": 0,
        "fit": 0,
        "score": 0,
    }


def test_what_is_shown_is_in_hundredths_and_sums_to_what_is_emitted() -> None:
    # 99 hundredths when each is rounded down: the first of those that lost the same gets the one that is left.
    assert hundredths([0.335, 0.335, 0.335], 1.005) == [0.34, 0.33, 0.33]
    assert hundredths([1.239, 2.006, -0.249], 2.996) == [1.24, 2.01, -0.25]
    assert hundredths([70.0, 60.0, -30.0], 100.0) == [70, 60, -30]
    assert hundredths([], 0.0) == []


def test_an_interest_is_told_signal_by_signal() -> None:
    liked = RULES.replace("stages:", "  interests: {signals: [look, put]}\nstages:").replace(
        "scores:",
        "  look: {event: product_viewed, points: 2, half_life: 10d}\n  put: {event: cart_added, points: 10}\nscores:",
    )
    shoe = {"product_id": "p", "category": "Shoes"}
    story = Story(reader(liked)).tell(
        event(START, "product_viewed", properties=shoe),
        event(START, "product_viewed", "again", properties=shoe),
        event(START, "cart_added", properties=shoe),
    )
    told = explain_interest(Board(story.lead().hot.core, story.rules.rules, START + 10 * DAY), "Shoes")
    assert {line.signal: (line.count, line.raw_points, line.points) for line in told.signals} == {
        "look": (0, 4, 2),
        "put": (0, 10, 10),
    }
    assert told.value == 12
