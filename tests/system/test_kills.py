"""The real worker is killed ten times in a run; what it told and kept is what a fold in one piece tells and keeps."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from app.embedded import EmbeddedBroker
from tests.kafka import Kafka
from tests.system.kills import VARIANTS, run

KILLS = 10


@pytest_asyncio.fixture
async def embedded() -> AsyncIterator[str]:
    async with EmbeddedBroker() as running:
        yield running.address


@pytest.fixture(params=["embedded", "kafka"])
def broker(request: pytest.FixtureRequest) -> str:
    if request.param == "embedded":
        return str(request.getfixturevalue("embedded"))
    running: Kafka = request.getfixturevalue("kafka")
    return running.address


@pytest.mark.parametrize(
    "variant",
    ["wiped", "live", "two workers"],
    ids=["half the time its disk is lost too", "while it folds as it reads", "two trade partitions"],
)
async def test_a_worker_that_is_killed_ten_times_loses_and_doubles_nothing(
    broker: str, tmp_path: Path, variant: str
) -> None:
    outcome = await run(broker, tmp_path, VARIANTS[variant], kills=KILLS, events=2_500)
    assert outcome.kills == KILLS
    assert outcome.wipes > 0
    assert outcome.leads > 100
    assert outcome.at_work > 0, "it was never killed in time"
    assert outcome.repeats > 0


@pytest.mark.parametrize(
    "variant",
    ["exactly once", "exactly once, two workers"],
    ids=["half the time its disk is lost too", "two trade partitions"],
)
async def test_a_worker_that_sends_in_transactions_and_is_killed_ten_times_repeats_nothing(
    kafka: Kafka, tmp_path: Path, variant: str
) -> None:
    outcome = await run(kafka.address, tmp_path, VARIANTS[variant], kills=KILLS, events=2_500)
    assert outcome.kills == KILLS
    assert outcome.wipes > 0
    assert outcome.leads > 100
    assert outcome.at_work > 0, "it was never killed in time"
    assert outcome.repeats == 0
