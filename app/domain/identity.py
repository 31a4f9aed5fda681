"""Who owns an identifier, and how a lead is called outside without telling its address or phone number."""

import hashlib
import hmac
import re
from typing import Final

from app.domain.partition import partition_of

_LONGEST_CACHED: Final = 256
_LONGEST_BRAND: Final = 100
_NO_BRAND: Final = re.compile(r"[/\x00-\x1f\x7f]")


def is_brand(name: str) -> bool:
    """Whether text can be a brand's name, the part of output keys before the slash."""
    return 0 < len(name) <= _LONGEST_BRAND and _NO_BRAND.search(name) is None


def bare(key: str) -> str:
    """Return an identifier's own text, which is its record key: `email:a@b.c` → `a@b.c`."""
    return key.partition(":")[2]


def owner(key: str, partitions: int) -> int:
    """Return the partition that owns an identifier: that of its bare text under Kafka's default partitioner."""
    text = bare(key).encode()
    return (
        partition_of(text, partitions) if len(text) <= _LONGEST_CACHED else partition_of.__wrapped__(text, partitions)
    )


def lead_id(key: str, id_key: bytes) -> str:
    """Return what a lead with this root is called in outputs.

    A `user:` or `anon:` root is its own name. Of an `email:` or `phone:` root the text is replaced by 16 hex digits of
    HMAC-SHA256(`id_key`, the whole identifier with its prefix).
    """
    kind, _, _ = key.partition(":")
    if kind not in ("email", "phone"):
        return key
    return f"{kind}:{hmac.new(id_key, key.encode(), hashlib.sha256).hexdigest()[:16]}"
