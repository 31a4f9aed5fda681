"""Random histories of one lead, for the laws: what people, mailers and shops really mix."""

from hypothesis import strategies as st

from app.domain.event import Arrival, Event
from tests.domain.stories import DAY, HOUR, MINUTE, START, event, order, page

PATHS = ["/", "/pricing", "/pricing/teams", "/blog/a", "/contact"]
ARRIVALS = [
    Arrival(page_domain="shop.example"),
    Arrival(
        source="google",
        medium="cpc",
        campaign="spring",
        click_type="gclid",
        click_id="g1",
        source_category="search",
        page_domain="shop.example",
    ),
    Arrival(source="google", medium="cpc", campaign="summer", source_category="search", page_domain="shop.example"),
    Arrival(source="news", medium="email", campaign="weekly", page_domain="shop.example"),
    Arrival(
        referrer_host="www.bing.com",
        referrer_domain="bing.com",
        referrer_category="search",
        referrer_name="bing",
        page_domain="shop.example",
    ),
    Arrival(
        referrer_host="blog.example",
        referrer_domain="blog.example",
        referrer_name="blog.example",
        page_domain="shop.example",
    ),
    Arrival(source="p1", medium="partner", page_domain="shop.example"),
]
PRODUCTS = [
    {"product_id": "p1", "name": "Boot", "category": "shoes", "price": 40, "quantity": 1},
    {"product_id": "p2", "name": "Sandal", "category": "shoes", "price": 15.5, "quantity": 2},
    {"product_id": "p3", "name": "Bag", "category": "bags", "price": 99.99, "quantity": 1},
]
KINDS = [
    "page",
    "page",
    "page",
    "page",
    "dwell",
    "dwell",
    "product_viewed",
    "cart_added",
    "cart_removed",
    "checkout_started",
    "order",
    "refund",
    "cancel",
    "form",
    "talk",
    "delivered",
    "click",
    "click",
    "opened",
    "identify",
    "search",
    "cta",
    "newsletter",
    "unsubscribed",
    "server",
    "bot",
]


@st.composite
def times(draw: st.DrawFn, days: int) -> int:
    """A time within `days`; near others often, so that visits, landings and scanner bursts form."""
    base = START + draw(st.integers(0, days * 4)) * (DAY // 4)
    near = draw(st.sampled_from([0, 1, 2_000, 4_000, 12_000, MINUTE, 4 * MINUTE, 20 * MINUTE, 45 * MINUTE, 5 * HOUR]))
    return base + near * draw(st.integers(0, 3))


@st.composite
def events(draw: st.DrawFn, index: int, days: int) -> Event:
    at = draw(times(days))
    kind = draw(st.sampled_from(KINDS))
    name = f"{draw(st.integers(0, 9))}{index:03d}"
    path = draw(st.sampled_from(PATHS))
    arrival = draw(st.sampled_from(ARRIVALS))
    order_id = draw(st.sampled_from(["o1", "o2", "o3"]))
    product = draw(st.sampled_from(PRODUCTS))
    where = {"path": path, "arrival": arrival}
    if kind == "page":
        return page(at, path, id=name, arrival=arrival)
    if kind == "bot":
        return page(at, path, id=name, arrival=arrival, bot=True)
    if kind == "dwell":
        return event(at, "page_engaged", name, properties={"duration": draw(st.integers(1, 200))}, **where)
    if kind == "order":
        amount = draw(st.sampled_from(["19.99", "250", "0", "100.01"]))
        return order(at, order_id, amount, draw(st.sampled_from(["EUR", "USD", None])), id=name, path=path)
    if kind in ("refund", "cancel"):
        told = {"order_id": order_id, "refund_id": draw(st.sampled_from(["r1", "r2", "r3"]))}
        amount = draw(st.sampled_from([None, "5", "300"])) if kind == "refund" else None
        return event(
            at, "order_refunded" if kind == "refund" else "order_cancelled", name, properties=told, amount=amount
        )
    if kind == "form":
        return event(
            at, "form_submitted", name, properties={"form": draw(st.sampled_from(["contact", "booking"]))}, **where
        )
    if kind == "talk":
        return event(at, "conversation", name, properties={"medium": "chat", "text": "hi", "length": 50})
    if kind in ("delivered", "opened"):
        return event(at, f"email_{kind}", name, properties={"email_id": draw(st.sampled_from(["m1", "m2"]))})
    if kind == "click":
        told = {"email_id": draw(st.sampled_from(["m1", "m2"])), "link_url": draw(st.sampled_from(["a", "b", "c"]))}
        return event(at, "email_clicked", name, properties=told)
    if kind == "identify":
        traits = draw(
            st.sampled_from(
                [{"country": "UA"}, {"country": "FR", "employees": 100}, {"status": "competitor"}, {"status": "ok"}]
            )
        )
        return event(at, "traits_changed", name, traits=traits)
    if kind == "newsletter":
        return event(at, "custom", name, name="newslettersubscribed")
    if kind == "unsubscribed":
        return event(at, "email_unsubscribed", name)
    if kind == "server":
        return event(at, "cart_viewed", name, properties={"products": [product]})
    names = {"search": "site_searched", "cta": "cta_clicked"}
    properties = {"query": "a price"} if kind == "search" else {} if kind == "cta" else product
    return event(at, names.get(kind, kind), name, properties=properties, **where)


@st.composite
def histories(draw: st.DrawFn, days: int = 12, most: int = 30) -> list[Event]:
    """A lead's events in order of (time, id)."""
    count = draw(st.integers(1, most))
    told = [draw(events(index, days)) for index in range(count)]
    return sorted(told, key=lambda one: (one.at, one.id))
