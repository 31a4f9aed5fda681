"""How large a number, and how long a text, of a message can be: what is beyond is kept within, and nothing overflows.

A message may tell any number and a megabyte of text. What a lead keeps of it must fit its rows and the outputs.
"""

import hashlib
from typing import Final

LARGEST: Final = 1e12
"""Of a number that an event measures, and of the units that it is worth: as of amounts of money."""
LONGEST_DWELL_S: Final = 1e9
"""Of one event: some 30 years."""
MOST_PIECES: Final = 1e9
"""Of a product in one event."""
MOST_MINOR: Final = 10**18
"""Minor units of a sum in outputs, which are integers of 64 bits."""
LONGEST_TEXT: Final = 500
"""Characters of a text that is kept: an id, a name, a title, a campaign's texts. They stand in every touch."""
_DIGEST_BYTES: Final = 16


def bounded(value: float, most: float = LARGEST) -> float:
    """Return a number, or what is nearest to it from -`most` to `most`."""
    return max(-most, min(value, most))


def short(text: str) -> str:
    """Return text as it is kept: of more than 500 characters the beginning and a digest, so that two stay two."""
    if len(text) <= LONGEST_TEXT:
        return text
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
    return f"{text[: LONGEST_TEXT - len(digest) - 1]}~{digest}"
