"""Things break under load on Apache Kafka; nothing is lost or doubled. `python -m tests.system.faults` has the rest."""

from pathlib import Path

import pytest

from tests.kafka import Kafka
from tests.system.faults import FAULTS, line

SHORT = ("told to stop",)


@pytest.mark.parametrize("name", SHORT)
async def test_nothing_is_lost_when_it_happens(kafka: Kafka, tmp_path: Path, name: str) -> None:
    outcome = await FAULTS[name].breaks(kafka, tmp_path)
    print(line(name, outcome))  # noqa: T201 - what was repeated belongs to the report
    assert outcome.leads > 100
    assert outcome.outputs > outcome.leads
