"""The bench's command line: figures to standard output, progress to standard error."""

import asyncio
import time
from pathlib import Path

import click
import orjson

from tests.bench.measure import Options, measure
from tests.bench.report import report


@click.command()
@click.option("--events", type=click.IntRange(1_000), default=500_000, show_default=True)
@click.option("--leads", type=click.IntRange(100), default=200_000, show_default=True, help="About so many.")
@click.option(
    "--stock-events", type=click.IntRange(1_000), help="Events for stock Faust.  [default: a tenth, at least 20,000]"
)
@click.option("--latency-seconds", type=click.FloatRange(1), default=20.0, show_default=True)
@click.option("--quick", is_flag=True, help="40,000 events of 16,000 leads, and shorter.")
@click.option("--profile", is_flag=True, help="Also say which functions take the time (cProfile).")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Keep the figures in a file.")
def main(
    events: int,
    leads: int,
    stock_events: int | None,
    latency_seconds: float,
    quick: bool,
    profile: bool,
    file: Path | None,
) -> None:
    """Measure one worker on the embedded broker, and stock Faust beside it."""
    if quick:
        events, leads, latency_seconds = 40_000, 16_000, 8.0
    stock = stock_events or min(events, max(20_000, events // 10))
    began = time.monotonic()

    def say(text: str) -> None:
        click.echo(f"{time.monotonic() - began:6.1f} s  {text}", err=True)

    figures = asyncio.run(measure(Options(events, leads, stock, latency_seconds, profile), say))
    told = figures["engine"].pop("profile", "")
    if told:
        click.echo(told)
    click.echo(report(figures))
    if file is not None:
        file.write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
