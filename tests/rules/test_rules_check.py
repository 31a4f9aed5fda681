"""`leadstream rules check`: each kind of mistake is one line: file, line, field, what was found, what was expected."""

import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli.main import cli

RULES = """\
version: 1
signals:
  view: {event: page_viewed, points: 1}
scores:
  engagement: {signals: all, min: 0}
stages:
  - name: new
  - name: ready
    enter: {score: {ge: 20}}
segments:
  fans: {enter: {did: view, within: 7d}}
"""


def changed(old: str, new: str) -> bytes:
    assert RULES.count(old) == 1
    return RULES.replace(old, new).encode()


def exploding(levels: int) -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines).encode()


MISTAKES = {
    "an unknown field": (
        changed("points: 1", "pionts: 1, points: 1"),
        *("3:30: signals.view.pionts: found unknown field `pionts`", "did you mean `points`?"),
    ),
    "a wrong type": (
        changed("ge: 20", "ge: twenty"),
        *('9:25: stages[1].enter.score.ge: found text "twenty"', "expected a number"),
    ),
    "a segment with a slip in a signal's name": (
        changed("did: view", "did: veiw"),
        *('11:23: segments.fans.enter.did: found text "veiw"', "did you mean the signal `view`?"),
    ),
    "a misspelt condition of a stage": (
        changed("enter: {score", "entre: {score"),
        *("9:5: stages[1].entre: found unknown field `entre`", "did you mean `enter`?"),
    ),
    "a score over a signal that is not there": (
        changed("signals: all", "signals: [view, cart]"),
        *('5:32: scores.engagement.signals[1]: found text "cart"', "expected a declared signal"),
    ),
    "a goal for a stage that is not there": (
        RULES.encode() + b"goals: {g: {stage: hot}}\n",
        *('12:20: goals.g.stage: found text "hot"', "expected one of the stages new, ready"),
    ),
    "a stage above what a score can be": (
        changed("ge: 20", "ge: 120"),
        *(
            "9:12: stages[1].enter: found a condition that no lead can meet (score ≥ 120, and it is always ≥ 0 and",
            "expected a condition that a lead can meet",
        ),
    ),
    "a stage with bounds that exclude each other": (
        changed("{score: {ge: 20}}", "{all: [{score: {ge: 20}}, {score: {lt: 10}}]}"),
        *("9:12: stages[1].enter: found a condition that no lead can meet (score", "that a lead can meet"),
    ),
    "a ladder the wrong way round": (
        changed("segments:", "  - {name: late, enter: {score: {ge: 5}}}\nsegments:"),
        *("9:12: stages[1].enter: found a stage that nobody comes to: whenever it holds, `late`", "`ready` to hold at"),
    ),
    "a negative duration": (
        changed("7d", "-7d"),
        *('11:37: segments.fans.enter.within: found text "-7d"', "expected a duration such as 30s, 5m, 24h, 14d or 2w"),
    ),
    "a negative half-life": (
        changed("points: 1", "points: 1, half_life: -2h"),
        *('3:52: signals.view.half_life: found text "-2h"', "expected a duration"),
    ),
    "a negative stay": (
        changed("7d}}", "7d}, min_stay: -1h}"),
        *('11:52: segments.fans.min_stay: found text "-1h"', "expected a duration"),
    ),
    "10 MB": (
        RULES.encode() + b"# " + b"x" * 10_000_000,
        "1:1: found more than 1,000,000 bytes",
        "a smaller rules file",
    ),
    "aliases that explode": (
        exploding(12),
        *("5:45: a4[7]: found more than 100,000 values, aliases written out", "a smaller rules file"),
    ),
    "an alias of what it stands in": (
        changed("segments:", "segments: &s").replace(b"  fans", b"  loop: *s\n  fans"),
        *("11:9: segments.loop: found the alias *s", "expected an anchor of that name before it"),
    ),
    "a key twice": (
        changed("scores:", "version: 2\nscores:"),
        *("4:1: version: found `version` a second time (first on line 1)", "expected each key once"),
    ),
    "a tab": (changed("  view", "\tview"), "3:1: found a tab", "expected spaces: YAML does not indent with tabs"),
    "a file that was pasted twice": (
        RULES.partition("signals")[0].encode() * 2 + RULES.partition("\n")[2].encode(),
        *("2:1: version: found `version` a second time (first on line 1)", "expected each key once"),
    ),
    "two documents, marked": (
        RULES.encode() + b"---\n" + RULES.encode(),
        *("12:1: found a second document", "expected one document a file"),
    ),
    "not UTF-8": (
        changed("fans", "fäns").decode().encode("latin-1"),
        *("11:1: found text that is not UTF-8", "expected a readable file in UTF-8"),
    ),
    "UTF-16": (RULES.encode("utf-16"), "1:1: found text that is not UTF-8", "a readable file in UTF-8"),
    "half a character": (changed("fans", '"\\ud800"'), "11:3: segments: found half a character", "text in UTF-8"),
    "a NUL": (changed("fans", "f\0ns"), "1:1: found unreadable text (unacceptable character #x0000", "YAML 1.2"),
    "an empty file": (b"", "1:1: found an empty file", "expected rules with version, signals, scores, stages"),
    "only comments": (b"# nothing yet\n", "1:1: found an empty file", "expected rules with version"),
    "a list": (b"- a\n- b\n", "1:1: found a list", "expected rules with `version`"),
    "plain text": (b"hello\n", '1:1: found text "hello"', "expected rules with `version`"),
    "deep nesting": (
        changed("{did: view, within: 7d}", "{not: " * 60 + "{known: true}" + "}" * 60),
        *(":239: found nesting deeper than 40", "expected rules that nest less"),
    ),
    "no number": (
        changed("points: 1", "points: .nan"),
        *("3:38: signals.view.points: found the number .nan", "expected a number of at most 15 digits"),
    ),
    "a huge number": (
        changed("points: 1", "points: 1e400"),
        *("3:38: signals.view.points: found the number 1e400", "expected a number of at most 15 digits"),
    ),
    "more digits than a number has": (
        changed("ge: 20", "ge: " + "9" * 30),
        *("9:25: stages[1].enter.score.ge: found the number 9999999", "expected a number of at most 15 digits"),
    ),
    "a wrong time zone": (
        changed("version: 1", "version: 1\ntimezone: Europe/Berln"),
        *('2:11: timezone: found text "Europe/Berln"', "did you mean `Europe/Berlin`?"),
    ),
    "an unknown currency": (
        changed("version: 1", "version: 1\ncurrency: EURO"),
        *('2:11: currency: found text "EURO"', "an ISO 4217 currency code such as EUR; did you mean `EUR`?"),
    ),
    "a tag that would make an object": (
        changed("view: {", "view: !!python/object:os.system {"),
        *("3:9: signals.view: found the tag tag:yaml.org,2002:python/object:os.system", "a value without a tag"),
    ),
    "a merge key": (
        changed("view: {", "view: {<<: {once: true}, "),
        "3:10: signals.view.<<: found unknown field",
        "`event`",
    ),
    "broken JSON": (b'{"version": 1,', "1:15: found broken YAML", "expected YAML 1.2"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_told_and_nothing_is_used(what: str, tmp_path: Path) -> None:
    text, found, expected = MISTAKES[what]
    file = tmp_path / "rules.yaml"
    file.write_bytes(text)
    began = time.perf_counter()
    told = CliRunner().invoke(cli, ["rules", "check", str(file)])
    assert time.perf_counter() - began < 20
    assert (told.exit_code, told.stdout) == (1, "")
    (line,) = told.stderr.splitlines()
    assert line.startswith(f"{file}:")
    assert found in line
    assert expected in line[line.index(", expected ") :]
    assert len(line) < 400 + len(str(file))


def test_a_file_that_is_not_there_and_one_that_is_a_folder(tmp_path: Path) -> None:
    for file, found in ((tmp_path / "no.yaml", "no such file"), (tmp_path, "Is a directory")):
        told = CliRunner().invoke(cli, ["rules", "check", str(file)])
        assert told.stderr == f"{file}:1:1: found {found}, expected a readable file in UTF-8\n"


def test_a_name_that_is_nobodys_is_noted_with_its_line_and_field(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    for name, noted in (("pricing_view", True), ("Pricing View", False), ("cart_added", False), ("Deal Won", False)):
        file.write_bytes(changed("did: view", f"did: {name}"))
        told = CliRunner().invoke(cli, ["rules", "check", str(file)])
        assert told.exit_code == 0
        note = f"note: {file}:11:23: segments.fans.enter.did: `{name}` is no signal and no kind"
        lines = told.stdout.splitlines()
        assert lines[0] == f"{file}: right" + (", but look at the notes below" if noted else ""), name
        assert lines[-1].startswith(note) is noted, name
    # Elsewhere in the file it is an event's name: so it is one here.
    file.write_bytes(changed("did: view", "did: deal_won") + b"goals: {won: {event: deal_won}}\n")
    assert "note" not in CliRunner().invoke(cli, ["rules", "check", str(file)]).stdout


def test_a_note_names_what_is_like_the_name_and_how_an_event_is_spelt(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_bytes(changed("view: {", "price_view: {").replace(b"did: view", b"did: pricing_views"))
    told = CliRunner().invoke(cli, ["rules", "check", str(file)])
    assert told.exit_code == 0
    assert "did you mean `price_view`? " in told.stdout
    assert 'spell it as it is sent, "Pricing Views" say' in told.stdout


def test_an_event_that_is_called_as_a_signal_of_other_events_is_noted(tmp_path: Path) -> None:
    """A signal is looked up by its own name as it stands; written as people write events' names it is an event's."""
    file = tmp_path / "rules.yaml"
    trial = changed("view: {event: page_viewed", "trial_booked: {event: %b").replace(b"did: view", b"did: Trial Booked")
    file.write_bytes(trial % b"Trial Lesson Booked")
    told = CliRunner().invoke(cli, ["rules", "check", str(file)])
    note = "`Trial Booked` is the track event of that name, not the signal `trial_booked`"
    assert f"note: {file}:11:23: segments.fans.enter.did: {note}" in told.stdout.splitlines()
    file.write_bytes(trial % b"Trial Booked")
    assert note not in CliRunner().invoke(cli, ["rules", "check", str(file)]).stdout


@pytest.mark.parametrize("what", MISTAKES)
def test_a_file_with_a_mistake_is_not_published_nor_run(what: str, tmp_path: Path) -> None:
    """It is refused before anything is connected to: no broker is there."""
    text, found, _ = MISTAKES[what]
    file = tmp_path / "rules.yaml"
    file.write_bytes(text)
    nobody = {"LEADSTREAM_BROKERS": "127.0.0.1:1", "LEADSTREAM_DATA_DIR": str(tmp_path / "data")}
    for command in (["rules", "publish", str(file)], ["worker", "--rules", str(file)]):
        told = CliRunner().invoke(cli, command, env=nobody)
        assert (told.exit_code, told.stdout) == (1, "")
        first, line = told.stderr.splitlines()
        assert first == "Error: the rules cannot be used:"
        assert found in line
    assert not (tmp_path / "data").exists()


def test_a_file_that_is_published_is_noted_too(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_bytes(changed("did: view", "did: brochure_sent"))
    told = CliRunner().invoke(cli, ["rules", "publish", str(file)], env={"LEADSTREAM_BROKERS": "127.0.0.1:1"})
    note, refusal = told.stderr.splitlines()
    assert note.startswith(f"note: {file}:11:23: segments.fans.enter.did: `brochure_sent` is no signal and no kind")
    assert refusal.startswith("Error: no Kafka broker answers")
