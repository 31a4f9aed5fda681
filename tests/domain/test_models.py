"""Attribution models and the exact division of money."""

import csv
import gzip
import json
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.attribution.money import BadAmountError, convert, split, to_minor
from app.domain.attribution.positional import MODELS, PathTouch, weigh
from app.domain.rulebook import Attribution, CustomModel

DAY = 86_400_000
GOLDEN = Path(__file__).parents[1] / "golden" / "attribution"


def path(*channels: str, ages: list[int] | None = None) -> list[PathTouch]:
    """A path of these channels, oldest first; ages in days."""
    days = ages or list(range(len(channels), 0, -1))
    return [PathTouch(age * DAY, channel) for age, channel in zip(days, channels, strict=True)]


def shares(model: str, n: int, custom: CustomModel | None = None) -> list[Any]:
    """Return percent a touch of a path of n."""
    weights = weigh(path(*["Email"] * n), Attribution(custom=custom))[model]
    return [pytest.approx(100 * weight / sum(weights)) for weight in weights]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("first", [[100], [100, 0], [100, 0, 0]]),
        ("last", [[100], [0, 100], [0, 0, 100]]),
        ("last_non_direct", [[100], [0, 100], [0, 0, 100]]),
        ("linear", [[100], [50, 50], [100 / 3] * 3, [25] * 4]),
        ("position", [[100], [50, 50], [40, 20, 40], [40, 10, 10, 40], [40, 20 / 3, 20 / 3, 20 / 3, 40]]),
        ("j_shaped", [[100], [25, 75], [20, 20, 60], [20, 10, 10, 60]]),
        ("inverse_j", [[100], [75, 25], [60, 20, 20], [60, 10, 10, 20]]),
    ],
)
def test_each_model_shares_as_its_table_says(model: str, expected: list[list[float]]) -> None:
    for shared in expected:
        assert shares(model, len(shared)) == shared


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((10, 30, 60), [[100], [100 / 7, 600 / 7], [10, 30, 60], [10, 15, 15, 60]]),
        ((0, 100, 0), [[100], [50, 50], [0, 100, 0], [0, 50, 50, 0]]),
        ((1, 0, 0), [[100], [100, 0], [100, 0, 0]]),
        ((0.5, 0, 1.5), [[100], [25, 75], [25, 0, 75]]),
    ],
    ids=str,
)
def test_custom_weights_are_the_rules(weights: tuple[float, float, float], expected: list[list[float]]) -> None:
    for shared in expected:
        assert shares("custom", len(shared), CustomModel(*weights)) == shared


def test_without_custom_weights_there_is_no_custom_model() -> None:
    assert "custom" not in weigh(path("Email"), Attribution())
    assert "custom" not in weigh([], Attribution())


def test_time_decay_halves_the_weight_each_half_life() -> None:
    weights = weigh(path("a", "b", "c", ages=[14, 7, 0]), Attribution())["time_decay"]
    assert split(700, weights) == [100, 200, 400]
    weights = weigh(path("a", "b", "c", ages=[14, 7, 0]), Attribution(half_life=14 * DAY))["time_decay"]
    assert split(100_000, weights) == [22654, 32038, 45308]  # 0.5, 0.70711, 1 of 2.20711


def test_time_decay_of_very_old_touches_still_shares() -> None:
    weights = weigh(path("a", "b", ages=[399, 399]), Attribution(half_life=3_600_000))["time_decay"]
    assert split(10, weights) == [5, 5]


@pytest.mark.parametrize(
    ("channels", "credited"),
    [
        (("Email", "Direct"), 0),
        (("Direct", "Email", "Direct", "Direct"), 1),
        (("Direct", "Direct"), 1),
        (("Email", "Referral"), 1),
    ],
)
def test_the_last_touch_that_is_not_direct(channels: tuple[str, ...], credited: int) -> None:
    weights = weigh(path(*channels), Attribution(ignore=()))["last_non_direct"]
    assert [i for i, weight in enumerate(weights) if weight] == [credited]


def test_no_touch_at_all_is_one_share_of_every_model() -> None:
    assert weigh([], Attribution(custom=CustomModel(1, 1, 1))) == {name: [1.0] for name in [*MODELS, "custom"]}


# --- money ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (101, [1, 1, 1], [34, 34, 33]),
        (2, [1, 1, 1], [1, 1, 0]),
        (0, [1, 2], [0, 0]),
        (1, [40, 20, 40], [1, 0, 0]),
        (7, [40, 20, 40], [3, 1, 3]),  # 2.8, 1.4, 2.8
        (9, [40, 10, 10, 40], [4, 1, 1, 3]),  # 3.6, 0.9, 0.9, 3.6: of the equal 3.6 the earlier gets the unit
        (5, [40, 20 / 3, 20 / 3, 20 / 3, 40], [2, 1, 0, 0, 2]),
        (10, [0, 1], [0, 10]),
        (99_999_999_999_999, [1, 1, 1], [33_333_333_333_333] * 3),
        (99_999_999_999_998, [1, 1, 1], [33_333_333_333_333, 33_333_333_333_333, 33_333_333_333_332]),
    ],
    ids=str,
)
def test_the_largest_remainder_gets_the_unit_and_of_a_tie_the_earlier_touch(
    total: int, weights: list[float], parts: list[int]
) -> None:
    assert split(total, weights) == parts


@pytest.mark.parametrize("n", [5, 6, 8, 9, 13, 99])
def test_positions_of_a_large_value_are_exact(n: int) -> None:
    # 40 % of 10^13 is whole, and so is what the middle shares but for its remainder, which goes to the earlier.
    total = 10**13
    parts = split(total, weigh(path(*["Email"] * n), Attribution())["position"])
    each, left = divmod(total // 5, n - 2)
    middle = [each + (i < left) for i in range(n - 2)]
    assert parts == [4 * 10**12, *middle, 4 * 10**12]


def test_ties_of_a_large_value_are_ties() -> None:
    # 40 % is 12,000,000,000,001.2 and a third of 20 % is 2,000,000,000,000.2: of five equal remainders the first wins.
    parts = split(3 * 10**13 + 3, weigh(path(*["Email"] * 5), Attribution())["position"])
    assert parts == [12 * 10**12 + 2, *[2 * 10**12] * 3, 12 * 10**12 + 1]


@given(st.integers(0, 10**14), st.lists(st.floats(0, 1e6), min_size=1, max_size=40).filter(lambda w: sum(w) > 0))
def test_parts_sum_to_the_total_and_none_is_a_unit_off(total: int, weights: list[float]) -> None:
    parts = split(total, weights)
    whole = sum(Fraction(weight) for weight in weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - total * Fraction(weight) / whole) < 1


@given(
    st.integers(0, 10**14),
    st.lists(st.integers(0, 30 * DAY), min_size=0, max_size=60),
    st.tuples(*[st.sampled_from([0.0, 0.1, 1.0, 33.3])] * 3),
)
def test_every_model_sums_to_the_value_exactly(total: int, ages: list[int], custom: tuple[float, float, float]) -> None:
    touches = [PathTouch(age, "Email" if age % 2 else "Direct") for age in sorted(ages, reverse=True)]
    for model, weights in weigh(touches, Attribution(custom=CustomModel(*custom))).items():
        assert len(weights) == max(1, len(ages)), model
        assert sum(split(total, weights)) == total, model


@pytest.mark.parametrize("text", ["-1", "-0.01", "1000000000000", "nan", "inf", "", "ten", "1,5"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(BadAmountError):
        to_minor(text, "EUR")


def test_money_is_converted_by_the_rate_between_unequal_minor_units() -> None:
    assert convert(1_000, "JPY", "EUR", 0.0061) == 610  # 1000 JPY = 6.10 EUR
    assert convert(12_345, "KWD", "EUR", 3.0) == 3_704  # 12.345 KWD = 37.035 EUR, half to even
    assert convert(250, "USD", "JPY", 155.1) == 388  # 2.50 USD = 387.75 JPY


# --- an independent source --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sample() -> list[tuple[list[str], int]]:
    """The ChannelAttribution sample paths with how often each converted."""
    with gzip.open(GOLDEN / "paths.csv.gz", "rt", encoding="utf-8") as lines:
        rows = csv.DictReader(lines)
        return [(row["path"].split(" > "), int(row["total_conversions"])) for row in rows]


@pytest.fixture(scope="module")
def known() -> dict[str, dict[str, Any]]:
    answers: dict[str, dict[str, Any]] = json.loads((GOLDEN / "channelattribution.json").read_text())
    return answers


@pytest.mark.parametrize("model", ["first", "last", "linear", "position"])
def test_the_sample_paths_are_credited_as_by_other_programs(
    model: str, sample: list[tuple[list[str], int]], known: dict[str, dict[str, Any]]
) -> None:
    credit: dict[str, float] = defaultdict(float)
    rule = MODELS[model]
    for channels, conversions in sample:
        touches = path(*channels)
        weights = rule(touches, Attribution())
        for channel, weight in zip(channels, weights, strict=True):
            credit[channel] += conversions * weight / sum(weights)
    assert sum(conversions for _, conversions in sample) == 19_785
    tolerance = known["tolerance"][model]
    for channel, answers in known["channels"].items():
        assert credit[channel] == pytest.approx(answers[model], abs=tolerance), channel
    assert set(credit) == set(known["channels"])
