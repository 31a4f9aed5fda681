"""A worker that kills itself with SIGKILL at a line of a step or of a take-over, or notes which lines these have.

`python -m tests.system.dying_worker note FILE`, or `die FUNCTION LINE TIMES`: when it comes to the line for the
TIMESth time, before it does what stands there.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from app.cli.main import cli
from app.engine.changelog import Changelog
from app.engine.kafka import Log
from app.engine.lane import Lane
from app.engine.store import PartitionRows

STEP: tuple[Any, ...] = (
    Lane._process,
    Lane._step_over,
    Lane._take,
    Lane._send,
    Changelog.append,
    Changelog._append,
    PartitionRows.write,
    PartitionRows._commit,
    Log.append,
    Log.send,
    Log._sent,
    Log._submit,
)
TAKE_OVER: tuple[Any, ...] = (
    Lane.open,
    Changelog.take_over,
    Changelog._take_over,
    Changelog._check_age,
    Changelog._apply,
)

Line = tuple[str, int]
"""Function and line number."""


def name_of(function: Any) -> str:
    """What a function goes by."""
    return str(function.__qualname__)


def watch(came_to: Callable[[Line], None]) -> None:
    """Be told of each line of these functions before it is executed, in this thread, which is the event loop's."""
    names: dict[int, str] = {id(function.__code__): name_of(function) for function in (*STEP, *TAKE_OVER)}

    def on_line(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            came_to((names[id(frame.f_code)], frame.f_lineno))
        return on_line

    def on_call(frame: FrameType, _event: str, _: Any) -> Any:
        code: CodeType = frame.f_code
        return on_line if id(code) in names else None

    sys.settrace(on_call)


def note(file: str) -> None:
    """Work until told to stop; then add the lines that were come to, one a line of the file."""
    lines: set[Line] = set()
    watch(lines.add)
    try:
        cli(["worker"], prog_name="leadstream")
    finally:
        with Path(file).open("a") as notes:
            notes.writelines(f"{function} {line}\n" for function, line in sorted(lines))


def die(at: Line, times: int) -> None:
    """Work until a line is come to so many times."""
    left = times

    def came_to(line: Line) -> None:
        nonlocal left
        left -= line == at
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    watch(came_to)
    cli(["worker"], prog_name="leadstream")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["note", file]:
            note(file)
        case ["die", function, line, times]:
            die((function, int(line)), int(times))
        case _:
            sys.exit(__doc__)
