"""Ninety days of a web shop: every person's life played to its end, told in order of arrival."""

import bisect
import itertools
import random
from collections.abc import Iterator
from typing import Final

from app.cli.traffic.broken import broken
from app.cli.traffic.crawlers import crawl
from app.cli.traffic.life import Happening, happen
from app.cli.traffic.mail import DAY, HOUR, NEWSLETTERS
from app.cli.traffic.messages import Message
from app.cli.traffic.people import Person, generator, meet

EVENTS_A_PERSON: Final = 8.1
"""Messages a person makes in 90 days, in the mean of many: how many people it takes follows from it."""

HOURS: Final = (3, 2, 1, 1, 2, 4, 9, 16, 22, 25, 26, 27, 28, 27, 26, 26, 28, 31, 34, 33, 27, 18, 10, 5)
"""Visits by hour of the day, UTC: a morning, an afternoon and a taller evening in Kyiv and Warsaw."""
DAYS: Final = (30, 29, 28, 28, 26, 20, 24)
"""Visits by day of the week, from Monday."""

VISITS: Final = {"passer_by": (1, 2.6, 3), "browser": (1, 1.45, 8), "shopper": (2, 1.35, 14), "loyal": (5, 1.3, 26)}
"""Visits by habit: at least, the exponent of their power law, at most."""
GAPS: Final = {"passer_by": 12.0, "browser": 7.0, "shopper": 4.5, "loyal": 3.4, "business": 4.0}
"""Median days between two visits."""
REPEATED: Final = 0.006
"""Share of messages that a tracker sends twice because it got no answer."""


def busy_moment(rng: random.Random, day_ms: int) -> int:
    """Return a UTC ms on the day that starts at `day_ms`, by the hours at which people shop."""
    return day_ms + rng.choices(range(24), HOURS)[0] * HOUR + rng.randrange(HOUR)


def population(events: int) -> int:
    """Return how many people make that many messages."""
    return max(1, round(events / EVENTS_A_PERSON))


def plan(person: Person, end_ms: int, days: int) -> list[Happening]:
    """Return the visits a person means to make, and the newsletters of the shop's calendar, in order of time."""
    rng = person.rng
    today = end_ms // DAY * DAY
    recent = 1 - rng.random() ** 1.05  # the shop grows
    if person.persona in ("loyal", "business"):
        recent *= 0.6  # regulars have been here for a while
    day = today - days * DAY + int(recent * (days + 1)) * DAY
    low, exponent, high = VISITS.get(person.persona, (2, 1.6, 10))
    visits = min(int(low * rng.paretovariate(exponent)), high)
    agenda = []
    for _ in range(visits):
        if rng.random() < DAYS[(day // DAY + 3) % 7] / 30:  # 1970-01-01 was a Thursday
            agenda.append(Happening(busy_moment(rng, day), "visit"))
        else:
            agenda.append(Happening(busy_moment(rng, day + DAY), "visit"))
        day += round(rng.lognormvariate(0, 0.9) * GAPS[person.persona]) * DAY
    for back, letter in enumerate(reversed(NEWSLETTERS)):
        # Every second Tuesday or so, 07:00 UTC, the last one three days before the end; a mailer takes minutes.
        sent = today - (3 + 14 * back) * DAY + 7 * HOUR + rng.randrange(600_000)
        agenda.append(Happening(sent, "letter", letter))
    return sorted(agenda, key=_when)


def _when(happening: Happening) -> int:
    return happening.at


def live_through(person: Person, agenda: list[Happening], end_ms: int) -> Iterator[Message]:
    """Yield what becomes of an agenda (in order of time) before `end_ms`; the messages are in no order."""
    while agenda and agenda[0].at < end_ms:
        messages, after = happen(person, agenda.pop(0))
        yield from messages
        for happening in after:
            bisect.insort(agenda, happening, key=_when)


def people(seed: int, end_ms: int, days: int = 90, events: int = 20_000) -> Iterator[tuple[Person, list[Message]]]:
    """Yield every person as they are at `end_ms`, with all they did."""
    for number in range(population(events)):
        person = meet(seed, number)
        yield person, list(live_through(person, plan(person, end_ms, days), end_ms))


def history(seed: int, end_ms: int, days: int = 90, events: int = 20_000) -> Iterator[tuple[str, bytes]]:
    """Yield (topic, line) of some `events` messages of the days before `end_ms` (UTC ms), in order of arrival.

    The same arguments give the same bytes. A few messages arrive hours late, a few twice, and a few are broken.
    """
    told = itertools.chain.from_iterable(messages for _, messages in people(seed, end_ms, days, events))
    start_ms = end_ms - days * DAY
    arrived: list[tuple[int, str, bytes]] = []
    again = generator(seed, "repeats")
    for message in itertools.chain(told, crawl(generator(seed, "crawlers"), start_ms, end_ms, events // 150)):
        if not start_ms <= message.at < end_ms:
            continue
        if message.received < end_ms:
            arrived.append((message.received, message.topic, message.encode()))
        if again.random() < REPEATED:
            wait = again.randint(4000, 60_000)
            message.sent += wait
            message.received += wait
            if message.received < end_ms:
                arrived.append((message.received, message.topic, message.encode()))
    arrived += broken(start_ms, end_ms)
    arrived.sort(key=lambda entry: entry[0])
    for _, topic, line in arrived:
        yield topic, line
