"""Mail scanners: software that opens every link of a mail before a person sees it (SEMANTICS §1)."""

from collections.abc import Iterable
from typing import Final

from app.domain.facts import Fact
from app.domain.state import SeenMail

DELIVERY_MS: Final = 10_000
"""A click sooner than this after the delivery is a scanner's."""
BURST_MS: Final = 5_000
BURST_LINKS: Final = 3
CLICK: Final = "email_clicked"


def seen(fact: Fact) -> SeenMail:
    """Return what is remembered of a delivery or click."""
    assert fact.mail is not None
    return SeenMail(fact.at, fact.kind, fact.mail.mail, fact.mail.link, fact.id, fact.tagged)


def recent(mails: Iterable[SeenMail], now: int) -> list[SeenMail]:
    """Return what can still tell a scanner at `now`."""
    return [mail for mail in mails if now - mail.at < DELIVERY_MS]


def scanner_clicks(mails: list[SeenMail]) -> set[str]:
    """Return the ids of the clicks that are a scanner's.

    A click less than 10 s after its mail's delivery, and all clicks of one mail within 5 s that go to 3 or more links.
    """
    by_mail: dict[str, list[SeenMail]] = {}
    for mail in mails:
        by_mail.setdefault(mail.mail, []).append(mail)
    found: set[str] = set()
    for same in by_mail.values():
        delivered = [mail.at for mail in same if mail.kind != CLICK]
        clicks = sorted((mail for mail in same if mail.kind == CLICK), key=lambda mail: mail.at)
        found.update(click.fact_id for click in clicks if any(0 <= click.at - at < DELIVERY_MS for at in delivered))
        begin = 0
        for end, click in enumerate(clicks):
            while click.at - clicks[begin].at >= BURST_MS:
                begin += 1
            burst = clicks[begin : end + 1]
            if len({mail.link for mail in burst if mail.link}) >= BURST_LINKS:
                found.update(mail.fact_id for mail in burst)
    return found
