"""Thousands of random interleavings of lanes that die, return and overlap: nothing lost, doubled or told two ways.

The lanes, changelogs and the protocol are the real ones; the broker and the disks are lists and dicts (`simworld`).
Each rule of the protocol is broken once, to see that the simulation notices.
"""

from typing import Any

import pytest

from app.engine.protocol import ChannelGapError, LogError
from tests.engine import simbroken, simleads
from tests.engine.simcheck import WrongError
from tests.engine.simulate import simulate, simulate_many

pytestmark = pytest.mark.usefixtures("quiet")

RUNS = 2_000
LEAD_RUNS = 300
BROKEN_RUNS = 400
POINTS = {
    *("append on its way", "append acknowledged", "before write", "after write"),
    *("send on its way", "send acknowledged", "read acknowledged", "earliest acknowledged", "fenced"),
}


async def test_whatever_happens_nothing_is_lost_doubled_or_told_two_ways() -> None:
    deaths = await simulate_many(range(RUNS))
    assert set(deaths) == POINTS, "lanes died at every line"
    assert min(deaths.values()) > RUNS / 10


async def test_leads_are_what_they_would_be_without_lanes() -> None:
    deaths = await simulate_many(range(LEAD_RUNS), simleads.simulate)
    assert set(deaths) == POINTS
    assert min(deaths.values()) > 0


@pytest.mark.parametrize(
    "broken",
    [
        {"lane_type": simbroken.SendsFirst},
        {"lane_type": simbroken.NeverSendsAgain},
        {"lane_type": simbroken.SkipsNothing},
        {"lane_type": simbroken.TakesRepeats},
        {"lane_type": simbroken.DropsTheRest},
        {"changelog_type": simbroken.FearsNobody},
        {"changelog_type": simbroken.BelievesEveryRow},
        {"changelog_type": simbroken.LeavesStaleRows},
        {"changelog_type": simbroken.RebuildsNoIndex},
    ],
    ids=lambda broken: next(iter(broken.values())).__name__,
)
async def test_a_protocol_with_a_rule_less_is_found_out(broken: dict[str, Any]) -> None:
    noticed = False
    for seed in range(BROKEN_RUNS):
        try:
            await simulate(seed, **broken)
        except (WrongError, ChannelGapError, LogError):
            noticed = True
            break
    assert noticed, f"{BROKEN_RUNS} runs did not notice"
