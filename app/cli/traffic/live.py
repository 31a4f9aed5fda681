"""Traffic that goes on after the history: the same people come back, new ones arrive, without end."""

import heapq
import itertools
import random
from collections.abc import Iterator
from typing import Final

from app.cli.traffic.crawlers import crawl
from app.cli.traffic.history import people
from app.cli.traffic.life import Happening, happen
from app.cli.traffic.mail import NEWSLETTERS, SECOND
from app.cli.traffic.messages import Message
from app.cli.traffic.people import Person, generator, meet

MESSAGES_A_START: Final = 4.3
"""Messages that a visit or a mail makes, with what it leads to within minutes, in the mean of many."""
STRANGERS_FROM: Final = 1_000_000
"""Number of the first person whom the history does not know."""


class _Crowd:
    """Who may come next."""

    def __init__(self, seed: int, known: list[Person], rng: random.Random) -> None:
        self.seed, self.rng = seed, rng
        self.regulars = [person for person in known if person.persona != "passer_by"]
        self.subscribers = [person for person in known if person.subscribed]
        self.numbers = itertools.count(STRANGERS_FROM)

    def next_start(self, at: int) -> tuple[Person, Happening]:
        """Return a visit, or a mail to a subscriber, at a UTC ms."""
        draw = self.rng.random()
        if draw < 0.15 and self.subscribers:
            return self.rng.choice(self.subscribers), Happening(at, "letter", self.rng.choice(NEWSLETTERS))
        if draw < 0.7 and self.regulars:
            return self.rng.choice(self.regulars), Happening(at, "visit")
        stranger = meet(self.seed, next(self.numbers))
        if stranger.persona != "passer_by":
            self.regulars.append(stranger)
        return stranger, Happening(at, "visit")


def live(
    seed: int, start_ms: int, *, rate: float = 3.0, days: int = 90, events: int = 20_000
) -> Iterator[tuple[int, str, bytes]]:
    """Yield (arrival in UTC ms, topic, line) in order of arrival, without end, some `rate` messages a second.

    `seed`, `days` and `events` are those of the history that it continues; `start_ms` is best the history's end.
    The same arguments give the same bytes. It takes about a minute until as many visits end as begin.
    """
    rng = generator(seed, "live", start_ms)
    crowd = _Crowd(seed, [person for person, _ in people(seed, start_ms, days, events) if not person.erased], rng)
    order = itertools.count()
    agenda: list[tuple[int, int, Person, Happening]] = []
    pending: list[tuple[int, int, Message]] = []
    next_start = start_ms
    while True:
        robots: list[Message] = []
        if agenda and agenda[0][0] <= next_start:
            _, _, person, happening = heapq.heappop(agenda)
        else:
            person, happening = crowd.next_start(next_start)
            if rng.random() < 0.012:
                robots = list(crawl(rng, next_start, next_start + SECOND, 3))
            next_start += round(rng.expovariate(rate / MESSAGES_A_START) * SECOND)
        while pending and pending[0][0] < happening.at:
            at, _, message = heapq.heappop(pending)
            yield at, message.topic, message.encode()
        messages, after = happen(person, happening)
        for message in messages + robots:
            heapq.heappush(pending, (message.received, next(order), message))
        for following in after:
            heapq.heappush(agenda, (following.at, next(order), person, following))
