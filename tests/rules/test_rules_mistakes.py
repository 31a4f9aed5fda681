"""Each kind of mistake gives one problem that names the line and the field, what was found and what was expected."""

from pathlib import Path

import pytest

from app.rules import Problem, RulesError, load, loads

BASE = """\
version: v1
timezone: UTC
currency: EUR
signals:
  view: {event: page_viewed, points: 1, half_life: 14d}
  cart_add: {event: cart_added, points: 10, half_life: 7d}
scores:
  engagement: {signals: all, min: 0, max: 100}
  fit: {traits: [{where: {country: UA}, points: 40}]}
  interests: {signals: [view]}
  total: {engagement: 0.8, fit: 0.2}
stages:
  - name: new
  - name: ready
    enter: {score: {ge: 40}}
segments:
  fans: {enter: {did: view, within: 7d}}
goals:
  won: {event: order_completed, value: order}
attribution: {half_life: 7d}
"""


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(RulesError) as raised:
        loads(text, file="rules.yaml")
    return raised.value.problems


def test_the_base_of_these_tests_is_right() -> None:
    assert loads(BASE).version == "v1"


SIGNAL = "view: {event: page_viewed, points: 1, half_life: 14d}"
FIT = "fit: {traits: [{where: {country: UA}, points: 40}]}"
ENTER = "{did: view, within: 7d}"
GOAL = "won: {event: order_completed, value: order}"

MISTAKES = [
    # old, new, line, field, part of what was found, part of what was expected
    # --- fields
    ("timezone: UTC", "timezon: UTC", 2, "timezon", "unknown field `timezon`", "did you mean `timezone`?"),
    (SIGNAL, "view: {event: page_viewed, poins: 1, points: 1}", 5, "signals.view.poins", "unknown field", "`points`"),
    (SIGNAL, "view: {points: 1}", 5, "signals.view.event", "no `event`", "`event`"),
    (SIGNAL, "view: {event: page_viewed, poins: 1}", 5, "signals.view.poins", "unknown field", "`points`"),
    (SIGNAL, "view: {evnt: page_viewed, points: 1}", 5, "signals.view.evnt", "unknown field", "did you mean `event`?"),
    ("stages:", "stage:", 12, "stage", "unknown field", "did you mean `stages`?"),
    ("signals:\n", "signal:\n", 4, "signal", "unknown field", "did you mean `signals`?"),
    (SIGNAL, "view: {event: page_viewed}", 5, "signals.view", "neither", "`points` or `points_per`"),
    (SIGNAL, "view: page_viewed", 5, "signals.view", 'text "page_viewed"', "a signal with `event`"),
    ("version: v1", "version: [1]", 1, "version", "a list", "text"),
    ("version: v1", "version:", 1, "version", "nothing", "`version`"),
    # --- values
    ("points: 10", "points: ten", 6, "signals.cart_add.points", 'text "ten"', "a number"),
    ("points: 10", "points: true", 6, "signals.cart_add.points", "true", "a number"),
    ("points: 10", "points: .inf", 6, "signals.cart_add.points", "the number .inf", "a number"),
    ("half_life: 7d}\nsc", "half_life: -7d}\nsc", 6, "signals.cart_add.half_life", 'text "-7d"', "a duration such as"),
    ("half_life: 7d}\nsc", "half_life: 7}\nsc", 6, "signals.cart_add.half_life", "the number 7", "a duration such as"),
    ("half_life: 7d}\nsc", "half_life: 1.5h}\nsc", 6, "signals.cart_add.half_life", 'text "1.5h"', "a duration"),
    ("half_life: 7d}\nsc", "half_life: 0d}\nsc", 6, "signals.cart_add.half_life", 'text "0d"', "above zero"),
    (
        "half_life: 7d}\nsc",
        "half_life: 99999d}\nsc",
        6,
        "signals.cart_add.half_life",
        'text "99999d"',
        "at most 36,500d",
    ),
    ("timezone: UTC", "timezone: Europe/Kiyv", 2, "timezone", 'text "Europe/Kiyv"', "did you mean `Europe/Kyiv`?"),
    ("timezone: UTC", "timezone: ../etc", 2, "timezone", 'text "../etc"', "a time zone"),
    ("timezone: UTC", "timezone: Europe", 2, "timezone", 'text "Europe"', "a time zone"),
    ("currency: EUR", "currency: EUX", 3, "currency", 'text "EUX"', "an ISO 4217 currency code"),
    ("currency: EUR", "currency: XAU", 3, "currency", 'text "XAU"', "an ISO 4217 currency code"),
    ("timezone: UTC", "brand: a/b", 2, "brand", 'text "a/b"', "without a slash"),
    ("timezone: UTC", "brand: 5", 2, "brand", "the number 5", 'in quotes if "5" is meant'),
    ("timezone: UTC", "own_domains: shop.example", 2, "own_domains", 'text "shop.example"', "a list of domains"),
    ("timezone: UTC", "own_domains: ['https://a.b']", 2, "own_domains[0]", "https://a.b", "without scheme or path"),
    ("timezone: UTC", "internal: {ips: [10.0.0.300]}", 2, "internal.ips[0]", 'text "10.0.0.300"', "an address"),
    ("timezone: UTC", "internal: {emails: [me]}", 2, "internal.emails[0]", 'text "me"', "an email address"),
    ("timezone: UTC", "channels: [{name: P}]", 2, "channels[0].where", "no `where`", "`where`"),
    ("timezone: UTC", "rates: ../r.csv", 2, "rates", 'text "../r.csv"', "a file beside this one"),
    ("timezone: UTC", "rates: r.csv", 2, "rates", "r.csv: no such file", "a readable file"),
    # --- signals
    (
        SIGNAL,
        "view: {event: a, points: 1, once: true, max_per_day: 2}",
        5,
        "signals.view.max_per_day",
        "both",
        "either",
    ),
    (SIGNAL, "view: {event: a, points: 1, max_per_day: 0}", 5, "signals.view.max_per_day", "the number 0", "from 1"),
    (SIGNAL, "view: {event: a, points: 1, once: 1}", 5, "signals.view.once", "the number 1", "true or false"),
    (
        SIGNAL,
        "view: {event: a, points: 1, points_per: {property: x, each: 1, points: 1}}",
        *(5, "signals.view.points_per", "both", "either `points` or `points_per`"),
    ),
    (
        SIGNAL,
        "view: {event: a, points_per: {property: x, each: 1, points: 1}, once: true}",
        *(5, "signals.view.once", "`once`", "no cap but `max`"),
    ),
    (
        SIGNAL,
        "view: {event: a, points_per: {property: x, each: 1, points: 1}, max_per_day: 3}",
        *(5, "signals.view.max_per_day", "`max_per_day`", "no cap but `max`"),
    ),
    (
        SIGNAL,
        "view: {event: a, points_per: {property: x, each: 0, points: 1}}",
        *(5, "signals.view.points_per.each", "the number 0", "above 0"),
    ),
    (SIGNAL, "view: {event: '- _', points: 1}", 5, "signals.view.event", 'text "- _"', "letters or digits"),
    # --- where
    (
        SIGNAL,
        "view: {event: a, points: 1, where: {path: {glub: /x}}}",
        *(5, "signals.view.where.path.glub", "unknown field", "did you mean `glob`?"),
    ),
    (
        SIGNAL,
        "view: {event: a, points: 1, where: {path: [/x]}}",
        *(5, "signals.view.where.path", "a list", "{in: […]}"),
    ),
    (SIGNAL, "view: {event: a, points: 1, where: {path: {}}}", 5, "signals.view.where.path", "an empty", "one of in"),
    (SIGNAL, "view: {event: a, points: 1, where: {path: }}", 5, "signals.view.where.path", "nothing", "exists: false"),
    (
        SIGNAL,
        "view: {event: a, points: 1, where: {n: {ge: many}}}",
        *(5, "signals.view.where.n.ge", 'text "many"', "a number"),
    ),
    (
        SIGNAL,
        "view: {event: a, points: 1, where: {n: {in: 5}}}",
        *(5, "signals.view.where.n.in", "the number 5", "a list of values"),
    ),
    (
        SIGNAL,
        "view: {event: a, points: 1, where: {n: .nan}}",
        *(5, "signals.view.where.n", "the number .nan", "at most 18 digits"),
    ),
    # --- scores
    ("signals: [view]", "signals: [vew]", 10, "scores.interests.signals[0]", 'text "vew"', "did you mean `view`?"),
    ("signals: all", "signals: [view, view]", 8, "scores.engagement.signals[1]", "a second time", "each signal once"),
    ("signals: all", "signals: every", 8, "scores.engagement.signals", 'text "every"', "`all` or a list"),
    ("min: 0, max: 100", "min: 50, max: 10", 8, "scores.engagement.max", "the number 10", "at least the min, 50"),
    ("fit: 0.2}", "fitt: 0.2}", 11, "scores.total.fitt", "a weight of `fitt`", "did you mean `fit`?"),
    ("fit: 0.2}", "fit: much}", 11, "scores.total.fit", 'text "much"', "a number"),
    ("  interests: {", "  orders: {", 10, "scores.orders", "a score named `orders`", "another name"),
    (FIT, "fit: {traits: [{where: {country: UA}}]}", 9, "scores.fit.traits[0].points", "no `points`", "`points`"),
    ("timezone: UTC", "grades: {fit: {A: 40}}", 2, "grades.fit", "do not fall", "A: 40, B: 50"),
    ("timezone: UTC", "grades: {fit: {E: 40}}", 2, "grades.fit.E", "unknown field `E`", "`A`, `B`, `C` or `D`"),
    # --- conditions
    (ENTER, "{did: view, known: true}", 17, "segments.fans.enter", "2 conditions, `did` and `known`", "`all: […]`"),
    (ENTER, "{did: view, wthin: 7d}", 17, "segments.fans.enter.wthin", "unknown field", "did you mean `within`?"),
    (ENTER, "{within: 7d}", 17, "segments.fans.enter.within", "unknown field", "`did`, `not_did` or `sequence`"),
    (ENTER, "{scroe: {ge: 5}}", 17, "segments.fans.enter.scroe", "unknown field", "did you mean `score`?"),
    (ENTER, "{segment: vip}", 17, "segments.fans.enter.segment", "unknown field", "cannot look at segments"),
    (ENTER, "{}", 17, "segments.fans.enter", "an empty mapping", "a condition such as"),
    (ENTER, "view", 17, "segments.fans.enter", 'text "view"', "a condition such as"),
    (ENTER, "{all: []}", 17, "segments.fans.enter.all", "an empty list", "a list of conditions"),
    (ENTER, "{all: {did: view}}", 17, "segments.fans.enter.all", "a mapping", "a list of conditions"),
    (ENTER, "{score: 40}", 17, "segments.fans.enter.score", "the number 40", "a threshold such as {ge: 40}"),
    (ENTER, "{score: {ge: high}}", 17, "segments.fans.enter.score.ge", 'text "high"', "a number"),
    (ENTER, "{score: {gte: 5}}", 17, "segments.fans.enter.score.gte", "unknown field", "did you mean `ge`?"),
    (ENTER, "{score: {}}", 17, "segments.fans.enter.score", "an empty mapping", "one of ge, gt, le, lt"),
    (
        ENTER,
        "{all: [{any: [{known: true}, {score: {ge: x}}]}]}",
        *(17, "segments.fans.enter.all[0].any[1].score.ge", 'text "x"', "a number"),
    ),
    (ENTER, "{did: cart_ad}", 17, "segments.fans.enter.did", 'text "cart_ad"', "did you mean the signal `cart_add`?"),
    (ENTER, "{did: [view]}", 17, "segments.fans.enter.did", "a list", "the name of a signal"),
    (ENTER, "{did: view, at_least: 1001}", 17, "segments.fans.enter.at_least", "1001", "from 1 to 1,000"),
    (ENTER, "{did: view, at_least: 0}", 17, "segments.fans.enter.at_least", "the number 0", "from 1 to 1,000"),
    (ENTER, "{did: view, at_least: 1.5}", 17, "segments.fans.enter.at_least", "1.5", "a whole number"),
    (ENTER, "{did: view, within: 1d, since: cart_add}", 17, "segments.fans.enter.since", "both", "either"),
    (ENTER, "{last: view}", 17, "segments.fans.enter.last", "no `older_than`", "`older_than` beside `last`"),
    (ENTER, "{last: view, within: 1d}", 17, "segments.fans.enter.within", "unknown", "beside `did`"),
    (ENTER, "{sequence: [view], within: 1d}", 17, "segments.fans.enter.sequence", "one name", "two names or more"),
    (ENTER, "{sequence: [view, cart_add]}", 17, "segments.fans.enter.sequence", "no `within`", "`within`"),
    (ENTER, "{grade: {in: [E1]}}", 17, "segments.fans.enter.grade.in[0]", 'text "E1"', "A1"),
    (ENTER, "{interest: {ge: 5}}", 17, "segments.fans.enter.interest.category", "no `category`", "`category`"),
    (ENTER, "{interest: {category: x}}", 17, "segments.fans.enter.interest", "a mapping", "one of ge"),
    (ENTER, "{known: maybe}", 17, "segments.fans.enter.known", 'text "maybe"', "true or false"),
    (ENTER, "{stage: redy}", 17, "segments.fans.enter.stage", 'text "redy"', "did you mean `ready`?"),
    (ENTER, "{stage: {in: [new, old]}}", 17, "segments.fans.enter.stage.in[1]", 'text "old"', "one of the stages"),
    (ENTER, "{visit_duration: {ge: 300}}", 17, "segments.fans.enter.visit_duration.ge", "300", "a duration"),
    (ENTER, "{page_duration: {ge: 60s}}", 17, "segments.fans.enter.page_duration.path", "no `path`", "`path`"),
    (ENTER, "{orders: {within: 1d}}", 17, "segments.fans.enter.orders", "a mapping", "one of ge"),
    (ENTER, "{not: [{known: true}]}", 17, "segments.fans.enter.not", "a list", "a condition"),
    ("{enter: " + ENTER + "}", "{exit: {known: true}}", 17, "segments.fans.enter", "no `enter`", "`enter`"),
    ("timezone: UTC", "exclude: {stage: new}", 2, "exclude.stage", "`stage`", "only stages and segments"),
    # --- stages
    ("    enter: {score: {ge: 40}}\n", "", 14, "stages[1]", "no `enter`", "only the first stage"),
    ("{score: {ge: 40}}", "{stage: ready}", 15, "stages[1].enter", "no other stage meets", "another stage"),
    (
        "{score: {ge: 40}}",
        "{all: [{stage: {in: [ready]}}, {score: {ge: 4}}]}",
        *(15, "stages[1].enter", "no other stage meets", "another stage"),
    ),
    ("name: new", "name: Ready", 14, "stages[1].name", "a second stage `ready`", "each stage once"),
    # --- goals, attribution
    (GOAL, "won: {value: 5}", 19, "goals.won", "neither", "either `event` or `stage`"),
    (GOAL, "won: {event: a, stage: ready}", 19, "goals.won", "both", "either `event` or `stage`"),
    (GOAL, "won: {stage: redy}", 19, "goals.won.stage", 'text "redy"', "did you mean `ready`?"),
    (GOAL, "won: {stage: ready, where: {a: b}}", 19, "goals.won.where", "beside `stage`", "beside `event`"),
    (GOAL, "won: {stage: ready, value: order}", 19, "goals.won.value", "`order`", "a number"),
    (GOAL, "won: {event: form_submitted, value: order}", 19, "goals.won.value", "`order`", "`amount` or a number"),
    (GOAL, "won: {event: a, value: -5}", 19, "goals.won.value", "the number -5", "a number from 0"),
    (GOAL, "won: {event: a, value: ammount}", 19, "goals.won.value", 'text "ammount"', "did you mean `amount`?"),
    (GOAL, "won: {event: a, lookback: 401d}", 19, "goals.won.lookback", 'text "401d"', "at most 400d"),
    (GOAL, "won: {event: a, path: windw}", 19, "goals.won.path", 'text "windw"', "did you mean `window`?"),
    ("{half_life: 7d}\n", "{milestone_stage: hot}\n", 20, "attribution.milestone_stage", 'text "hot"', "new, ready"),
    ("{half_life: 7d}\n", "{custom: {first: 1, last: 1}}\n", 20, "attribution.custom.middle", "no `middle`", "middle"),
    (
        "{half_life: 7d}\n",
        "{custom: {first: 0, middle: 0, last: 0}}\n",
        *(20, "attribution.custom", "no weight at all", "a weight above 0"),
    ),
    (
        "{half_life: 7d}\n",
        "{custom: {first: -1, middle: 0, last: 1}}\n",
        *(20, "attribution.custom.first", "the number -1", "of 0 or more"),
    ),
    ("{half_life: 7d}\n", "{data_driven: {order: 2}}\n", 20, "attribution.data_driven.order", "the number 2", "1"),
    ("{half_life: 7d}\n", "{ignore: Direct}\n", 20, "attribution.ignore", 'text "Direct"', "a list of channels"),
]


@pytest.mark.parametrize(("old", "new", "line", "field", "found", "expected"), MISTAKES, ids=[m[1] for m in MISTAKES])
def test_a_mistake_is_one_problem(old: str, new: str, line: int, field: str, found: str, expected: str) -> None:
    assert BASE.count(old) == 1
    (problem,) = problems(BASE.replace(old, new))
    assert (problem.file, problem.line, problem.field) == ("rules.yaml", line, field)
    assert found in problem.found
    assert expected in problem.expected


def test_every_mistake_is_told_at_once_in_order_of_line() -> None:
    broken = BASE.replace("points: 10", "points: ten").replace("{ge: 40}", "{ge: x}").replace("UTC", "Mars/Base")
    assert [(p.line, p.field) for p in problems(broken)] == [
        (2, "timezone"),
        (6, "signals.cart_add.points"),
        (15, "stages[1].enter.score.ge"),
    ]


def test_a_problem_is_one_line_of_text() -> None:
    with pytest.raises(RulesError) as raised:
        loads(BASE.replace("points: 10", 'points: "a\\nb"'), file="shop.yaml")
    assert str(raised.value) == 'shop.yaml:6:41: signals.cart_add.points: found text "a b", expected a number'


@pytest.mark.parametrize("section", ["version", "signals", "scores", "stages"])
def test_required_sections(section: str) -> None:
    kept = {
        "version": "version: v\n",
        "signals": "signals: {v: {event: e, points: 1}}\n",
        "scores": "scores: {x: {signals: all}}\n",
    }
    kept["stages"] = "stages: [{name: new}]\n"
    loads("".join(kept.values()))
    told = problems("".join(text for name, text in kept.items() if name != section))
    assert (told[0].field, told[0].found) == (section, f"no `{section}`")


def test_an_empty_file_is_one_problem() -> None:
    (problem,) = problems("# nothing\n")
    assert problem.found == "an empty file"


def test_a_file_that_is_a_list_is_one_problem() -> None:
    (problem,) = problems("- version: 1\n")
    assert (problem.found, problem.line) == ("a list", 1)


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match="no such file"):
        load(tmp_path / "none.yaml")


def test_a_file_that_is_not_utf8_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_bytes(b"version: \xff\n")
    with pytest.raises(RulesError, match="not UTF-8"):
        load(tmp_path / "r.yaml")


RATES = "date,currency,rate\n2026-01-01,USD,0.92\n"


@pytest.mark.parametrize(
    ("csv", "line", "field", "found"),
    [
        ("day,currency,rate\n", 1, "", "day,currency,rate"),
        ("", 1, "", "the header"),
        (RATES + "2026-02-30,USD,0.9\n", 3, "date", '"2026-02-30"'),
        (RATES + "2026-02-01,usd,0.9\n", 3, "currency", '"usd"'),
        (RATES + "\n2026-02-01,USD,0\n", 4, "rate", '"0"'),
        (RATES + "2026-02-01,USD,nan\n", 3, "rate", '"nan"'),
        (RATES + "2026-02-01,USD\n", 3, "", "2 values"),
        (RATES + "2026-01-01,USD,0.93\n", 3, "", "USD on 2026-01-01 a second time"),
    ],
)
def test_a_bad_line_of_rates_is_named(tmp_path: Path, csv: str, line: int, field: str, found: str) -> None:
    (tmp_path / "rules.yaml").write_text(BASE.replace("timezone: UTC", "rates: my.csv"))
    (tmp_path / "my.csv").write_text(csv)
    with pytest.raises(RulesError) as raised:
        load(tmp_path / "rules.yaml")
    (problem,) = raised.value.problems
    assert (problem.file, problem.line, problem.field) == (str(tmp_path / "my.csv"), line, field)
    assert found in problem.found
