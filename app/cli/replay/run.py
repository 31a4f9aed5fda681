"""The replay: files in, a folder of what the worker made of them out."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from app.cli.replay.lines import MOST_BYTES, Input, Line, Lines, read_all
from app.cli.replay.publish import UNNUMBERED, Message, Publisher
from app.cli.replay.results import Results
from app.cli.replay.session import Session, place
from app.cli.replay.slices import SLICE, Slice, as_they_come, in_order_of_time
from app.domain.rulebook import Rules
from app.settings import Settings

Progress = Callable[[int, int], None]
"""Told how many lines are processed, and of how many."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be replayed, and how."""

    inputs: Sequence[Input]
    rules: Sequence[Rules]
    out: Path
    until: int | None = None
    """UTC ms; None = the newest event."""
    as_is: bool = False
    broker: str | None = None
    """`host:port`; None = the embedded one."""
    most: int = SLICE
    """Most events that are published before lanes fold them."""


async def replay(job: Job, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Run a replay and return its summary.

    Raises:
        InputError: an input cannot be read.
        OSError: the results cannot be written.
        EmbeddedError, TopicsError, WorkerError, KafkaError: of the broker or the worker.
    """
    job.out.mkdir(parents=True, exist_ok=True)
    with read_all(job.inputs) as lines, Results() as results:
        until = job.until if job.until is not None else lines.newest_event()
        # Without a time given nothing is cut off, though the newest line may be no event.
        slices = as_they_come(lines, job.until, job.most) if job.as_is else in_order_of_time(lines, job.until, job.most)
        async with (
            place(settings, job.broker, results.take) as own,
            own.session(job.rules, replay=not job.as_is) as session,
        ):
            began = time.monotonic()
            events = await play(session, lines, slices, results, progress)
            if until is not None:
                await session.advance(until, snapshot=True)
            seconds = time.monotonic() - began
            await session.take_outputs()
            return results.write(job.out, finder(own.publisher, lines), events, seconds, session.counts)


async def play(
    session: Session, lines: Lines, slices: Iterable[Slice], results: Results | None, progress: Progress
) -> int:
    """Publish slice after slice, each processed before the next; return how many lines that were.

    Lines that no topic takes go to `results`.
    """
    done = 0
    for piece in slices:
        done += len(piece.numbers)

        def tell(left: int, after: int = done) -> None:
            progress(max(0, after - left), len(lines))

        await session.publish(messages(lines, piece.numbers, results), tell)
        if piece.advance_to is not None:
            await session.advance(piece.advance_to)
            await session.take_outputs()
    return done


def messages(lines: Lines, numbers: Iterable[int], results: Results | None) -> Iterator[Message]:
    """Yield lines as messages, save those that no topic takes."""
    for number in numbers:
        line = lines[number]
        if len(line.value) + len(line.key or b"") > MOST_BYTES:
            if results is not None:
                results.refuse(line)
            continue
        yield Message(line.input.topic, lines.key_hash[number], line.key, line.value, line.record_at, number)


def finder(publisher: Publisher, lines: Lines) -> Callable[[str, int, int], Line | None]:
    """Return what tells the line that came to stand at a topic, partition and offset."""

    def find(topic: str, partition: int, offset: int) -> Line | None:
        number = publisher.number_at(topic, partition, offset)
        return None if number == UNNUMBERED else lines[number]

    return find
