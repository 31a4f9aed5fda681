"""Topics, as they are made on a broker."""

import msgspec
import pytest

from app import topics
from app.embedded import settings_for
from tests.engine.conftest import NewSettings


async def test_creating_topics_again_changes_nothing(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=3)
    assert await topics.create(settings) == []
    assert set((await topics.describe(settings)).values()) == {3}


async def test_another_number_of_partitions_is_refused_with_a_way_out(new_settings: NewSettings) -> None:
    settings = await new_settings(partitions=2)
    web = topics.topics(settings).web.name
    with pytest.raises(topics.TopicsError, match=rf"must have 5 partitions, but {web} has 2, .*set `partitions`"):
        await topics.create(msgspec.structs.replace(settings, partitions=5))


async def test_no_broker_is_said_plainly() -> None:
    settings = settings_for("127.0.0.1:1", request_timeout_ms=2_000, session_timeout_ms=1_000)
    with pytest.raises(topics.TopicsError, match=r"^no Kafka broker answers at 127\.0\.0\.1:1: nothing listens there$"):
        await topics.describe(settings)


async def test_every_broker_that_does_not_answer_is_named() -> None:
    settings = settings_for("", brokers=("127.0.0.1:1", "localhost:2"), request_timeout_ms=2_000)
    with pytest.raises(topics.TopicsError, match=r"at 127\.0\.0\.1:1: nothing listens there; localhost:2: "):
        await topics.describe(settings)
