"""Break workers, brokers and disks under load on Apache Kafka; nothing may be lost, and what repeats is told.

`python -m tests.system.faults --runs 3`; `--pause 100`: the broker answers nothing for 100 s.
"""

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec

from tests.kafka import Kafka
from tests.system import faults_brokers, faults_compaction, faults_disks, faults_lines, faults_workers
from tests.system.faults_scene import Outcome

Breaks = Callable[..., Awaitable[Outcome]]


class Fault(msgspec.Struct, frozen=True):
    """One thing that is broken on purpose."""

    breaks: Breaks
    brokers: int = 1
    options: dict[str, str] = {}
    """Of the brokers."""


FAULTS = {
    "told to stop": Fault(faults_workers.told_to_stop),
    "come and go": Fault(faults_workers.come_and_go),
    "killed at each line": Fault(faults_lines.killed_at_each_line),
    "disk wiped": Fault(faults_workers.wiped),
    "frozen": Fault(faults_workers.frozen),
    "broker killed": Fault(faults_brokers.one_of_three_killed, brokers=3),
    "broker paused": Fault(faults_brokers.paused_at_work),
    "broker paused in recovery": Fault(faults_brokers.paused_at_take_over),
    "disk full": Fault(faults_disks.disk_full),
    "compacted in recovery": Fault(faults_compaction.under_restore, options=faults_compaction.CLEANS_AT_ONCE),
    "compacted beyond a disk": Fault(faults_compaction.beyond_a_disk, options=faults_compaction.CLEANS_AT_ONCE),
}


def line(name: str, outcome: Outcome) -> str:
    """What is told of a fault."""
    deaths = f"; deaths {len(outcome.deaths)}: {outcome.deaths[0][-150:]}" if outcome.deaths else ""
    return (
        f"{name}: {outcome.events:,} events of {outcome.leads:,} leads, {outcome.outputs:,} outputs: "
        f"lost 0, repeated {outcome.repeats:,}; {outcome.told}{deaths}; {outcome.seconds:.0f} s"
    )


async def run(name: str, *, seed: int = 1, pause_s: float | None = None) -> Outcome:
    """Break one thing on a cluster of its own.

    Raises:
        AssertionError: something was lost, doubled or told two ways, or a worker died silently.
    """
    fault = FAULTS[name]
    more: dict[str, Any] = {"pause_s": pause_s} if pause_s is not None else {}
    with tempfile.TemporaryDirectory() as home:
        async with Kafka(fault.brokers, quick=True, options=fault.options) as kafka:
            return await partial(fault.breaks, kafka, Path(home), seed=seed, **more)()


@click.command()
@click.option("--runs", default=3, show_default=True)
@click.option("--fault", "names", multiple=True, type=click.Choice(list(FAULTS)), help="All, unless given.")
@click.option("--pause", type=float, help="Only pause the broker, at work and in recovery, for so many seconds.")
def main(runs: int, names: tuple[str, ...], pause: float | None) -> None:
    """Break things again and again."""
    chosen = names or tuple(name for name in FAULTS if pause is None or name.startswith("broker paused"))
    for name in chosen:
        for seed in range(1, runs + 1):
            outcome = asyncio.run(run(name, seed=seed, pause_s=pause if name.startswith("broker paused") else None))
            click.echo(line(f"{name}, run {seed}", outcome))


if __name__ == "__main__":
    sys.exit(main())
