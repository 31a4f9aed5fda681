"""Who owns an identifier, and how a lead is called outside without telling its address or phone number."""

import functools
import hashlib
import hmac
from typing import Final

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF
_LONGEST_CACHED: Final = 256


def murmur2(data: bytes) -> int:
    """Return Kafka's 32-bit murmur2 of `data`, unsigned.

    Source: `org.apache.kafka.common.utils.Utils.murmur2`, seed 0x9747b28c.
    """
    length = len(data)
    h = (_SEED ^ length) & _MASK
    whole = length & ~3
    for start in range(0, whole, 4):
        k = (int.from_bytes(data[start : start + 4], "little") * _M) & _MASK
        k = ((k ^ (k >> 24)) * _M) & _MASK
        h = ((h * _M) & _MASK) ^ k
    if length > whole:
        h = ((h ^ int.from_bytes(data[whole:], "little")) * _M) & _MASK
    h = ((h ^ (h >> 13)) * _M) & _MASK
    return h ^ (h >> 15)


def bare(key: str) -> str:
    """Return an identifier's own text, which is its record key: `email:a@b.c` → `a@b.c`."""
    return key.partition(":")[2]


def owner(key: str, partitions: int) -> int:
    """Return the partition that owns an identifier: that of its bare text under Kafka's default partitioner."""
    return _owner(key, partitions) if len(key) <= _LONGEST_CACHED else _owner.__wrapped__(key, partitions)


@functools.lru_cache(maxsize=65_536)
def _owner(key: str, partitions: int) -> int:
    return (murmur2(bare(key).encode()) & 0x7FFFFFFF) % partitions


def lead_id(key: str, id_key: bytes) -> str:
    """Return what a lead with this root is called in outputs.

    A `user:` or `anon:` root is its own name. Of an `email:` or `phone:` root the text is replaced by 16 hex digits of
    HMAC-SHA256(`id_key`, the whole identifier with its prefix).
    """
    kind, _, _ = key.partition(":")
    if kind not in ("email", "phone"):
        return key
    return f"{kind}:{hmac.new(id_key, key.encode(), hashlib.sha256).hexdigest()[:16]}"
