"""What the sample shop sells and says: products, pages, articles, searches, as data."""

from typing import Final, NamedTuple

SHOP: Final = "https://shop.example"

RATES: Final = {"EUR": 1.0, "USD": 1.09, "UAH": 47.2}
"""What one euro costs in the currencies the shop sells in."""


class Product(NamedTuple):
    """One article of the shop."""

    product_id: str
    name: str
    category: str
    euros: float
    """Price in euros."""

    @property
    def path(self) -> str:
        """Path of its page."""
        return "/p/" + self.name.lower().replace(" ", "-")

    def price(self, currency: str) -> float:
        """Price in major units of the currency, as the shop rounds it."""
        if currency == "UAH":
            return float(round(self.euros * RATES["UAH"] / 10) * 10 - 1)
        return round(self.euros * RATES[currency] - 0.01, 2) if currency == "USD" else self.euros


_RANGE: Final[dict[str, list[tuple[str, float]]]] = {
    "shoes": [
        ("Trail Runner", 119.0),
        ("Ridge Hiking Boots", 169.0),
        ("City Sneakers", 84.5),
        ("Leather Chelsea Boots", 189.0),
        ("Canvas Slip Ons", 49.9),
        ("Winter Boots Nord", 159.0),
        ("Road Racer", 139.0),
        ("Kids Wellies", 34.9),
    ],
    "jackets": [
        ("Storm Shell Jacket", 229.0),
        ("Down Parka", 279.0),
        ("Fleece Zip", 69.0),
        ("Softshell Jacket", 129.0),
        ("Rain Poncho", 39.9),
        ("Insulated Vest", 89.0),
    ],
    "bags": [
        ("Day Pack 20", 64.0),
        ("Trek Pack 45", 149.0),
        ("Messenger Bag", 79.0),
        ("Weekender", 118.0),
        ("Waist Pouch", 24.9),
    ],
    "trousers": [
        ("Convertible Trousers", 74.0),
        ("Winter Tights", 54.0),
        ("Work Trousers Pro", 92.0),
        ("Rain Trousers", 59.0),
    ],
    "hats": [("Merino Beanie", 24.5), ("Sun Hat", 29.0), ("Trucker Cap", 19.9)],
    "gloves": [("Ski Gloves", 59.0), ("Touch Liner Gloves", 22.0), ("Work Gloves Pack", 32.0)],
}

PRODUCTS: Final = tuple(
    Product(f"{category[:2].upper()}-{number:03d}", name, category, euros)
    for category, articles in _RANGE.items()
    for number, (name, euros) in enumerate(articles, start=101)
)

BY_CATEGORY: Final = {category: tuple(p for p in PRODUCTS if p.category == category) for category in _RANGE}

CATEGORY_WEIGHTS: Final = {"shoes": 38, "jackets": 26, "bags": 14, "trousers": 10, "hats": 6, "gloves": 6}
"""How many of a hundred people come for what."""

TITLES: Final = {
    "/": "Outdoor and city wear",
    "/pricing": "Team prices and branding",
    "/pricing/teams": "Prices for 50 people and more",
    "/contact": "Contact us",
    "/demo": "Order a sample box",
    "/booking": "Book a fitting",
    "/account": "Your account",
    "/cart": "Your cart",
    "/checkout": "Checkout",
    "/delivery": "Delivery and returns",
    "/about": "About us",
    "/search": "Search",
}

ARTICLES: Final = {
    "/blog/how-to-choose-hiking-boots": "How to choose hiking boots",
    "/blog/layering-for-winter": "Layering for winter",
    "/blog/waterproof-ratings-explained": "Waterproof ratings explained",
    "/blog/packing-list-weekend": "A packing list for a weekend",
    "/blog/team-wear-that-people-wear": "Team wear that people actually wear",
    "/blog/care-for-leather": "How to care for leather",
}

SEARCHES: Final = {
    "shoes": ("hiking boots", "trail running shoes", "winter boots price", "waterproof shoes"),
    "jackets": ("rain jacket", "down parka price", "softshell", "storm jacket xl"),
    "bags": ("backpack 45l", "laptop bag", "weekender"),
    "trousers": ("work trousers", "rain trousers", "team trousers price list"),
    "hats": ("beanie", "merino hat"),
    "gloves": ("ski gloves", "touchscreen gloves"),
}

FILTERS: Final = (
    ("size", "42"),
    ("size", "L"),
    ("colour", "black"),
    ("colour", "green"),
    ("waterproof", "yes"),
    ("price", "under 100"),
)


def title(path: str) -> str:
    """Return the title of a page of the shop."""
    if path in TITLES:
        return TITLES[path]
    if path in ARTICLES:
        return ARTICLES[path]
    return path.rsplit("/", 1)[-1].replace("-", " ").title()
