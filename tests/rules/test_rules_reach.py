"""Stages that cannot be reached are told, with the reason; and none that a lead may come to ever is."""

import time

import pytest

from app.rules import Problem, RulesError, load, loads
from app.rules.describe import notes
from app.rules.reach import segments_out_of_reach, stages_out_of_reach
from tests.domain import stories

RULES = """\
version: v1
signals:
  view: {event: page_viewed, points: 1, half_life: 14d}
  book: {event: form_submitted, where: {form: booking}, points: 20}
  join: {event: Club Joined, points: 8, once: true}
  gone: {event: email_unsubscribed, points: -5}
  never: {event: site_searched, where: {results: {gt: 5, lt: 5}}, points: 1}
scores:
  engagement: {signals: all, min: 0, max: 100}
  loyalty: {signals: [join]}
  annoyance: {signals: [gone]}
  fit: {traits: [{where: {country: UA}, points: 30}, {where: {employees: {ge: 50}}, points: 40}], max: 60}
  interests: {signals: [view]}
  total: {engagement: 0.5, fit: 0.5}
grades: {fit: {A: 80, B: 50, C: 25, D: 0}, engagement: {"1": 75, "2": 50, "3": 25, "4": 0}}
stages:
  - name: new
  - name: hot
    enter: CONDITION
"""


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(RulesError) as raised:
        loads(text)
    return raised.value.problems


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        # --- beyond what a number can be
        ("{score: {ge: 100.5}}", "score ≥ 100.5, and it is always ≥ 0 and ≤ 80"),
        ("{score: {gt: 80.01}}", "score > 80.01, and it is always"),
        ("{engagement: {gt: 100}}", "engagement > 100, and it is always ≥ 0 and ≤ 100"),
        ("{engagement: {lt: 0}}", "engagement < 0, and it is always ≥ 0 and ≤ 100"),
        ("{fit: {ge: 61}}", "fit ≥ 61, and it is always"),
        ("{loyalty: {ge: 9}}", "loyalty ≥ 9, and it is always"),
        ("{annoyance: {ge: 1}}", "annoyance ≥ 1, and it is always"),
        ("{interest: {category: shoes, lt: -1}}", "interest in shoes < -1, and it is always"),
        ("{orders: {lt: 0}}", "orders < 0, and it is always ≥ 0"),
        ("{sessions: {gt: 1, lt: 2}}", "sessions > 1 and < 2"),
        ("{revenue: {lt: 0}}", "revenue < 0"),
        ("{grade: {in: [A1, A2]}}", "a grade that fit and engagement never make: A1 or A2"),
        # --- bounds that exclude each other
        ("{all: [{score: {ge: 40}}, {score: {lt: 10}}]}", "score"),
        ("{score: {ge: 40, lt: 40}}", "score ≥ 40 and < 40"),
        (
            "{all: [{score: {ge: 40}}, {any: [{score: {lt: 10}}, {score: {le: 20}}]}]}",
            "score ≥ 40 and < 10; score ≥ 40 and ≤ 20",
        ),
        ("{all: [{score: {ge: 40}}, {not: {score: {gt: 30}}}]}", "score"),
        ("{all: [{score: {ge: 60}}, {engagement: {lt: 50}}]}", "the scores it is made of do not allow that"),
        ("{all: [{grade: {in: [B1, B2]}}, {engagement: {lt: 50}}]}", "never make: B1 or B2"),
        ("{all: [{grade: B1}, {grade: B2}]}", "grade is one thing and another"),
        ("{all: [{orders: {ge: 3, within: 7d}}, {orders: {lt: 3}}]}", "more orders within a time than within a longer"),
        ("{all: [{visit_duration: {ge: 5m}}, {visit_duration: {lt: 1m}}]}", "visit_duration in ms"),
        # --- deeds
        ("{all: [{did: view, at_least: 3, within: 1d}, {not_did: view, within: 7d}]}", "did view and did it not"),
        ("{all: [{did: view, since: book}, {not_did: view}]}", "did view and did it not"),
        ("{all: [{last: view, older_than: 7d}, {did: view, within: 7d}]}", "did view lately and long ago only"),
        ("{all: [{last: view, older_than: 7d}, {not_did: view}]}", "did view and did it not"),
        ("{all: [{sequence: [book, view], within: 2d}, {not_did: view, within: 3d}]}", "did view and did it not"),
        ("{did: never}", "did never, where results > 5 and < 5"),
        ("{did: view, where: {path: {in: [/a], not_in: [/a, /b]}}}", "path is one of what it must not be"),
        # --- the rest
        ("{all: [{known: true}, {not: {known: true}}]}", "known is true and false"),
        ("{not: {any: [{mailable: true}, {mailable: false}]}}", "mailable is true and false"),
        ("{all: [{first_channel: Email}, {first_channel: {in: [SMS, Direct]}}]}", "first channel is one thing and"),
        ("{trait: {seats: {ge: 10, lt: 5}}}", "seats ≥ 10 and < 5"),
        ("{trait: {plan: {exists: false, in: [pro]}}}", "plan is not there and is something"),
    ],
)
def test_a_stage_whose_condition_nobody_can_meet_is_a_mistake(condition: str, why: str) -> None:
    (found,) = problems(RULES.replace("CONDITION", condition))
    assert (found.line, found.field) == (19, "stages[1].enter")
    assert found.found.startswith("a condition that no lead can meet (")
    assert why in found.found
    assert found.expected == "a condition that a lead can meet"


@pytest.mark.parametrize(
    "condition",
    [
        "{score: {ge: 80}}",
        "{engagement: {ge: 100}}",
        "{engagement: {le: 0}}",
        "{loyalty: {ge: 8}}",
        "{annoyance: {le: -500}}",
        "{interest: {category: shoes, ge: 5000}}",
        "{grade: {in: [A1, B1]}}",
        "{sessions: {gt: 1, lt: 3}}",
        "{all: [{score: {ge: 40}}, {engagement: {ge: 20, lt: 21}}]}",
        "{all: [{orders: {ge: 3}}, {orders: {lt: 3, within: 7d}}]}",
        "{all: [{did: view, within: 7d}, {not_did: view, within: 1d}]}",
        "{all: [{did: view, at_least: 2}, {not_did: view, at_least: 3}]}",
        "{all: [{last: view, older_than: 6d}, {did: view, within: 7d}]}",
        "{all: [{did: view, within: 7d}, {not_did: view, since: book}]}",
        "{all: [{did: view, where: {path: /a}}, {not_did: view, where: {path: /b}}]}",
        "{all: [{did: book}, {not_did: form_submitted, within: 1d}]}",
        "{all: [{trait: {country: UA}}, {trait: {country: PL}}]}",  # of a list one member is enough
        "{trait: {seats: {ge: 10, le: 10}}}",
        "{all: [{first_channel: Email}, {last_channel: SMS}]}",
        "{not: {first_channel: Email}}",
        "{not: {score: {ge: 10, lt: 20}}}",
    ],
)
def test_what_somebody_may_meet_is_no_mistake(condition: str) -> None:
    assert loads(RULES.replace("CONDITION", condition)).stages[1].name == "hot"


LADDER = "signals: {v: {event: e, points: 1}}\nscores: {engagement: {signals: all, min: 0}}\nversion: 1\n"


def ladder(*stages: str, more: str = "") -> str:
    return LADDER + more + "stages:\n" + "".join(f"  - {stage}\n" for stage in ("{name: new}", *stages))


@pytest.mark.parametrize(
    ("text", "line", "field", "found"),
    [
        (
            ladder("{name: warm, enter: {score: {ge: 40}}}", "{name: hot, enter: {score: {ge: 8}}}"),
            *(6, "stages[1].enter", "nobody comes to: whenever it holds, `hot` above it holds too"),
        ),
        (
            ladder("{name: warm, enter: {did: v, within: 1d}}", "{name: hot, enter: {any: [{did: v}, {known: true}]}}"),
            *(6, "stages[1].enter", "`hot` above it holds too"),
        ),
        (
            ladder(
                "{name: warm, enter: {score: {ge: 5}}}",
                "{name: odd, enter: {known: true}}",
                "{name: even, enter: {known: false}}",
            ),
            *(6, "stages[1].enter", "whenever it holds, a stage above it holds too"),
        ),
        (
            ladder("{name: a, enter: {not: {stage: new}}}"),
            *(6, "stages[1].enter", "a condition on the stage that no other stage meets"),
        ),
        (
            ladder("{name: a, enter: {stage: b}}", "{name: b, enter: {stage: a}}"),
            *(6, "stages[1].enter", "a condition on the stage that no other stage meets"),
        ),
        (
            ladder("{name: a, enter: {all: [{known: true}, {score: {ge: 4}}]}}", more="exclude: {known: true}\n"),
            *(7, "stages[1].enter", "a condition that only excluded leads meet"),
        ),
    ],
)
def test_a_stage_that_others_always_take_the_place_of_is_a_mistake(
    text: str, line: int, field: str, found: str
) -> None:
    first = problems(text)[0]
    assert (first.line, first.field) == (line, field)
    assert found in first.found


@pytest.mark.parametrize(
    "text",
    [
        ladder("{name: warm, enter: {score: {ge: 8}}}", "{name: hot, enter: {score: {ge: 40}}}"),
        ladder("{name: warm, enter: {score: {ge: 8}}}", "{name: hot, enter: {all: [{score: {ge: 8}}, {known: true}]}}"),
        ladder("{name: a, enter: {stage: new}}", "{name: b, enter: {stage: a}}"),
        ladder("{name: all, enter: {score: {ge: 0}}}", more="exclude: {known: false}\n"),  # the first has the excluded
    ],
)
def test_a_ladder_on_which_each_stage_has_its_time_is_right(text: str) -> None:
    assert loads(text).stages


def test_a_first_stage_that_nobody_is_ever_on_is_noted_and_used() -> None:
    note = "stages: nobody is ever on the first, new: a stage above it always holds"
    assert notes(loads(ladder("{name: all, enter: {score: {ge: 0}}}"))) == [note]
    assert notes(loads(ladder("{name: all, enter: {score: {ge: 0}}}", more="exclude: {known: false}\n"))) == []
    assert notes(loads(ladder("{name: some, enter: {score: {gt: 0}}}"))) == []


def test_a_segment_that_nobody_can_enter_is_noted_and_used() -> None:
    text = RULES.replace("CONDITION", "{score: {ge: 40}}") + (
        "segments:\n"
        "  off: {enter: {score: {gt: 100}}}\n"
        "  shut: {enter: {score: {ge: 40}}, exit: {score: {ge: 10}}}\n"
        "  open: {enter: {score: {ge: 40}}, exit: {score: {lt: 10}}}\n"
        "  gone: {enter: {all: [{stage: hot}, {stage: new}]}}\n"
    )
    told = [note for note in notes(loads(text)) if note.startswith("segments")]
    assert [note.partition(":")[0] for note in told] == ["segments.off", "segments.shut", "segments.gone"]
    assert told[0] == "segments.off: nobody can enter it (score > 100, and it is always ≥ 0 and ≤ 80)"


def test_a_file_with_more_alternatives_than_can_be_looked_at_is_taken_as_it_is() -> None:
    # 2^60 combinations, none of them possible: no answer in time is taken for possible.
    parts = ", ".join(f"{{any: [{{did: d{n}}}, {{did: e{n}}}]}}" for n in range(30))
    none = "{any: [{all: [{known: true}, {known: false}]}, {all: [{mailable: true}, {mailable: false}]}]}"
    began = time.perf_counter()
    assert loads(ladder(f"{{name: a, enter: {{all: [{parts}, {none}, {parts}]}}}}")).stages
    assert time.perf_counter() - began < 20
    deep = "{any: [{known: true}, " * 15 + "{known: true}" + "]}" * 15
    assert loads(ladder(f"{{name: a, enter: {deep}}}")).stages


@pytest.mark.parametrize("name", ["default", "b2b_saas", "web_shop", "clinic"])
def test_in_the_shipped_rules_everything_can_be_reached(name: str) -> None:
    rules = load(stories.SHOP.parents[2] / "deploy" / "rules" / f"{name}.yaml")
    assert (stages_out_of_reach(rules), list(segments_out_of_reach(rules))) == ([], [])
