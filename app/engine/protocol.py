"""The lane protocol's records: meta row, stamps, headers, channels. Pure; docs/decisions/0002 says why it is so."""

import struct
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

META_KEY: Final = b"\x00meta"
EPOCH_KEY: Final = b"\x00epoch"
"""The epoch marker: what a lane writes first when it takes a partition over."""

STAMP_HEADER: Final = "s"
_STAMP: Final = struct.Struct(">IQ")

LANE_HEADER: Final = "lane"
EPOCH_HEADER: Final = "epoch"
SEQ_HEADER: Final = "seq"

Headers = Sequence[tuple[str, bytes]]
"""Of a record; a list when it is to be appended."""


class FencedError(RuntimeError):
    """A newer owner has the partition: this lane must die without sending anything more."""


class ChannelGapError(RuntimeError):
    """A record of another lane is missing from a channel; nothing may be applied over the gap."""


class LogError(RuntimeError):
    """The changelog is not what this lane left there."""


class ForeignLogError(LogError):
    """The changelog is not the one that the local rows were made from: it is shorter, or begins later."""


class OutdatedCopyError(LogError):
    """The changelog was compacted since the local rows were made: what was deleted meanwhile may not be told."""


class Stamp(msgspec.Struct, frozen=True, order=True, array_like=True):
    """Who wrote a changelog record: epoch and step of the lane; in a header of each, since compaction may keep any."""

    epoch: int = 0
    step: int = 0

    def headers(self) -> list[tuple[str, bytes]]:
        """Return the record headers that carry it."""
        return [(STAMP_HEADER, _STAMP.pack(self.epoch, self.step))]


NO_STAMP: Final = Stamp()


def stamp_of(headers: Headers) -> Stamp:
    """Return the stamp of a changelog record."""
    for name, value in headers:
        if name == STAMP_HEADER:
            return Stamp(*_STAMP.unpack(value))
    raise LogError("a changelog record has no stamp: something else than a lane writes there")


class Sent(msgspec.Struct, frozen=True, array_like=True):
    """One record of the outbox: what was, or must be, sent."""

    topic: str
    partition: int
    seq: int
    key: bytes | None = None
    value: bytes | None = None
    ref: bytes | None = None
    """When set, key and value are rendered from rows."""


class Meta(msgspec.Struct, frozen=True, array_like=True):
    """The meta row: where a lane stands. It is part of every step's batch."""

    epoch: int = 0
    step: int = 0
    next: dict[str, int] = {}
    """Next offset of each input topic."""
    sent: dict[str, int] = {}
    """Last seq sent, by `topic/partition`."""
    got: dict[str, int] = {}
    """Last seq applied, by `topic/lane`."""
    outbox: list[Sent] = []

    @property
    def stamp(self) -> Stamp:
        """The stamp of the step that wrote it."""
        return Stamp(self.epoch, self.step)


_META_ENCODER: Final = msgspec.msgpack.Encoder()
_META_DECODER: Final = msgspec.msgpack.Decoder(Meta)


def encode_meta(meta: Meta) -> bytes:
    """Return the meta row's bytes."""
    return _META_ENCODER.encode(meta)


def decode_meta(row: bytes | None) -> Meta:
    """Return the meta row; an empty one for a lane that never made a step."""
    return Meta() if row is None else _META_DECODER.decode(row)


def lane_headers(lane: str, epoch: int, seq: int) -> list[tuple[str, bytes]]:
    """Return the headers of an output: decimal text, so that any consumer can read them."""
    return [(LANE_HEADER, lane.encode()), (EPOCH_HEADER, b"%d" % epoch), (SEQ_HEADER, b"%d" % seq)]


def sender_of(headers: Headers) -> tuple[str, int] | None:
    """Return (lane, seq) of a record that a lane sent; None for any other."""
    lane: bytes | None = None
    seq: bytes | None = None
    for name, value in headers:
        if name == LANE_HEADER:
            lane = value
        elif name == SEQ_HEADER:
            seq = value
    return (lane.decode(), int(seq)) if lane is not None and seq is not None else None


def applies(got: dict[str, int], topic: str, sender: str, seq: int) -> bool:
    """Return whether a record of a channel is new, and note it in `got`; a repeat is not.

    Raises:
        ChannelGapError: records before it are missing.
    """
    channel = f"{topic}/{sender}"
    last = got.get(channel, 0)
    if seq <= last:
        return False
    if seq != last + 1:
        raise ChannelGapError(f"{topic}: after {last} the next record of lane {sender} is {seq}, not {last + 1}")
    got[channel] = seq
    return True


class StaleKeys:
    """Which rows of a changelog ended with a record that must be ignored, and so must be written again.

    A record is ignored when its stamp is below the highest seen before it: a former owner that did not know yet, or a
    producer's late repeat.
    """

    def __init__(self, highest: Stamp = NO_STAMP) -> None:
        self.highest = highest
        self.keys: set[bytes] = set()

    def accept(self, key: bytes, stamp: Stamp) -> bool:
        """Return whether the record counts."""
        if stamp < self.highest:
            self.keys.add(key)
            return False
        self.highest = stamp
        self.keys.discard(key)
        return True


_BATCH_BYTES: Final = 61
_ROW_BYTES: Final = 40
"""Most that Kafka and a stamp add to a row: lengths, offset and time as varints, and the header's 16 bytes."""


def size_of(rows: Iterable[tuple[bytes, bytes | None]]) -> int:
    """Return how many bytes the rows take at most, in a record batch before compression; some less is usual."""
    return _BATCH_BYTES + sum(len(key) + len(value or b"") + _ROW_BYTES for key, value in rows)
