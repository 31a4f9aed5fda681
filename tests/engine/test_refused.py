"""A record whose step no batch of the changelog can hold: it is refused, once, and nothing else comes to harm."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app import topics
from app.domain.reader import Reader
from app.engine.program import Output, Record, Rows, Step
from app.engine.protocol import LogError
from app.leads.program import LeadProgram
from app.leads.rows import hot_of, lead_prefix
from app.rules import load
from app.settings import Settings
from tests.engine.broker_io import Message, publish, read_once
from tests.engine.conftest import NewSettings
from tests.engine.harness import Crash, Station, live_on
from tests.engine.test_crashes import POINTS
from tests.engine.toy import Toy


class Sized(Toy):
    """Keeps a row of so many bytes as a record says; a record that says `must` with it cannot be refused."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.rejected = topics.topics(settings).rejected.name
        self.steps: list[int] = []
        self.asked: list[tuple[int, int]] = []

    def step(self, records: Sequence[Record], rows: Rows) -> Step:
        self.steps.append(len(records))
        return Step({b"w" + (record.key or b""): b"x" * int((record.value or b"").split()[0]) for record in records})

    def refuse(self, record: Record, rows: Rows, size: int, limit: int) -> Step | None:
        self.asked.append((size, limit))
        if b"must" in (record.value or b""):
            return None
        return Step(outputs=[Output(self.rejected, record.key, b"too large")], counts={"rejected": 1})


SMALL_STEPS: dict[str, Any] = {"partitions": 1, "step_bytes": 65_536}
LIMIT = (65_536 + (2 << 20)) * 255 // 256
"""What a step stores at most with these."""


def sized(settings: Settings) -> list[Message]:
    """Records of which two do not fit a batch, and one that fits though it is larger than a step should be."""
    sizes = {b"a": b"10", b"b": b"3000000", b"c": b"20", b"d": b"2000000", b"e": b"9000000", b"f": b"30"}
    return [(topics.topics(settings).web.name, key, size) for key, size in sizes.items()]


def kept(station: Station) -> dict[bytes, int]:
    return {key: len(value) for key, value in station.lanes[0].rows.scan(b"w", limit=100)}


AT = 1_767_225_600_000  # 2026-01-01T00:00:00Z
KEPT = {b"wa": 10, b"wc": 20, b"wd": 2_000_000, b"wf": 30}


async def test_a_record_whose_step_fits_no_batch_is_refused_and_the_others_are_taken(
    new_settings: NewSettings, caplog: pytest.LogCaptureFixture
) -> None:
    settings = await new_settings(**SMALL_STEPS)
    ends = await publish(settings, sized(settings))
    program = Sized(settings)
    async with Station(settings, lambda _: program) as station:
        await station.open()
        await station.run(ends)
        assert kept(station) == KEPT
        assert station.lanes[0].counts["rejected"] == 2
    rejected = topics.topics(settings).rejected.name
    assert await read_once(settings, rejected) == [(b"b", b"too large"), (b"e", b"too large")]
    assert [limit for _, limit in program.asked] == [LIMIT, LIMIT]
    assert [size // 1_000 for size, _ in program.asked] == [3_000, 9_000]
    web = topics.topics(settings).web.name
    assert f"{web}/0: the record at 1 is refused" in caplog.text
    again = Sized(settings)
    async with Station(settings, lambda _: again) as station:
        await station.open()
        await station.run(ends)
        assert kept(station) == KEPT
    assert again.steps == [], "a restart has nothing to do again"


@pytest.mark.parametrize("point", POINTS)
async def test_a_lane_that_dies_while_it_refuses_refuses_once(new_settings: NewSettings, point: str) -> None:
    settings = await new_settings(**SMALL_STEPS)
    ends = await publish(settings, sized(settings))
    deaths = [Crash(point, nth) for nth in (1, 2, 3, 4)]
    _, died = await live_on(settings, lambda _: Sized(settings), ends, deaths)
    assert died[point] >= 2
    async with Station(settings, lambda _: Sized(settings)) as station:
        await station.open()
        assert kept(station) == KEPT
    rejected = topics.topics(settings).rejected.name
    assert await read_once(settings, rejected) == [(b"b", b"too large"), (b"e", b"too large")]


async def test_a_record_that_a_program_cannot_do_without_ends_the_lane(new_settings: NewSettings) -> None:
    settings = await new_settings(**SMALL_STEPS)
    web = topics.topics(settings).web.name
    ends = await publish(settings, [(web, b"a", b"10"), (web, b"b", b"3000000 must"), (web, b"c", b"20")])
    async with Station(settings, lambda _: Sized(settings)) as station:
        await station.open()
        with pytest.raises(LogError, match="2 records do not fit one batch"):
            await station.run(ends)
        assert kept(station) == {b"wa": 10}


async def test_a_late_event_for_which_too_much_would_be_folded_again_is_told_and_the_stream_goes_on(
    new_settings: NewSettings,
) -> None:
    settings = await new_settings(**SMALL_STEPS)
    known = topics.topics(settings)
    readers = {"default": Reader(load(Path(__file__).parents[1] / "rules" / "shop.yaml"))}

    def event(name: str, minute: int, **more: Any) -> Message:
        message = {"type": "page", "userId": "ada", "messageId": name, "timestamp": AT + minute * 60_000, **more}
        return known.web.name, b"ada", json.dumps(message).encode()

    # Each has 50 KB of traits, which stay at hand for as long as a late event may need them folded again.
    talkative = [
        event(f"m{n}", n, type="identify", traits={f"t{n}-{k}": "x" * 512 for k in range(95)}) for n in range(70)
    ]
    ends = await publish(settings, [*talkative, event("late", -60), event("last", 80)])
    async with Station(settings, lambda partition: LeadProgram(partition, settings, known, readers)) as station:
        await station.open()
        await station.run(ends)
        assert station.lanes[0].counts["rejected.too_large"] == 1
        hot = hot_of(station.lanes[0].rows.get(lead_prefix("default", "user:ada") + b"h") or b"")
        assert hot.core.at == AT + 80 * 60_000, "the last one is folded"
    ((_, told),) = await read_once(settings, known.rejected.name)
    rejected = json.loads(told or b"")
    assert (rejected["reason"], rejected["offset"]) == ("too_large", 70)
    assert json.loads(rejected["raw"])["messageId"] == "late"
    assert f"of which a step stores {LIMIT} at most" in rejected["detail"]
