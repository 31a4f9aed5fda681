import itertools
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app import topics
from app.embedded import settings_for
from app.settings import Settings
from tests.kafka import Kafka

NewSettings = Callable[..., Awaitable[Settings]]


@dataclass(frozen=True)
class BrokerAt:
    """The broker that a test runs on."""

    address: str
    embedded: bool


@pytest.fixture(scope="session", params=["embedded", "kafka"])
def broker(request: pytest.FixtureRequest) -> BrokerAt:
    """The embedded broker, then Apache Kafka: what is tested with it holds on both."""
    if request.param == "embedded":
        return BrokerAt(request.getfixturevalue("embedded"), embedded=True)
    running: Kafka = request.getfixturevalue("kafka")
    return BrokerAt(running.address, embedded=False)


@pytest.fixture
def new_settings(broker: BrokerAt, tmp_path: Path) -> NewSettings:
    """Settings with topics and a data directory of their own on the shared broker."""
    return _maker(broker, tmp_path)


@pytest.fixture
def kafka_settings(kafka: Kafka, tmp_path: Path) -> NewSettings:
    """Settings on Apache Kafka, for what only it can do."""
    return _maker(BrokerAt(kafka.address, embedded=False), tmp_path)


@pytest.fixture
def embedded_settings(embedded: str, tmp_path: Path) -> NewSettings:
    """Settings on the embedded broker, for what only it does."""
    return _maker(BrokerAt(embedded, embedded=True), tmp_path)


@pytest.fixture
def quiet() -> Iterator[None]:
    """Lanes warn of each foreign record: in a simulation these are what is wanted."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def _maker(broker: BrokerAt, tmp_path: Path) -> NewSettings:
    count = itertools.count()

    async def make(**changes: Any) -> Settings:
        own = f"t{uuid.uuid4().hex[:8]}"
        plain: dict[str, Any] = {
            "app_id": own,
            "topic_prefix": f"{own}.",
            "data_dir": tmp_path / f"data{next(count)}",
            "block_cache_bytes": 8 << 20,
            "write_buffer_bytes": 4 << 20,
        }
        if not broker.embedded:
            plain["fetch_wait_ms"] = Settings().fetch_wait_ms
        settings = settings_for(broker.address, **{**plain, **changes})
        await topics.create(settings)
        return settings

    return make
