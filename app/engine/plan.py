"""What a step writes and sends: its batch with the meta row, and its outbox, numbered."""

from collections import defaultdict

import msgspec

from app.domain.partition import partition_of
from app.engine.kafka import Row
from app.engine.program import Output, Program, Rows, Step
from app.engine.protocol import META_KEY, Meta, Sent, encode_meta, lane_headers

Sends = dict[tuple[str, int], list[Row]]
"""Records to send, by topic and partition, in their order."""


class Plan(msgspec.Struct):
    """A step that is laid out and not taken yet."""

    step: Step
    meta: Meta
    rows: list[tuple[bytes, bytes | None]]
    sends: Sends


class Planner:
    """Lays out the steps of one lane; nothing it returns is done until the lane takes the step."""

    def __init__(self, lane: str, partition: int, partitions: int, *, keeps_outbox: bool = True) -> None:
        """Args.

        keeps_outbox: whether the meta row holds what is sent, for when it was not; not so when it is sent with it.
        """
        self._lane = lane
        self._partition = partition
        self._partitions = partitions
        self._keeps_outbox = keeps_outbox

    def plan(self, step: Step, last: Meta, epoch: int, following: dict[str, int], got: dict[str, int]) -> Plan:
        """Lay out the step after `last`, with the offsets and channel positions that come with it.

        Raises:
            ValueError: the program used a row key that is the engine's.
        """
        sent = dict(last.sent)
        outbox: list[Sent] = []
        sends: Sends = defaultdict(list)
        for output in step.outputs:
            partition = self._destination(output)
            channel = f"{output.topic}/{partition}"
            seq = sent[channel] = sent.get(channel, 0) + 1
            if not self._keeps_outbox:
                pass
            elif output.ref is None:
                outbox.append(Sent(output.topic, partition, seq, output.key, output.value))
            else:
                outbox.append(Sent(output.topic, partition, seq, ref=output.ref))
            headers = lane_headers(self._lane, epoch, seq)
            sends[output.topic, partition].append((output.key, output.value, headers))
        meta = Meta(epoch, last.step + 1, following, sent, got, outbox)
        for key in step.rows:
            if key[:1] in (b"", b"\x00"):
                raise ValueError(f"row key {key!r}: empty keys and those that start with a zero byte are the engine's")
        return Plan(step, meta, [*step.rows.items(), (META_KEY, encode_meta(meta))], sends)

    def _destination(self, output: Output) -> int:
        if output.partition is not None:
            return output.partition
        return self._partition if output.key is None else partition_of(output.key, self._partitions)

    def stored(self, last: Meta, program: Program, rows: Rows) -> Sends:
        """Return what the last step sent, as it sent it: the same content under the same headers."""
        sends: Sends = defaultdict(list)
        for sent in last.outbox:
            key, value = sent.key, sent.value
            if sent.ref is not None:
                output = program.render(sent.ref, rows)
                key, value = output.key, output.value
            headers = lane_headers(self._lane, last.epoch, sent.seq)
            sends[sent.topic, sent.partition].append((key, value, headers))
        return sends
