"""Bots by their user agent, from CrawlerDetect's list."""

import functools
from typing import Final

from crawlerdetect import CrawlerDetect

LOOKED_AT: Final = 512
"""Characters of a user agent that are looked at: the list's patterns take quadratic time on long text."""


def is_bot(user_agent: str) -> bool:
    """Whether a user agent is a crawler's, a monitor's or an HTTP library's (curl, python-requests, okhttp).

    Libraries count as bots because no person browses with them; a server that reports a person's events leaves
    `context.userAgent` out or passes the person's on. No user agent is no bot.
    """
    return _is_bot(user_agent[:LOOKED_AT])


@functools.lru_cache(maxsize=4_096)
def _is_bot(user_agent: str) -> bool:
    return bool(_crawlers().is_crawler(user_agent))


@functools.lru_cache(maxsize=1)
def _crawlers() -> CrawlerDetect:
    return CrawlerDetect()
