"""A program that counts: one row a key, and what it does when told to forward or to make noise."""

from collections import Counter
from collections.abc import Callable, Sequence

from app.engine.program import Output, Record, Rows, Step
from app.engine.worker import Builder
from app.settings import Settings
from app.topics import topics


class Toy:
    """Counts records by key; `fwd:<key>` in a value sends one on; every 10th count of a key is told."""

    def __init__(self, settings: Settings) -> None:
        self.commands = topics(settings).commands.name
        self.segments = topics(settings).segments.name

    def opened(self, rows: Rows) -> None:
        self.known = len(rows.scan(b"k"))

    def step(self, records: Sequence[Record], rows: Rows) -> Step:
        added: Counter[bytes] = Counter()
        outputs: list[Output] = []
        for record in records:
            key, value = record.key or b"", record.value or b""
            if value.startswith(b"fwd:"):
                outputs.append(Output(self.commands, value[4:], b"one"))
            elif value != b"none":
                added[b"k" + key] += 1
        changed: dict[bytes, bytes | None] = {}
        keys = list(added)
        for key, old in zip(keys, rows.get_many(keys), strict=True):
            before = int(old or 0)
            now = before + added[key]
            changed[key] = b"%d" % now
            outputs += [Output(self.segments, key[1:], b"%d" % n) for n in range(before // 10 * 10 + 10, now + 1, 10)]
        return Step(changed, outputs, {"records": len(records)})

    def refuse(self, record: Record, rows: Rows, size: int, limit: int) -> Step | None:
        raise NotImplementedError

    def idle(self, rows: Rows, clock: int | None, most: int) -> Step | None:
        return None

    def render(self, ref: bytes, rows: Rows) -> Output:
        raise NotImplementedError


def toy_of(settings: Settings) -> Callable[[int], Toy]:
    """Return the program factory."""
    return lambda _: Toy(settings)


def toy(builder: Builder, settings: Settings) -> None:
    """The agent."""
    builder.lane_agent("toy", builder.topics.inputs, toy_of(settings), table="leads")
