"""Changes on time against an independent reading of the contract: none is missed, none is early, each is announced."""

import json
import math
import operator
from bisect import bisect_right
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.event import Event
from app.domain.outputs import iso
from app.domain.reader import Reader
from tests.domain.stories import DAY, HOUR, MINUTE, START, Story, event, order, reader

LAW = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NAMES = ["a", "b", "c"]
WINDOWS = [MINUTE, HOUR, 6 * HOUR, DAY, 3 * DAY]
Condition = dict[str, Any]
Signals = dict[str, tuple[float, int | None]]
"""Name → points, half-life."""


def seconds(ms: int) -> str:
    return f"{ms // 1000}s"


# --- what is drawn ---------------------------------------------------------------------------------------------------

windows = st.sampled_from(WINDOWS)
names = st.sampled_from(NAMES)


def bounds(values: list[float]) -> st.SearchStrategy[dict[str, float]]:
    one = st.builds(lambda op, x: {op: x}, st.sampled_from(["ge", "gt", "le", "lt"]), st.sampled_from(values))
    two = st.builds(lambda x, y: {"ge": min(x, y), "lt": max(x, y)}, st.sampled_from(values), st.sampled_from(values))
    return one | two


dids = st.fixed_dictionaries({}, optional={"at_least": st.integers(1, 3), "within": windows.map(seconds)}).flatmap(
    lambda beside: st.builds(lambda op, x: {op: x, **beside}, st.sampled_from(["did", "not_did"]), names)
)
sinces = st.builds(lambda op, x, y: {op: x, "since": y}, st.sampled_from(["did", "not_did"]), names, names)
lasts = st.builds(lambda x, d: {"last": x, "older_than": seconds(d)}, names | st.just("any"), windows)
sequences = st.builds(
    lambda xs, d: {"sequence": xs, "within": seconds(d)}, st.lists(names, min_size=2, max_size=3), windows
)
orders = st.builds(
    lambda op, test, d: {op: {**test, "within": seconds(d)}},
    st.sampled_from(["orders", "revenue"]),
    bounds([1, 2, 3]),
    windows,
)
scores = bounds([-6, -1, 0.5, 2, 4, 8, 20, 49]).map(lambda test: {"engagement": test})
timed = st.one_of(dids, sinces, lasts, sequences, orders)


def composed(leaf: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.builds(
        lambda op, parts: {op: parts}, st.sampled_from(["all", "any"]), st.lists(leaf, min_size=2, max_size=3)
    )
    return leaf | several | leaf.map(lambda part: {"not": part})


moments = st.builds(
    lambda base, near, ms: START + base * 6 * HOUR + near * MINUTE + ms,
    st.integers(0, 12),
    st.sampled_from([0, 1, 2, 59, 60]),
    st.sampled_from([0, 1, 999]),
)
histories = st.lists(
    st.tuples(moments, st.sampled_from([*NAMES, "order"])), min_size=1, max_size=9, unique_by=lambda one: one[0]
)
signals = st.fixed_dictionaries(
    {
        name: st.tuples(st.sampled_from([-40, -8, -3, 3, 8, 40]), st.sampled_from([None, HOUR, 6 * HOUR, DAY, 3 * DAY]))
        for name in NAMES
    }
)
limits = st.sampled_from([{}, {"min": 0}, {"max": 50}, {"min": 0, "max": 50}, {"min": -10, "max": 20}])

# --- how it is told --------------------------------------------------------------------------------------------------

LASTING: Signals = dict.fromkeys(NAMES, (1, None))


def rules(segment: dict[str, Any], worth: Signals = LASTING, limited: dict[str, int] | None = None) -> Reader:
    told = {
        name: {"event": name, "points": points, "half_life": "none" if fade is None else seconds(fade)}
        for name, (points, fade) in worth.items()
    }
    return reader(
        json.dumps(
            {
                "version": "1",
                "signals": told,
                "scores": {"engagement": {"signals": "all", **(limited or {})}},
                "stages": [{"name": "new"}],
                "segments": {"s": segment},
            }
        )
    )


def as_events(history: list[tuple[int, str]]) -> list[Event]:
    return [
        order(at, str(at), "1") if name == "order" else event(at, "custom", f"{at}", name=name)
        for at, name in sorted(history)
    ]


# --- the contract, read once more ------------------------------------------------------------------------------------


def duration(text: str) -> int:
    return int(text[:-1]) * 1000


def within(test: dict[str, Any], value: float) -> bool:
    compare = {"ge": operator.ge, "gt": operator.gt, "le": operator.le, "lt": operator.lt}
    return all(compare[op](value, bound) for op, bound in test.items() if op in compare)


class Truth:
    """A history, and what is true of it at any moment."""

    def __init__(self, history: list[tuple[int, str]], worth: Signals, limited: dict[str, int]) -> None:
        self.history = sorted(history)
        self.worth = worth
        self.limited = limited

    def times(self, name: str, now: int) -> list[int]:
        return [at for at, what in self.history if at <= now and name in (what, "any")]

    def score(self, now: int) -> float:
        points = []
        for name, (value, fade) in self.worth.items():
            points += [value * (1.0 if fade is None else 2.0 ** ((at - now) / fade)) for at in self.times(name, now)]
        value = max(math.fsum(points), self.limited.get("min", -math.inf))
        return round(min(value, self.limited.get("max", math.inf)), 9)

    def holds(self, condition: Condition, now: int) -> bool:
        match condition:
            case {"all": parts}:
                return all(self.holds(part, now) for part in parts)
            case {"any": parts}:
                return any(self.holds(part, now) for part in parts)
            case {"not": part}:
                return not self.holds(part, now)
            case {"did": name, "since": mark} | {"not_did": name, "since": mark}:
                after = max(self.times(mark, now), default=-1)
                return any(at > after for at in self.times(name, now)) == ("did" in condition)
            case {"did": name} | {"not_did": name}:
                window = duration(condition["within"]) if "within" in condition else math.inf
                count = sum(now - at < window for at in self.times(name, now))
                return bool(count >= condition.get("at_least", 1)) == ("did" in condition)
            case {"last": name, "older_than": age}:
                times = self.times(name, now)
                return bool(times) and now - times[-1] >= duration(age)
            case {"sequence": steps, "within": window}:
                return self._sequence(steps, duration(window), now)
            case {"orders": test} | {"revenue": test}:
                return within(test, float(sum(now - at < duration(test["within"]) for at in self.times("order", now))))
            case {"engagement": test}:
                return within(test, self.score(now))
        raise AssertionError(condition)

    def _sequence(self, steps: list[str], window: int, now: int) -> bool:
        reached = -1
        for step in steps:  # the earliest way through the events of the window, if there is any
            later = [at for at in self.times(step, now) if at > reached and now - at < window]
            if not later:
                return False
            reached = later[0]
        return True

    def turning_points(self) -> list[int]:
        """Every moment at which something that depends on time windows may turn."""
        return sorted({at + window for at, _ in self.history for window in [0, *WINDOWS]})


Log = list[tuple[int, bool]]


def told_log(rules: Reader, history: list[tuple[int, str]], until: int) -> Log:
    """When the lead came into the segment and left it, as told; each timed change was announced before it came."""
    story = Story(rules).tell_each(as_events(history))
    count = len(story.segments)
    story.tell(to=until)
    watched = Story(rules).tell_each(as_events(history))
    now = max(history)[0]
    for record in story.segments[count:]:
        assert watched.until(now)["next_change_at"] == record["at"]
        now = ms_of(record["at"])
    last = watched.until(now)["next_change_at"]
    assert last is None or last > iso(until)
    return [(ms_of(one["at"]), bool(one["entered"])) for one in story.segments if one["entered"] or one["left"]]


def ms_of(text: str) -> int:
    day, clock = text.rstrip("Z").split("T")
    hours, minutes, rest = clock.split(":")
    days = (int(day[8:]) - 1) + {"01": 0, "02": 31, "03": 59, "04": 90}[day[5:7]]
    return START + days * DAY + int(hours) * HOUR + int(minutes) * MINUTE + round(float(rest) * 1000)


# --- the laws --------------------------------------------------------------------------------------------------------


@LAW
@given(composed(composed(timed | scores)), histories, signals, limits)
def test_no_change_is_missed_and_each_is_true_to_the_millisecond(
    condition: Condition, history: list[tuple[int, str]], worth: Signals, limited: dict[str, int]
) -> None:
    truth = Truth(history, worth, limited)
    until = max(history)[0] + 12 * DAY
    log = told_log(rules({"enter": condition}, worth, limited), history, until)
    first = truth.history[0][0]
    events = {at for at, _ in history}
    for at, entered in log:
        if at not in events:
            assert truth.holds(condition, at) is entered
            assert truth.holds(condition, at - 1) is not entered
    looks = {at + off for at in truth.turning_points() for off in (-1, 0, 1)}
    looks |= {first + (until - first) * n // 300 for n in range(301)}
    ats = [at for at, _ in log]
    for now in sorted(look for look in looks if first <= look <= until):
        index = bisect_right(ats, now)
        inside = log[index - 1][1] if index else False
        assert inside is truth.holds(condition, now), iso(now)


@LAW
@given(composed(timed), composed(timed) | st.none(), windows | st.just(0), windows | st.just(0), histories)
def test_staying_and_cooling_down_are_as_the_contract_says(
    enter: Condition, exit: Condition | None, stay: int, cooldown: int, history: list[tuple[int, str]]
) -> None:
    segment: dict[str, Any] = {"enter": enter, "min_stay": seconds(stay), "cooldown": seconds(cooldown)}
    if exit is not None:
        segment["exit"] = exit
    until = max(history)[0] + 12 * DAY
    assert told_log(rules(segment), history, until) == _machine(enter, exit, stay, cooldown, history, until)


def _machine(
    enter: Condition, exit: Condition | None, stay: int, cooldown: int, history: list[tuple[int, str]], until: int
) -> Log:
    """What the contract makes of it, looked at before and after the event of every moment that anything can turn at."""
    log: Log = []
    inside, since = False, -math.inf
    ats = sorted(history)
    todo = Truth(history, {}, {}).turning_points()
    while todo:
        now = todo.pop(0)
        for known in ([one for one in ats if one[0] < now], [one for one in ats if one[0] <= now]):
            truth = Truth(known, {}, {})
            leaves = truth.holds(exit, now) if exit is not None else not truth.holds(enter, now)
            if not known or now > until:
                continue
            if inside and leaves and now - since >= stay:
                inside, since = False, now
            elif (
                not inside and truth.holds(enter, now) and not (exit is not None and leaves) and now - since >= cooldown
            ):
                inside, since = True, now
            else:
                continue
            log.append((now, inside))
            todo = sorted({*todo, now + stay, now + cooldown} - {now})
    return log


@LAW
@given(composed(timed | scores), histories, signals, st.lists(moments, max_size=6))
def test_looking_in_between_changes_nothing(
    condition: Condition, history: list[tuple[int, str]], worth: Signals, looks: list[int]
) -> None:
    compiled = rules({"enter": condition}, worth)
    plain = Story(compiled).tell_each(as_events(history)).tell(to=START + 20 * DAY)
    stepped = Story(compiled)
    events = as_events(history)
    for one, following in pairwise([*events, event(START + 20 * DAY, "custom", "end")]):
        stepped.tell(one)
        for look in sorted(look for look in looks if one.at <= look < following.at):
            stepped.tell(to=look)
    stepped.tell(to=START + 20 * DAY)

    def told(story: Story) -> list[dict[str, Any]]:
        return [{name: value for name, value in record.items() if name != "seq"} for record in story.segments]

    assert told(stepped) == told(plain)
