"""In which order a replay publishes lines, and where it cuts."""

import contextlib
import datetime
import gzip
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli.replay.lines import Input, InputError, Lines, read_all
from app.cli.replay.slices import as_they_come, in_order_of_time

HOUR, DAY = 3_600_000, 86_400_000
START = 1_767_225_600_000  # 2026-01-01T00:00:00Z


def iso(at: int) -> str:
    return datetime.datetime.fromtimestamp(at / 1000, datetime.UTC).isoformat(timespec="milliseconds")


def page(at: int | None, user: str = "u1", **more: Any) -> bytes:
    told = {} if at is None else {"timestamp": iso(START + at)}
    return json.dumps({"type": "page", "userId": user, "messageId": f"{user}-{at}", **told, **more}).encode()


Read = Callable[..., Lines]


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Read]:
    """Reads lines by the name of their input, as `web=[…]`."""
    with contextlib.ExitStack() as stack:

        def made(**files: list[bytes]) -> Lines:
            inputs = []
            for name, lines in files.items():
                file = tmp_path / f"{name}.jsonl"
                file.write_bytes(b"".join(line + b"\n" for line in lines))
                inputs.append(Input(str(file), f"events.{name}"))
            return stack.enter_context(read_all(inputs))

        yield made


def times(lines: Lines) -> list[int]:
    return [at - START for at in lines.at]


def test_a_line_without_a_valid_time_takes_that_of_the_line_before_it(read: Read) -> None:
    unreadable = page(None, timestamp="yesterday")
    lines = read(web=[b"{", page(5), b"", page(None), unreadable, page(3), b"\xff\xfe"])
    assert times(lines) == [5, 5, 5, 5, 5, 3, 3]


def test_a_record_has_the_time_of_its_receipt_else_of_sending_else_of_the_event(read: Read) -> None:
    received = {"receivedAt": iso(START + 9), "sentAt": iso(START + 8)}
    lines = read(web=[page(5, **received), page(5, sentAt=iso(START + 8)), page(5), page(None)])
    assert [lines[n].record_at - START for n in range(4)] == [9, 8, 5, 5]


def test_an_original_timestamp_is_corrected_by_the_trackers_clock(read: Read) -> None:
    wrong_clock = page(
        None, originalTimestamp=iso(START + HOUR), sentAt=iso(START + HOUR + 10), receivedAt=iso(START + 30)
    )
    assert times(read(web=[wrong_clock])) == [20]


def test_a_refused_line_keeps_its_own_time_and_key_if_it_has_them(read: Read) -> None:
    unknown_type = page(7, type="pageview")
    bad_amount = json.dumps(
        {"type": "track", "event": "Order Completed", "userId": "u1", "timestamp": iso(START + 9)}
        | {"properties": {"order_id": "1", "revenue": -1}}
    ).encode()
    lines = read(web=[page(1), unknown_type, bad_amount])
    assert times(lines) == [1, 7, 9]
    assert lines[2].key == b"u1"


def test_lines_are_bytes_with_their_place_in_the_file_and_no_end(tmp_path: Path) -> None:
    file = tmp_path / "web.jsonl"
    file.write_bytes(b"\r\n" + page(1) + b"\r\n\n" + b"\xc3\x28" + b"\n" + b"x" * 5_000_000)
    with read_all([Input(str(file), "events.web")]) as lines:
        assert [lines[n].value for n in range(4)] == [b"", page(1), b"", b"\xc3\x28"]
        assert len(lines[4].value) == 5_000_000
        assert [lines[n].line for n in range(5)] == [1, 2, 3, 4, 5]
        assert lines[1].key == b"u1"
        assert lines[4].key is None


def test_gzip_and_standard_input_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = tmp_path / "web.jsonl.gz"
    packed.write_bytes(gzip.compress(page(1) + b"\n" + page(2) + b"\n"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(page(3))))
    with read_all([Input(str(packed), "events.web"), Input("-", "events.crm")]) as lines:
        assert times(lines) == [1, 2, 3]
        assert (lines[2].input.name, lines[2].input.topic, lines[2].line) == ("-", "events.crm", 1)


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"x" * 10_000)[:-20]], ids=["none", "cut short"])
def test_what_is_no_whole_gzip_is_an_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "web.jsonl.gz"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"web\.jsonl\.gz: "):
        read_all([Input(str(file), "events.web")])


def test_the_newest_event_is_no_rejected_line(read: Read) -> None:
    nobody = json.dumps({"type": "page", "timestamp": iso(START + 99)}).encode()
    assert read(web=[page(5), nobody, page(4)]).newest_event() == START + 5
    assert read(web=[b"", nobody]).newest_event() is None


def test_events_are_published_in_order_of_time_and_equal_times_as_they_were_given(read: Read) -> None:
    lines = read(web=[page(3), page(1), page(2)], crm=[page(2), page(0)])
    (only,) = in_order_of_time(lines, None)
    assert only.numbers == [4, 1, 2, 3, 0]
    assert only.advance_to is None


def test_until_is_the_last_moment_that_is_published(read: Read) -> None:
    lines = read(web=[page(1), page(2), page(3)])
    assert [piece.numbers for piece in in_order_of_time(lines, START + 2)] == [[0, 1]]
    assert [piece.numbers for piece in as_they_come(lines, START + 2)] == [[0, 1]]
    assert list(in_order_of_time(lines, START)) == []


def test_equal_times_are_folded_together_though_a_cut_falls_between_them(read: Read) -> None:
    lines = read(web=[page(1), page(5), page(5), page(5), page(8)])
    cut = in_order_of_time(lines, None, most=2)
    assert [piece.numbers for piece in cut] == [[0, 1], [2, 3], [4]]
    # The first cut is within the ties at 5: lanes fold up to 4 only.
    assert [piece.advance_to for piece in cut] == [START + 4, START + 7, None]


def test_as_is_keeps_each_files_order_and_merges_by_the_newest_time_reached(read: Read) -> None:
    lines = read(web=[page(3, "a"), page(1, "a"), page(9, "a")], crm=[page(2, "b"), page(4, "b")])
    assert [piece.numbers for piece in as_they_come(lines, None)] == [[3, 0, 1, 4, 2]]


def test_as_is_waits_where_a_race_of_topics_could_make_a_lead_late(read: Read) -> None:
    lines = read(
        web=[page(0, "a"), page(0, "b"), page(4 * DAY, "b"), page(4 * DAY, "a")],
        crm=[page(2 * DAY, "a"), page(4 * DAY + 1, "a")],
    )
    # a: 0 (web), 2 d (crm), 4 d (web): the last may be read before the first two only within 3 days of them.
    assert [piece.numbers for piece in as_they_come(lines, None)] == [[0, 1, 4, 2], [3, 5]]
