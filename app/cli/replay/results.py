"""What a replay leaves in its folder: every output record, sorted, and a summary."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import orjson

from app.cli.replay.lines import MOST_BYTES, Line
from app.cli.replay.spool import Spool
from app.domain.event import Rejected
from app.engine.program import Record
from app.leads.rejects import rejected_record

NOT_APPLIED: Final = {"alias": "alias", "consent": "consent_changed", "erasure": "erase_requested"}
"""Names in the summary of event kinds that are counted and not applied."""

Find = Callable[[str, int, int], Line | None]
"""Returns the line that stands at (topic, partition, offset); None for a repeat of one."""


class Results:
    """Collects output records; `take` is what an `Outputs` gives them to."""

    def __init__(self) -> None:
        self._spool = Spool()
        self._segments: list[tuple[str, str, str, int, int]] = []
        self._conversions: list[tuple[str, str, int, str, str, int]] = []
        self._profiles: dict[bytes, int] = {}
        self._merged: list[tuple[str, str, int]] = []
        self._rejected: list[int] = []
        self._refused: list[tuple[str, int, bytes]] = []
        self._revisions = 0

    def take(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Take one output record, as it was sent."""
        if topic == "leads.profiles":
            # The last one of each lead is its snapshot; a tombstone takes the lead away.
            if key is not None:
                self._profiles.pop(key, None)
                if value is not None:
                    self._profiles[key] = self._spool.append(value)
            return
        if value is None:
            return
        number = self._spool.append(value)
        if topic == "events.rejected":
            self._rejected.append(number)
            return
        told = orjson.loads(value)
        if topic == "leads.segments":
            self._segments.append((told["at"], told["brand"], told["lead_id"], told["seq"], number))
        elif topic == "leads.conversions":
            # Two leads may have one order id, and so one conversion_id.
            whose = (told["brand"], told["lead_id"])
            self._conversions.append((told["at"], told["conversion_id"], told["revision"], *whose, number))
            self._revisions += told["supersedes"] is not None
        elif topic == "leads.merged":
            self._merged.append((told["at"], told["id"], number))

    def refuse(self, line: Line) -> None:
        """Reject a line that no broker would take: it has no partition and no offset."""
        why = Rejected("too_large", f"{len(line.value)} bytes, of which a topic takes at most {MOST_BYTES}")
        record = Record(line.input.topic, 0, 0, line.record_at, None, line.value)
        told = {**rejected_record(record, line.input.topic, why), "partition": None, "offset": None}
        self._refused.append((line.input.name, line.line, _with_place(told, line)))

    def write(self, folder: Path, find: Find, events: int, seconds: float, counts: Counter[str]) -> dict[str, Any]:
        """Write every file into `folder` and return the summary.

        The files take their names only when all of them are complete. Two runs over the same input write the same
        bytes, but for `seconds` and `events_per_second`.

        Args:
            folder: it exists.
            find: tells the line of a rejected record.
            events: lines that were published.
            seconds: that took.
            counts: of the lanes.

        Raises:
            OSError: a file cannot be written.
        """
        rejected = [line for _, _, line in sorted([*self._refused, *self._told_rejected(find)])]
        summary = {
            "events": events,
            "rejected": len(rejected),
            "duplicates": counts["duplicates"],
            "bots": counts["bots"],
            "leads": len(self._profiles),
            "segment_changes": len(self._segments),
            "conversions": len(self._conversions) - self._revisions,
            "revisions": self._revisions,
            "merges": len(self._merged),
            "late": counts["late"],
            "clamped": counts["clamped"],
            "not_applied": {name: counts[f"not_applied.{kind}"] for name, kind in NOT_APPLIED.items()},
            "seconds": round(seconds, 3),
            "events_per_second": round(events / seconds, 1) if seconds else 0.0,
        }
        files: dict[str, Iterable[bytes]] = {
            "segments.jsonl": self._texts(row[-1] for row in sorted(self._segments)),
            "conversions.jsonl": self._texts(row[-1] for row in sorted(self._conversions)),
            "profiles.jsonl": self._texts(number for _, number in sorted(self._profiles.items())),
            "merged.jsonl": self._texts(row[-1] for row in sorted(self._merged)),
            "rejected.jsonl": rejected,
            "models.jsonl": (),
            "insights.json": (b"{}",),
            "summary.json": (orjson.dumps(summary, option=orjson.OPT_INDENT_2),),
        }
        _write_all(folder, files)
        return summary

    def _texts(self, numbers: Iterable[int]) -> Iterator[bytes]:
        for number in numbers:
            yield self._spool[number]

    def _told_rejected(self, find: Find) -> Iterator[tuple[str, int, bytes]]:
        for number in self._rejected:
            told = orjson.loads(self._spool[number])
            line = find(told["topic"], told["partition"], told["offset"])
            if line is not None:
                yield line.input.name, line.line, _with_place(told, line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spool.close()


def _with_place(told: dict[str, Any], line: Line) -> bytes:
    return orjson.dumps({"input": line.input.name, "line": line.line, **told})


def _write_all(folder: Path, files: dict[str, Iterable[bytes]]) -> None:
    made = {name: folder / f".{name}.{os.getpid()}.part" for name in files}
    try:
        for name, lines in files.items():
            with made[name].open("wb") as file:
                for line in lines:
                    file.write(line)
                    file.write(b"\n")
        for name, part in made.items():
            part.replace(folder / name)
    finally:
        for part in made.values():
            with suppress(OSError):
                part.unlink(missing_ok=True)
