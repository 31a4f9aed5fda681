"""Versions of rules published to running workers, whole and in part, over a real broker."""

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

import pytest

from agents.leads import leads, leads_as_published
from app import topics
from app.engine.lanes import Engine
from app.engine.worker import build, running
from app.leads.publishing import Outcome, PublishError, publish, read_published
from app.rules import loads
from app.rules.version import Version
from app.settings import Settings
from tests.engine.broker_io import publish as send
from tests.engine.broker_io import read_all, read_once
from tests.engine.conftest import NewSettings

RULES = """
version: {version}
brand: {brand}
signals: {{view: {{event: page_viewed, points: {points}}}}}
scores: {{engagement: {{signals: all}}, total: {{engagement: 1}}}}
stages: [{{name: new}}, {{name: hot, enter: {{score: {{ge: 20}}}}}}]
"""
PEOPLE = [f"u{n}" for n in range(12)]


def version(name: str, points: int, brand: str = "default") -> Version:
    return Version(brand, name, RULES.format(version=name, points=points, brand=brand))


V1, V2, NORTH1, NORTH2 = version("v1", 5), version("v2", 25), version("n1", 5, "north"), version("n2", 25, "north")


def worker(settings: Settings, *files: Version) -> Any:
    return build(settings, [leads([one.compiled() for one in files or (V1,)])])


async def view(settings: Settings, users: Sequence[str], number: int = 0, brand: str = "default") -> dict[Any, int]:
    web = topics.topics(settings).web.name
    told = {
        user: {"type": "page", "userId": user, "messageId": f"{user}-{number}-{brand}", "context": {"brand": brand}}
        for user in users
    }
    return await send(settings, [(web, user.encode(), json.dumps(one).encode()) for user, one in told.items()])


async def put(settings: Settings, one: Version, most: int = 99) -> Outcome:
    """Publish; the publisher dies when `most` lanes have been told."""

    def progress(done: int, _: int) -> None:
        if done == most:
            raise InterruptedError

    return await publish(settings, one, progress)


async def until(engine: Engine, changes: int) -> None:
    """Return when lanes have sent so many changes of groups in this life, and rest."""
    deadline = time.monotonic() + 30
    while sum(lane.counts["segment_changes"] for lane in engine.lanes.values()) < changes:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    await engine.drained({})
    assert sum(lane.counts["segment_changes"] for lane in engine.lanes.values()) == changes


async def log(settings: Settings) -> list[tuple[str, str, str, str, str]]:
    """Brand, lead, cause, stage and rules of every change, repeats dropped."""
    told = [json.loads(value or b"") for _, value in await read_once(settings, topics.topics(settings).segments.name)]
    return [(c["brand"], c["lead_id"][5:], c["cause"]["kind"], c["stage"], c["rules_version"]) for c in told]


async def sizes(settings: Settings) -> tuple[int, int]:
    """How many records are on the topic of rules, and on that of commands."""
    known = topics.topics(settings)
    return len(await read_all(settings, known.rules.name)), len(await read_all(settings, known.commands.name))


async def test_groups_follow_what_is_published_to_a_running_worker(new_settings: NewSettings) -> None:
    settings = await new_settings()
    async with running(worker(settings)) as engine:
        await engine.drained(await view(settings, PEOPLE))
        told: list[tuple[int, int]] = []
        outcome = await publish(settings, V2, lambda done, total: told.append((done, total)))
        assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
        assert (outcome.repeated, outcome.former, outcome.published.version) == (False, None, "v2")
        await until(engine, 24)
        again = await publish(settings, V2, lambda *_: None)
        assert again.repeated
        await engine.drained(await view(settings, ["new"]))
        await until(engine, 25)
    changes = await log(settings)
    assert sorted(changes) == sorted(
        [("default", user, "event", "new", "v1") for user in PEOPLE]
        + [("default", user, "rules", "hot", "v2") for user in PEOPLE]
        + [("default", "new", "event", "hot", "v2")]
    )
    profiles = {
        key: json.loads(value or b"")
        for key, value in await read_once(settings, f"{settings.topic_prefix}leads.profiles")
    }
    assert {one["rules_version"] for one in profiles.values()} == {"v2"}
    assert await sizes(settings) == (1, 8)


async def test_a_name_that_was_used_for_something_else_is_refused_and_nothing_is_sent(
    new_settings: NewSettings,
) -> None:
    settings = await new_settings()
    await put(settings, V2)
    await put(settings, version("v3", 1))
    before = await sizes(settings)
    for name in ("v2", "v3"):
        with pytest.raises(PublishError, match=f"version {name} was published before with other content"):
            await put(settings, version(name, 77))
    assert await sizes(settings) == before == (2, 8)
    back = await put(settings, V2)
    assert (back.repeated, back.former) == (False, "v3"), "what was published once may come back"
    assert (await read_published(settings))["default"].rules == V2


async def test_a_publication_that_was_interrupted_is_completed_by_publishing_again(new_settings: NewSettings) -> None:
    settings = await new_settings()
    async with running(worker(settings)) as engine:
        await engine.drained(await view(settings, PEOPLE))
        with pytest.raises(InterruptedError):
            await put(settings, V2, most=2)
        moved = sum(lane.counts["leads"] for partition, lane in engine.lanes.items() if partition < 2)
        assert 0 < moved < len(PEOPLE)
        await until(engine, len(PEOPLE) + moved)
        assert (await put(settings, V2)).repeated
        await until(engine, 2 * len(PEOPLE))
    assert sorted(await log(settings)) == sorted(
        [("default", user, *rest) for user in PEOPLE for rest in (("event", "new", "v1"), ("rules", "hot", "v2"))]
    )


async def test_a_worker_that_is_started_with_an_older_file_goes_on_with_what_was_published(
    new_settings: NewSettings,
) -> None:
    settings = await new_settings()
    async with running(worker(settings)) as engine:
        await engine.drained(await view(settings, PEOPLE))
        await put(settings, V2)
        await until(engine, 24)
    for number, app in enumerate(
        (worker(settings), build(settings, await leads_as_published(settings, [V1.compiled()])))
    ):
        async with running(app) as engine:
            await engine.drained(await view(settings, [f"late{number}"]))
            await until(engine, 1)
    assert {change[1:] for change in await log(settings) if change[1].startswith("late")} == {
        ("late0", "event", "hot", "v2"),
        ("late1", "event", "hot", "v2"),
    }


async def test_lanes_that_begin_with_a_publication_before_them_go_by_it_at_once(new_settings: NewSettings) -> None:
    settings = await new_settings()
    await put(settings, version("v0", 1))
    await put(settings, V2)
    ends = await view(settings, PEOPLE)
    async with running(build(settings, await leads_as_published(settings, [V1.compiled()]))) as engine:
        await engine.drained(ends)
        await until(engine, 12)
    assert {change[2:] for change in await log(settings)} == {("event", "hot", "v2")}


async def test_a_lane_taken_over_between_two_switches_goes_by_its_own(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=2)
    other = await new_settings(partitions=2, app_id=settings.app_id, topic_prefix=settings.topic_prefix)
    async with running(worker(settings)) as engine:
        await engine.drained(await view(settings, PEOPLE))
        counts = {partition: lane.counts["leads"] for partition, lane in engine.lanes.items()}
        with pytest.raises(InterruptedError):
            await put(settings, V2, most=1)
        await until(engine, len(PEOPLE) + counts[0])
    # The other one knows from the topic that v2 is published, has none of the rows, and was given another file.
    app = build(other, await leads_as_published(other, [version("v9", 99).compiled()]))
    async with running(app) as engine:
        await engine.drained(await view(other, PEOPLE, number=1))
        await until(engine, 0)
        await put(other, V2)
        await until(engine, counts[1])
    changes = await log(settings)
    assert sorted(changes) == sorted(
        [("default", user, *rest) for user in PEOPLE for rest in (("event", "new", "v1"), ("rules", "hot", "v2"))]
    )


async def test_publishing_for_one_brand_touches_no_other(new_settings: NewSettings) -> None:
    settings = await new_settings()
    async with running(worker(settings, V1, NORTH1)) as engine:
        for brand in ("default", "north", "south"):
            await engine.drained(await view(settings, PEOPLE[:4], brand=brand))
        await put(settings, NORTH2)
        await until(engine, 16)
        assert {change[0] for change in await log(settings) if change[2] == "rules"} == {"north"}
        await put(settings, V2)  # of which also those are that have no rules of their own
        await until(engine, 24)
    told = [change for change in await log(settings) if change[2] == "rules"]
    assert {(brand, rules) for brand, _, _, _, rules in told} == {("north", "n2"), ("default", "v2"), ("south", "v2")}
    assert len(told) == 12
    assert set(await read_published(settings)) == {"north", "default"}


def test_what_is_published_is_what_the_text_amounts_to() -> None:
    assert V2.compiled() == loads(V2.text)
