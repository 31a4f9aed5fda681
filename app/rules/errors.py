"""What is wrong with a rules file, said so that its author can mend it."""

from difflib import get_close_matches
from typing import Final

import msgspec

MOST_PROBLEMS: Final = 200
"""Reading stops after so many: a file that is no rules file at all need not be gone through."""

_OTHER_LANGUAGES: Final = {"gte": "ge", "lte": "le", "eq": "in", "regex": "glob"}
"""What other rule languages call it."""


class Problem(msgspec.Struct, frozen=True):
    """One mistake in a rules file or in its rates."""

    file: str
    line: int
    """From 1."""
    column: int
    """From 1."""
    field: str
    """Where in the rules: `stages[2].enter.any[0].score.ge`; empty for the file as a whole."""
    found: str
    expected: str

    def __str__(self) -> str:
        field = f"{self.field}: " if self.field else ""
        return f"{self.file}:{self.line}:{self.column}: {field}found {self.found}, expected {self.expected}"


class Note(msgspec.Struct, frozen=True):
    """What is allowed and yet perhaps not meant."""

    file: str
    line: int
    """From 1."""
    column: int
    """From 1."""
    field: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.field}: {self.what}"


class RulesError(Exception):
    """The rules cannot be used; `problems` are all that were found, in order of file and line."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.file, p.line, p.column, p.field)))
        super().__init__("\n".join(map(str, self.problems)))


class Report:
    """The problems found so far in one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.notes: list[Note] = []

    @property
    def count(self) -> int:
        """How many problems there are: a check that rests on several values is made only if none of them was wrong."""
        return len(self.problems)

    def add(self, line: int, column: int, field: str, found: str, expected: str) -> None:
        """Note a problem once; raise RulesError at the `MOST_PROBLEMS`th."""
        problem = Problem(self.file, line, column, field, found, expected)
        if problem not in self.problems:  # what stands behind an alias is read as often as it is used
            self.problems.append(problem)
        if self.count >= MOST_PROBLEMS:
            self.raise_if_any()

    def note(self, line: int, column: int, field: str, what: str) -> None:
        """Note once what is no mistake and yet perhaps not meant."""
        note = Note(self.file, line, column, field, what)
        if note not in self.notes:
            self.notes.append(note)

    def raise_if_any(self) -> None:
        """Raise RulesError if there is a problem."""
        if self.problems:
            raise RulesError(self.problems)


def nearest(word: str, known: list[str]) -> str | None:
    """Return the known word that was probably meant, if there is one."""
    usual = _OTHER_LANGUAGES.get(word)
    near = [usual] if usual in known else get_close_matches(word[:80], known, n=1, cutoff=0.6)
    return near[0] if near else None


def near_names(word: str, known: list[str], most: int = 3) -> list[str]:
    """Return the known names that are at all like the word, the nearest first."""
    return get_close_matches(word[:80], known, n=most, cutoff=0.6)


def did_you_mean(word: str, known: list[str]) -> str:
    """Return `; did you mean …?` for the nearest known word, or nothing."""
    near = nearest(word, known)
    return f"; did you mean `{near}`?" if near else ""


def shown(text: str) -> str:
    """Return text as a message shows it: on one line, not too long."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "…"


def listed(words: list[str] | tuple[str, ...]) -> str:
    """Return `a, b or c`."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]
