"""What is explained is so: lines sum to what is emitted, truths and changes are right, what is missing suffices."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from app.domain import rulebook as r
from app.domain.conditions import Moment, holds
from app.domain.event import Event
from app.domain.explain import explain, explain_interest
from app.domain.explain_conditions import Told, explain_condition
from app.domain.explain_groups import explain_groups
from app.domain.next_change import next_change
from app.domain.outputs import iso
from app.domain.reader import Reader
from app.domain.score import Board
from app.domain.signals import Amount
from app.domain.state import CartLine, Core, OrderState
from app.leads.view import explained
from tests.domain import test_next_change as timed
from tests.domain.histories import histories
from tests.domain.stories import DAY, HOUR, START, Story, event, order, page, reader, shop_reader

SHOP = shop_reader()
LAW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
later = st.integers(0, 90 * 24).map(lambda hours: hours * HOUR)


def moment_at(story: Story, at: int) -> Moment:
    """A lead as it is at a moment, its timed changes applied; what is kept of it stays as it was."""
    lead = story.lead()
    lead.rows = type(story.rows)(story.rows)
    lead.advance(at)
    return Moment(lead.core, story.rules, at, known=lead.known)


def nodes(told: Told) -> list[Told]:
    return [told, *(node for part in told.parts for node in nodes(part))]


def exactly(values: list[float]) -> Decimal:
    return sum((Decimal(repr(value)) for value in values), Decimal(0))


# --- scores -----------------------------------------------------------------------------------------------------------


@LAW
@given(histories(), later)
def test_shown_points_sum_to_each_score_exactly_as_the_profile_has_it(events: list[Event], ahead: int) -> None:
    story = Story(SHOP).tell_each(events)
    at = events[-1].at + ahead
    board = Board(moment_at(story, at).core, SHOP.rules, at)
    emitted = story.until(at)
    scores = emitted["scores"] | {"fit": emitted["fit"], "score": emitted["score"]}
    told = explain(board)
    assert [one.score for one in told] == [*SHOP.rules.scores, "fit", "score"]
    for one in told:
        shown = one.shown()
        assert exactly(shown) == Decimal(repr(scores[one.score])), one
        assert all(abs(line - exact) < 0.01 for line, exact in zip(shown, one.points(), strict=True))
    for interest in emitted["interests"]:
        assert exactly(explain_interest(board, interest["category"]).shown()) == Decimal(repr(interest["score"]))


# --- conditions: truth and time ---------------------------------------------------------------------------------------


@LAW
@given(timed.composed(timed.composed(timed.timed | timed.scores)), timed.histories, timed.signals, timed.limits)
def test_every_part_is_told_as_the_contract_reads_it_and_changes_when_it_says(
    condition: timed.Condition, history: list[tuple[int, str]], worth: timed.Signals, limited: dict[str, int]
) -> None:
    compiled = timed.rules({"enter": condition}, worth, limited)
    truth = timed.Truth(history, worth, limited)
    story = Story(compiled).tell_each(timed.as_events(history))
    now = max(history)[0]
    told = explain_condition(compiled.rules.segments[0].enter, moment_at(story, now), "segments.s.enter")
    looks = {at + off for at in truth.turning_points() for off in (-1, 0, 1)}
    looks |= {now + 12 * DAY * n // 100 for n in range(101)}
    for node in nodes(told):
        asked = part_at(condition, node.rule.removeprefix("segments.s.enter"))
        assert node.holds is truth.holds(asked, now), node
        if node.changes_at is not None:
            assert node.changes_at > now
            assert truth.holds(asked, node.changes_at) is not node.holds
            assert truth.holds(asked, node.changes_at - 1) is node.holds
        for look in looks:
            if now < look < (node.changes_at or now + 12 * DAY):
                assert truth.holds(asked, look) is node.holds, iso(look)


def part_at(condition: timed.Condition, path: str) -> timed.Condition:
    """The part of a condition that a path such as `.all[0].not` names."""
    part: Any = condition
    for step in path.replace("]", "").replace("[", ".").split(".")[1:]:
        part = part[int(step)] if step.isdigit() else part[step]
    return part


@LAW
@given(histories(), later)
def test_every_condition_of_the_shop_is_told_as_it_holds(events: list[Event], ahead: int) -> None:
    moment = moment_at(Story(SHOP).tell_each(events), events[-1].at + ahead)
    told, rules = explain_groups(moment), SHOP.rules
    tops = [(group.enter, stage.enter) for group, stage in zip(told.stages, rules.stages, strict=True)]
    tops += [(group.enter, segment.enter) for group, segment in zip(told.segments, rules.segments, strict=True)]
    tops += [(group.exit, segment.exit) for group, segment in zip(told.segments, rules.segments, strict=True)]
    tops.append((told.exclude, rules.exclude))
    for top, condition in tops:
        assert (top is None) is (condition is None)
        if top is not None and condition is not None:
            check(top, condition, moment)


def check(told: Told, condition: r.Condition, moment: Moment) -> None:
    assert told.holds is holds(condition, moment), told
    soonest = next_change(condition, moment, None)
    assert told.changes_at is None or (soonest is not None and soonest <= told.changes_at)
    if not told.parts:
        assert not (told.helps and told.finding.needs), told
        if soonest is not None and not isinstance(condition, r.ScoreIs | r.GradeIs | r.OrdersAre | r.RevenueIs):
            # A number may move without coming to another side; of all else the next look is the change.
            assert told.changes_at == soonest
        return
    truths = [part.holds for part in told.parts]
    assert told.holds is {"all of these": all(truths), "any of these": any(truths), "not": not truths[0]}[told.text]
    below = condition.parts if isinstance(condition, r.All | r.AnyOf) else (condition.part,)
    for part, one in zip(told.parts, below, strict=True):
        check(part, one, moment)


@LAW
@given(histories(), later)
def test_groups_and_their_changes_are_those_that_the_profile_tells(events: list[Event], ahead: int) -> None:
    story = Story(SHOP).tell_each(events)
    at = events[-1].at + ahead
    rows = dict(story.rows)
    lead = story.lead()
    lead.rows = type(story.rows)(rows)
    told = explained(lead, at)
    assert told is not None
    assert dict(story.rows) == rows
    emitted = story.until(at)
    fields = ("at", "stage", "segments", "score", "grade", "known", "mailable", "cools_at", "next_change_at", "lead_id")
    assert {name: told[name] for name in fields} == {name: emitted[name] for name in fields}
    (stage,) = [one["name"] for one in told["ladder"] if one["inside"]]
    assert stage == emitted["stage"]
    assert sorted(one["name"] for one in told["audiences"] if one["inside"]) == emitted["segments"]
    if told["next_change_at"] is not None:
        after = story.until(round(datetime.fromisoformat(told["next_change_at"]).timestamp() * 1000))
        change = told["next_change"]
        assert after["stage"] == change["stage"]
        assert set(after["segments"]) == set(emitted["segments"]) - set(change["left"]) | set(change["entered"])


# --- what is missing --------------------------------------------------------------------------------------------------

numbers = st.sampled_from([-3, 0, 1, 2, 2.5, 7, 12.34, 30, 55])
counts = st.sampled_from([0, 1, 2, 3, 5.5, 9])
spans = st.sampled_from(["0s", "59s", "5m", "40m", "2h"])


def bounded(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    one = st.builds(lambda op, x: {op: x}, st.sampled_from(["ge", "gt", "le", "lt"]), values)
    return one | st.tuples(values, values).filter(lambda xy: xy[0] != xy[1]).map(lambda xy: {"ge": xy[0], "le": xy[1]})


scores = st.builds(lambda n, t: {n: t}, st.sampled_from(["score", "engagement", "service"]), bounded(numbers))
others = st.one_of(
    bounded(numbers).map(lambda t: {"interest": {"category": "shoes", **t}}),
    st.builds(
        lambda op, n, beside: {op: "view", "at_least": n, **beside},
        st.sampled_from(["did", "not_did"]),
        st.integers(1, 6),
        st.sampled_from([{}, {"within": "2d"}, {"since": "cart_add"}]),
    ),
    bounded(counts).map(lambda t: {"orders": t}),
    bounded(counts).map(lambda t: {"orders": {**t, "within": "3d"}}),
    bounded(st.sampled_from([0, 19.99, 100, 250.01, 0.125])).map(lambda t: {"revenue": t}),
    bounded(st.sampled_from([0, 15.5, 40, 99.99])).map(lambda t: {"cart_value": t}),
    bounded(counts).map(lambda t: {"sessions": t}),
    bounded(spans).map(lambda t: {"visit_duration": t}),
    bounded(spans).map(lambda t: {"page_duration": {"path": {"glob": "/pric*"}, **t}}),
)
weights = st.sampled_from([0.1, 0.3, 0.8, 1, 2])


def rules_with(condition: dict[str, Any], wish: dict[str, float], limited: dict[str, int]) -> Reader:
    own = {"view": "page_viewed", "cart_add": "cart_added", "talk": "conversation", "gone": "email_unsubscribed"}
    worth = {"view": 3.1, "cart_add": 7, "talk": 11, "gone": -12}
    fades = {"view": "3d", "cart_add": "1d", "talk": "none", "gone": "9d"}
    signals = {name: {"event": own[name], "points": worth[name], "half_life": fades[name]} for name in own}
    # Nobody sends them: what is missing is granted in them.
    signals |= {f"grant_{name}": {"event": f"Grant {name}", "points": 1} for name in ("engagement", "service")}
    return reader(
        json.dumps(
            {
                "version": "1",
                "signals": signals,
                "scores": {
                    "engagement": {"signals": ["view", "cart_add", "gone", "grant_engagement"], **limited},
                    "service": {"signals": ["talk", "gone", "grant_service"], "min": 0, "max": 50},
                    "interests": {"signals": ["cart_add", "grant_service"]},
                    "total": wish,
                },
                "stages": [{"name": "new"}],
                "segments": {"s": {"enter": {"any": [condition, {"known": False}]}}},
            }
        )
    )


def granted(core: Core, c: r.Condition, now: int, part: str, amount: float) -> Core:
    """The state with something more in it, as if it had just happened."""
    core = msgspec.msgpack.decode(msgspec.msgpack.encode(core), type=Core)
    times = round(amount)
    match c:
        case r.ScoreIs():
            core.signals[f"grant_{part}"] = Amount(ref=now, units=amount, raw=amount)
        case r.InterestIs():
            core.interests.setdefault("shoes", {})["grant_service"] = Amount(ref=now, units=amount, raw=amount)
        case r.Did():
            core.trackers[c.tracker] = [*core.trackers.get(c.tracker, []), *([now] * times)]
        case r.OrdersAre():
            core.orders |= {f"g{n}": OrderState(now, f"g{n}", 1, "EUR") for n in range(times)}
        case r.RevenueIs():
            core.orders["g"] = OrderState(now, "g", round(amount * 100), "EUR")
        case r.CartValueIs():
            core.cart["g"] = CartLine(1, round(amount * 100), "EUR", now)
        case r.SessionsAre():
            core.sessions += times
        case r.VisitDurationIs():
            core.longest_visit += round(amount * 1000)
        case r.PageDurationIs():
            core.page_ms["/pricelist"] = round(amount * 1000)
    return core


STEP = {r.ScoreIs: 1e-8, r.InterestIs: 1e-8, r.RevenueIs: 0.01, r.CartValueIs: 0.01}
STEP |= {r.VisitDurationIs: 0.001, r.PageDurationIs: 0.001}


@st.composite
def deeds(draw: st.DrawFn) -> list[Event]:
    """Few kinds of events, so that scores are often at their limits and counts near what is asked."""
    told = draw(st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(0, 99)), min_size=1, max_size=9))
    return [
        deed(kind, START + hours * HOUR, str(n)) for n, (kind, hours) in enumerate(sorted(told, key=lambda d: d[1]))
    ]


DEEDS = ["page", "page", "cart", "talk", "gone", "gone", "order"]


def deed(kind: str, at: int, name: str) -> Event:
    match kind:
        case "page":
            return page(at, "/pricing", id=name)
        case "cart":
            return event(at, "cart_added", name, properties={"product_id": "p", "category": "shoes", "price": 15.5})
        case "talk":
            return event(at, "conversation", name)
        case "gone":
            return event(at, "email_unsubscribed", name)
    return order(at, name, "19.99", id=name)


limits = st.sampled_from([{}, {"min": 0}, {"min": -5, "max": 40}])


@LAW
@given(scores, deeds(), later, weights, weights, limits)
def test_granting_the_points_that_are_missing_makes_it_true_and_less_does_not(
    leaf: dict[str, Any], events: list[Event], ahead: int, w: float, v: float, limited: dict[str, int]
) -> None:
    grant(leaf, events, ahead, {"engagement": w, "service": v}, limited)


@LAW
@given(others, deeds(), later)
def test_granting_what_is_missing_makes_it_true_and_less_does_not(
    leaf: dict[str, Any], events: list[Event], ahead: int
) -> None:
    grant(leaf, events, ahead, {"engagement": 1}, {"min": 0})


def grant(
    leaf: dict[str, Any], events: list[Event], ahead: int, wish: dict[str, float], limited: dict[str, int]
) -> None:
    compiled = rules_with(leaf, wish, limited)
    story = Story(compiled).tell_each(events)
    moment = moment_at(story, events[-1].at + ahead)
    condition = first_part(compiled)
    told = explain_condition(condition, moment, "it")
    assert told.holds is holds(condition, moment)
    needs = told.finding.needs
    if told.holds:
        assert needs == ()
        return
    assert all(need.amount is not None and need.amount > 0 for need in needs)
    assume([need.way for need in needs] == ["more"])
    (need,) = needs

    def holds_with(part: str, amount: float) -> bool:
        core = granted(moment.core, condition, moment.now, part, amount)
        return holds(condition, Moment(core, compiled, moment.now, known=moment.known))

    ways = {"": need.amount or 0.0}
    if isinstance(condition, r.ScoreIs):
        ways = dict(need.by) if condition.name == "score" else {condition.name: need.amount or 0.0}
    for part, amount in ways.items():
        assert holds_with(part, amount), (part, need)
        assert not holds_with(part, amount - STEP.get(type(condition), 1)), (part, need)


def first_part(compiled: Reader) -> r.Condition:
    enter = compiled.rules.segments[0].enter
    assert isinstance(enter, r.AnyOf)
    return enter.parts[0]


def test_a_total_that_no_single_score_can_bring_names_no_way() -> None:
    # 0.5 · engagement (at most 40) and 0.5 · service (at most 50) bring 45 together, neither 30 alone.
    compiled = rules_with({"score": {"ge": 30}}, {"engagement": 0.5, "service": 0.5}, {"min": 0, "max": 40})
    story = Story(compiled).tell(event(START, "form_submitted"))
    (need,) = explain_condition(first_part(compiled), moment_at(story, START), "it").finding.needs
    assert (need.amount, need.by) == (30, ())
