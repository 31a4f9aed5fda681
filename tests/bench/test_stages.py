"""The bench measures functions by their names."""

import pytest

from tests.bench.stages import STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_each_function_that_a_stage_consists_of_is_there(stage: str) -> None:
    assert all(callable(getattr(holder, name)) for holder, names in STAGES[stage] for name in names)
