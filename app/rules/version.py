"""A version of a brand's rules as it travels and is kept: the text of the file and of its rates, whole."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from app.domain.rulebook import Rules
from app.rules.errors import Problem, RulesError
from app.rules.load import Loaded, load, loads, loads_with_notes

MOST_BYTES: Final = 4_000_000
"""Of rules and rates together, in UTF-8: a version is one record, and one row of each lane."""


class Version(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One version of a brand's rules."""

    brand: str
    version: str
    text: str
    rates: str | None = None
    """The file that the rules name as their rates; None when they name none."""

    @property
    def sha256(self) -> str:
        """Hash of the content, 64 hex digits: two versions with the same hash are the same."""
        parts = [self.text.encode()] if self.rates is None else [self.text.encode(), self.rates.encode()]
        return hashlib.sha256(b"".join(b"%d:%b" % (len(part), part) for part in parts)).hexdigest()

    def compiled(self, file: str = "") -> Rules:
        """Return the rules, for the brand that this says, whatever the text does; `file` names them in problems.

        Raises:
            RulesError: they cannot be used, or are of another version than this says.
        """
        file = file or f"{self.brand} {self.version}"
        rules = _compiled(self.text, self.rates, file)
        if rules.version != self.version:
            raise RulesError([Problem(file, 1, 1, "version", rules.version, self.version)])
        return msgspec.structs.replace(rules, brand=self.brand)


@lru_cache(maxsize=32)
def _compiled(text: str, rates: str | None, file: str) -> Rules:
    def beside(name: str) -> str:
        if rates is None:
            raise FileNotFoundError(name)
        return rates

    return loads(text, file=file, beside=beside)


class Checked(msgspec.Struct, frozen=True):
    """A file that can be published."""

    version: Version
    loaded: Loaded


def read_version(path: Path) -> Checked:
    """Read a rules file and the rates beside it.

    Raises:
        RulesError: with every problem found, as `load` does; or the files are too large to be published.
    """
    load(path)
    text = path.read_bytes().decode()
    rates: list[str] = []

    def beside(name: str) -> str:
        rates.append((path.parent / name).read_bytes().decode())
        return rates[-1]

    loaded = loads_with_notes(text, str(path), beside)
    found = Version(loaded.rules.brand, loaded.rules.version, text, rates[0] if rates else None)
    size = len(found.text.encode()) + len((found.rates or "").encode())
    if size > MOST_BYTES:
        raise RulesError(
            [Problem(str(path), 1, 1, "", f"{size:,} bytes with its rates", f"at most {MOST_BYTES:,}, to be published")]
        )
    return Checked(found, loaded)
