"""Times as trackers write them, read as UTC ms."""

import math
import re
from datetime import UTC, datetime
from typing import Any, Final

EARLIEST: Final = int(datetime(1990, 1, 1, tzinfo=UTC).timestamp()) * 1000
LATEST: Final = int(datetime(2101, 1, 1, tzinfo=UTC).timestamp()) * 1000 - 1
"""Event times outside [EARLIEST, LATEST] are `bad_timestamp`: the years 1990 to 2100."""

_LONGEST: Final = 64
"""Characters of a time; longer text is none, and no pattern is tried on it."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_MS: Final = re.compile(r"-?\d{1,16}(?:\.\d*)?", re.ASCII)
_ZONE_NAME: Final = re.compile(r"\s*(?:UTC|GMT|Z)$", re.IGNORECASE)
_SPACED_OFFSET: Final = re.compile(r"\s+(?=[+-]\d{2}:?\d{2}$)", re.ASCII)


def read_time(value: Any) -> int | None:
    """Return UTC ms of ISO 8601 text or of epoch ms (a number or its text), rounded down; None if unreadable.

    Text without a zone is UTC; a date alone is its midnight. `UTC` or `GMT` may stand for the zone, a space before it.
    """
    if isinstance(value, str):
        return _read_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return math.floor(value)


def in_range(at: int) -> bool:
    """Whether an event may have happened then."""
    return EARLIEST <= at <= LATEST


def _read_text(text: str) -> int | None:
    if len(text) > _LONGEST:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or len(text) < 10 or "-" not in text[:8]:
        text = text.strip()
        if _EPOCH_MS.fullmatch(text):
            return math.floor(float(text))
        if moment is None:
            try:
                moment = datetime.fromisoformat(_SPACED_OFFSET.sub("", _ZONE_NAME.sub("+00:00", text)))
            except ValueError:
                return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
