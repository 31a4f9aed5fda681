import itertools
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from app import topics
from app.embedded import EmbeddedBroker, settings_for
from app.settings import Settings

NewSettings = Callable[..., Awaitable[Settings]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def broker() -> AsyncIterator[str]:
    async with EmbeddedBroker() as running:
        yield running.address


@pytest.fixture
def new_settings(broker: str, tmp_path: Path) -> NewSettings:
    """Settings with topics and a data directory of their own on the shared broker."""
    count = itertools.count()

    async def make(**changes: Any) -> Settings:
        own = f"t{uuid.uuid4().hex[:8]}"
        plain: dict[str, Any] = {
            "app_id": own,
            "topic_prefix": f"{own}.",
            "data_dir": tmp_path / f"data{next(count)}",
            "block_cache_bytes": 8 << 20,
            "write_buffer_bytes": 8 << 20,
        }
        settings = settings_for(broker, **{**plain, **changes})
        await topics.create(settings)
        return settings

    return make
