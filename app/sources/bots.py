"""Bots by their user agent, from CrawlerDetect's list."""

import functools
import re
from typing import Final

from crawlerdetect import CrawlerDetect

LOOKED_AT: Final = 512
"""Characters of a user agent that are looked at: the list's patterns take quadratic time on long text."""

_MAIL_READERS: Final = re.compile(r"GoogleImageProxy|YahooMailProxy|Microsoft Outlook|Outlook-(?:iOS|Android)")
"""What a mailer sees of people who read their mail: the list takes these for machines, as they are on a website."""


def is_bot(user_agent: str, *, mail: bool = False) -> bool:
    """Whether a user agent is a crawler's, a monitor's or an HTTP library's (curl, python-requests, okhttp).

    Told by a mail event (`mail`), Outlook and the proxies through which Gmail and Yahoo show pictures are no bots: what
    people open there is opened through them.

    Libraries count as bots because no person browses with them; a server that reports a person's events leaves
    `context.userAgent` out or passes the person's on. No user agent is no bot.
    """
    seen = user_agent[:LOOKED_AT]
    return _is_bot(seen) and not (mail and _MAIL_READERS.search(seen))


@functools.lru_cache(maxsize=4_096)
def _is_bot(user_agent: str) -> bool:
    return bool(_crawlers().is_crawler(user_agent))


@functools.lru_cache(maxsize=1)
def _crawlers() -> CrawlerDetect:
    return CrawlerDetect()
