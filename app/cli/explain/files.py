"""A lead worked out from files of events: a replay, at the end of which the worker is asked."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.cli.explain.workers import AskError
from app.cli.replay.lines import Input, read_all
from app.cli.replay.run import Progress, play
from app.cli.replay.session import place
from app.cli.replay.slices import in_order_of_time
from app.domain.outputs import iso
from app.domain.rulebook import Rules
from app.leads.explain import PATH
from app.settings import Settings


async def from_files(
    inputs: Sequence[Input],
    rules: Sequence[Rules],
    settings: Settings,
    query: Mapping[str, str],
    until: int | None,
    progress: Progress,
) -> dict[str, Any]:
    """Replay the events up to `until` (UTC ms; None = the newest one) and explain a lead as of then.

    Raises:
        AskError: no such lead, or no events.
        InputError, EmbeddedError, TopicsError, WorkerError, KafkaError: as a replay does.
    """
    with read_all(inputs) as lines:
        until = until if until is not None else lines.newest_event()
        if until is None:
            raise AskError("no events in these files")
        async with (
            place(settings, None, lambda *_: None) as own,
            own.session(rules, replay=True) as session,
        ):
            await play(session, lines, in_order_of_time(lines, until), None, progress)
            await session.advance(until)
            (agent,) = session.engine.agents.values()
            status, body = await agent.pages[PATH]({**query, "at": iso(until) or "", "search": "1"})
    if status != 200:
        raise AskError(body["why"].removesuffix(" on this worker"))
    return dict(body)
