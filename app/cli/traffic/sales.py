"""What people of the shop do and enter themselves: conversations, deals, refunds, companies, deletions."""

from typing import Any, Final

from app.cli.traffic.messages import CART, CRM, Message, from_server
from app.cli.traffic.people import Order, Person
from app.cli.traffic.visits import MESSAGES

TALKS: Final = {"chat": "Live Chat Conversation Started", "call": "Call Completed", "form": "Enquiry Sent"}


def _track(event: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "track", "event": event, "properties": properties}


def talk(person: Person, at: int, medium: str) -> list[Message]:
    """Return a conversation by `chat`, `call` or `form`; a call's length is in seconds."""
    text = person.rng.choice(MESSAGES)
    properties: dict[str, Any] = {"medium": medium, "text": text, "length": len(text)}
    if medium == "call":
        properties["duration"] = person.rng.randint(60, 900)
    anonymous = None if person.has_account or person.gave_email else person.devices[0].anonymous_id
    return [from_server(person, at, CRM, _track(TALKS[medium], properties), python=True, anonymous=anonymous)]


def qualify(person: Person, at: int) -> list[Message]:
    """Return what the sales team enters after a call: the account, its traits and its company."""
    linked = None if person.has_account else person.devices[0].anonymous_id
    person.has_account = True
    status = "disqualified" if person.rng.random() < 0.12 else "qualified"
    calls = [{"type": "identify", "traits": {**person.traits(), "status": status}}]
    if linked and person.rng.random() < 0.6:
        calls.insert(0, {"type": "alias", "previousId": linked})
    if person.company:
        traits = {"name": person.company, "employees": person.employees, "industry": "services"}
        calls.append({"type": "group", "groupId": person.company.lower().replace(" ", "-"), "traits": traits})
    return [from_server(person, at + 40 * nth, CRM, call, python=True) for nth, call in enumerate(calls)]


def win(person: Person, at: int) -> list[Message]:
    """Return a deal won offline, worth some hundreds or thousands of euros."""
    value = f"{person.rng.randint(12, 160) * 75}.00"
    properties = {"deal_id": f"D-{person.number}", "value": value, "currency": "EUR"}
    return [from_server(person, at, CRM, _track("Deal Won", properties), python=True)]


def undo(person: Person, at: int, order: Order, *, cancel: bool) -> list[Message]:
    """Return an order's cancellation, or the refund of a part of it or of all."""
    properties: dict[str, Any] = {"order_id": order.order_id, "currency": order.properties["currency"]}
    if cancel:
        return [_of(person, at, _track("Order Cancelled", properties))]
    lines = order.properties["products"]
    part = lines[0]["price"] if len(lines) > 1 else order.properties["revenue"]
    properties |= {"refund_id": f"R-{order.order_id}", "revenue": min(part, order.properties["revenue"])}
    return [_of(person, at, _track("Order Refunded", properties))]


def _of(person: Person, at: int, call: dict[str, Any]) -> Message:
    anonymous = None if person.has_account else person.devices[0].anonymous_id
    return from_server(person, at, CART, call, anonymous=anonymous)


def erase(person: Person, at: int) -> list[Message]:
    """Return the person's wish to be forgotten."""
    person.erased = True
    return [from_server(person, at, CRM, _track("Erase Requested", {}), python=True)]
