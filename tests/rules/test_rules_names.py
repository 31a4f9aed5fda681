"""What names stand for, and what absent fields mean."""

from pathlib import Path

import pytest

from app.domain.attribution import currency
from app.domain.kinds import KIND_BY_NAME
from app.domain.rulebook import Attribution, Did, LastIs, Pattern, Rules
from app.rules import RulesError, load, loads
from app.rules.describe import noted, notes, summary
from app.rules.load import loads_with_notes

HEAD = """\
version: 1
signals:
  view: {event: page_viewed, points: 1}
  conversation: {event: conversation, where: {medium: call}, points: 1}
  visit: {event: Visit Planned, points: 1}
"""
TAIL = "scores: {engagement: {signals: all}}\nstages: [{name: new}, {name: ready, enter: {score: {ge: 4}}}]\n"


def rules(*conditions: str, signals: str = "") -> Rules:
    """Compile a file whose segments s0, s1, … are entered by these conditions."""
    segments = "".join(f"  s{i}: {{enter: {condition}}}\n" for i, condition in enumerate(conditions))
    return loads(HEAD + signals + TAIL + "segments:\n" + segments)


def did(condition: str, signals: str = "") -> tuple[str, Pattern]:
    made = rules(condition, signals=signals)
    enter = made.segments[0].enter
    assert isinstance(enter, Did | LastIs)
    return enter.tracker, made.trackers[enter.tracker].pattern


@pytest.mark.parametrize(
    ("condition", "tracker", "kind", "name"),
    [
        ("{did: view}", "signal:view", "page_viewed", ""),
        ("{did: page_viewed}", "kind:page_viewed", "page_viewed", ""),
        ("{did: Page Viewed}", "kind:page_viewed", "page_viewed", ""),
        ("{did: Order Completed}", "kind:order_completed", "order_completed", ""),
        ("{did: product_added}", "kind:cart_added", "cart_added", ""),
        ("{did: Live-Chat Conversation_Started}", "kind:conversation", "conversation", ""),
        ("{did: conversation}", "signal:conversation", "conversation", ""),
        ("{did: Deal Won}", "event:dealwon", "", "dealwon"),
        ("{did: deal_won}", "event:dealwon", "", "dealwon"),
        ("{did: custom}", "kind:custom", "custom", ""),
        ("{did: any}", "kind:any", "any", ""),
        ("{did: visit}", "signal:visit", "", "visitplanned"),
        ("{last: visit, older_than: 1d}", "kind:visit", "visit", ""),
        ("{last: any, older_than: 1d}", "kind:any", "any", ""),
    ],
)
def test_a_name_is_a_signal_else_a_kind_else_an_event(condition: str, tracker: str, kind: str, name: str) -> None:
    found, pattern = did(condition)
    assert found == tracker
    assert (pattern.kind, pattern.name) == (kind, name)


def test_a_signal_of_a_kinds_track_name_is_of_that_kind() -> None:
    made = rules("{did: buy}", signals="  buy: {event: ORDER-COMPLETED, points: 1}\n")
    assert made.signals["buy"].pattern == Pattern("order_completed")


@pytest.mark.parametrize("name", ["demo_booked", "Vieww", "video_50", "Conversations"])
def test_an_event_name_unlike_any_signal_or_in_its_own_spelling_is_no_slip(name: str) -> None:
    signals = "  video_25: {event: video_25, points: 1}\n  demo: {event: Demo Booked, points: 1}\n"
    assert did(f"{{did: {name}}}", signals)[0].startswith("event:")


def test_trackers_do_not_depend_on_the_order_of_the_file() -> None:
    one = "{did: view, where: {path: /a, title: {in: [x, y]}}}"
    other = "{did: view, where: {title: {in: [Y, X]}, path: /A}, at_least: 3}"
    assert rules(one, "{did: page_viewed}").trackers.keys() == rules("{did: page_viewed}", other).trackers.keys()
    made = rules(one, other)
    assert len(made.trackers) == 1
    assert next(iter(made.trackers.values())).depth == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{n: 1}", "{n: true}"),
        ("{n: 1}", "{n: '1'}"),
        ("{n: a}", "{m: a}"),
        ("{n: {ge: 1}}", "{n: {gt: 1}}"),
        ("{n: {in: [a]}}", "{n: {not_in: [a]}}"),
    ],
)
def test_different_tests_are_different_trackers(one: str, other: str) -> None:
    assert len(rules(f"{{did: view, where: {one}}}", f"{{did: view, where: {other}}}").trackers) == 2


def test_a_signals_tracker_keeps_its_id_when_its_where_changes() -> None:
    before = did("{did: buy}", "  buy: {event: order_completed, points: 1}\n")
    after = did("{did: buy}", "  buy: {event: order_completed, where: {amount: {ge: 5}}, points: 1}\n")
    assert before[0] == after[0] == "signal:buy"
    assert before[1] != after[1]


def test_what_is_absent() -> None:
    made = rules("{known: true}")
    assert (made.brand, made.timezone, made.currency) == ("default", "UTC", "EUR")
    assert (made.grades_fit, made.grades_engagement, made.fit, made.interests, made.exclude) == (
        (),
        (),
        None,
        None,
        None,
    )
    assert (made.goals, made.channels, made.rates, made.trackers) == ((), (), {}, {})
    assert made.total == {"engagement": 1.0}
    assert made.attribution == Attribution()
    assert made.attribution.milestone_stage == "ready"
    assert loads(HEAD + TAIL).segments == ()


def test_a_partial_section_has_its_other_defaults() -> None:
    made = loads(
        HEAD
        + TAIL.replace("ready", "hot")
        + "attribution: {half_life: 2w, data_driven: {min_conversions: 5}}\n"
        + "grades: {fit: {A: 90}}\ngoals: {win: {event: Deal Won}, buy: {event: order_completed}}\n"
    )
    assert made.attribution.half_life == 14 * 86_400_000
    assert made.attribution.ignore == ("Direct",)
    assert made.attribution.milestone_stage is None
    assert made.attribution.data_driven.min_conversions == 5
    assert made.attribution.data_driven.refit_every == 3_600_000
    assert made.grades_fit == ((90.0, "A"), (50.0, "B"), (25.0, "C"), (0.0, "D"))
    assert made.grades_engagement == ((75.0, "1"), (50.0, "2"), (25.0, "3"), (0.0, "4"))
    assert [(goal.value, goal.lookback, goal.path) for goal in made.goals] == [
        ("0", 30 * 86_400_000, "window"),
        ("order", 30 * 86_400_000, "window"),
    ]


def test_null_is_absent() -> None:
    made = loads(HEAD + TAIL + "segments:\ngrades: null\nbrand: ~\nattribution: {milestone_stage: null}\n")
    assert (made.segments, made.grades_fit, made.brand) == ((), (), "default")


@pytest.mark.parametrize("value", ["50", "49.90", "0.1", "1e3", "007"])
def test_a_goals_value_is_kept_as_written(value: str) -> None:
    assert loads(f"{HEAD}{TAIL}goals: {{win: {{stage: ready, value: {value}}}}}\n").goals[0].value == value


def test_own_addresses_are_normalised() -> None:
    internal = (
        "internal: {ips: [10.1.2.3/8, '2001:db8::1'], emails: [Me@Shop.Example], email_domains: [Shop.Example]}\n"
    )
    made = loads(HEAD + TAIL + internal).internal
    assert made.ips == ("10.0.0.0/8", "2001:db8::1/128")
    assert (made.emails, made.email_domains) == (("me@shop.example",), ("shop.example",))


def test_a_stage_may_ask_for_another_stage() -> None:
    text = (HEAD + TAIL).replace("{score: {ge: 4}}", "{any: [{stage: {in: [new]}}, {stage: ready}]}")
    assert loads(text).stages[1].enter is not None
    text = (HEAD + TAIL).replace("{score: {ge: 4}}", "{not: {stage: ready}}")
    assert loads(text).stages[1].enter is not None
    with pytest.raises(RulesError, match="no other stage meets"):
        loads((HEAD + TAIL).replace("{score: {ge: 4}}", "{not: {stage: new}}"))


def test_the_shipped_rules_have_four_stages_two_goals_and_no_internal_addresses() -> None:
    made = load(Path(__file__).parents[2] / "deploy" / "rules" / "default.yaml")
    assert [stage.name for stage in made.stages] == ["new", "aware", "ready", "customer"]
    assert [goal.name for goal in made.goals] == ["purchase", "lead"]
    assert made.goals[0].pattern == Pattern("order_completed")
    assert made.goals[1].pattern is not None
    assert made.goals[1].pattern.kind == "form_submitted"
    assert (made.internal.ips, made.internal.email_domains, made.internal.emails) == ((), (), ())
    assert (made.brand, made.timezone, made.currency) == ("default", "UTC", "EUR")
    assert made.attribution == Attribution()
    assert notes(made) == []


def test_kinds_go_by_the_names_of_their_track_events() -> None:
    assert KIND_BY_NAME["productssearched"] == "site_searched"
    assert KIND_BY_NAME["emailmarkedasspam"] == "email_complained"
    assert KIND_BY_NAME["unsubscribed"] == "email_unsubscribed"
    assert KIND_BY_NAME["pageviewed"] == "page_viewed"
    assert "dealwon" not in KIND_BY_NAME


@pytest.mark.parametrize(("code", "places"), [("EUR", 2), ("JPY", 0), ("KWD", 3), ("UAH", 2), ("CLF", 4), ("ZZZ", 2)])
def test_exponents_of_currencies(code: str, places: int) -> None:
    assert currency.exponent(code) == places


def test_only_currencies_with_minor_units_are_known() -> None:
    assert currency.known("EUR")
    assert not currency.known("ZZZ")
    assert not currency.known("XAU")


def test_the_summary_counts_what_there_is() -> None:
    shop = load(Path(__file__).parent / "shop.yaml")
    lines = summary(shop)
    assert lines[0] == "version 2026-11-22, brand default, Europe/Kyiv, EUR"
    assert lines[1].startswith("16 signals: page_view, pricing_view,")
    assert lines[2] == "4 scores: engagement, service_interest, fit, interests; score = 0.8 · engagement + 0.2 · fit"
    assert lines[3] == "4 stages: new → aware → ready → customer"
    assert lines[4].startswith("18 segments: vip, ")
    assert lines[5] == "4 goals: mql (100 EUR), won (amount), purchase (order), enquiry (50 EUR)"
    assert lines[6] == "12 patterns followed for conditions, at most 100 times each"
    assert lines[7:] == ["2 rates for UAH", "2 rates for USD"]


def test_the_summary_notes_what_was_perhaps_not_meant() -> None:
    text = HEAD + "  slip: {event: page_vieved, points: 1}\n" + TAIL.replace("signals: all", "signals: [view, slip]")
    loaded = loads_with_notes(text.replace("{name: new}", "{name: new, enter: {known: true}}"), "r.yaml")
    assert noted(loaded, Path("r.yaml")) == [
        "note: r.yaml:6:17: signals.slip.event: `page_vieved` is the name of a track event; "
        "the kind `page_viewed` is another",
        "note: r.yaml: stages: the first, new, always holds, whatever its `enter` asks",
        "note: r.yaml: signals in no score, interest or condition: conversation, visit",
    ]
