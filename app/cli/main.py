"""The commands and their options. What a command needs is imported when it runs, so that `--help` is quick."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.shipped import INPUTS, default_rules

if TYPE_CHECKING:
    from app.domain.rulebook import Rules
    from app.settings import Settings

FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
INPUT = click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True)

with_config = click.option(
    "--config", type=FILE, help="Settings (TOML); LEADSTREAM_* variables win. `leadstream settings` lists them."
)
with_rules = click.option(
    "--rules", type=FILE, multiple=True, help="Rules, one file a brand. Default: the shipped rules."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="leadstream", message="%(prog)s %(version)s")
def cli() -> None:
    """Real-time lead intelligence on Kafka: scores, groups, journeys and attributed conversions."""


# --- files in, files out ----------------------------------------------------------------------------------------------


@cli.command()
@click.option("--web", type=INPUT, multiple=True, help="Messages of events.web, one JSON a line; .gz, or - for stdin.")
@click.option("--email", type=INPUT, multiple=True, help="Messages of events.email. Each option may be repeated.")
@click.option("--cart", type=INPUT, multiple=True, help="Messages of events.cart.")
@click.option("--crm", type=INPUT, multiple=True, help="Messages of events.crm.")
@with_rules
@click.option(
    "--until",
    metavar="TIME",
    help="Leave out later events, and see leads as of then (ISO 8601). Default: the newest event.",
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the results.")
@click.option(
    "--broker",
    metavar="HOST:PORT",
    help="Use this broker, with topics of its own, deleted afterwards. Default: an embedded one.",
)
@click.option("--as-is", is_flag=True, help="Publish lines in the order of the files, not in that of their times.")
@click.option("--spend", type=FILE, multiple=True, help="What channels cost; not evaluated yet.")
@with_config
def replay(
    until: str | None,
    out: Path,
    broker: str | None,
    as_is: bool,
    spend: tuple[Path, ...],
    config: Path | None,
    rules: tuple[Path, ...],
    **files: tuple[str, ...],
) -> None:
    """Run the worker over files of events and write what comes out.

    OUT gets segments, conversions, profiles, merged, rejected and models (.jsonl), insights.json and summary.json.
    """
    given = [(name, file) for name in INPUTS for file in files[name]]
    if not given:
        raise click.UsageError("nothing to replay: give at least one of --web, --email, --cart, --crm")
    if [file for _, file in given].count("-") > 1:
        raise click.UsageError("standard input (-) can be given once only")
    until_ms = None if until is None else _time(until)
    settings = _settings(config)
    compiled = _rules(rules or settings.rules)
    if spend:
        click.echo("warning: --spend is not evaluated yet: insights.json stays empty", err=True)

    from app.cli.failing import run
    from app.cli.progress import bar
    from app.cli.replay.lines import Input
    from app.cli.replay.run import Job
    from app.cli.replay.run import replay as run_replay

    job = Job(
        inputs=[Input(file, f"events.{name}") for name, file in given],
        rules=compiled,
        out=out,
        until=until_ms,
        as_is=as_is,
        broker=broker,
    )
    with bar("replaying") as progress:
        told = run(run_replay(job, settings, progress))
    click.echo(
        f"{told['events']:,} events in {told['seconds']:.1f} s: {told['leads']:,} leads, {told['segment_changes']:,} "
        f"changes of stage or segment, {told['conversions']:,} conversions, {told['rejected']:,} rejected. See {out}/"
    )


@cli.command()
@click.option("--once", is_flag=True, envvar="ONCE", help="Stop after the sample (also: ONCE=1).")
@click.option("--rate", type=click.FloatRange(0.1, 200), default=3.0, show_default=True, help="Live messages a second.")
@click.option(
    "--speed", type=click.FloatRange(1, 3_600), default=60.0, show_default=True, help="Seconds of the shop a second."
)
@with_rules
@with_config
def demo(once: bool, rate: float, speed: float, rules: tuple[Path, ...], config: Path | None) -> None:
    """Show ninety days of a web shop, then live traffic until Ctrl-C. Nothing has to be installed or running."""
    settings = _settings(config)
    compiled = _rules(rules)

    from app.cli.demo import demo as run_demo
    from app.cli.failing import run

    run(run_demo(settings, compiled, once=once, rate=rate, speed=speed))


# --- a worker and its topics ------------------------------------------------------------------------------------------


@cli.command()
@with_rules
@with_config
def worker(rules: tuple[Path, ...], config: Path | None) -> None:
    """Run a worker on the brokers of the settings until SIGTERM or Ctrl-C. Start more of them to share the work."""
    settings = _settings(config)
    compiled = _rules(rules or settings.rules)

    from agents.leads import leads
    from app.cli.failing import told
    from app.engine.worker import run

    with told():
        run(settings, [leads(compiled)])


@cli.group()
def topics() -> None:
    """Create the topics that a worker needs, or look at them."""


@topics.command()
@with_config
def create(config: Path | None) -> None:
    """Create the topics that are missing; may be repeated."""
    settings = _settings(config)

    from app import topics as known
    from app.cli.failing import run

    created = run(known.create(settings))
    for name in created:
        click.echo(f"created {name}")
    click.echo(f"{len(created)} created, the others were there" if created else "all topics are there")


@topics.command()
@with_config
def describe(config: Path | None) -> None:
    """List the topics: what they are for, and whether the broker has them."""
    settings = _settings(config)

    from app import topics as known
    from app.cli.failing import run

    there = run(known.describe(settings))
    for topic in known.topics(settings).all():
        count = there.get(topic.name)
        click.echo(f"{topic.name}: {f'{count} partitions' if count else 'MISSING'}; {topic.what}")


# --- rules and settings -----------------------------------------------------------------------------------------------


@cli.group()
def rules() -> None:
    """Check rules files."""


@rules.command()
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
def check(files: tuple[Path, ...]) -> None:
    """Say what each file amounts to, or every mistake in it (exit status 1)."""
    from app.rules import RulesError, load
    from app.rules.describe import summary

    wrong = False
    for file in files:
        try:
            told = summary(load(file))
        except RulesError as error:
            wrong = True
            for problem in error.problems:
                click.echo(str(problem), err=True)
        else:
            click.echo("\n".join([f"{file}: right", *(f"  {line}" for line in told)]))
    if wrong:
        raise SystemExit(1)


@rules.command()
def schema() -> None:
    """Print the JSON Schema of rules files, for editors."""
    import json

    from app.rules.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


@cli.command()
def settings() -> None:
    """List every setting, with its environment variable and default."""
    from app.settings import PREFIX
    from app.settings import describe as described

    for name, what, default in described():
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        click.echo(f"{PREFIX}{name.upper()}={shown}\n    {what}")


# --- what commands share ----------------------------------------------------------------------------------------------


def _settings(config: Path | None) -> "Settings":
    from app.cli.failing import told
    from app.settings import Settings

    with told():
        return Settings.load(os.environ, config)


def _rules(files: tuple[Path, ...]) -> "list[Rules]":
    from app.cli.failing import told
    from app.rules import load

    with told():
        compiled = [load(file) for file in files or (default_rules(),)]
    brands = [brand.brand for brand in compiled]
    twice = sorted({brand for brand in brands if brands.count(brand) > 1})
    if twice:
        raise click.UsageError(
            f"two rules files for the brand {', '.join(twice)}; `brand:` in the file tells them apart"
        )
    return compiled


def _time(text: str) -> int:
    from app.sources.times import in_range, read_time

    at: Any = read_time(text)
    if at is None or not in_range(at):
        raise click.BadParameter(f"{text!r} is no time such as 2026-03-01T00:00:00Z", param_hint="--until")
    return int(at)
