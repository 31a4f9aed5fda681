"""A lead asked of running workers: the one that has its partition answers."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import aiohttp
import click
import orjson

from app.domain.outputs import iso
from app.leads.explain import PATH

PATIENCE_S: Final = 60.0
"""How long a worker may take; it answers in ms, unless it has to look through all its leads."""


class AskError(click.ClickException):
    """No worker told what was asked; says why."""


async def from_workers(workers: Sequence[str], token: str, query: Mapping[str, str], at: int | None) -> dict[str, Any]:
    """Ask each worker for the lead kept under a name, then each to look through all it has.

    Raises:
        AskError: none of them has it, or one cannot be asked.
    """
    asked = {name: value for name, value in query.items() if value} | ({"at": iso(at) or ""} if at is not None else {})
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        refusals: list[dict[str, Any]] = []
        for search in ({}, {"search": "1"}):
            refusals = []
            for worker in workers:
                status, body = await _ask(session, _url(worker), asked | search)
                if status == 200:
                    return body
                if status != 404 or "here" not in body:
                    raise AskError(f"{worker}: {body.get('why', f'HTTP status {status}')}")
                refusals.append(body)
    raise AskError(_nowhere(query["lead"], refusals))


def _url(worker: str) -> str:
    base = worker if "://" in worker else f"http://{worker}"
    return base.rstrip("/") + PATH


async def _ask(session: aiohttp.ClientSession, url: str, query: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    try:
        async with session.get(url, params=query) as answer:
            raw = await answer.read()
            try:
                body = orjson.loads(raw)
            except orjson.JSONDecodeError:
                body = None
            return answer.status, body if isinstance(body, dict) else {}
    except (aiohttp.ClientError, ValueError) as error:
        raise AskError(f"{url}: {error}") from None
    except TimeoutError:
        raise AskError(f"{url}: no answer within {PATIENCE_S:g} s") from None


def _nowhere(lead: str, refusals: Sequence[dict[str, Any]]) -> str:
    partitions = refusals[0]["partitions"]
    here = {partition for body in refusals for partition in body["here"]}
    elsewhere = sorted(set(range(partitions)) - here)
    if not elsewhere:
        return f"no lead {lead}: all {partitions} partitions were looked through"
    belongs = sorted({p for body in refusals for p in body["belongs_to"]} - here)
    where = f"; under that name it would be on partition {', '.join(map(str, belongs))}" if belongs else ""
    listed = ", ".join(map(str, elsewhere))
    return f"no lead {lead} here{where}. Partitions {listed} are on other workers: name them with --worker"
