"""Rules that change under a lead: what is right for all it ever did, and what holds for what comes after."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from app.domain.event import Event
from app.domain.reader import Reader
from app.rules import RulesError, loads
from tests.domain.histories import histories
from tests.domain.stories import DAY, HOUR, START, Story, event, page

LAW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

PLAIN = """
version: {version}
signals: {{view: {{event: page_viewed, points: {points}, half_life: {half_life}{more}}}}}
scores: {{engagement: {{signals: all}}, total: {{engagement: 1}}}}
stages: [{{name: new}}, {{name: {stage}, enter: {{score: {{ge: {ready}}}}}}}]
goals: {{mql: {{stage: {stage}, value: 100}}}}
"""


def plain(version: str = "v1", **changes: Any) -> Reader:
    since = changes.pop("since", 0)
    told = {"points": 10, "half_life": "1d", "ready": 15, "stage": "hot", "more": "", "version": version, **changes}
    return Reader(loads(PLAIN.format(**told)), since)


def follow(story: Story, rules: Reader, until: int) -> Story:
    """Have the lead go by other rules, at a time at which nothing happens."""
    story.rules = rules
    lead = story.lead()
    lead.follow(until)
    lead.finish()
    story._close(lead)
    return story


def score(story: Story, at: int) -> float:
    value: float = story.until(at)["score"]
    return value


# --- what is right for all that was ever done -------------------------------------------------------------------------

NUMBERS = st.sampled_from([-7, 0, 1, 2.5, 8, 20, 45])
TUNED = st.fixed_dictionaries(
    {
        **dict.fromkeys(("view", "form", "order", "dwell", "fit", "enter", "low", "audience"), NUMBERS),
        "weight": st.sampled_from([0, 0.5, 1, 2]),
        "most": st.sampled_from([20, 60, 1000]),
        "letter": st.sampled_from([1, 10, 30]),
    }
)
LADDER = """
version: {version}
currency: EUR
signals:
  view:  {{event: page_viewed, points: {view}, half_life: 3d}}
  form:  {{event: form_submitted, points: {form}, once: true}}
  order: {{event: order_completed, points: {order}, half_life: 20d, max_per_day: 1}}
  dwell: {{event: page_engaged, points_per: {{property: duration, each: 30, points: {dwell}}}, half_life: 1d}}
  want:  {{event: product_viewed, points: {view}, half_life: 2d}}
scores:
  engagement: {{signals: [view, form, dwell, want], min: 0, max: {most}}}
  buying: {{signals: [order, want]}}
  fit: {{traits: [{{where: {{country: UA}}, points: {fit}}}], max: {most}}}
  interests: {{signals: [want, view], by: category}}
  total: {{engagement: {weight}, buying: 1, fit: 0.5}}
grades:
  fit: {{A: {letter}.2, B: {letter}.1, C: {letter}, D: 0}}
  engagement: {{"1": {letter}.2, "2": {letter}.1, "3": {letter}, "4": 0}}
stages:
  - {{name: new}}
  - {{name: warm, enter: {{score: {{ge: {low}}}}}}}
  - {{name: hot, enter: {{all: [{{score: {{ge: {enter}}}}}, {{did: page_viewed, within: 9d}}]}}}}
segments:
  reader: {{enter: {{interest: {{category: shoes, ge: {audience}}}}}}}
  buyer: {{enter: {{buying: {{gt: {audience}}}}}}}
  good: {{enter: {{grade: {{in: [A1, A2, A3, B1, C1, D1]}}}}}}
  quiet: {{enter: {{last: any, older_than: 4d}}}}
"""


def tuned(version: str, numbers: dict[str, Any], since: int = 0) -> Reader:
    try:
        rules = loads(LADDER.format(version=version, **numbers))
    except RulesError:
        reject()  # with these numbers no score comes to a threshold
    return Reader(rules, since)


@LAW
@given(histories(), TUNED, TUNED, st.integers(0, 30), st.integers(0, 6 * 24))
def test_publishing_points_thresholds_weights_and_limits_is_having_had_them_from_the_start(
    events: list[Event], old: dict[str, Any], new: dict[str, Any], told: int, hours: int
) -> None:
    """Of groups this is told for conditions of the moment; what remembers (`exit`, `min_stay`, …) remembers the old."""
    old_and_new = [_in_order(numbers) for numbers in (old, new)]
    before, after = events[:told], events[told:]
    switched_at = (before[-1].at if before else START) + hours * HOUR
    changing = Story(tuned("v1", old_and_new[0])).tell_each(before)
    changing.rules = tuned("v2", old_and_new[1], since=switched_at)
    changing.tell_each(after)
    ideal = Story(tuned("v2", old_and_new[1])).tell_each(events)
    end = max(events[-1].at, switched_at) + 3 * DAY

    def seen(story: Story) -> dict[str, Any]:
        profile = story.until(end)
        return {name: value for name, value in profile.items() if name != "seq"}

    assert seen(changing) == seen(ideal)
    stage, groups = None, set[str]()
    for record in changing.segments:  # and the log still folds to the groups
        assert record["previous_stage"] == stage
        stage, groups = record["stage"], (groups | set(record["entered"])) - set(record["left"])
        assert set(record["segments"]) == groups
    assert len({record["id"] for record in changing.segments}) == len(changing.segments)


def _in_order(numbers: dict[str, Any]) -> dict[str, Any]:
    """A ladder whose rungs can all be stood on, as rules must have it."""
    low, high = sorted((numbers["low"], numbers["enter"]))
    return {**numbers, "low": max(low, 1), "enter": max(high, 2), "weight": numbers["weight"]}


# --- what holds for what comes after ----------------------------------------------------------------------------------


def test_another_half_life_is_that_of_what_happens_after_it() -> None:
    story = follow(Story(plain()).tell(page(START)), plain("v2", half_life="2d", since=START + DAY), START + DAY)
    assert score(story, START + DAY) == 5.0, "what was there goes on fading as it did"
    story.tell(page(START + DAY, "/later"))
    # 10 · 2^(−3) of the first, 10 · 2^(−2/2) of the second.
    assert score(story, START + 3 * DAY) == 6.25


def test_a_half_life_that_comes_back_goes_on_where_it_was_left() -> None:
    story = Story(plain()).tell(page(START))
    story = follow(story, plain("v2", half_life="2d"), START).tell(page(START, id="2"))
    story = follow(story, plain("v3"), START).tell(page(START + DAY, id="3"))
    (amount,) = story.lead().core.signals.values()
    assert [half_life for half_life, *_ in amount.older or []] == [2 * DAY]
    # (10 · 2^(−1) + 10) · 2^(−1) and 10 · 2^(−1) after two days.
    assert score(story, START + 2 * DAY) == 12.5


def test_a_signal_that_never_faded_keeps_what_it_has() -> None:
    story = Story(Reader(loads(PLAIN.format(**_told(more="")).replace(", half_life: 1d", "")))).tell(page(START))
    story = follow(story, plain("v2"), START + DAY).tell(page(START + DAY, "/2"))
    assert score(story, START + 2 * DAY) == 15.0


def _told(**changes: Any) -> dict[str, Any]:
    return {"version": "v1", "points": 10, "half_life": "1d", "ready": 15, "stage": "hot", **changes}


@LAW
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=12),
    st.integers(0, 12),
    st.sampled_from(["6h", "1d", "3d"]),
    st.sampled_from(["6h", "1d", "3d"]),
)
def test_each_occurrence_fades_as_the_rules_had_it_when_it_was_told(
    hours: list[int], told: int, first: str, second: str
) -> None:
    times = [START + hour * HOUR for hour in sorted(hours)]
    story = Story(plain(half_life=first))
    for index, at in enumerate(times):
        if index == told:
            story.rules = plain("v2", half_life=second, since=at)
        story.tell(page(at, id=f"e{index:02}"))
    end = times[-1] + 7 * HOUR
    spans = {"6h": 6, "1d": 24, "3d": 72}
    expected = sum(
        10 * 2 ** (-(end - at) / HOUR / spans[first if index < told else second]) for index, at in enumerate(times)
    )
    assert story.until(end)["scores"]["engagement"] == pytest.approx(expected, abs=0.0051)


def test_the_crossing_of_a_threshold_is_found_among_parts_that_fade_differently() -> None:
    story = follow(Story(plain()).tell(page(START)), plain("v2", half_life="2d"), START).tell(page(START, id="2"))
    # 10 · 2^(−t) + 10 · 2^(−t/2) = 15 with x = 2^(−t/2): x² + x = 1.5, x = (√7 − 1)/2, t = −2·log2(x) = 13.500… hours.
    profile = story.until(START)
    assert (profile["stage"], profile["cools_at"]) == ("hot", "2026-01-01T13:30:00.632Z")


def test_a_new_signal_another_where_and_other_caps_hold_for_what_comes_after() -> None:
    def rules(version: str, view: str) -> Reader:
        text = f"""
version: {version}
signals: {view}
scores: {{engagement: {{signals: all}}}}
stages: [{{name: new}}]
"""
        return Reader(loads(text))

    views = [page(START + n * HOUR, "/pricing" if n % 2 else "/", id=f"v{n}") for n in range(4)]
    later = [page(START + DAY + n * HOUR, "/pricing" if n % 2 else "/", id=f"w{n}") for n in range(4)]
    forms = [event(START, "form_submitted", "f1"), event(START + DAY, "form_submitted", "f2")]

    def after(first: str, second: str) -> float:
        story = Story(rules("v1", first)).tell(*views, forms[0])
        story.rules = rules("v2", second)
        return score(story.tell(*later, forms[1]), START + 2 * DAY)

    view, pricing = (
        "{v: {event: page_viewed, points: 1}}",
        "{v: {event: page_viewed, points: 1, where: {path: /pricing}}}",
    )
    assert (
        after(view, "{v: {event: page_viewed, points: 1}, f: {event: form_submitted, points: 100}}") == 100.0
    )  # clamped
    assert after(view, "{v: {event: page_viewed, points: 1}, f: {event: form_submitted, points: 30}}") == 38.0
    assert after(view, pricing) == 6.0
    assert after(pricing, view) == 6.0
    assert after(view, "{v: {event: page_viewed, points: 1, max_per_day: 1}}") == 5.0
    assert after("{v: {event: page_viewed, points: 1, max_per_day: 1}}", view) == 5.0
    assert after(view, "{v: {event: page_viewed, points: 1, once: true}}") == 4.0, "it has happened before"
    assert after("{v: {event: page_viewed, points: 1, once: true}}", view) == 5.0


# --- what is told -----------------------------------------------------------------------------------------------------


def changes(story: Story) -> list[tuple[str, str, str]]:
    return [(record["cause"]["kind"], record["at"][:19], record["stage"]) for record in story.segments]


def test_the_groups_follow_at_the_moment_at_which_the_rules_came() -> None:
    story = Story(plain(points=5, half_life="30d")).tell(page(START))
    follow(story, plain("v2", points=20, half_life="30d", since=START + 2 * DAY), START + 9 * DAY)
    assert changes(story) == [("event", "2026-01-01T00:00:00", "new"), ("rules", "2026-01-03T00:00:00", "hot")]
    told = story.segments[-1]
    assert (told["cause"], told["rules_version"], told["previous_stage"]) == ({"kind": "rules"}, "v2", "new")
    # 20 · 2^(−2/30): the score and the profile as of then.
    assert (told["score"], story.profiles[-1]["score"], story.profiles[-1]["at"]) == (19.1, 19.1, told["at"])
    assert [record["goal"] for record in story.conversions] == ["mql"]
    follow(story, story.rules, START + 10 * DAY)
    assert len(story.segments) == 2


def test_an_event_before_that_finds_the_groups_settled_first() -> None:
    story = Story(plain(points=5, half_life="30d")).tell(page(START))
    story.rules = plain("v2", points=20, half_life="30d", since=START + 2 * DAY)
    story.tell(page(START + DAY, "/2"))
    assert changes(story)[1:] == [("rules", "2026-01-02T00:00:00", "hot")], "no later than the event itself"
    story = Story(plain(points=5, half_life="30d")).tell(page(START))
    story.rules = plain("v2", points=12, half_life="30d", since=START + 2 * DAY)
    story.tell(page(START + 3 * DAY, "/2"))
    assert changes(story)[1:] == [("event", "2026-01-04T00:00:00", "hot")], "the rules alone moved nothing"


def test_time_goes_on_by_the_new_rules_from_there() -> None:
    story = Story(plain(points=20)).tell(page(START))
    assert story.segments[-1]["stage"] == "hot"
    story.rules = plain("v2", points=40, since=START + HOUR)
    story.tell(to=START + 9 * DAY)
    # 40 points are 15 after log2(40/15) = 1.415 days.
    assert changes(story)[1:] == [("timer", "2026-01-02T09:57:39", "new")]


def test_two_changes_of_rules_at_one_moment_of_the_lead_are_two_records() -> None:
    story = Story(plain(points=5)).tell(page(START + DAY))
    for version, points in (("v2", 20), ("v3", 5), ("v4", 20)):
        follow(story, plain(version, points=points, since=START + int(version[1])), START)
    assert changes(story)[1:] == [("rules", "2026-01-02T00:00:00", stage) for stage in ("hot", "new", "hot")]
    assert len({record["id"] for record in story.segments}) == 4


def test_a_segment_that_the_rules_no_longer_have_is_left_and_a_renamed_stage_is_no_conversion() -> None:
    segments = "\nsegments: {fans: {enter: {did: view}}, others: {enter: {did: view}}}"
    first = Reader(loads(PLAIN.format(**_told(points=20, more="")) + segments))
    story = Story(first).tell(page(START))
    assert len(story.conversions) == 1
    second = PLAIN.format(**_told(points=20, more="", version="v2", stage="ripe"))
    follow(
        story, Reader(loads(second + segments.replace("fans: {enter: {did: view}}, ", "")), START + HOUR), START + DAY
    )
    told = story.segments[-1]
    assert (told["left"], told["segments"], told["stage"]) == (["fans"], ["others"], "ripe")
    assert len(story.conversions) == 1


def test_a_late_event_after_a_change_tells_the_rules_part_first() -> None:
    story = Story(plain(points=5, half_life="30d")).tell(page(START + DAY))
    story.rules = plain("v2", points=12, half_life="30d", since=START + 2 * DAY)
    story.tell(page(START, "/late"))
    assert changes(story)[1:] == [("event", "2026-01-02T00:00:00", "hot")]
    assert story.until(START + DAY)["rules_version"] == "v2"
