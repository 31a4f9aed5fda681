"""Simulated worlds in which rules are published while lanes die, and each life of a lane is given another file."""

import random
from typing import Any

import orjson

from app import topics
from app.domain.reader import Reader
from app.leads.commands import Switch, encode
from app.leads.inforce import Given
from app.leads.program import LeadProgram
from app.leads.rows import hot_of, hot_rows
from app.rules import loads
from app.rules.version import Version
from app.settings import Settings
from tests.engine.simcheck import rebuilt, rows_of, told_once
from tests.engine.simulate import same
from tests.engine.simworld import World

PARTITIONS = 4
SETTINGS = Settings(partitions=PARTITIONS, step_records=5)
TOPICS = topics.topics(SETTINGS)
START = 1_767_225_600_000  # 2026-01-01T00:00:00Z
HOUR = 3_600_000
PEOPLE = ("ada", "bob", "cy", "dot", "eve", "flo")
EVENTS = 10
THINGS = 200
"""At most so many happen between the events and the switch."""
POINTS = {"v0": 1, "v1": 9, "v2": 16, "v3": 4, "v4": 30}
RULES = """
version: {version}
signals: {{view: {{event: page_viewed, points: {points}}}}}
scores: {{engagement: {{signals: all, max: 100}}, total: {{engagement: 1}}}}
stages: [{{name: new}}, {{name: warm, enter: {{score: {{ge: 10}}}}}}, {{name: hot, enter: {{score: {{ge: 30}}}}}}]
segments: {{odd: {{enter: {{engagement: {{ge: 16, lt: 40}}}}}}}}
"""


def _text(version: str) -> str:
    return RULES.format(version=version, points=POINTS[version])


async def simulate(seed: int) -> World:
    """Publish versions among 10 events, in part again and in part never completed, until the last one is.

    Raises:
        WrongError: a record has two contents, the log is not the state, or a lead goes by other rules than the last.
    """
    chance = random.Random(seed)
    files = [Given({"default": Reader(loads(_text(version)))}, started=START) for version in ("v0", "v1", "v2")]

    def make(partition: int) -> LeadProgram:
        return LeadProgram(partition, SETTINGS, TOPICS, chance.choice(files))

    world = World(seed, make, SETTINGS, crash=chance.choice((0.02, 0.08)), zombie=0.05)
    world.now, world.until = START + 20 * HOUR, START + 40 * HOUR
    views = dict.fromkeys(PEOPLE, 0)
    try:
        for round_number, version in enumerate(("v2", "v3", "v4")):
            for number in range(EVENTS):
                user = chance.choice(PEOPLE)
                views[user] += 1
                at = START + round_number * HOUR + number * 60_000
                message = {"type": "page", "userId": user, "messageId": f"{version}{number}", "timestamp": at}
                topic = chance.choice(TOPICS.inputs[:4]).name
                world.publish(topic, chance.randrange(PARTITIONS), None, orjson.dumps(message), at)
            await world.run(
                chance.randrange(THINGS)
            )  # so that lanes have told each other events before the switch comes
            switch = Switch(START + (round_number + 2) * HOUR, Version("default", version, _text(version)))
            told = [p for p in range(PARTITIONS) if version == "v4" or chance.random() < 0.6]
            for partition in told + [p for p in told if chance.random() < 0.3]:
                world.publish(TOPICS.commands.name, partition, None, encode(switch), switch.at)
            await world.run()
        _check(world, views)
        await world.take_over_again()
        _check(world, views)
        same("rebuilt after compaction", rebuilt(world, compacted=True), rows_of(world))
    finally:
        await world.end()
    return world


def _check(world: World, views: dict[str, int]) -> None:
    rows = rows_of(world)
    same("rebuilt", rebuilt(world, compacted=False), rows)
    told_once(world, TOPICS.profiles.name)
    groups: dict[str, tuple[Any, ...]] = {}
    for _, value in told_once(world, TOPICS.segments.name):
        record = orjson.loads(value or b"")
        same(
            "log",
            (record["previous_stage"], record["seq"] > groups.get(record["lead_id"], (None, 0))[1]),
            (groups.get(record["lead_id"], (None, 0))[0], True),
        )
        groups[record["lead_id"]] = (record["stage"], record["seq"], record["segments"])
    found = {}
    for _, row in hot_rows(rows.items()):
        core = hot_of(row).core
        found[hot_of(row).key] = (core.stage, sorted(core.segments))
        stage, _, segments = groups[hot_of(row).key]
        same("told", (stage, segments), found[hot_of(row).key])
    expected = {}
    for user, count in views.items():
        if count:
            score = min(100, count * POINTS["v4"])
            stage = "hot" if score >= 30 else "warm" if score >= 10 else "new"
            expected[f"user:{user}"] = (stage, ["odd"] if 16 <= score < 40 else [])
    same("groups", found, expected)
