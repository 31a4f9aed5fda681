"""What leads to what: a visit to mails and calls, a mail's click to a visit, an order to a refund."""

from typing import Final, NamedTuple

from app.cli.traffic import mail, sales
from app.cli.traffic.arrivals import Arrival, from_mail
from app.cli.traffic.mail import DAY, HOUR, SECOND, Letter
from app.cli.traffic.messages import Message
from app.cli.traffic.people import Order, Person
from app.cli.traffic.visits import visit

LANDING_WANTS: Final = {"/pricing": "teams", "/demo": "teams", "/cart": "buy"}
"""What a person wants who clicked such a link in a mail."""


class Happening(NamedTuple):
    """Something to come in a person's life."""

    at: int
    """UTC ms."""
    what: str
    """visit, letter, remind, talk, qualify, win, refund, cancel or erase."""
    detail: Arrival | Letter | Order | str | None = None


def happen(person: Person, happening: Happening) -> tuple[list[Message], list[Happening]]:
    """Return the messages a happening makes, and what it leads to."""
    at, what, detail = happening
    if person.erased:
        return [], []
    if what == "visit":
        return _visit(person, at, detail if isinstance(detail, Arrival) else None)
    if what == "letter" and isinstance(detail, Letter):
        return _mail(person, at, detail) if person.subscribed or detail is mail.WELCOME else ([], [])
    if what == "remind":
        return _mail(person, at, mail.CART_REMINDER) if person.cart else ([], [])
    if what == "talk":
        return _talk(person, at, str(detail))
    if what == "qualify":
        return sales.qualify(person, at), _chance(person, 0.55, 4 * DAY, 16 * DAY, at, "win")
    if what == "win":
        return sales.win(person, at), []
    if what in ("refund", "cancel") and isinstance(detail, Order):
        return sales.undo(person, at, detail, cancel=what == "cancel"), []
    return sales.erase(person, at), []


def _chance(person: Person, p: float, low: int, typical: int, at: int, what: str) -> list[Happening]:
    """Return the happening with probability p, `low` ms and an exponential time with mean `typical` later."""
    if person.rng.random() >= p:
        return []
    return [Happening(at + low + round(person.rng.expovariate(1 / typical)), what)]


def _visit(person: Person, at: int, arrival: Arrival | None) -> tuple[list[Message], list[Happening]]:
    rng = person.rng
    want = LANDING_WANTS.get(arrival.landing, "") if arrival and arrival.way == "mail" else ""
    orders = len(person.orders)
    tab = visit(person, at, arrival, want if want != "buy" or person.cart else "")
    after: list[Happening] = []
    if tab.became_subscriber:
        after.append(Happening(tab.at + rng.randint(30, 180) * SECOND, "letter", mail.WELCOME))
    if person.cart and person.gave_email and rng.random() < 0.8:
        after.append(Happening(tab.at + 3 * HOUR + rng.randint(0, 2 * HOUR), "remind"))
    if tab.asked:
        after += [
            Happening(tab.at + HOUR + round(rng.expovariate(1 / (12 * HOUR))), "talk", "call")
            for _ in range(rng.random() < 0.7)
        ]
    elif rng.random() < (0.02 if person.persona != "passer_by" else 0.003):
        after.append(Happening(tab.at, "talk", rng.choice(("chat", "chat", "form"))))
    for order in person.orders[orders:]:
        if rng.random() < 0.05:
            after.append(Happening(tab.at + rng.randint(3 * DAY, 14 * DAY), "refund", order))
        elif rng.random() < 0.035:
            after.append(Happening(tab.at + rng.randint(HOUR, 20 * HOUR), "cancel", order))
    if person.has_account and person.visits > 1 and rng.random() < 0.009:
        after.append(Happening(tab.at + DAY, "erase"))
    return tab.messages, after


def _mail(person: Person, at: int, letter: Letter) -> tuple[list[Message], list[Happening]]:
    reaction = mail.mail(person, at, letter)
    if reaction.click is None:
        return reaction.messages, []
    clicked, path = reaction.click
    landed = clicked + person.rng.randint(600, 4000)
    return reaction.messages, [Happening(landed, "visit", from_mail(letter.campaign, path))]


def _talk(person: Person, at: int, medium: str) -> tuple[list[Message], list[Happening]]:
    messages = sales.talk(person, at, medium)
    if medium != "call":
        return messages, []
    p = 0.8 if person.persona == "business" else 0.15
    return messages, _chance(person, p, HOUR, 5 * HOUR, at, "qualify")
