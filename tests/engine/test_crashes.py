"""A lane dies at any line; what it counted and sent is exact all the same."""

import random
import shutil
from collections import Counter

from app import topics
from app.settings import Settings
from tests.engine.broker_io import Message, publish, read_all, read_once
from tests.engine.conftest import NewSettings
from tests.engine.harness import crashes, live, live_on
from tests.engine.toy import toy_of

POINTS = ("before append", "after append", "before write", "after write", "before send", "after send")


def messages(settings: Settings, count: int, seed: int) -> tuple[list[Message], Counter[bytes]]:
    """Random messages, some of them to be forwarded, and the counts they must lead to."""
    chance = random.Random(seed)
    inputs = [topic.name for topic in topics.topics(settings).inputs[:4]]
    made: list[Message] = []
    expected: Counter[bytes] = Counter()
    for _ in range(count):
        key = b"%d" % chance.randrange(60)
        if chance.random() < 0.2:
            other = b"%d" % chance.randrange(60)
            made.append((chance.choice(inputs), key, b"fwd:" + other))
            expected[other] += 1
        else:
            made.append((chance.choice(inputs), key, b"x"))
            expected[key] += 1
    return made, expected


def tens(counts: Counter[bytes]) -> Counter[tuple[bytes, bytes | None]]:
    return Counter({(key, b"%d" % n): 1 for key, count in counts.items() for n in range(10, count + 1, 10)})


async def test_without_a_crash_every_record_counts_once_over_five_inputs(new_settings: NewSettings) -> None:
    settings = await new_settings()
    made, expected = messages(settings, 3_000, seed=1)
    ends = await publish(settings, made)
    assert await live(settings, toy_of(settings), ends) == expected
    assert Counter(await read_once(settings, topics.topics(settings).segments.name)) == tens(expected)


async def test_a_lane_that_crashes_anywhere_counts_and_sends_once(new_settings: NewSettings) -> None:
    settings = await new_settings(step_records=60)
    made, expected = messages(settings, 4_000, seed=2)
    ends = await publish(settings, made)
    deaths = crashes(POINTS, range(1, 12), lives=60, seed=3)
    counts, died = await live_on(settings, toy_of(settings), ends, deaths)
    assert set(died) == set(POINTS)
    assert counts == expected
    segments = topics.topics(settings).segments.name
    assert Counter(await read_once(settings, segments)) == tens(expected)
    assert len(await read_all(settings, segments)) > sum(tens(expected).values()), "no repeat was ever sent"


async def test_the_changelog_alone_brings_everything_back(new_settings: NewSettings) -> None:
    settings = await new_settings()
    made, expected = messages(settings, 1_000, seed=4)
    ends = await publish(settings, made)
    await live(settings, toy_of(settings), ends)
    shutil.rmtree(settings.data_dir)
    assert await live(settings, toy_of(settings), ends) == expected


async def test_a_local_copy_of_another_changelog_is_dropped(new_settings: NewSettings) -> None:
    first = await new_settings()
    made, _ = messages(first, 500, seed=5)
    await live(first, toy_of(first), await publish(first, made))
    second = await new_settings(data_dir=first.data_dir)
    made, expected = messages(second, 20, seed=6)
    assert await live(second, toy_of(second), await publish(second, made)) == expected
