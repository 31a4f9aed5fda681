"""Bytes read as one JSON object, or the reason why they are none."""

import json
import re
from typing import Any, Final, NoReturn

import orjson

from app.domain.event import Rejected

MAX_BYTES: Final = 1_000_000
MAX_NESTING: Final = 64

_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)  # one that never ends is cut too: no second try
_TO_BRACES: Final = bytes.maketrans(b"[]", b"{}")
_NO_BRACKET: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")


class OutOfRange(float):
    """A JSON number beyond a 64-bit float, as infinity with the text it was written in."""

    text: str

    def __new__(cls, text: str) -> "OutOfRange":
        """Keep the text."""
        made = super().__new__(cls, "-inf" if text.startswith("-") else "inf")
        made.text = text
        return made


class WithOutOfRange(dict[str, Any]):
    """A JSON object with `OutOfRange` numbers somewhere in it."""


def read_object(raw: bytes | None) -> dict[str, Any] | Rejected:
    """Return the JSON object in `raw`, or Rejected with `too_large`, `not_json` or `not_object`.

    Integers beyond 64 bits become floats. An object with numbers beyond a float is a `WithOutOfRange`: the fields are
    judged with them, then `without_out_of_range` takes them out.
    """
    if raw is None:
        return Rejected("not_json", "an empty value, expected a JSON object")
    if len(raw) > MAX_BYTES:
        return Rejected("too_large", f"{len(raw)} bytes, at most {MAX_BYTES} are read")
    if raw.count(b"{") + raw.count(b"[") > MAX_NESTING and _nesting_above(raw, MAX_NESTING):
        return Rejected("not_json", f"nested deeper than {MAX_NESTING}")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        try:
            value = _with_out_of_range(raw)
            value = WithOutOfRange(value) if isinstance(value, dict) else value
        except (ValueError, TypeError):
            return Rejected("not_json", str(error)[:200] if raw.strip() else "blank, expected a JSON object")
    if isinstance(value, dict):
        return value
    if value is None:
        return Rejected("not_json", "null, expected a JSON object")
    return Rejected("not_object", f"a JSON {_NAMES[type(value)]}, expected an object")


_NAMES: Final = {list: "array", str: "string", bool: "boolean", int: "number", float: "number", OutOfRange: "number"}


def exact_numbers(raw: bytes) -> dict[str, Any]:
    """Return the object with every number as the text it was written in; `raw` is known to be a JSON object."""
    read = json.loads(raw, parse_float=str, parse_int=str)
    assert isinstance(read, dict)
    return read


def without_out_of_range(value: Any) -> Any:
    """Return a JSON value with None in place of every number that is out of range."""
    if isinstance(value, dict):
        return {name: without_out_of_range(member) for name, member in value.items()}
    if isinstance(value, list):
        return [without_out_of_range(member) for member in value]
    return None if isinstance(value, OutOfRange) else value


def _nesting_above(raw: bytes, limit: int) -> bool:
    """Whether brackets outside of strings nest deeper than `limit`; of text that is no JSON, any answer."""
    brackets = _STRING.sub(b"", raw).translate(_TO_BRACES, _NO_BRACKET)
    for _ in range(limit):
        if not brackets:
            return False
        # One pass takes the innermost pairs: as many passes as there are levels.
        brackets = brackets.replace(b"{}", b"")
    return bool(brackets)


def _with_out_of_range(raw: bytes) -> Any:
    """Read JSON whose only fault is numbers out of range; raises ValueError or TypeError if there is another."""
    value = json.loads(raw.decode(), parse_float=_number, parse_int=_number, parse_constant=_no_constant)
    orjson.dumps(without_out_of_range(value))  # refuses lone surrogates, which json lets pass
    return value


def _number(text: str) -> int | float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        return OutOfRange(text)
    if text.lstrip("-").isdigit() and len(text) <= 18:
        return int(text)
    return number


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")
