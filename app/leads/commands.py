"""What stands on `leads.commands`: how lanes, the replay and operators speak to a lane."""

from typing import Final

import msgspec

from app.engine.program import Record
from app.rules.version import Version


class ForwardedEvent(msgspec.Struct, frozen=True, tag_field="op", tag="event"):
    """A record that landed in another partition than its lead's, sent on to the owner as it was first read."""

    topic: str
    """Without the settings' prefix."""
    partition: int
    offset: int
    timestamp: int
    value: bytes

    def record(self) -> Record:
        """Return the record as it was first read."""
        return Record(self.topic, self.partition, self.offset, self.timestamp, None, self.value)


class Advance(msgspec.Struct, frozen=True, tag_field="op", tag="advance"):
    """Fold what has been taken in and apply timed changes, up to a time."""

    to: int
    """UTC ms."""
    snapshot: bool = False
    """Take every lead of the partition, and have each send its profile as of `to`."""


class Switch(msgspec.Struct, frozen=True, tag_field="op", tag="rules"):
    """Go by other rules from here on: what stands before it is folded with those until now."""

    at: int
    """UTC ms; when they were published. Of two versions of a brand the one published later holds."""
    rules: Version


Command = ForwardedEvent | Advance | Switch

_DECODER: Final[msgspec.msgpack.Decoder[Command]] = msgspec.msgpack.Decoder(Command)


def encode(command: Command) -> bytes:
    """Return a command as the value of a record."""
    return msgspec.msgpack.encode(command)


def decode(value: bytes | None) -> Command | None:
    """Return the command of a record; None when it is none."""
    try:
        return _DECODER.decode(value or b"")
    except msgspec.MsgspecError:
        return None
