"""Ways in which a lead comes to the site, and small rules, for the tests of visits, touches and conversions."""

from typing import Any

from app.domain.event import Arrival
from app.domain.journey import all_touches
from tests.domain.stories import Story

SITE = "shop.example"
DIRECT = Arrival(page_domain=SITE)
SPRING = Arrival(source="google", medium="cpc", campaign="spring", source_category="search", page_domain=SITE)
SUMMER = Arrival(source="google", medium="cpc", campaign="summer", source_category="search", page_domain=SITE)
MAILED = Arrival(source="news", medium="email", campaign="weekly", page_domain=SITE)
PARTNER = Arrival(source="p1", medium="affiliate", page_domain=SITE)


def referred(domain: str, category: str = "") -> Arrival:
    """An arrival from another site's link."""
    return Arrival(
        referrer_host=f"www.{domain}",
        referrer_domain=domain,
        referrer_category=category,
        referrer_name=domain,
        page_domain=SITE,
    )


GOOGLE = referred("google.com", "search")
BLOG = referred("blog.example")

PLAIN = """
version: t1
timezone: UTC
currency: EUR
own_domains: [shop.example]
payment_domains: [paypal.com]
internal: {ips: [203.0.113.0/24], email_domains: [corp.example], emails: [Boss@Home.example]}
signals:
  view: {event: page_viewed, points: 1}
  click: {event: email_clicked, points: 5}
  talk: {event: conversation, points: 20}
scores:
  engagement: {signals: all, min: 0}
  total: {engagement: 1}
stages: [{name: new}, {name: customer, enter: {orders: {ge: 1}}}]
"""


def plain(more: str = "") -> str:
    """Rules without caps and fading, and `more` sections."""
    return PLAIN + more


def touches(story: Story) -> list[tuple[str, str, str]]:
    """Return (event id, channel, campaign) of every touch of a lead, oldest first."""
    lead = story.lead()
    return [(t.event_id, t.channel, t.campaign) for t in all_touches(lead.core, lead.extras().touches, lead.rows)]


def score(story: Story) -> float:
    """Return the score now."""
    value: float = story.until(story.lead().core.at)["score"]
    return value


def visits(story: Story) -> tuple[int, float, int]:
    """Return how many visits, their seconds in all, and the longest in seconds."""
    core = story.lead().core
    return core.sessions, core.visit_ms / 1000, core.longest_visit // 1000


def credits(record: dict[str, Any], *models: str) -> list[list[int]]:
    """Return the minor units of these models."""
    return [record["credits"][model] for model in models]
