"""The shop's mails: what the mailer reports of each, people who open and click, scanners that click first."""

from typing import Any, Final, NamedTuple

from app.cli.traffic.messages import EMAIL, Message, from_server
from app.cli.traffic.people import Person, random_uuid

DAY: Final = 86_400_000
HOUR: Final = 3_600_000
SECOND: Final = 1000


class Letter(NamedTuple):
    """A mail the shop sends to many."""

    campaign: str
    subject: str
    links: tuple[str, ...]
    """Paths, the most clicked first."""


WELCOME: Final = Letter(
    "welcome", "Welcome! Here is how to choose well", ("/blog/how-to-choose-hiking-boots", "/", "/shoes")
)
CART_REMINDER: Final = Letter("cart_reminder", "You left something behind", ("/cart", "/delivery", "/contact"))
NEWSLETTERS: Final = (
    Letter("autumn_boots", "Boots for the wet months", ("/shoes", "/p/ridge-hiking-boots", "/blog/care-for-leather")),
    Letter("layers", "Three layers, any weather", ("/blog/layering-for-winter", "/jackets", "/p/fleece-zip")),
    Letter("team_prices", "Team wear: our new prices", ("/pricing", "/blog/team-wear-that-people-wear", "/demo")),
    Letter("packs", "Which pack are you?", ("/bags", "/p/trek-pack-45", "/blog/packing-list-weekend")),
    Letter("winter_is_here", "Down, wool and dry feet", ("/jackets", "/p/winter-boots-nord", "/shoes")),
    Letter("black_week", "Black Week for subscribers", ("/pricing", "/shoes", "/jackets")),
)


class Reaction(NamedTuple):
    """What a mail led to."""

    messages: list[Message]
    click: tuple[int, str] | None = None
    """UTC ms and path of the person's own click; the browser lands there."""


def mail(person: Person, at: int, letter: Letter) -> Reaction:
    """Send a letter to a person at a UTC ms; nothing happens when they may not be mailed."""
    if not person.mailable or not person.gave_email:
        return Reaction([])
    rng = person.rng
    about = {
        "email": person.email,
        "email_id": random_uuid(rng)[:18],
        "campaign_id": letter.campaign,
        "campaign_name": letter.campaign,
        "email_subject": letter.subject,
    }
    messages: list[Message] = []

    def report(event: str, when: int, **more: Any) -> None:
        messages.append(from_server(person, when, EMAIL, _call(event, about | more), python=True))

    report("Email Sent", at)
    if rng.random() < 0.022:
        hard = rng.random() < 0.5
        report("Email Bounced", at + rng.randint(900, 40_000), bounce_type="hard" if hard else "soft")
        person.mailable = not hard
        return Reaction(messages)
    delivered = at + rng.randint(900, 20_000)
    report("Email Delivered", delivered)
    if person.scanned:
        first = delivered + rng.randint(1500, 6000)
        for nth, link in enumerate(letter.links):
            report("Email Link Clicked", first + nth * rng.randint(300, 900), link_url="https://shop.example" + link)
    keen = {"passer_by": 0.2, "browser": 0.32, "shopper": 0.42, "loyal": 0.6, "business": 0.4}[person.persona]
    keen += 0.2 if letter is CART_REMINDER or letter is WELCOME else 0
    if rng.random() > keen:
        return Reaction(messages)
    patience = 40 * SECOND if rng.random() < 0.4 else 3 * HOUR  # some phones lie on the table
    opened = delivered + 12 * SECOND + round(rng.expovariate(1 / patience))
    report("Email Opened", opened)
    draw = rng.random()
    if draw < 0.3:
        clicked = opened + rng.randint(4 * SECOND, 90 * SECOND)
        link = rng.choices(letter.links, (6, 3, 1))[0]
        report("Email Link Clicked", clicked, link_url="https://shop.example" + link)
        return Reaction(messages, (clicked, link))
    if draw < 0.335:
        report("Unsubscribed", opened + 20 * SECOND)
        person.mailable = False
    elif draw < 0.342:
        report("Email Marked as Spam", opened + 15 * SECOND)
        person.mailable = False
    elif draw < 0.36:
        _report_late(messages[-1], rng.randint(1, 5 * HOUR))
    return Reaction(messages)


def _call(event: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "track", "event": event, "properties": properties}


def _report_late(message: Message, by: int) -> None:
    """The mailer reports hours after the fact, as mailers do."""
    message.sent += by
    message.received += by
