"""Errors that a user can do something about, told in a line; everything else is a fault of the program."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import click
import uvloop

T = TypeVar("T")


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Turn expected errors into messages of the command line, with exit status 1; 130 when it was interrupted."""
    from aiokafka.errors import KafkaError

    from app.cli.replay.lines import InputError
    from app.cli.replay.outputs import OutputsError
    from app.embedded import EmbeddedError
    from app.engine.worker import WorkerError
    from app.leads.publishing import PublishError
    from app.rules import RulesError
    from app.settings import SettingsError
    from app.topics import TopicsError

    try:
        yield
    except RulesError as error:
        raise click.ClickException(f"the rules cannot be used:\n{error}") from None
    except WorkerError as error:
        raise click.ClickException(str(error)) from error
    except (InputError, OutputsError, EmbeddedError, SettingsError, TopicsError, KafkaError, PublishError) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise click.ClickException(f"{where}{error.strerror or error}") from None
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("interrupted", err=True)
        sys.exit(130)


def run(main: Coroutine[Any, Any, T], log_level: str = "warning") -> T:
    """Run a command's coroutine; SIGTERM and SIGINT end it in order, so that nothing of it stays behind."""
    logging.basicConfig(level=log_level.upper(), format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    # It warns of each timer that a long step made late; in a worker that is told, here it is how a replay goes.
    logging.getLogger("mode.timers").setLevel(logging.ERROR)

    async def stoppable() -> T:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await main

    with told():
        return uvloop.run(stoppable())
