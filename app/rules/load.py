"""A rules file → compiled rules, or every mistake in it. Nothing is half applied."""

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from app.domain.event import normal_name
from app.domain.rulebook import Internal, Rules
from app.rules import tree
from app.rules.brand import (
    DEFAULT_BRAND,
    DEFAULT_CURRENCY,
    DEFAULT_TIMEZONE,
    read_brand,
    read_channels,
    read_currency,
    read_domains,
    read_internal,
    read_timezone,
)
from app.rules.conditions import Conditions
from app.rules.errors import Note, Problem, Report, RulesError
from app.rules.goals import default_attribution, read_attribution, read_goals
from app.rules.groups import check_reach, read_segments, read_stages, stage_names
from app.rules.names import Names
from app.rules.place import Place
from app.rules.rates import MAX_BYTES as MAX_RATES_BYTES
from app.rules.rates import Rates, read_rates
from app.rules.scoring import Scores, read_grades, read_scores, read_signals

REQUIRED: Final = ("version", "signals", "scores", "stages")
FIELDS: Final = (
    *("version", "brand", "timezone", "currency", "rates", "own_domains", "payment_domains", "internal", "channels"),
    *("signals", "scores", "exclude", "grades", "stages", "segments", "goals", "attribution"),
)

Beside = Callable[[str], str]
"""Returns the text of a file beside the rules; raises OSError or UnicodeError."""


class Loaded(msgspec.Struct, frozen=True):
    """A rules file that can be used."""

    rules: Rules
    notes: tuple[Note, ...]
    """Names in it that are perhaps not meant."""


def load(path: Path) -> Rules:
    """Read and compile a rules file, and the rates it names beside it.

    Raises RulesError with every problem found; an unreadable file is one too.
    """
    return load_with_notes(path).rules


def load_with_notes(path: Path) -> Loaded:
    """Do as `load` does, and tell also what is perhaps not meant."""
    try:
        text = _read(path, tree.MAX_BYTES)
    except (OSError, UnicodeError) as error:
        line = _line_of(path, error.start) if isinstance(error, UnicodeDecodeError) else 1
        raise RulesError([Problem(str(path), line, 1, "", _told(error), "a readable file in UTF-8")]) from None
    return loads_with_notes(text, str(path), lambda name: _read(path.parent / name, MAX_RATES_BYTES))


def loads(text: str, *, file: str = "rules.yaml", beside: Beside | None = None) -> Rules:
    """Compile the text of a rules file; `file` names it in problems, `beside` reads the rates it names.

    Raises RulesError with every problem found.
    """
    return loads_with_notes(text, file, beside).rules


def loads_with_notes(text: str, file: str, beside: Beside | None = None) -> Loaded:
    """Do as `loads` does, and tell also what is perhaps not meant."""
    report = Report(file)
    root = Place(tree.parse(text.removeprefix("\ufeff"), report), "", report)
    if root.is_scalar and root.value is None:
        root.wrong("rules with " + ", ".join(REQUIRED), "an empty file")
        report.raise_if_any()
    fields = root.fields(FIELDS, REQUIRED, "rules")
    rates, rate_problems = _rates(fields["rates"], file, beside) if "rates" in fields else ({}, [])
    rules = _compile(fields, rates)
    report.problems.extend(rate_problems)
    report.raise_if_any()
    check_reach(fields["stages"], rules)
    report.raise_if_any()
    return Loaded(rules, tuple(report.notes))


def _compile(fields: dict[str, Place], rates: Rates) -> Rules:
    signals = read_signals(fields["signals"]) if "signals" in fields else {}
    scores = read_scores(fields["scores"], tuple(signals)) if "scores" in fields else Scores({}, None, None, {})
    stages = stage_names(fields["stages"]) if "stages" in fields else ()
    names = Names(signals, _goal_events(fields.get("goals")))
    interests = scores.interests is not None or "scores" not in fields
    conditions = Conditions(names, tuple(scores.named), interests=interests, stages=stages)
    of_exclude = Conditions(names, tuple(scores.named), interests=interests, stages=None)
    grades = read_grades(fields["grades"]) if "grades" in fields else ((), ())
    return Rules(
        version=fields["version"].written() if "version" in fields else "",
        brand=read_brand(fields["brand"]) if "brand" in fields else DEFAULT_BRAND,
        timezone=read_timezone(fields["timezone"]) if "timezone" in fields else DEFAULT_TIMEZONE,
        currency=read_currency(fields["currency"]) if "currency" in fields else DEFAULT_CURRENCY,
        signals=signals,
        scores=scores.named,
        fit=scores.fit,
        interests=scores.interests,
        total=scores.total,
        stages=read_stages(fields["stages"], conditions) if "stages" in fields else (),
        segments=read_segments(fields["segments"], conditions) if "segments" in fields else (),
        exclude=of_exclude.read(fields["exclude"]) if "exclude" in fields else None,
        grades_fit=grades[0],
        grades_engagement=grades[1],
        goals=read_goals(fields["goals"], stages) if "goals" in fields else (),
        attribution=(
            read_attribution(fields["attribution"], stages) if "attribution" in fields else default_attribution(stages)
        ),
        channels=read_channels(fields["channels"]) if "channels" in fields else (),
        own_domains=read_domains(fields["own_domains"]) if "own_domains" in fields else frozenset(),
        payment_domains=read_domains(fields["payment_domains"]) if "payment_domains" in fields else frozenset(),
        internal=read_internal(fields["internal"]) if "internal" in fields else Internal(),
        rates=rates,
        trackers=names.trackers(),
    )


def _goal_events(goals: Place | None) -> frozenset[str]:
    """Return the normal names of the events that goals name."""
    raw = tree.plain(goals.node) if goals is not None else None
    told = [goal.get("event") for goal in raw.values() if isinstance(goal, dict)] if isinstance(raw, dict) else []
    return frozenset(normal_name(name) for name in told if isinstance(name, str))


def _rates(place: Place, file: str, beside: Beside | None) -> tuple[Rates, list[Problem]]:
    name = place.text("the name of a file beside this one")
    if not name:
        return {}, []
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name:
        place.wrong("a file beside this one: a name without `..` or a leading slash")
        return {}, []
    try:
        if beside is None:
            raise FileNotFoundError(name)
        text = beside(name)
    except (OSError, UnicodeError, ValueError) as error:
        place.wrong("a readable file beside this one, in UTF-8", f"{name}: {_told(error)}")
        return {}, []
    rates, report = read_rates(text, str(PurePosixPath(file).parent / name))
    return rates, report.problems


def _read(path: Path, most: int) -> str:
    """Return the text of a file, but no more of it than is enough to see that it is too large."""
    with path.open("rb") as file:
        data = file.read(most + 1)
    return data.decode("utf-8", "replace" if len(data) > most else "strict")  # the cut may be inside a character


def _line_of(path: Path, at: int) -> int:
    """Return the line of a byte of a file, from 1."""
    with path.open("rb") as file:
        return file.read(at).count(b"\n") + 1


def _told(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, UnicodeError):
        return "text that is not UTF-8"
    return getattr(error, "strerror", None) or str(error)
