"""What a lead is called: its `name`, else first and last name, each as it was told last."""

from typing import Any

import pytest

from tests.domain.stories import START, Story, event, reader
from tests.domain.ways import plain

RULES = reader(plain())


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ([{"firstName": "Ada", "lastName": "L"}, {"lastName": "King"}], "Ada King"),
        ([{"first_name": " Ada "}, {"last_name": "L"}], "Ada L"),
        ([{"name": "Ada L"}, {"firstName": "Augusta"}], "Ada L"),
        ([{"firstName": "Augusta"}, {"name": "Ada L"}], "Ada L"),
        ([{"name": " ", "firstName": "Ada"}], "Ada"),
        ([{"name": 5}], None),
        ([{"plan": "free"}], None),
    ],
)
def test_a_name_is_put_together_from_all_that_was_told(told: list[dict[str, Any]], name: str | None) -> None:
    events = [event(START + number, "traits_changed", traits=traits) for number, traits in enumerate(told)]
    for arrival in (events, events[::-1]):
        assert Story(RULES).tell_each(arrival).until(START + 10)["contact"]["name"] == name
