"""Text and tables on standard output, for people and for pipes."""

import sys
from collections.abc import Iterable
from typing import Final

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

NOT_A_TERMINAL: Final = 1_000_000
"""Columns where output is piped: wide enough that nothing is cut or wrapped."""


def console() -> Console:
    """Return a console for standard output; what is piped is never cut to a terminal's width."""
    return Console() if sys.stdout.isatty() else Console(width=NOT_A_TERMINAL)


def show(out: Console, parts: Iterable[RenderableType]) -> None:
    """Print each part, with a blank line before it."""
    for part in parts:
        out.print()
        out.print(part)


class Section:
    """A table under its title, which may be longer than the table is wide; a column that starts with `*` is numbers."""

    def __init__(self, title: str, *columns: str) -> None:
        self.title = Text(title, style="bold cyan")
        self.table = Table(pad_edge=False)
        for column in columns:
            self.table.add_column(column.removeprefix("*"), justify="right" if column.startswith("*") else "left")

    def add_row(self, *cells: str) -> None:
        """Add a row; what stands in brackets is text, not markup."""
        self.table.add_row(*map(Text, cells))

    def __rich_console__(self, _: Console, __: ConsoleOptions) -> RenderResult:
        yield self.title
        yield self.table
