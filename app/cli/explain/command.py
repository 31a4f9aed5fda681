"""`leadstream explain`: its options. What it needs is imported when it runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.options import inputs_of, rules_of, settings_of, time_of, with_config, with_inputs, with_rules

if TYPE_CHECKING:
    from app.settings import Settings


@click.command()
@click.argument("lead")
@click.option("--brand", default="", help="Its brand, where a lead of that name is in several.")
@click.option("--at", metavar="TIME", help="See the lead as it will be then (ISO 8601). Default: now.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole as JSON.")
@click.option(
    "--worker",
    "workers",
    metavar="URL",
    multiple=True,
    help="Ask this worker's HTTP server; repeat it for others. Default: that of the settings.",
)
@with_inputs
@with_rules
@with_config
def explain(
    lead: str,
    brand: str,
    at: str | None,
    as_json: bool,
    workers: tuple[str, ...],
    config: Path | None,
    rules: tuple[Path, ...],
    **files: tuple[str, ...],
) -> None:
    """Tell why LEAD has its score and its groups, what is missing to the next stage, and what changes by itself.

    LEAD is a user id, address, phone number, anonymous id or lead_id; `user:…`, `email:…`, `phone:…`, `anon:…` say
    which is meant. It is asked of running workers; or, with --web, --email, --cart or --crm, worked out from files as a
    replay up to --at (default: the newest event) would. Nothing about the lead changes.
    """
    inputs = inputs_of(files)
    if inputs and workers:
        raise click.UsageError("either --worker or files: who is to be asked?")
    at_ms = None if at is None else time_of(at, "--at")
    settings = settings_of(config)
    query = {"lead": lead, "brand": brand}

    from app.cli.failing import run

    if inputs:
        from app.cli.explain.files import from_files
        from app.cli.progress import bar

        compiled = rules_of(rules or settings.rules)
        with bar("replaying") as progress:
            told = run(from_files(inputs, compiled, settings, query, at_ms, progress))
    else:
        from app.cli.explain.workers import from_workers

        if rules:
            raise click.UsageError("--rules goes with files; a worker has its own")
        told = run(from_workers(workers or _own_worker(settings), settings.web_token, query, at_ms))
    _print(told, as_json=as_json)


def _own_worker(settings: "Settings") -> tuple[str, ...]:
    if not settings.web_port:
        raise click.UsageError(
            "no worker to ask: give --worker URL, or set web_port as the worker has it; or give files (--web …)"
        )
    host = "127.0.0.1" if settings.web_host in ("0.0.0.0", "::") else settings.web_host  # noqa: S104 - not bound to
    return (f"http://{f'[{host}]' if ':' in host else host}:{settings.web_port}",)


def _print(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        import json

        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    from app.cli.explain.show import parts
    from app.cli.terminal import console, show

    show(console(), parts(told))
