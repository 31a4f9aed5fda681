"""Why a person visits and what they do then: the stories of the sample, one function each."""

from collections.abc import Callable
from typing import Final

from app.cli.traffic.arrivals import AGAIN, BUSINESS, FIRST, Arrival, arrive, draw
from app.cli.traffic.catalogue import ARTICLES, BY_CATEGORY, PRODUCTS, Product
from app.cli.traffic.people import Person
from app.cli.traffic.tab import Tab

WANTS: Final[dict[str, dict[str, int]]] = {
    "passer_by": {"glance": 76, "browse": 15, "read": 9},
    "browser": {"glance": 18, "browse": 47, "read": 25, "shop": 8, "teams": 2},
    "shopper": {"browse": 44, "read": 12, "shop": 22, "buy": 22},
    "loyal": {"browse": 44, "shop": 12, "buy": 30, "read": 14},
    "business": {"read": 28, "teams": 50, "browse": 17, "buy": 5},
}
"""What people of each habit want of a visit, in hundredths."""

MESSAGES: Final = (
    "Do you have the ridge boots in size 47, and how long is delivery to Lviv?",
    "We need forty rain jackets with our logo by March. What would that cost?",
    "My parcel shows as delivered but nobody here has it, can you check?",
    "Which of the packs fits a 16 inch laptop and a pair of boots?",
    "Could we try two sizes and send one back?",
)
"""What people write to the shop."""


def _product(person: Person) -> Product:
    """Return an article, mostly of the category they like."""
    return person.rng.choice(BY_CATEGORY[person.category] if person.rng.random() < 0.75 else PRODUCTS)


def glance(tab: Tab) -> None:
    """Look at one page and go."""
    rng = tab.rng
    draw_ = rng.random()
    if draw_ < 0.45:
        tab.look(_product(tab.person))
    else:
        tab.open(f"/{tab.person.category}" if draw_ < 0.7 else "/" if draw_ < 0.88 else rng.choice(list(ARTICLES)))
        tab.read(14)


def browse(tab: Tab) -> None:
    """Look around without buying."""
    rng = tab.rng
    tab.open("/" if rng.random() < 0.5 else f"/{tab.person.category}")
    tab.read(10)
    if rng.random() < 0.3:
        tab.search()
    elif rng.random() < 0.35:
        tab.narrow()
    for _ in range(rng.choices((1, 2, 3), (55, 30, 15))[0]):
        tab.look(_product(tab.person))
    if rng.random() < 0.06 and not tab.person.subscribed:
        tab.fill("newsletter")


def read(tab: Tab) -> None:
    """Read the blog; some subscribe."""
    rng = tab.rng
    tab.open(rng.choice(list(ARTICLES)))
    tab.read(110)
    if rng.random() < 0.35:
        tab.open(rng.choice(list(ARTICLES)))
        tab.read(80)
    if rng.random() < 0.3 and not tab.person.subscribed:
        tab.press("Get our letter")
        tab.fill("newsletter")
    elif rng.random() < 0.35:
        tab.look(_product(tab.person))


def _collect(tab: Tab) -> None:
    """Fill the cart."""
    rng = tab.rng
    if not tab.person.cart or rng.random() < 0.3:
        tab.open(f"/{tab.person.category}")
        for _ in range(rng.choices((1, 2), (70, 30))[0]):
            product = _product(tab.person)
            tab.look(product)
            tab.add(product)
    if tab.page is None or rng.random() < 0.75:
        tab.see_cart()
        if len(tab.person.cart) > 1 and rng.random() < 0.2:
            tab.remove()


def shop(tab: Tab) -> None:
    """Fill the cart and leave it, some at the checkout."""
    _collect(tab)
    if tab.person.cart and tab.rng.random() < 0.3:
        tab.check_out()
    elif tab.rng.random() < 0.3:
        tab.open("/delivery")
        tab.read(30)


def buy(tab: Tab) -> None:
    """Fill the cart and pay; few do at the first visit."""
    person = tab.person
    if person.visits < 2 and tab.rng.random() < 0.7:
        browse(tab)
        return
    _collect(tab)
    if person.cart:
        tab.check_out()
        tab.pay()


def teams(tab: Tab) -> None:
    """Find out what clothing a whole team costs, and ask."""
    rng = tab.rng
    tab.open("/pricing")
    tab.read(70)
    if rng.random() < 0.5:
        tab.open("/pricing/teams")
        tab.read(50)
    if rng.random() < 0.5:
        tab.press(rng.choice(("Ask for an offer", "Order a sample box", "Book a fitting")))
    if rng.random() < 0.42:
        form = rng.choice(("contact", "contact", "demo", "booking"))
        tab.open(f"/{form}")
        tab.fill(form, message=MESSAGES[1]) if form == "contact" else tab.fill(form)


STORIES: Final[dict[str, Callable[[Tab], None]]] = {
    "glance": glance,
    "browse": browse,
    "read": read,
    "shop": shop,
    "buy": buy,
    "teams": teams,
}


def visit(person: Person, at: int, arrival: Arrival | None = None, want: str = "") -> Tab:
    """Let a person visit at a UTC ms, by an arrival and with a wish, both drawn when not given."""
    rng = person.rng
    if arrival is None:
        ways = BUSINESS if person.persona == "business" else AGAIN if person.visits else FIRST
        arrival = arrive(rng, draw(rng, ways), person.category)
    device = person.devices[0] if rng.random() < 0.75 else person.devices[-1]
    person.visits += 1
    tab = Tab(person, device, at, arrival)
    wish = want or draw(rng, WANTS[person.persona])
    if arrival.landing:
        tab.open(arrival.landing)
        tab.read(45 if arrival.landing.startswith("/pricing") else 20)
    if not (arrival.landing and wish == "glance"):
        STORIES[wish](tab)
    if person.has_account and not device.logged_in and rng.random() < 0.5:
        tab.open("/account")
        tab.sign_in()
    if rng.random() < 0.012:
        tab.choose_consent(marketing=not person.mailable or rng.random() < 0.5)
    if rng.random() < 0.012 and not tab.asked:
        tab.open("/contact")
        tab.fill("contact", message=rng.choice(MESSAGES))
    if person.orders and "Mobile" in device.user_agent and rng.random() < 0.12:
        tab.use_app()
    if rng.random() < 0.015:
        _queue_offline(tab)
    return tab


def _queue_offline(tab: Tab) -> None:
    """The phone lost its network: what it has not sent arrives together, up to hours later."""
    late = tab.messages[len(tab.messages) // 2 :]
    sent = tab.at + round(tab.rng.expovariate(1 / 4_000_000))
    for message in late:
        message.sent = max(message.sent, sent)
        message.received = message.sent + 250
