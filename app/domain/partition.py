"""Which partition a key belongs to: Kafka's default partitioner."""

import struct
from functools import lru_cache
from typing import Final

_MASK: Final = 0xFFFFFFFF
_M: Final = 0x5BD1E995
_SEED: Final = 0x9747B28C


def murmur2(data: bytes) -> int:
    """Return Kafka's 32-bit murmur2 of the bytes (org.apache.kafka.common.utils.Utils.murmur2), as an unsigned int."""
    length = len(data)
    whole = length & ~3
    h = _SEED ^ length
    for (word,) in struct.iter_unpack("<I", data[:whole]):
        k = word * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if length > whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


@lru_cache(maxsize=16_384)
def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that owns the key, of `partitions`."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
