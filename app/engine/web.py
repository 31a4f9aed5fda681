"""The worker's HTTP server, read only.

`/metrics`, `/health/live` and `/health/ready` are for everybody who reaches it and show no personal data. The agents'
own pages do: they ask for the settings' `web_token`, or, where there is none, answer this machine alone.
"""

import contextlib
import hmac
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Final

import orjson
from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from app.engine.health import Status, readings, status, why_not_live, why_not_ready
from app.engine.lanes import Engine
from app.engine.meters import gauge_families
from app.engine.program import Page

FORBIDDEN: Final = 403
UNAUTHORIZED: Final = 401
SERVICE_UNAVAILABLE: Final = 503
POLL_S: Final = 10.0
"""Twice as long as the consumer waits for records before it asks anew."""


class _Gauges(Collector):
    """What is true of the engine at the moment of the scrape."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Family]:
        return gauge_families(readings(self._engine))


def registry(engine: Engine) -> CollectorRegistry:
    """Return a registry of the engine's metrics, and of this process's memory, time and files."""
    made = CollectorRegistry()
    made.register(engine.metrics)
    made.register(_Gauges(engine))
    ProcessCollector(registry=made)
    return made


def application(engine: Engine) -> web.Application:
    """Return the routes of an engine.

    A worker is dead when nothing moved for `rebalance_timeout_ms` and `POLL_S`: no single wait of a lane takes longer.
    """
    known = registry(engine)
    patience_s = engine.settings.rebalance_timeout_ms / 1_000 + POLL_S

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(known), headers={"Content-Type": content_type})

    async def live(_: web.Request) -> web.Response:
        now = status(engine)
        return _answer(now, why_not_live(now, patience_s))

    async def ready(_: web.Request) -> web.Response:
        now = status(engine)
        return _answer(now, why_not_ready(now))

    routes = web.Application()
    routes.router.add_get("/metrics", metrics)
    routes.router.add_get("/health/live", live)
    routes.router.add_get("/health/ready", ready)
    for agent in engine.agents.values():
        for path, page in agent.pages.items():
            routes.router.add_get(path, _guarded(page, engine.settings.web_token))
    return routes


def _guarded(page: Page, token: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return a handler that answers only who may see personal data."""

    async def handler(request: web.Request) -> web.Response:
        if token:
            told = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
            if not hmac.compare_digest(told, f"Bearer {token}".encode()):
                why = "this worker asks for its web_token: Authorization: Bearer …"
                return _json({"why": why}, UNAUTHORIZED, {"WWW-Authenticate": "Bearer"})
        elif not (_is_own(request.remote) and _is_own(request.url.host)):
            return _json({"why": "without a web_token only this machine itself is told of leads"}, FORBIDDEN)
        status, body = await page(request.query)
        return _json(body, status)

    return handler


def _is_own(host: str | None) -> bool:
    """Whether a peer's address, or the host that it asked for, is this machine's own. A name may be anybody's."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _json(body: object, status: int, headers: dict[str, str] | None = None) -> web.Response:
    headers = {"Cache-Control": "no-store"} | (headers or {})
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json", headers=headers)


def _answer(now: Status, why: list[str]) -> web.Response:
    body = {
        "ok": not why,
        "why": why,
        "lanes": {"open": sum(lane.open for lane in now.lanes), "opening": sum(not lane.open for lane in now.lanes)},
        "lag": sum(lane.lag for lane in now.lanes),
    }
    return web.Response(
        body=orjson.dumps(body), status=SERVICE_UNAVAILABLE if why else 200, content_type="application/json"
    )


@contextlib.asynccontextmanager
async def serving(engine: Engine) -> AsyncIterator[int]:
    """Serve on the settings' `web_host` and `web_port`, if there is one; yields the port, 0 when nothing is served.

    Raises:
        OSError: the address cannot be listened on.
    """
    settings = engine.settings
    if not settings.web_port:
        yield 0
        return
    runner = web.AppRunner(application(engine), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.web_host, settings.web_port).start()
        yield settings.web_port
    finally:
        await runner.cleanup()
