"""The demo: ninety days of a shop replayed, a summary, then live traffic through a worker that goes on from there."""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from rich.console import Console
from rich.live import Live

from app.cli.progress import bar
from app.cli.replay.lines import NO_KEY, Input, Lines, read_all
from app.cli.replay.publish import Message
from app.cli.replay.run import play
from app.cli.replay.session import Place, place
from app.cli.replay.slices import in_order_of_time
from app.cli.shipped import INPUTS, sample
from app.cli.summary import Summary
from app.cli.terminal import console, show
from app.cli.traffic import live
from app.domain.outputs import iso
from app.domain.partition import murmur2
from app.domain.rulebook import Rules
from app.settings import Settings
from app.sources.segment import bare_key

SAMPLE_SEED: Final = 20_261_120
SAMPLE_END: Final = 1_795_132_800_000
"""2026-11-20T00:00:00Z: what `deploy/sample/generate.py` made the history with, and where live traffic goes on."""
BEAT_S: Final = 0.5
"""How often live messages are published and shown."""
ADVANCE_MS: Final = 300_000
"""Of the shop's time: how often timed changes are looked for, for leads that do nothing."""
PLAIN_EVERY_S: Final = 10.0
"""How often the view is printed where it cannot be refreshed."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast live traffic goes."""

    rate: float
    """Messages a second."""
    speed: float
    """Seconds of the shop a second."""


async def demo(settings: Settings, rules: Sequence[Rules], *, once: bool, rate: float, speed: float) -> None:
    """Replay the shipped sample and tell what came of it; unless `once`, go on with live traffic until SIGINT.

    Raises:
        InputError, EmbeddedError, TopicsError, WorkerError, KafkaError: as `replay` does.
    """
    out = console()
    summary = Summary([stage.name for stage in rules[0].stages])
    out.print("Ninety days of a web shop (deploy/sample) go through an embedded broker and a worker in this process.")
    with read_all([Input(str(sample(name)), f"events.{name}") for name in INPUTS]) as lines:
        async with place(settings, None, summary.take) as own:
            address, prefix = own.settings.brokers[0], own.settings.topic_prefix
            out.print(f"While this runs, any Kafka tool can look at the broker at {address}: topics {prefix}*.")
            await _history(own, rules, lines, summary)
            show(out, summary.tables())
            if not once:
                await _live(own, rules, summary, out, Pace(rate=rate, speed=speed))


async def _history(own: Place, rules: Sequence[Rules], lines: Lines, summary: Summary) -> None:
    with bar("ninety days") as progress:
        async with own.session(rules, replay=True) as session:
            await play(session, lines, in_order_of_time(lines, None), None, progress)
            await session.advance(SAMPLE_END, snapshot=True)
            await session.take_outputs()
            summary.counts += session.counts


async def _live(own: Place, rules: Sequence[Rules], summary: Summary, out: Console, pace: Pace) -> None:
    """Have a second worker take over where the first left off, and show what happens until SIGINT."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stopped.set)
    out.print(f"\nLive traffic from here on, {pace.speed:g} seconds of the shop a second. Ctrl-C ends it.")
    coming = await asyncio.to_thread(_traffic, pace)
    history = summary.counts
    view = Live(summary.glance(), console=out, auto_refresh=False) if sys.stdout.isatty() else None
    async with own.session(rules, replay=False) as session:
        with view or contextlib.nullcontext():
            began = printed = time.monotonic()
            advanced = SAMPLE_END
            while not stopped.is_set():
                now = SAMPLE_END + int((time.monotonic() - began) * 1000 * pace.speed)
                await session.publish(coming.until(now))
                if now - advanced >= ADVANCE_MS:
                    await session.advance(now)
                    advanced = now
                await session.take_outputs()
                summary.counts = history + session.counts
                if view is not None:
                    view.update(summary.glance(), refresh=True)
                elif time.monotonic() - printed >= PLAIN_EVERY_S:
                    printed = time.monotonic()
                    show(out, [f"The shop's clock: {iso(now)}", summary.glance()])
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(BEAT_S):
                        await stopped.wait()
    out.print("Stopped.")


class _Traffic:
    """Live messages, by when they arrive."""

    def __init__(self, messages: Iterator[tuple[int, str, bytes]]) -> None:
        self._messages = messages
        self._next = next(messages)

    def until(self, now: int) -> Iterator[Message]:
        """Yield the messages that have arrived by `now`, UTC ms of the shop."""
        while self._next[0] <= now:
            at, topic, line = self._next
            key = bare_key(line)
            bare = None if key is None else key.encode()
            yield Message(topic, NO_KEY if bare is None else murmur2(bare), bare, line, at)
            self._next = next(self._messages)


def _traffic(pace: Pace) -> _Traffic:
    return _Traffic(live(SAMPLE_SEED, SAMPLE_END, rate=pace.rate / pace.speed))
