"""Records of `events.rejected`: bad input is never lost (SEMANTICS §1)."""

import base64
import hashlib
from typing import Any, Final

from app.domain.event import Rejected
from app.domain.outputs import iso
from app.engine.program import Record

RAW_LIMIT: Final = 262_144
"""Bytes of the original that are kept."""


def rejected_record(record: Record, topic: str, why: Rejected) -> dict[str, Any]:
    """Return what is told of a record that is no event; `topic` is its name without a prefix."""
    value = record.value or b""
    told: dict[str, Any] = {
        "reason": why.reason,
        "detail": why.detail,
        "topic": topic,
        "partition": record.partition,
        "offset": record.offset,
        "at": iso(record.timestamp),
        "raw": "",
        "raw_bytes": len(value),
        "sha256": hashlib.sha256(value).hexdigest(),
    }
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        told["raw"] = base64.b64encode(value[:RAW_LIMIT]).decode("ascii")
        told["raw_base64"] = True
    else:
        # A character that the limit cuts in two is left out.
        told["raw"] = value[:RAW_LIMIT].decode("utf-8", "ignore")
    return told
