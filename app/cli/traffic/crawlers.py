"""Robots that run the tracker: search engines, link checkers, collectors of text."""

import random
from collections.abc import Iterator
from typing import Any, Final

from app.cli.traffic.catalogue import ARTICLES, PRODUCTS
from app.cli.traffic.messages import BROWSER, WEB, Message, Page
from app.cli.traffic.people import random_uuid

_LIKE_CHROME: Final = "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; "
AGENTS: Final = (
    _LIKE_CHROME + "Googlebot/2.1; +http://www.google.com/bot.html) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    _LIKE_CHROME + "GPTBot/1.2; +https://openai.com/gptbot)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
)


def crawl(rng: random.Random, start_ms: int, end_ms: int, pages: int) -> Iterator[Message]:
    """Yield the page views of some crawls, each with an anonymous id of its own; times in UTC ms."""
    paths = ["/", "/shoes", "/jackets", "/pricing", *ARTICLES, *(product.path for product in PRODUCTS)]
    left = pages
    while left > 0:
        at = rng.randrange(start_ms, end_ms)
        agent, anonymous_id = rng.choice(AGENTS), random_uuid(rng)
        for _ in range(min(left, rng.randint(1, 6))):
            left -= 1
            page = Page(rng.choice(paths))
            body: dict[str, Any] = {
                "type": "page",
                "name": None,
                "properties": page.context(),
                "context": {"page": page.context(), "userAgent": agent, "locale": "en-US", "library": BROWSER},
                "messageId": f"ajs-next-{at}-{random_uuid(rng)}",
                "anonymousId": anonymous_id,
                "userId": None,
                "integrations": {},
            }
            yield Message(at, WEB, body, at + 5, at + 60)
            at += rng.randint(800, 9000)
