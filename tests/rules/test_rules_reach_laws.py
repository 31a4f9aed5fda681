"""Never a false alarm: what is told to be out of reach no lead comes to, whatever it does."""

import itertools
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import event as hyp_event
from hypothesis import strategies as st

from app.domain.conditions import Moment, holds
from app.domain.event import Event
from app.domain.reader import Reader
from app.domain.rulebook import AnyOf, Rules, Test
from app.domain.score import within
from app.domain.state import Core
from app.rules.errors import Report
from app.rules.load import FIELDS, _compile
from app.rules.place import Place
from app.rules.possible import ELSEWHERE, Budget, impossible
from app.rules.reach import first_is_passed_over, segments_out_of_reach, stages_out_of_reach
from app.rules.tree import parse
from tests.domain import stories
from tests.domain.stories import DAY, HOUR, MINUTE, START, Story

numbers = st.sampled_from([-5, 0, 1, 3, 8, 20, 50])
counts = st.sampled_from([0, 1, 2, 3])
windows = st.sampled_from(["1h", "1d", "3d"])


def bounds(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    one = st.builds(lambda op, x: {op: x}, st.sampled_from(["ge", "gt", "le", "lt"]), values)
    return one | st.builds(lambda x, y: {"ge": x, "lt": y}, values, values)


scored = st.builds(lambda n, t: {n: t}, st.sampled_from(["score", "engagement", "fit", "loyalty"]), bounds(numbers))
graded = st.sampled_from(["A1", "B2", "C4", "D3"]).map(lambda grade: {"grade": grade})
counted = st.builds(
    lambda t, w: {"orders": {**t, **w}}, bounds(counts), windows.map(lambda w: {"within": w}) | st.just({})
)
did = st.one_of(
    st.builds(
        lambda op, n, beside: {op: "view", "at_least": n, **beside},
        st.sampled_from(["did", "not_did"]),
        st.integers(1, 3),
        windows.map(lambda w: {"within": w}) | st.just({"since": "put"}) | st.just({}),
    ),
    windows.map(lambda w: {"last": "view", "older_than": w}),
    windows.map(lambda w: {"sequence": ["put", "view"], "within": w}),
)
leaves = st.one_of(
    scored,
    graded,
    counted,
    did,
    bounds(numbers).map(lambda t: {"interest": {"category": "shoes", **t}}),
    bounds(counts).map(lambda t: {"sessions": t}),
    st.sampled_from([{"known": True}, {"known": False}, {"stage": "a"}, {"stage": {"in": ["new", "b"]}}]),
    st.sampled_from([{"plan": "pro"}, {"plan": "free"}, {"seats": {"ge": 5, "lt": 9}}]).map(lambda w: {"trait": w}),
)


def composed(part: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(part, min_size=2, max_size=3)
    return (
        several.map(lambda parts: {"all": parts})
        | several.map(lambda parts: {"any": parts})
        | part.map(lambda one: {"not": one})
    )


conditions = leaves | composed(leaves) | composed(leaves | composed(leaves))
DEEDS = ["view", "view", "put", "gone", "join", "order", "pro", "free", "talk"]
histories = st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(0, 99)), min_size=1, max_size=8)


def compiled(stages: list[Any], segment: Any, exclude: Any) -> Rules:
    """Rules as they are before anybody asks what can be reached."""
    told = {
        "version": "1",
        "signals": {
            "view": {"event": "page_viewed", "points": 3, "half_life": "2d"},
            "put": {"event": "cart_added", "points": 9, "half_life": "1d"},
            "gone": {"event": "email_unsubscribed", "points": -12},
            "join": {"event": "Club Joined", "points": 8, "once": True},
            "talk": {"event": "conversation", "points": 25, "max_per_day": 2},
        },
        "scores": {
            "engagement": {"signals": "all", "min": -4, "max": 60},
            "loyalty": {"signals": ["join"]},
            "fit": {"traits": [{"where": {"plan": "pro"}, "points": 20}, {"where": {"seats": 7}, "points": -5}]},
            "interests": {"signals": ["put", "view"]},
            "total": {"engagement": 0.75, "fit": 1, "loyalty": -0.5},
        },
        "grades": {"fit": {"A": 20, "B": 10, "C": 1, "D": 0}, "engagement": {"1": 40, "2": 20, "3": 5, "4": 0}},
        "stages": [{"name": "new"}, *({"name": n, "enter": c} for n, c in zip("abc", stages, strict=False))],
        "segments": {"s": segment},
        **({"exclude": exclude} if exclude else {}),
    }
    report = Report("rules.json")
    rules = _compile(Place(parse(json.dumps(told), report), "", report).fields(FIELDS), {})
    report.raise_if_any()
    return rules


def deed(kind: str, at: int, name: str) -> Event:
    shoe = {"product_id": "p", "category": "shoes", "price": 10}
    match kind:
        case "view":
            return stories.page(at, id=name)
        case "put":
            return stories.event(at, "cart_added", name, properties=shoe)
        case "gone":
            return stories.event(at, "email_unsubscribed", name)
        case "join":
            return stories.event(at, "custom", name, name="clubjoined")
        case "talk":
            return stories.event(at, "conversation", name)
        case "order":
            return stories.order(at, name, "5", id=name)
    traits = {"pro": {"plan": "pro", "seats": 7}, "free": {"plan": ["free", "pro"], "seats": [7, 9]}}
    return stories.event(at, "traits_changed", name, traits=traits[kind])


def stage_only(part: Any) -> bool:
    return "stage" in json.dumps(part)


LAW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
many = st.lists(histories, min_size=1, max_size=4)


@LAW
@given(
    st.lists(conditions, min_size=2, max_size=3),
    st.fixed_dictionaries({"enter": conditions}, optional={"exit": conditions}),
    st.none() | leaves.filter(lambda leaf: "stage" not in leaf),
    many,
    st.booleans(),
)
def test_no_lead_comes_to_what_is_told_to_be_out_of_reach(
    stages: list[Any], segment: Any, exclude: Any, leads: list[list[tuple[str, int]]], known: bool
) -> None:
    tell(compiled(stages, segment, exclude), leads, known)


def test_of_two_conditions_on_deeds_none_is_called_impossible_that_any_short_history_meets() -> None:
    beside = [{}, {"within": "1h"}, {"within": "1d"}, {"since": "put"}]
    told = [{op: "view", "at_least": n, **more} for op in ("did", "not_did") for n in (1, 2) for more in beside]
    told += [{"last": "view", "older_than": w} for w in ("1h", "1d")]
    told += [{"sequence": steps, "within": w} for steps in (["put", "view"], ["view", "view"]) for w in ("1h", "1d")]
    rules = compiled([{"any": told}], {"enter": {"known": True}}, None)
    enter, reader = rules.stages[1].enter, Reader(rules)
    assert isinstance(enter, AnyOf)
    met: set[frozenset[int]] = set()
    moments = [0, 20 * MINUTE, 2 * HOUR, 25 * HOUR]
    for names in itertools.product(["", "view", "put"], repeat=len(moments)):
        events = [deed(name, START + at, str(at)) for name, at in zip(names, moments, strict=True) if name]
        core = Story(reader).tell(*events).lead().core if events else Core()
        for look in (0, 1, 20 * MINUTE, HOUR, 80 * MINUTE, 2 * HOUR, 3 * HOUR, DAY, 25 * HOUR, 26 * HOUR, 50 * HOUR):
            moment = Moment(core, reader, START + look, known=True)
            true = [index for index, part in enumerate(enter.parts) if holds(part, moment)]
            met |= {frozenset(pair) for pair in itertools.product(true, repeat=2)}
    refused = set()
    for pair in itertools.combinations_with_replacement(range(len(told)), 2):
        goals = [(enter.parts[index], True) for index in pair]
        if impossible(goals, rules, frozenset({"new"}), Budget()) is not None:
            assert frozenset(pair) not in met, [told[index] for index in pair]
            refused.add(frozenset(pair))
    every = {frozenset(pair) for pair in itertools.combinations_with_replacement(range(len(told)), 2)}
    # Of what no such history meets, nearly all is found.
    assert len(refused) > 0.7 * len(every - met)


def test_of_two_bounds_just_those_are_called_impossible_that_no_number_is_within() -> None:
    bounds = [{op: value} for op in ("ge", "gt", "le", "lt") for value in (0, 1, 2)]
    for name, values in (("sessions", range(9)), ("revenue", [n / 4 for n in range(13)])):
        rules = compiled([{"any": [{name: one} for one in bounds]}], {"enter": {"known": True}}, None)
        enter = rules.stages[1].enter
        assert isinstance(enter, AnyOf)
        for (one, part), (two, other) in itertools.product(zip(bounds, enter.parts, strict=True), repeat=2):
            for wanted in (True, False):
                why = impossible([(part, True), (other, wanted)], rules, frozenset({"new"}), Budget())
                both = any(within(Test(**one), n) and within(Test(**two), n) is wanted for n in values)
                assert (why is None) is both, (name, one, two, wanted)


def tell(rules: Rules, leads: list[list[tuple[str, int]]], known: bool) -> None:
    """Tell histories to the rules, and fail if one comes to what is said to be out of reach."""
    passed_over = first_is_passed_over(rules)
    told = stages_out_of_reach(rules)
    # Where nobody is ever on the first stage, one that asks not to be on it is reached by all: a mistake all the same.
    out = {rules.stages[one.index].name for one in told if not (passed_over and one.found == ELSEWHERE)}
    out |= {rules.stages[0].name} if passed_over else set()
    closed = {name for name, _ in segments_out_of_reach(rules)}
    hyp_event(f"out of reach: {len(out) + len(closed)}")
    for history in leads:
        in_time = sorted(history, key=lambda one: one[1])
        events = [deed(kind, START + hours * HOUR, str(n)) for n, (kind, hours) in enumerate(in_time)]
        story = Story(Reader(rules), key="user:ada" if known else "anon:ada").tell_each(events)
        story.until(events[-1].at + 9 * DAY)
        assert out.isdisjoint(record["stage"] for record in story.segments)
        assert closed.isdisjoint(name for record in story.segments for name in record["entered"])
