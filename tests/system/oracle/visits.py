"""Visits, page times, dwell and touches."""

from dataclasses import dataclass, field, replace

from app.domain.channels import Classified
from app.domain.event import Event
from tests.system.oracle.matching import Reader, is_visit

IDLE_MS = 30 * 60_000
LONGEST_MS = 24 * 3_600_000
LANDING_MS = 5 * 60_000


@dataclass(frozen=True)
class Touch:
    """One arrival of a lead."""

    at: int
    event_id: str
    channel: str
    source: str = ""
    medium: str = ""
    campaign: str = ""
    content: str = ""
    term: str = ""
    click_id: str = ""
    landing_page: str = ""
    kind: str = ""
    """Kind of the event that made it."""

    @property
    def compared(self) -> tuple[str, ...]:
        """What tells one arrival from another."""
        return (self.channel, self.source, self.medium, self.campaign, self.click_id)


@dataclass
class Visit:
    """One session."""

    events: list[Event] = field(default_factory=list)
    says_where: bool = False
    referrers: set[str] = field(default_factory=set)

    @property
    def span(self) -> int:
        """Its duration, ms."""
        return self.events[-1].at - self.events[0].at

    def over_at(self, at: int) -> bool:
        """Whether it ended before an event at that time."""
        return at - self.events[-1].at >= IDLE_MS or at - self.events[0].at >= LONGEST_MS


@dataclass
class View:
    """One page view, with the dwell that was told of it."""

    event: Event
    lasted: int
    """ms to the next event of the visit."""
    dwells: list[Event] = field(default_factory=list)

    @property
    def duration(self) -> float:
        """ms on the page."""
        return max(self.lasted, sum(1000 * seconds_of(dwell) for dwell in self.dwells))


def seconds_of(event: Event) -> float:
    """The dwell that an event tells, s."""
    told = event.properties.get("duration")
    return float(told) if isinstance(told, int | float) and not isinstance(told, bool) and told > 0 else 0.0


class Journey:
    """Visits and touches of events that are in order of (time, id)."""

    def __init__(self, events: list[Event], reader: Reader) -> None:
        self.reader = reader
        self.visits: list[Visit] = []
        self.touches: list[Touch] = []
        self.landed: set[str] = set()
        for event in events:
            if event.kind == "email_clicked":
                self.touches.append(self.mail_click(event))
            elif event.kind == "conversation":
                self.touches.append(conversation(event))
            elif is_visit(event):
                self.on_site(event)

    def mail_click(self, event: Event) -> Touch:
        """The touch of an email click before its landing is known."""
        told = touch_of(event, self.reader.classifier.classify(event.arrival, event.page))
        names = (event.properties.get(name) for name in ("campaign_name", "campaign_id"))
        campaign = told.campaign or next((str(name) for name in names if name), "")
        return replace(told, channel="Email", medium=told.medium or "email", campaign=campaign, landing_page="")

    def on_site(self, event: Event) -> None:
        """Put an event into the visit that goes on, or into a new one; it may be an arrival."""
        fresh = not self.visits or self.visits[-1].over_at(event.at)
        if fresh:
            self.visits.append(Visit())
        visit = self.visits[-1]
        if event.says_where:
            told = self.reader.classifier.classify(event.arrival, event.page)
            if self.arrives(visit, told):
                if told.told and visit.events and self.differs(told):
                    visit = Visit()
                    self.visits.append(visit)
                self.touch(event, told)
            elif not told.told and not told.external_referrer:
                self.land(touch_of(event, told), plain=True)
            visit.says_where = True
            if told.external_referrer:
                visit.referrers.add(told.external_referrer)
        visit.events.append(event)

    def arrives(self, visit: Visit, told: Classified) -> bool:
        """Whether an event that says where it was is an arrival."""
        if not visit.says_where:
            return True
        new_referrer = bool(told.external_referrer) and told.external_referrer not in visit.referrers
        return (told.told or new_referrer) and self.differs(told)

    def differs(self, told: Classified) -> bool:
        """Whether an arrival tells something else than the last touch."""
        point = told.touchpoint
        compared = (point.channel, point.source, point.medium, point.campaign, point.click_id)
        return not self.touches or compared != self.touches[-1].compared

    def touch(self, event: Event, told: Classified) -> None:
        """Add the touch of an arrival, or join it with the email click that it is the landing of."""
        landing = touch_of(event, told)
        if not self.land(landing, plain=not told.told and not told.external_referrer):
            self.touches.append(landing)

    def land(self, landing: Touch, *, plain: bool) -> bool:
        """Join an arrival, or a page that brings no campaign, with the email click that led to it; whether one did."""
        if not self.touches or not (plain or landing.medium.casefold() == "email"):
            return False
        click = self.touches[-1]
        if click.kind != "email_clicked":
            return False
        if landing.at - click.at >= LANDING_MS or click.event_id in self.landed:
            return False
        self.landed.add(click.event_id)
        self.touches[-1] = replace(
            click if plain else landing,
            at=click.at,
            event_id=click.event_id,
            kind=click.kind,
            landing_page=landing.landing_page,
        )
        return True

    def views(self) -> list[View]:
        """Every page view, with its dwell."""
        return [view for visit in self.visits for view in views_of(visit)]


def views_of(visit: Visit) -> list[View]:
    """The page views of a visit; dwell on a page whose view was not told stands for the view."""
    views: list[View] = []
    for number, event in enumerate(visit.events):
        if event.kind == "page_viewed":
            after = visit.events[number + 1].at if number + 1 < len(visit.events) else event.at
            views.append(View(event, min(after - event.at, IDLE_MS)))
        elif event.kind == "page_engaged":
            path = event.page.path
            of = next((view for view in reversed(views) if not path or view.event.page.path == path), None)
            if of is None:
                of = View(event, 0)
                views.append(of)
            of.dwells.append(event)
    return views


def conversation(event: Event) -> Touch:
    """The touch of a conversation."""
    medium = event.properties.get("medium")
    return Touch(event.at, event.id, "Conversation", source=medium if isinstance(medium, str) else "", kind=event.kind)


def touch_of(event: Event, told: Classified) -> Touch:
    """The touch of an arrival by itself."""
    point = told.touchpoint
    return Touch(
        event.at,
        event.id,
        point.channel,
        point.source,
        point.medium,
        point.campaign,
        point.content,
        point.term,
        point.click_id,
        event.page.path,
        event.kind,
    )
