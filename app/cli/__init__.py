"""The command line: `leadstream`."""


def main() -> None:
    """Run the command that the arguments name; the entry point of the console script."""
    from app.cli.main import cli

    cli(prog_name="leadstream")
