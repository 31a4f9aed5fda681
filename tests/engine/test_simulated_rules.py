"""Rules published while lanes die: nothing is told two ways, and everybody ends up by the last version."""

from collections.abc import Callable
from typing import Any

import pytest

from app.leads.program import LeadProgram
from app.leads.records import Facts
from app.leads.rows import hot_of
from tests.engine import simrules
from tests.engine.simcheck import WrongError
from tests.engine.simulate import simulate_many
from tests.engine.test_simulation import POINTS

pytestmark = pytest.mark.usefixtures("quiet")

RUNS = 100


async def test_leads_go_by_the_rules_of_their_lane_through_every_crash() -> None:
    deaths = await simulate_many(range(RUNS), simrules.simulate)
    assert set(deaths) == POINTS
    assert min(deaths.values()) > 0


def _renders_by_the_file(self: LeadProgram, ref: bytes, rows: Any) -> Any:
    hot = hot_of(rows.get(ref) or b"")
    reader = self._rules._given.at_first().reader(hot.brand)
    lead = self._made(hot.brand, hot.key, rows, {}, hot, reader)
    return self._outgoing.output("profiles", lead, lead.last_profile())


def _keeps_only_names_of_profiles(
    self: LeadProgram, command: Any, record: Any, facts: Facts, rows: Any, step: Any
) -> Facts:
    del record
    rules = self._rules.after(command)
    if rules is None:
        return facts
    self._fold_all(facts, rows, step)
    self._rules.switch(rules, command)
    return {}


@pytest.mark.parametrize(
    ("name", "broken", "seeds"),
    [("render", _renders_by_the_file, range(8)), ("_switch", _keeps_only_names_of_profiles, range(144, 160))],
    ids=["renders by the file", "keeps only names of profiles"],
)
async def test_the_simulation_notices_a_program_that_forgets_its_rules(
    monkeypatch: pytest.MonkeyPatch, name: str, broken: Callable[..., Any], seeds: range
) -> None:
    monkeypatch.setattr(LeadProgram, name, broken)
    with pytest.raises(WrongError, match="two contents"):
        await simulate_many(seeds, simrules.simulate)
