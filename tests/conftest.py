"""Apache Kafka for every test that asks for it: one for the whole session, and a last word when it could not run."""

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.embedded import EmbeddedBroker
from tests.kafka import Kafka, why_not

REQUIRED = os.environ.get("REQUIRE_KAFKA", "") not in ("", "0")
"""Whether a machine that cannot run Apache Kafka fails the tests that need it instead of skipping them."""
CANNOT = "Apache Kafka cannot run here: "


@pytest.fixture(scope="session")
def kafka_or_skip() -> None:
    """Skip the test where Apache Kafka cannot run, or fail it where it must."""
    why = why_not()
    if why is None:
        return
    if REQUIRED:
        pytest.fail(f"Apache Kafka is required, and cannot run here: {why}", pytrace=False)
    pytest.skip(CANNOT + why)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka(kafka_or_skip: None) -> AsyncIterator[Kafka]:
    """One broker of Apache Kafka; topics and groups of a test have names of their own."""
    async with Kafka(quick=True) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def embedded() -> AsyncIterator[str]:
    """The address of one embedded broker, shared in the same way."""
    async with EmbeddedBroker() as running:
        yield running.address


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "differs(on, why): the broker `on` does otherwise, for a reason that is known; a strict xfail"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        for mark in item.iter_markers("differs"):
            if parameters.get("broker") == mark.kwargs["on"]:
                item.add_marker(pytest.mark.xfail(strict=True, reason=mark.kwargs["why"]))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Say last of all when Kafka's part did not run, in whichever process that was found out."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", ()) if reporter is not None else ()
    for reason in (str(report.longrepr[2]) for report in skipped):
        if CANNOT in reason:
            why = reason.partition(CANNOT)[2]
            reporter.write_line(f"Apache Kafka's part did not run: {why}. Only the embedded broker was tested.")
            return
