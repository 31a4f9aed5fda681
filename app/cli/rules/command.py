"""`leadstream rules publish` and `rules diff`: their options. What they need is imported when they run."""

from pathlib import Path

import click

from app.cli.options import inputs_of, settings_of, time_of, with_config, with_inputs

SHOWN = 20
"""Leads that `rules diff` lists unless all are asked for."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--brand",
    "brands",
    metavar="NAME",
    multiple=True,
    help="Publish for this brand; may be repeated. Default: the file's.",
)
@with_config
def publish(file: Path, brands: tuple[str, ...], config: Path | None) -> None:
    """Put a version of rules into force while workers run.

    The rules in FILE are checked first: of rules that cannot be used nothing is sent. Every lane goes by the new
    version from one point of its input on, and the groups of all leads follow. It may be repeated at any time: what was
    published already changes nothing, and what was interrupted is completed.
    """
    settings = settings_of(config)

    import msgspec

    from app.cli.failing import run, told
    from app.cli.progress import bar
    from app.leads.publishing import publish as publish_one
    from app.rules.describe import noted
    from app.rules.version import read_version

    with told():
        checked = read_version(file)
    if any("/" in name or not name.strip() or len(name) > 100 for name in brands):
        raise click.BadParameter("a brand is a name of at most 100 characters without a slash", param_hint="--brand")
    for note in noted(checked.loaded, file):
        click.echo(note, err=True)
    for brand in dict.fromkeys(brands) or (checked.version.brand,):
        one = msgspec.structs.replace(checked.version, brand=brand)
        with bar(f"publishing {brand}") as progress:
            done = run(publish_one(settings, one, progress))
        if done.repeated:
            what = f"was published already, {done.published.at}"
        else:
            what = f"published in place of {done.former}" if done.former is not None else "published, the brand's first"
        click.echo(
            f"brand {brand}: version {one.version} {what}; {settings.partitions} lanes were told. "
            f"sha256 {done.published.sha256[:12]}…"
        )


@click.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@with_inputs
@click.option("--until", metavar="TIME", help="See leads as of then (ISO 8601). Default: the newest event.")
@click.option(
    "--at-once",
    is_flag=True,
    help="As if NEW were published at that moment. Default: as if it had been in force from the start.",
)
@click.option("--brand", "brands", metavar="NAME", multiple=True, help="Leads of these brands. Default: the rules'.")
@click.option("--all", "everybody", is_flag=True, help=f"List all leads that move, not only {SHOWN}.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole as JSON.")
@with_config
def diff(
    old: Path,
    new: Path,
    until: str | None,
    at_once: bool,
    brands: tuple[str, ...],
    everybody: bool,
    as_json: bool,
    config: Path | None,
    **files: tuple[str, ...],
) -> None:
    """Show who would move if the rules in NEW took the place of those in OLD.

    The events of the files are folded with both, without a broker. Nothing is published.
    """
    inputs = inputs_of(files)
    if not inputs:
        raise click.UsageError("no events to compare on: give at least one of --web, --email, --cart, --crm")
    until_ms = None if until is None else time_of(until)
    settings = settings_of(config)

    from app.cli.failing import told
    from app.cli.progress import bar
    from app.cli.replay.lines import read_all
    from app.cli.rules.diff import compared, standings
    from app.rules import load

    with told():
        before, after = load(old), load(new)
        if before.brand != after.brand:
            raise click.UsageError(f"rules of different brands: {before.brand} and {after.brand}")
        with read_all(inputs) as lines, bar("folding") as progress:
            until_ms = until_ms if until_ms is not None else lines.newest_event()
            if until_ms is None:
                raise click.ClickException("no events in these files")
            found = standings(
                *(before, after, lines, until_ms, settings, frozenset(brands or (after.brand,)), progress),
                at_once=at_once,
            )
    result = compared(before, after, until_ms, found)
    if as_json:
        import json

        click.echo(json.dumps(result, indent=2, ensure_ascii=False))
        return
    from app.cli.rules.show import parts
    from app.cli.terminal import console, show

    show(console(), parts(result, None if everybody else SHOWN))
