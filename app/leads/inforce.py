"""Which rules are in force in a lane. They are rows of it: a crash, a restart or another worker changes nothing.

Rules come from files that a worker is started with, or were published. What was published holds: a file counts only for
a brand of which nothing ever was.
"""

import hashlib
import logging
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec

from app.domain.reader import Reader
from app.domain.rulebook import Rules
from app.engine.program import Rows
from app.leads.commands import Switch
from app.leads.follow import EVERYBODY
from app.rules.version import Version

log = logging.getLogger(__name__)

DEFAULT_BRAND: Final = "default"
_HEAD: Final = b"\x01rules"
_EDITION: Final = b"\x01rules|"


class Edition(msgspec.Struct, frozen=True):
    """Rules of a brand as a lane keeps them: as published, or as a file amounted to."""

    since: int
    """UTC ms; when they were published, or the worker that brought them was started; 0 = they are the lane's first."""
    sha256: str
    version: Version | None = None
    """As published."""
    compiled: bytes = b""
    """Else what the file amounted to, msgpack."""


class InForce(msgspec.Struct, frozen=True):
    """The rules of every brand at one point of a lane's input."""

    editions: dict[str, Edition]
    readers: dict[str, Reader]
    fallback: str
    """Brand by whose rules those go that have none."""

    def reader(self, brand: str) -> Reader:
        """Return the rules that leads of a brand go by."""
        return self.readers.get(brand) or self.readers[self.fallback]

    def switched(self, command: Switch) -> "InForce | None":
        """Return what is in force after a switch; None when it changes nothing: a repeat, or older than what is.

        Raises:
            RulesError: this version of the program cannot use them.
        """
        brand = command.rules.brand
        known = self.editions.get(brand)
        if known is not None and known.version is not None and command.at <= known.since:
            return None
        edition = published(command)
        fallback = DEFAULT_BRAND if brand == DEFAULT_BRAND else self.fallback
        return InForce(self.editions | {brand: edition}, self.readers | {brand: _reader(edition)}, fallback)

    def moved_since(self, before: "InForce") -> list[bytes]:
        """Return what the keys of the leads start with whose rules are others than before."""
        if self.fallback != before.fallback or _content(self, self.fallback) != _content(before, self.fallback):
            return [EVERYBODY]
        brands = self.editions.keys() | before.editions.keys()
        return [f"{brand}/".encode() for brand in sorted(brands) if _content(self, brand) != _content(before, brand)]

    def stage(self, staged: dict[bytes, bytes | None], before: "InForce | None") -> None:
        """Stage the rows that keep this; `before` is what the rows keep now."""
        known = {} if before is None else before.editions
        for brand, edition in self.editions.items():
            if known.get(brand) != edition:
                staged[_EDITION + brand.encode()] = msgspec.msgpack.encode(edition)
        for brand in known.keys() - self.editions.keys():
            staged[_EDITION + brand.encode()] = None
        staged[_HEAD] = msgspec.msgpack.encode((list(self.editions), self.fallback))


def _content(rules: InForce, brand: str) -> str | None:
    edition = rules.editions.get(brand)
    return None if edition is None else edition.sha256


class Given(msgspec.Struct, frozen=True):
    """What a worker is started with."""

    readers: Mapping[str, Reader]
    """From files, by brand."""
    published: Mapping[str, Switch] = {}
    """By brand, as they stood on the topic then."""
    started: int = 0
    """UTC ms."""

    def at_first(self) -> InForce:
        """Return what is in force in a lane that has never made a step: a published version, else a file."""
        editions = {brand: from_file(reader.rules, 0) for brand, reader in self.readers.items()}
        editions |= {brand: published(switch) for brand, switch in self.published.items()}
        readers = {brand: _reader(edition) for brand, edition in editions.items() if edition.version is not None}
        return InForce(editions, {**self.readers, **readers}, _fallback(editions, next(iter(editions))))

    def after(self, kept: InForce) -> InForce | None:
        """Return what is in force from the first step of this worker on; None when it is what the lane kept.

        A switch that the lane has not read yet is still to come; of a brand that it knows nothing of, what was
        published holds at once.
        """
        editions = {brand: edition for brand, edition in kept.editions.items() if edition.version is not None}
        for brand in [*self.readers, *self.published]:
            if brand in editions:
                continue
            known = kept.editions.get(brand)
            if brand in self.published:
                editions[brand] = published(self.published[brand]) if known is None else known
            elif known is not None and known.sha256 == _hash(self.readers[brand].rules):
                editions[brand] = known
            else:
                editions[brand] = from_file(self.readers[brand].rules, self.started)
        fallback = _fallback(editions, kept.fallback)
        if editions == kept.editions and fallback == kept.fallback:
            return None
        return InForce(editions, {brand: _reader(edition) for brand, edition in editions.items()}, fallback)


def _fallback(editions: Mapping[str, Edition], otherwise: str) -> str:
    if DEFAULT_BRAND in editions:
        return DEFAULT_BRAND
    return otherwise if otherwise in editions else next(iter(editions))


def load_in_force(rows: Rows, given: Given) -> InForce | None:
    """Return what the rows of a lane keep; None when it has never made a step.

    Raises:
        RulesError: this version of the program cannot use rules that were published with an earlier one.
    """
    head = rows.get(_HEAD)
    if head is None:
        return None
    brands, fallback = msgspec.msgpack.decode(head, type=tuple[list[str], str])
    kept = rows.get_many([_EDITION + brand.encode() for brand in brands])
    editions = {
        brand: msgspec.msgpack.decode(row or b"", type=Edition) for brand, row in zip(brands, kept, strict=True)
    }
    readers = {}
    for brand, edition in editions.items():
        try:
            readers[brand] = _reader(edition)
        except msgspec.ValidationError:  # a file as an earlier version of the program took it: the file itself is here
            log.warning("brand %s: the rules in force were made by another version of this program", brand)
            readers[brand] = given.readers.get(brand) or next(iter(given.readers.values()))
    return InForce(editions, readers, fallback)


def published(switch: Switch) -> Edition:
    """Return a version as a lane keeps it."""
    return Edition(switch.at, switch.rules.sha256, switch.rules)


def from_file(rules: Rules, since: int) -> Edition:
    """Return the rules of a file as a lane keeps them."""
    return Edition(since, _hash(rules), compiled=msgspec.msgpack.encode(rules))


def _hash(rules: Rules) -> str:
    return hashlib.sha256(msgspec.msgpack.encode(rules, order="deterministic")).hexdigest()


@lru_cache(maxsize=64)
def _reader(edition: Edition) -> Reader:
    """Return an edition's rules, ready to read events with; the lanes of a worker share them."""
    if edition.version is not None:
        return Reader(edition.version.compiled(), edition.since)
    return Reader(msgspec.msgpack.decode(edition.compiled, type=Rules), edition.since)
