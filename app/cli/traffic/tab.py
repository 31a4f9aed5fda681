"""One visit in one browser tab: what a person can do there, and the messages it makes."""

import random
from typing import Any

from app.cli.traffic.arrivals import Arrival
from app.cli.traffic.catalogue import FILTERS, SEARCHES, Product
from app.cli.traffic.messages import CART, WEB, Message, Page, from_browser, from_server, iso
from app.cli.traffic.people import Device, Order, Person


def _about(product: Product, currency: str) -> dict[str, Any]:
    """Return a product as the e-commerce spec names its fields."""
    return {
        "product_id": product.product_id,
        "name": product.name,
        "category": product.category,
        "price": product.price(currency),
        "currency": currency,
    }


class Tab:
    """A visit going on; `at` is its clock in UTC ms and every action moves it."""

    def __init__(self, person: Person, device: Device, at: int, arrival: Arrival) -> None:
        self.person, self.device, self.at, self.arrival = person, device, at, arrival
        self.rng: random.Random = person.rng
        self.messages: list[Message] = []
        self.page: Page | None = None
        self.became_subscriber = False
        self.asked: str = ""
        """Form that asks to be called: contact, demo or booking."""
        self.ordered = False

    def _wait(self, low: float, typical: float) -> None:
        """Let `low` seconds and an exponential time with mean `typical` pass."""
        self.at += round(1000 * (low + min(self.rng.expovariate(1 / typical), typical * 6)))

    def _send(self, call: dict[str, Any], topic: str = WEB) -> None:
        assert self.page is not None, "open a page first"
        self.messages.append(from_browser(self.person, self.device, self.page, self.at, topic, call))

    def _track(self, event: str, properties: dict[str, Any], topic: str = WEB) -> None:
        self._send({"type": "track", "event": event, "properties": properties}, topic)

    def open(self, path: str) -> None:
        """Open a page; the first one is where the arrival leads."""
        if self.page is None:
            arrival = self.arrival
            self.page = Page(arrival.landing or path, arrival.search, arrival.referrer, dict(arrival.campaign))
        else:
            self._wait(1, 3)
            self.page = Page(path, "", self.page.url)
        self._send({"type": "page", "name": None, "properties": self.page.context()})

    def read(self, typical: float) -> None:
        """Stay on the page; half of the stays are told by `Page Engaged`, in whole seconds."""
        before = self.at
        self._wait(4, typical)
        seconds = (self.at - before) // 1000
        if self.page is not None and seconds >= 15 and self.rng.random() < 0.5:
            self._track("Page Engaged", {"path": self.page.path, "duration": seconds})

    def look(self, product: Product) -> None:
        """Open a product's page and look at it."""
        self.open(product.path)
        self._wait(0.2, 0.3)
        self._track("Product Viewed", _about(product, self.person.currency))
        self.read(25)

    def search(self) -> None:
        """Search the shop."""
        query = self.rng.choice(SEARCHES[self.person.category])
        self.open("/search")
        self._track("Products Searched", {"query": query})
        self._wait(4, 10)

    def narrow(self) -> None:
        """Open the category's list and filter it."""
        self.open(f"/{self.person.category}")
        self._wait(4, 8)
        kind, value = self.rng.choice(FILTERS)
        found = [{"type": kind, "value": value}]
        self._track("Product List Filtered", {"category": self.person.category, "filters": found})
        self._wait(4, 10)

    def press(self, label: str) -> None:
        """Press a button that calls to action."""
        self._track("CTA Clicked", {"label": label})
        self._wait(1, 2)

    def add(self, product: Product) -> None:
        """Put a product into the cart."""
        person = self.person
        quantity = 2 if product.category in ("hats", "gloves") and self.rng.random() < 0.3 else 1
        self._track("Product Added", {**_about(product, person.currency), "quantity": quantity}, CART)
        if all(held.product_id != product.product_id for held, _ in person.cart):
            person.cart.append((product, quantity))
        self._wait(2, 6)

    def remove(self) -> None:
        """Take the last product out of the cart again."""
        product, quantity = self.person.cart.pop()
        self._track("Product Removed", {**_about(product, self.person.currency), "quantity": quantity}, CART)
        self._wait(2, 5)

    def _basket(self) -> list[dict[str, Any]]:
        return [{**_about(product, self.person.currency), "quantity": n} for product, n in self.person.cart]

    def see_cart(self) -> None:
        """Open the cart."""
        self.open("/cart")
        self._track("Cart Viewed", {"products": self._basket(), "currency": self.person.currency}, CART)
        self._wait(5, 12)

    def sign_in(self) -> None:
        """Sign up or log in: the browser knows the user id from here on."""
        person = self.person
        if person.has_account and self.device.logged_in:
            return
        person.has_account = person.gave_email = True
        self.device.logged_in = True
        self._send({"type": "identify", "traits": person.traits()})
        self._wait(1, 4)

    def fill(self, form: str, *, call_me: bool = True, **more: Any) -> None:
        """Send a form with the person's address."""
        person = self.person
        self._wait(8, 25)
        properties = {"form": form, "email": person.email, **more}
        if person.phone and form != "newsletter":
            properties["phone"] = person.phone
        self._track("Form Submitted", properties)
        person.gave_email = True
        if form == "newsletter":
            person.subscribed = self.became_subscriber = True
            self._wait(0.3, 0.4)
            self._track("Newsletter Subscribed", {"list": "weekly"})
        elif call_me:
            self.asked = form
        self._wait(2, 6)

    def choose_consent(self, *, marketing: bool) -> None:
        """Answer the cookie and mail banner."""
        self._track("Consent Updated", {"marketing": marketing})
        self.person.mailable = marketing
        self._wait(1, 2)

    def check_out(self) -> None:
        """Start the checkout: log in, or give an address as a guest."""
        person = self.person
        self.open("/checkout")
        self._track("Checkout Started", {"products": self._basket(), "currency": person.currency}, CART)
        self._wait(15, 30)
        if person.has_account or self.rng.random() < 0.55:
            self.sign_in()
        elif not person.gave_email:
            person.gave_email = True
            self._send({"type": "identify", "traits": {"email": person.email, "country": person.country}})
        self._wait(10, 40)

    def pay(self) -> Order:
        """Pay: the shop's server reports the order, without a page; the cart is empty then."""
        person, currency = self.person, self.person.currency
        products = self._basket()
        goods = round(sum(line["price"] * line["quantity"] for line in products), 2)
        discount = round(goods * 0.1, 2) if self.arrival.way == "affiliate" else 0
        free_from = Product("", "", "", 99.0).price(currency)
        shipping = 0 if goods >= free_from else Product("", "", "", 4.9).price(currency)
        revenue = round(goods - discount, 2)
        properties: dict[str, Any] = {
            "order_id": f"{iso(self.at)[2:10].replace('-', '')}-{person.number:05d}-{len(person.orders) + 1}",
            "revenue": revenue,
            "total": round(revenue + shipping, 2),
            "shipping": shipping,
            "currency": currency,
            "products": products,
        }
        if discount:
            properties |= {"discount": discount, "coupon": "VOUCHER10"}
        call = {"type": "track", "event": "Order Completed", "properties": properties}
        anonymous = None if person.has_account else self.device.anonymous_id
        self.messages.append(from_server(person, self.at, CART, call, anonymous=anonymous))
        order = Order(properties["order_id"], self.at, properties)
        person.orders.append(order)
        person.cart = []
        self.ordered = True
        self._wait(2, 5)
        return order

    def use_app(self) -> None:
        """Look into the shop's app, on the same phone."""
        for name in ("Home", "Order Status"):
            self._send({"type": "screen", "name": name, "properties": {"name": name}})
            self._wait(3, 8)
