"""What of a lead's messages counts: each once, and those of machines and the brand's own people set apart."""

from ipaddress import ip_address, ip_network

from app.domain.event import Event
from app.domain.rulebook import Internal

SCANNER_MS = 10_000
BURST_MS = 5_000
BURST_LINKS = 3


def once_each(events: list[Event]) -> list[Event]:
    """Events in order of (time, id), a message id once: the earliest copy."""
    seen: set[str] = set()
    kept = []
    for event in sorted(events, key=lambda event: (event.at, event.id)):
        if event.id not in seen:
            seen.add(event.id)
            kept.append(event)
    return kept


def tagged(events: list[Event], internal: Internal) -> set[str]:
    """Ids of the events that no person outside did."""
    return {event.id for event in events if event.bot or is_internal(event, internal) or by_scanner(event, events)}


def is_internal(event: Event, internal: Internal) -> bool:
    """Whether an event has an address, or comes from one, that the rules list."""
    addresses = [text.removeprefix("email:") for text in event.ids if text.startswith("email:")]
    if any(address in internal.emails or address.rpartition("@")[2] in internal.email_domains for address in addresses):
        return True
    try:
        ip = ip_address(event.ip)
    except ValueError:
        return False
    return any(ip in ip_network(net, strict=False) for net in internal.ips)


def mail_of(event: Event) -> tuple[object, ...]:
    """Which mail an event is about."""
    properties = event.properties
    for field in ("email_id", "message_id"):
        if properties.get(field) is not None:
            return (field, properties[field])
    address = next((text for text in event.ids if text.startswith("email:")), "")
    return ("campaign", properties.get("campaign_id"), address)


def by_scanner(event: Event, events: list[Event]) -> bool:
    """Whether an email click came too soon after the delivery, or among too many."""
    if event.kind != "email_clicked":
        return False
    mail = mail_of(event)
    about = [other for other in events if other.kind in ("email_clicked", "email_delivered") and mail_of(other) == mail]
    if any(other.kind == "email_delivered" and 0 <= event.at - other.at < SCANNER_MS for other in about):
        return True
    clicks = [other for other in about if other.kind == "email_clicked"]
    for first in clicks:
        burst = [other for other in clicks if 0 <= other.at - first.at < BURST_MS]
        if event in burst and len({link_of(other) for other in burst}) >= BURST_LINKS:
            return True
    return False


def link_of(event: Event) -> object:
    """The link that an email click followed."""
    return next((event.properties[name] for name in ("link_url", "url", "link") if event.properties.get(name)), None)
