"""Who visits the sample shop: people with devices, habits and traits, drawn from a seed."""

import dataclasses
import random
import uuid
from typing import Any, Final

from app.cli.traffic.arrivals import draw
from app.cli.traffic.catalogue import CATEGORY_WEIGHTS, Product

PERSONAS: Final = {"passer_by": 676, "browser": 205, "shopper": 88, "loyal": 11, "business": 20}
"""How many of a thousand people are of which habit."""

COUNTRIES: Final = {"UA": 32, "PL": 22, "DE": 18, "CZ": 6, "RO": 5, "FR": 5, "GB": 5, "US": 5, "NO": 2}
LOCALES: Final = {
    "UA": "uk-UA",
    "PL": "pl-PL",
    "DE": "de-DE",
    "CZ": "cs-CZ",
    "RO": "ro-RO",
    "FR": "fr-FR",
    "GB": "en-GB",
    "US": "en-US",
    "NO": "nb-NO",
}
CURRENCIES: Final = {"UA": "UAH", "US": "USD", "GB": "USD"}
"""Currency of a country's orders; euros elsewhere."""
PHONES: Final = {
    "UA": ("+38067", 7),
    "PL": ("+4860", 7),
    "DE": ("+49151", 8),
    "US": ("+1312555", 4),
    "GB": ("+447700900", 3),
}
"""How a mobile number begins, and how many digits follow."""

GIVEN: Final = (
    *("Olena", "Andrii", "Iryna", "Taras", "Oksana", "Dmytro", "Kateryna", "Piotr", "Anna", "Marek", "Zofia"),
    *("Lukas", "Lena", "Jonas", "Marie", "Petr", "Jana", "Elena", "Claire", "Tom", "Emily", "Ingrid", "James"),
)
FAMILY: Final = (
    *("Shevchenko", "Kovalenko", "Bondar", "Melnyk", "Tkach", "Nowak", "Kowalska", "Wójcik", "Zielinski"),
    *("Müller", "Schmidt", "Weber", "Fischer", "Novák", "Popescu", "Martin", "Smith", "Brown", "Hansen", "Miller"),
)
MAILBOXES: Final = {"gmail.com": 60, "ukr.net": 14, "outlook.com": 10, "icloud.com": 9, "proton.me": 7}
COMPANIES: Final = (
    ("Dnipro Logistics", "dniprologistics.example", 240),
    ("Baltic Build", "balticbuild.example", 85),
    ("Nordwind Energie", "nordwind.example", 1200),
    ("Karpaty Guides", "karpatyguides.example", 18),
    ("Hafen Werkstatt", "hafenwerkstatt.example", 55),
    ("Vistula Couriers", "vistulacouriers.example", 410),
    ("Green Park Services", "greenpark.example", 130),
    ("Odesa Port Crew", "odesaport.example", 620),
)

_CHROME: Final = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0"
PHONES_UA: Final = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.6 Mobile/15E148 Safari/604.1",
    f"Mozilla/5.0 (Linux; Android 10; K) {_CHROME} Mobile Safari/537.36",
)
DESKTOPS_UA: Final = (
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME} Safari/537.36",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_CHROME} Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME} Safari/537.36 Edg/142.0.0.0",
)

ASCII: Final = str.maketrans({"ó": "o", "ü": "ue", "á": "a"})


@dataclasses.dataclass
class Device:
    """One browser and what it remembers."""

    anonymous_id: str
    user_agent: str
    logged_in: bool = False
    """Whether the tracker on it has the person's user id."""
    clock_ahead: int = 0
    """ms by which its clock is wrong; its messages carry `originalTimestamp` instead of `timestamp`."""


@dataclasses.dataclass
class Order:
    """One order of a person; `at` in UTC ms."""

    order_id: str
    at: int
    properties: dict[str, Any]


@dataclasses.dataclass
class Person:
    """A visitor: what never changes, and what the simulation has let happen so far."""

    number: int
    rng: random.Random
    persona: str
    given: str
    family: str
    email: str
    user_id: str
    country: str
    category: str
    """What they mostly look at."""
    devices: list[Device]
    phone: str = ""
    company: str = ""
    employees: int = 0
    scanned: bool = False
    """Whether a security scanner opens the links of their mail first."""
    staff: bool = False
    visits: int = 0
    gave_email: bool = False
    has_account: bool = False
    subscribed: bool = False
    mailable: bool = True
    erased: bool = False
    cart: list[tuple[Product, int]] = dataclasses.field(default_factory=list)
    orders: list[Order] = dataclasses.field(default_factory=list)

    @property
    def currency(self) -> str:
        """ISO 4217 code their prices are in."""
        return CURRENCIES.get(self.country, "EUR")

    @property
    def locale(self) -> str:
        """What their browser says it speaks."""
        return LOCALES[self.country]

    def traits(self) -> dict[str, Any]:
        """What the shop's `identify` tells of them."""
        traits: dict[str, Any] = {"email": self.email, "name": f"{self.given} {self.family}", "country": self.country}
        if self.company:
            traits |= {"company": self.company, "employees": self.employees}
        if self.phone:
            traits["phone"] = self.phone
        return traits


def generator(*of: object) -> random.Random:
    """Return a generator for these names: the same names, the same draws, on every machine."""
    return random.Random(":".join(map(str, of)))  # noqa: S311  reason: sample data, repeatable on purpose


def random_uuid(rng: random.Random) -> str:
    """Return a version 4 UUID."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def anonymous_id(seed: int, number: int, device: int) -> str:
    """Return the anonymous id of a person's device, without meeting the person."""
    return random_uuid(generator(seed, "device", number, device))


def meet(seed: int, number: int) -> Person:
    """Return a person who has done nothing yet; depends on the seed and the number alone."""
    rng = generator(seed, "person", number)
    persona = draw(rng, PERSONAS)
    country = draw(rng, COUNTRIES)
    given, family = rng.choice(GIVEN), rng.choice(FAMILY)
    local = f"{given}.{family}".lower().translate(ASCII)
    person = Person(
        number=number,
        rng=rng,
        persona=persona,
        given=given,
        family=family,
        email=f"{local}{number}@{draw(rng, MAILBOXES)}",
        user_id=f"u{10_000 + number}",
        country=country,
        category=draw(rng, CATEGORY_WEIGHTS),
        devices=_devices(rng, seed, number),
    )
    if persona == "business":
        person.company, domain, person.employees = rng.choice(COMPANIES)
        person.email = f"{local}{number}@{domain}"
        person.scanned = rng.random() < 0.5
    if rng.random() < 0.3 and country in PHONES:
        prefix, more = PHONES[country]
        person.phone = prefix + "".join(rng.choices("123456789", k=more))
    if number % 700 == 350:
        person.staff, person.persona, person.email = True, "browser", f"{local}{number}@shop.example"
    return person


def _devices(rng: random.Random, seed: int, number: int) -> list[Device]:
    """Return one device or two; every few hundredth person sits at the computer of the person before."""
    mobile = rng.random() < 0.58
    owner = number - 1 if number % 300 == 150 else number
    first = Device(anonymous_id(seed, owner, 0), rng.choice(PHONES_UA if mobile else DESKTOPS_UA))
    if rng.random() < 0.012:
        first.clock_ahead = rng.choice((-1, 1)) * rng.randrange(120_000, 5_400_000, 1000)
    devices = [first]
    if rng.random() < 0.28:
        devices.append(Device(anonymous_id(seed, number, 1), rng.choice(DESKTOPS_UA if mobile else PHONES_UA)))
    return devices
