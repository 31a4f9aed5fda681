"""YAML text → a tree of nodes that know their line, within limits that no text can get around.

Values are those of YAML 1.2's core schema: `no`, `on` and dates are text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from app.rules.errors import Report, RulesError, shown

MAX_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 40
MAX_NODES: Final = 100_000
"""Counted with every alias written out, so that aliases of aliases cannot explode."""

_NULL: Final = re.compile(r"null|Null|NULL|~|")
_BOOL: Final = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?(\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN"
)
_TAGS: Final = frozenset({"!", *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))})
"""Tags that say nothing: what stands there is that anyway."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value, as written and as meant."""

    line: int
    column: int
    written: str
    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    line: int
    column: int
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Entries:
    """A mapping; keys are unique and are text as written."""

    line: int
    column: int
    entries: tuple[tuple[Scalar, "Node"], ...]


Node = Scalar | Items | Entries


class _Stop(Exception):  # noqa: N818 - no error of its own: the report has the problem
    """The text cannot be read further."""


def parse(text: str, report: Report) -> Node:
    """Return the tree of a YAML text, its keys unique; raise RulesError when it cannot be read to its end."""
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        report.add(1, 1, "", "more than 1,000,000 bytes", "a smaller rules file")
        report.raise_if_any()
    builder = _Builder(report)
    try:
        return builder.document(YAML(typ="safe", pure=True).parse(text))
    except _Stop:
        pass
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        if "'\\t'" in str(error.problem):
            report.add(line, column, "", "a tab", "spaces: YAML does not indent with tabs")
        else:
            report.add(line, column, "", f"broken YAML ({shown(str(error.problem))})", "YAML 1.2")
    except YAMLError as error:
        report.add(1, 1, "", f"unreadable text ({shown(str(error))})", "YAML 1.2")
    raise RulesError(report.problems)


def plain(node: Node) -> Any:
    """Return the tree as dicts, lists and values."""
    match node:
        case Scalar():
            return node.value
        case Items():
            return [plain(item) for item in node.items]
        case Entries():
            return {key.written: plain(value) for key, value in node.entries}


class _Builder:
    def __init__(self, report: Report) -> None:
        self.report = report
        self.nodes = 0
        self.anchors: dict[str, tuple[Node, int, int]] = {}  # node, its size, its height

    def document(self, events: Iterator[Any]) -> Node:
        root: Node = Scalar(1, 1, "", None)
        documents = 0
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._stop(event, "", "a second document", "one document a file")
                root, _ = self._node(next(events), events, "", 1)
        return root

    def _node(self, event: Any, events: Iterator[Any], path: str, depth: int) -> tuple[Node, int]:
        """Return the node that `event` opens, and its height."""
        if isinstance(event, AliasEvent):
            return self._alias(event, path, depth)
        self._count(event, path, 1, depth)
        before = self.nodes
        node: Node
        if isinstance(event, ScalarEvent):
            node, height = self._scalar(event, path), 1
        elif isinstance(event, SequenceStartEvent):
            node, height = self._items(event, events, path, depth)
        else:
            node, height = self._entries(event, events, path, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = (node, self.nodes - before + 1, height)
        return node, height

    def _alias(self, event: Any, path: str, depth: int) -> tuple[Node, int]:
        if event.anchor not in self.anchors:
            self._stop(event, path, f"the alias *{shown(event.anchor)}", "an anchor of that name before it")
        node, size, height = self.anchors[event.anchor]
        self._count(event, path, size, depth + height - 1)
        return node, height

    def _scalar(self, event: Any, path: str) -> Scalar:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        self._check_tag(event, path)
        if _SURROGATE.search(event.value):
            self._stop(event, path.encode("utf-8", "replace").decode(), "half a character", "text in UTF-8")
        value = _resolve(event.value) if event.implicit[0] else event.value
        return Scalar(line, column, event.value, value)

    def _check_tag(self, event: Any, path: str) -> None:
        if event.tag is not None and str(event.tag) not in _TAGS:
            line, column = event.start_mark.line + 1, event.start_mark.column + 1
            self.report.add(line, column, path, f"the tag {shown(str(event.tag))}", "a value without a tag")

    def _items(self, start: Any, events: Iterator[Any], path: str, depth: int) -> tuple[Items, int]:
        self._check_tag(start, path)
        items: list[Node] = []
        height = 0
        for event in events:
            if isinstance(event, SequenceEndEvent):
                break
            node, below = self._node(event, events, f"{path}[{len(items)}]", depth + 1)
            items.append(node)
            height = max(height, below)
        return Items(start.start_mark.line + 1, start.start_mark.column + 1, tuple(items)), height + 1

    def _entries(self, start: Any, events: Iterator[Any], path: str, depth: int) -> tuple[Entries, int]:
        self._check_tag(start, path)
        entries: dict[str, tuple[Scalar, Node]] = {}
        height = 0
        for event in events:
            if isinstance(event, MappingEndEvent):
                break
            if not isinstance(event, ScalarEvent):
                self._stop(event, path, "a key that is no plain text", "a name")
            key = self._scalar(event, path)
            below_path = f"{path}.{key.written}" if path else key.written
            node, below = self._node(next(events), events, below_path, depth + 1)
            if key.written in entries:
                self.report.add(
                    key.line,
                    key.column,
                    below_path,
                    f"`{shown(key.written)}` a second time (first on line {entries[key.written][0].line})",
                    "each key once",
                )
            else:
                entries[key.written] = (key, node)
            height = max(height, below)
        return Entries(start.start_mark.line + 1, start.start_mark.column + 1, tuple(entries.values())), height + 1

    def _count(self, event: Any, path: str, nodes: int, depth: int) -> None:
        self.nodes += nodes
        if depth > MAX_DEPTH:
            self._stop(event, "", f"nesting deeper than {MAX_DEPTH}", "rules that nest less")
        if self.nodes > MAX_NODES:
            self._stop(event, path, f"more than {MAX_NODES:,} values, aliases written out", "a smaller rules file")

    def _stop(self, event: Any, path: str, found: str, expected: str) -> None:
        self.report.add(event.start_mark.line + 1, event.start_mark.column + 1, path, found, expected)
        raise _Stop


def _resolve(written: str) -> str | int | float | bool | None:
    """Return the meaning of a plain scalar in YAML 1.2's core schema."""
    if _NULL.fullmatch(written):
        return None
    if _BOOL.fullmatch(written):
        return written.lower() == "true"
    if len(written) > 400:  # no number that anyone wrote; and Python refuses to read very long ones
        return written
    if _INT.fullmatch(written):
        return int(written, 0) if written[:2] in ("0x", "0o") else int(written)
    if _FLOAT.fullmatch(written):
        return float(written.lower().replace(".", "") if written[-1] in "fFnN" else written)
    return written
