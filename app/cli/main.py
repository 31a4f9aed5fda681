"""The commands and their options. What a command needs is imported when it runs, so that `--help` is quick."""

from pathlib import Path

import click

from app.cli.explain.command import explain
from app.cli.options import (
    FILE,
    inputs_of,
    rules_of,
    settings_of,
    time_of,
    with_config,
    with_inputs,
    with_rules,
)
from app.cli.rules.command import diff, publish


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="leadstream", message="%(prog)s %(version)s")
def cli() -> None:
    """Real-time lead intelligence on Kafka: scores, groups, journeys and attributed conversions."""


# --- files in, files out ----------------------------------------------------------------------------------------------


@cli.command()
@with_inputs
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
    inputs = inputs_of(files)
    if not inputs:
        raise click.UsageError("nothing to replay: give at least one of --web, --email, --cart, --crm")
    until_ms = None if until is None else time_of(until)
    settings = settings_of(config)
    compiled = rules_of(rules or settings.rules)
    if spend:
        click.echo("warning: --spend is not evaluated yet: insights.json stays empty", err=True)

    from app.cli.failing import run
    from app.cli.progress import bar
    from app.cli.replay.run import Job
    from app.cli.replay.run import replay as run_replay

    job = Job(
        inputs=inputs,
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
    settings = settings_of(config)
    compiled = rules_of(rules)

    from app.cli.demo import demo as run_demo
    from app.cli.failing import run

    run(run_demo(settings, compiled, once=once, rate=rate, speed=speed))


cli.add_command(explain)


# --- a worker and its topics ------------------------------------------------------------------------------------------


@cli.command()
@with_rules
@with_config
def worker(rules: tuple[Path, ...], config: Path | None) -> None:
    """Run a worker on the brokers of the settings until SIGTERM or Ctrl-C. Start more of them to share the work."""
    settings = settings_of(config)
    compiled = rules_of(rules or settings.rules)

    from agents.leads import leads_as_published
    from app.cli.failing import told
    from app.engine.worker import run

    with told():
        run(settings, lambda: leads_as_published(settings, compiled))


@cli.group()
def topics() -> None:
    """Create the topics that a worker needs, or look at them."""


@topics.command()
@with_config
def create(config: Path | None) -> None:
    """Create the topics that are missing; may be repeated."""
    settings = settings_of(config)

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
    settings = settings_of(config)

    from app import topics as known
    from app.cli.failing import run

    there = run(known.describe(settings))
    for topic in known.topics(settings).all():
        count = there.get(topic.name)
        click.echo(f"{topic.name}: {f'{count} partitions' if count else 'MISSING'}; {topic.what}")


# --- rules and settings -----------------------------------------------------------------------------------------------


@cli.group()
def rules() -> None:
    """Check rules files, compare them, and publish them to running workers."""


rules.add_command(publish)
rules.add_command(diff)


@rules.command()
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
def check(files: tuple[Path, ...]) -> None:
    """Say what each file amounts to, or every mistake in it (exit status 1)."""
    from app.rules import RulesError, load_with_notes
    from app.rules.describe import noted, summary

    wrong = False
    for file in files:
        try:
            loaded = load_with_notes(file)
        except RulesError as error:
            wrong = True
            for problem in error.problems:
                click.echo(str(problem), err=True)
        else:
            notes = noted(loaded, file)
            also = ", but look at the notes below" if notes else ""
            click.echo(f"{file}: right{also}")
            click.echo("\n".join([*(f"  {line}" for line in summary(loaded.rules)), *notes]))
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
