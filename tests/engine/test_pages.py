"""Who is told of leads over HTTP: pages with personal data ask for the token, or answer this machine alone."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from app.engine.web import _is_own, serving
from app.engine.worker import build
from app.settings import Settings
from tests.engine.scrape import free_port
from tests.engine.toy import toy

Answer = tuple[int, dict[str, Any]]


async def secrets(query: Mapping[str, str]) -> tuple[int, Any]:
    return 200, {"lead": query.get("lead")}


@asynccontextmanager
async def served(home: Path, **changes: Any) -> AsyncIterator[int]:
    """A worker's pages, before it has any lanes."""
    app = build(Settings(data_dir=home, web_port=free_port(), **changes), [toy])
    (agent,) = app.intake.agents.values()
    agent.pages["/leads/secrets"] = secrets
    async with serving(app.intake) as port:
        yield port


async def ask(port: int, **headers: str) -> Answer:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/leads/secrets?lead=a%2Bb", headers=headers) as answer,
    ):
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.status, await answer.json()


async def test_without_a_token_this_machine_is_answered(tmp_path: Path) -> None:
    async with served(tmp_path) as port:
        assert await ask(port) == (200, {"lead": "a+b"})
        assert await ask(port, Host=f"localhost:{port}") == (200, {"lead": "a+b"})


async def test_without_a_token_a_name_that_somebody_made_point_here_is_not_answered(tmp_path: Path) -> None:
    async with served(tmp_path) as port:
        status, body = await ask(port, Host="shop.example")
        assert (status, body) == (403, {"why": "without a web_token only this machine itself is told of leads"})


@pytest.mark.parametrize(
    ("peer", "own"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("10.0.0.5", False),
        ("0.0.0.0", False),
        ("localhost.example", False),
        ("", False),
        (None, False),
    ],
)
def test_which_addresses_are_this_machines_own(peer: str | None, own: bool) -> None:
    assert _is_own(peer) is own


async def test_with_a_token_only_who_has_it_is_answered_from_anywhere(tmp_path: Path) -> None:
    async with served(tmp_path, web_token="hush") as port:
        for headers in ({}, {"Authorization": "Bearer hus"}, {"Authorization": "hush"}, {"Authorization": "Bearer "}):
            status, body = await ask(port, **headers)
            assert (status, "web_token" in body["why"]) == (401, True), headers
        headers = {"Authorization": "Bearer hush", "Host": "workers.example"}
        assert await ask(port, **headers) == (200, {"lead": "a+b"})


async def test_health_asks_nobody_who_they_are(tmp_path: Path) -> None:
    async with served(tmp_path, web_token="hush") as port, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}/health/live"
        async with session.get(url, headers={"Host": "workers.example"}) as answer:
            assert answer.status in (200, 503)
