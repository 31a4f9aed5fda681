"""What the commands say, and with which status they end."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli.main import cli
from app.cli.summary import Summary, amount, money
from app.cli.terminal import console, show
from app.embedded import EmbeddedBroker
from tests.processes import LEADSTREAM, ROOT

RULES = ROOT / "tests" / "rules" / "shop.yaml"


def run(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(cli, arguments, env=env)


def test_help_does_not_wait_for_the_stream_engine() -> None:
    heavy = "{'faust', 'aiokafka', 'rocksdict', 'rich', 'numpy'}"
    code = f"import sys, app.cli.main; print(sorted({heavy} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    told = run("--help").output
    for command in ("demo", "explain", "replay", "rules", "settings", "topics", "worker"):
        assert f"\n  {command} " in told


# --- rules and settings -----------------------------------------------------------------------------------------------


def test_rules_check_sums_a_right_file_up() -> None:
    told = run("rules", "check", str(RULES), str(ROOT / "deploy" / "rules" / "default.yaml"))
    assert told.exit_code == 0
    assert f"{RULES}: right" in told.output
    assert "4 stages: new → aware → ready → customer" in told.output


def test_rules_check_tells_each_mistake_on_a_line_and_fails(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(
        "version: 1\nsignals: {a: {event: page_viewed, points: many}}\nscores: {total: {b: 1}}\nstages: []\n"
    )
    told = run("rules", "check", str(RULES), str(wrong), str(tmp_path / "missing.yaml"))
    assert told.exit_code == 1
    problems = [line for line in told.output.splitlines() if line.startswith(str(tmp_path))]
    assert any(line.startswith(f"{wrong}:2:") and "points" in line for line in problems)
    assert any(line.startswith(f"{tmp_path / 'missing.yaml'}:1:") for line in problems)
    assert f"{RULES}: right" in told.output


def test_rules_schema_is_a_json_schema() -> None:
    assert "signals" in json.loads(run("rules", "schema").output)["properties"]


def test_settings_are_listed_with_their_variables() -> None:
    told = run("settings").output
    assert "LEADSTREAM_BROKERS=127.0.0.1:9092\n    Kafka bootstrap servers" in told


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def web(tmp_path: Path) -> str:
    file = tmp_path / "web.jsonl"
    file.write_text('{"type":"page","userId":"u1","timestamp":"2026-01-01T10:00:00Z"}\n')
    return str(file)


def test_mistakes_in_the_options_are_told_before_anything_starts(tmp_path: Path, web: str) -> None:
    out = str(tmp_path / "out")
    mistakes = {
        ("replay", "--out", out): "nothing to replay",
        ("replay", "--web", str(tmp_path / "no.jsonl"), "--out", out): "no.jsonl' does not exist",
        ("replay", "--web", web, "--out", out, "--until", "tomorrow"): "'tomorrow' is no time such as",
        ("replay", "--web", web, "--out", out, "--until", "3026-01-01"): "is no time such as",
        ("replay", "--web", "-", "--crm", "-", "--out", out): "standard input (-) can be given once only",
        ("replay", "--web", web): "Missing option '--out'",
        ("replay", "--web", web, "--out", web): "is a file",
        ("replay", "--web", web, "--out", out, *("--rules", str(RULES)) * 2): "two rules files for the brand",
    }
    for arguments, expected in mistakes.items():
        told = run(*arguments)
        assert told.exit_code == 2, arguments
        assert expected in told.output, arguments
    assert not Path(out).exists()


def test_what_cannot_be_used_is_told_in_a_line_with_status_1(tmp_path: Path, web: str) -> None:
    out = str(tmp_path / "out")
    packed = tmp_path / "web.jsonl.gz"
    packed.write_bytes(b"no gzip")
    broken = tmp_path / "rules.yaml"
    broken.write_text("version: 1\n")
    faults = {
        ("replay", "--web", str(packed), "--out", out): "web.jsonl.gz: not a gzipped file",
        ("replay", "--web", web, "--out", out, "--rules", str(broken)): "rules.yaml:1:",
        ("replay", "--web", web, "--out", out, "--broker", "127.0.0.1:1"): "no Kafka broker answers at 127.0.0.1:1",
        ("topics", "create"): "no Kafka broker answers at 127.0.0.1:1",
        ("worker",): "no Kafka broker answers at 127.0.0.1:1",
    }
    for arguments, expected in faults.items():
        told = subprocess.run(
            [sys.executable, *LEADSTREAM, *arguments],
            env={**os.environ, "LEADSTREAM_BROKERS": "127.0.0.1:1", "LEADSTREAM_DATA_DIR": str(tmp_path / "data")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert told.returncode == 1, arguments
        assert expected in told.stderr, told.stderr
        assert "Traceback" not in told.stderr


def test_an_unknown_setting_is_told(web: str, tmp_path: Path) -> None:
    told = run("replay", "--web", web, "--out", str(tmp_path / "out"), env={"LEADSTREAM_BROKRES": "x"})
    assert told.exit_code == 1
    assert "LEADSTREAM_BROKRES: no such option; did you mean `brokers`?" in told.output


# --- topics and worker ------------------------------------------------------------------------------------------------


async def test_topics_are_created_once_and_described(tmp_path: Path) -> None:
    async with EmbeddedBroker() as broker:
        config = tmp_path / "settings.toml"
        config.write_text(
            f'brokers = ["{broker.address}"]\npartitions = 4\nreplication_factor = 1\nmin_insync_replicas = 1\n'
        )

        def told(*arguments: str) -> str:
            command = [sys.executable, *LEADSTREAM, *arguments, "--config", str(config)]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout

        assert "events.web: MISSING" in told("topics", "describe")
        created = told("topics", "create").splitlines()
        assert "created leads.segments" in created
        assert told("topics", "create") == "all topics are there\n"
        assert "events.web: 4 partitions; What trackers on websites" in told("topics", "describe")


# --- the summary ------------------------------------------------------------------------------------------------------


def test_money_is_written_with_the_places_of_its_currency() -> None:
    assert [money(123_450, "EUR"), money(123_450, "JPY"), money(5, "KWD")] == [
        "1,234.50 EUR",
        "123,450 JPY",
        "0.005 KWD",
    ]
    assert amount(99, "USD") == "0.99"


def segment_change(lead: str, **more: Any) -> dict[str, Any]:
    contact = {"user_id": None, "email": None, "phone": None, "name": None, "locale": None}
    return {
        "type": "segment_change",
        "lead_id": lead,
        "brand": "default",
        "seq": 1,
        "at": "2026-01-01T10:00:00.000Z",
        "entered": [],
        "left": [],
        "segments": [],
        "stage": "new",
        "previous_stage": None,
        "score": 1.0,
        "contact": contact,
        "cart": {"items": 0, "currency": "EUR", "minor": 0},
        "cause": {"kind": "event", "event_id": "e", "signal": "page_view"},
        **more,
    }


def conversion(revision: int, value: int, *channels: str, **more: Any) -> dict[str, Any]:
    shares = [value, *([0] * (len(channels) - 1))]
    return {
        "conversion_id": "c1",
        "goal": "purchase",
        "currency": "EUR",
        "value_minor": value,
        "revision": revision,
        "supersedes": None if revision == 1 else "x",
        "touches": [{"channel": channel} for channel in channels],
        "credits": {"first": shares, "last": shares[::-1]},
        **more,
    }


def told(*records: tuple[str, dict[str, Any]]) -> Summary:
    summary = Summary(["new", "aware"])
    for topic, record in records:
        key = f"{record.get('brand')}/{record.get('lead_id')}".encode()
        summary.take(topic, key, json.dumps(record).encode())
    return summary


def printed(summary: Summary, capsys: pytest.CaptureFixture[str]) -> list[str]:
    show(console(), summary.tables())
    return capsys.readouterr().out.splitlines()


def test_the_newest_revision_alone_is_credited(capsys: pytest.CaptureFixture[str]) -> None:
    summary = told(
        ("leads.conversions", conversion(1, 10_000, "Email", "Paid Search")),
        ("leads.conversions", conversion(2, 4_050, "Email", "Paid Search")),
        ("leads.conversions", conversion(1, 700, conversion_id="c2")),
    )
    lines = printed(summary, capsys)
    assert any("goal purchase: 2 conversions, 47.50 EUR" in line for line in lines)
    rows = {cells[0]: cells[1:] for line in lines if (cells := [c.strip() for c in line.strip("│").split("│")])}
    assert rows["Email"] == ["1", "40.50", "0.00"]
    assert rows["Paid Search"] == ["1", "0.00", "40.50"]
    assert rows["unattributed"] == ["1", "7.00", "7.00"]


def test_moves_between_stages_and_segments_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    by_time = {"kind": "timer"}
    summary = told(
        ("leads.segments", segment_change("a")),
        ("leads.segments", segment_change("a", stage="aware", previous_stage="new", entered=["hot"], segments=["hot"])),
        ("leads.segments", segment_change("a", previous_stage="aware", left=["hot"], cause=by_time)),
        ("leads.segments", segment_change("b", previous_stage="new", entered=["hot"], segments=["hot"])),
    )
    rows = [[c.strip() for c in line.strip("│").split("│")] for line in printed(summary, capsys)]
    assert ["new", "0", "2", "1", "–"] in rows
    assert ["aware", "0", "1", "0", "–"] in rows
    assert ["hot", "0", "2", "1"] in rows


def test_what_was_counted_besides_stands_below(capsys: pytest.CaptureFixture[str]) -> None:
    summary = told()
    summary.counts.update(duplicates=1_200, bots=31, late=7, clamped=5)
    text = " ".join(printed(summary, capsys))
    for said in ("1,200 duplicates", "31 events of bots", "7 late events", "5 events of the future"):
        assert said in text, said


def test_what_is_piped_is_never_cut_to_the_width_of_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    detail = "a detail of more than forty columns " * 10
    rejected = {"reason": "bad_field", "detail": detail.strip()}
    (line,) = [line for line in printed(told(("events.rejected", rejected)), capsys) if "bad_field" in line]
    assert detail.strip() in line
