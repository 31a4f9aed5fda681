"""Options that several commands have, and what they stand for. What is heavy is imported when it is used."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from app.cli.shipped import INPUTS, default_rules

if TYPE_CHECKING:
    from app.cli.replay.lines import Input
    from app.domain.rulebook import Rules
    from app.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])

FILE: Final = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
INPUT: Final = click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True)

with_config = click.option(
    "--config", type=FILE, help="Settings (TOML); LEADSTREAM_* variables win. `leadstream settings` lists them."
)
with_rules = click.option(
    "--rules", type=FILE, multiple=True, help="Rules, one file a brand. Default: the shipped rules."
)
_INPUT_HELPS: Final = {
    "web": "Messages of events.web, one JSON a line; .gz, or - for stdin.",
    "email": "Messages of events.email. Each option may be repeated.",
    "cart": "Messages of events.cart.",
    "crm": "Messages of events.crm.",
}


def with_inputs(command: Command) -> Command:
    """Give a command an option for each input topic."""
    for name in reversed(INPUTS):
        command = click.option(f"--{name}", type=INPUT, multiple=True, help=_INPUT_HELPS[name])(command)
    return command


def inputs_of(files: Mapping[str, Sequence[str]]) -> "list[Input]":
    """Return the files that were given, with the topics that they are for."""
    given = [(name, file) for name in INPUTS for file in files[name]]
    if [file for _, file in given].count("-") > 1:
        raise click.UsageError("standard input (-) can be given once only")
    from app.cli.replay.lines import Input

    return [Input(file, f"events.{name}") for name, file in given]


def settings_of(config: Path | None) -> "Settings":
    """Return the settings of the environment and a file."""
    from app.cli.failing import told
    from app.settings import Settings

    with told():
        return Settings.load(os.environ, config)


def rules_of(files: Sequence[Path]) -> "list[Rules]":
    """Return the rules of each file, of different brands; the shipped ones when there is none."""
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


def time_of(text: str, option: str = "--until") -> int:
    """Return a time that was given for an option, UTC ms."""
    from app.sources.times import in_range, read_time

    at: Any = read_time(text)
    if at is None or not in_range(at):
        raise click.BadParameter(f"{text!r} is no time such as 2026-03-01T00:00:00Z", param_hint=option)
    return int(at)
