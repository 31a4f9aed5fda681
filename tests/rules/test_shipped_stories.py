"""The shipped rules at work: a short story each, its moves worked out by hand."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.domain.event import Event
from app.domain.outputs import iso
from app.domain.reader import Reader
from app.rules import load
from tests.domain.stories import DAY, HOUR, MINUTE, START, Story, event, order, page

FOLDER = Path(__file__).parents[2] / "deploy" / "rules"


def told(name: str, events: list[Event], until: int, key: str = "user:ada") -> Story:
    story = Story(Reader(load(FOLDER / f"{name}.yaml")), key=key).tell_each(events)
    story.until(until)
    return story


Move = tuple[str, str | None, str, list[str], list[str], str]


def moves(story: Story) -> list[Move]:
    """When, from and to which stage, entered, left, and why (`event` or `timer`)."""
    return [
        (one["at"], one["previous_stage"], one["stage"], one["entered"], one["left"], one["cause"]["kind"])
        for one in story.segments
    ]


def move(at: int, before: str | None, stage: str, entered: str = "", left: str = "", why: str = "event") -> Move:
    return (str(iso(at)), before, stage, entered.split(), left.split(), why)


def own(at: int, name: str, id: str = "", **rest: Any) -> Event:
    """A track event by its own name."""
    return event(at, "custom", id, name=name.lower().replace(" ", ""), **rest)


def form(at: int, which: str) -> Event:
    return event(at, "form_submitted", properties={"form": which}, path="/form")


def first_below(value: Callable[[int], float], limit: float, low: int, high: int) -> int:
    """The first ms at which something that only falls is below a limit."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if value(middle) >= limit else (low, middle)
    return high


def test_b2b_a_head_of_logistics_asks_for_a_demo_tries_it_and_goes_quiet() -> None:
    who = {"job_title": "Head of Logistics", "company.employees": 200, "country": "DE"}
    trial = START + 2 * DAY
    last = trial + 3 * DAY + 3 * HOUR
    story = told(
        "b2b_saas",
        [
            event(START + 9 * HOUR, "traits_changed", traits=who),
            page(START + 10 * HOUR, "/pricing"),
            form(START + 11 * HOUR, "demo"),
            event(START + DAY, "conversation", properties={"medium": "call", "length": 300}),
            own(trial, "Trial Started"),
            *(own(trial + 3 * DAY + hour * HOUR, "Feature Used") for hour in (1, 2, 3)),
        ],
        until=START + 40 * DAY,
    )
    assert moves(story) == [
        # Fit 40 + 30 + 10 = 80 is grade A, and 0.2 · 80 = 16 points of score: aware without having done anything.
        move(START + 9 * HOUR, None, "aware", "nurture"),
        # A demo, and a fit that is right: worth a call; 46 points of engagement make it A2.
        move(START + 11 * HOUR, "aware", "mql", "call_today", "nurture"),
        # They spoke.
        move(START + DAY, "mql", "mql", "", "call_today"),
        # Three days into the trial nothing is used; the third use is enough.
        move(trial + 3 * DAY, "mql", "mql", "trial_stuck", why="timer"),
        move(last, "mql", "mql", "", "trial_stuck"),
        # The trial's last three days, then silence. Fit alone keeps the score at 16, above the exit of 15.
        move(trial + 11 * DAY, "mql", "mql", "trial_ending", why="timer"),
        move(trial + 14 * DAY, "mql", "mql", "", "trial_ending", "timer"),
        move(last + 21 * DAY, "mql", "mql", "gone_quiet", why="timer"),
    ]
    assert {one["goal"]: one["value_minor"] for one in story.conversions} == {"demo": 8000, "mql": 15000, "trial": 6000}
    assert story.profiles[-1]["grade"] == "A3"


def test_b2b_a_rival_and_an_applicant_are_scored_and_in_no_group() -> None:
    rival = told(
        "b2b_saas",
        [event(START, "traits_changed", traits={"email": "x@rival.example"}), form(START + 1, "demo")],
        START,
    )
    assert [(one["stage"], one["segments"]) for one in rival.segments] == [("new", [])]
    # For 180 days: 0.45 · 40 points of the demo are not a fading 18 any more by then.
    applicant = told("b2b_saas", [own(START, "Job Application Sent"), form(START + 1, "demo")], START + 200 * DAY)
    assert [(one["stage"], one["segments"]) for one in applicant.segments] == [("new", [])]
    assert applicant.profiles[0]["score"] == 0
    assert max(one["score"] for one in applicant.profiles) == 18


def test_shop_a_cart_is_left_bought_and_sent_back() -> None:
    shoe = {"product_id": "p1", "name": "Boot", "category": "shoes", "price": 60, "quantity": 1}
    cart, checkout = START + 10 * HOUR + 5 * MINUTE, START + 10 * HOUR + 8 * MINUTE
    bought = START + 12 * HOUR
    story = told(
        "web_shop",
        [
            event(START + 10 * HOUR, "product_viewed", properties=shoe, path="/p/1"),
            event(cart, "cart_added", properties=shoe, path="/p/1"),
            event(checkout, "checkout_started", path="/checkout"),
            order(bought, "o1", "60"),
            event(START + 3 * DAY, "order_refunded", properties={"order_id": "o1"}),
        ],
        until=START + 40 * DAY,
    )
    assert moves(story) == [
        move(START + 10 * HOUR, None, "new"),  # 0.7 · 2 points
        move(cart, "new", "aware"),  # 0.7 · 12
        move(checkout, "aware", "ready"),  # buying: 10 and 20
        move(checkout + 30 * MINUTE, "ready", "ready", "checkout_abandoned", why="timer"),
        move(cart + HOUR, "ready", "ready", "cart_abandoned", why="timer"),
        move(bought, "ready", "customer", "one_order", "cart_abandoned checkout_abandoned"),
        # Sent back, so no customer; of the cart's and the checkout's points 14 are left, too few to be ready.
        move(START + 3 * DAY, "customer", "aware", "", "one_order"),
        move(bought + 30 * DAY, "aware", "aware", "not_seen", why="timer"),
    ]
    assert [(one["goal"], one["value_minor"], one["cause"]) for one in story.conversions] == [
        ("purchase", 6000, "conversion"),
        ("first_order", 2500, "conversion"),
        ("purchase", 0, "refund"),
    ]


def test_shop_orders_in_pounds_count_by_the_rates_that_are_shipped_with_it() -> None:
    def shopper(amount: str) -> list[str]:
        orders = [order(START + day * DAY, f"o{day}", amount, "GBP") for day in (1, 2, 3)]
        return list(told("web_shop", orders, START + 4 * DAY).segments[-1]["segments"])

    assert "vip" in shopper("150")  # 3 · 150 · 1.15 = 517.50 EUR
    assert "vip" not in shopper("115")  # 396.75 EUR


def test_clinic_a_patient_asks_to_be_called_books_comes_and_is_due_again() -> None:
    at = START + 8 * HOUR
    callback, call, booking = at + 5 * MINUTE, START + 9 * HOUR, START + 9 * HOUR + 30 * MINUTE
    booked, came = booking + 15 * MINUTE, START + 7 * DAY
    story = told(
        "clinic",
        [
            page(at, "/doctors/nowak"),
            page(at + MINUTE, "/prices"),
            page(at + 3 * MINUTE, "/how-to-find-us"),
            form(callback, "callback"),
            event(call, "conversation", properties={"medium": "call"}),
            own(booking, "Booking Started"),
            own(booked, "Appointment Booked", properties={"service": "implants"}),
            own(came, "Visit Completed"),
        ],
        until=START + 190 * DAY,
    )

    def intent(now: int) -> float:
        fading = [(8, at + 3 * MINUTE, 3), (20, callback, 3), (25, call, 14), (20, booking, 2), (30, booked, 30)]
        return math.fsum(points * 2 ** ((since - now) / (days * DAY)) for points, since, days in fading)

    def implants(now: int) -> float:
        return 30 * 2.0 ** ((booked - now) / (30 * DAY))

    cooled = first_below(lambda now: round(intent(now), 9), 15, came, START + 90 * DAY)
    forgotten = first_below(lambda now: round(implants(now), 9), 3, came, START + 190 * DAY)
    assert moves(story) == [
        move(at, None, "new"),  # 1 + 4 points, less what fades since midnight in Warsaw
        move(at + MINUTE, "new", "considering"),  # and 1 + 6
        move(at + 3 * MINUTE, "considering", "considering", "price_readers"),  # two minutes on the prices
        move(callback, "considering", "ready", "call_wanted"),  # intent: 8 and 20
        move(call, "ready", "ready", "hot", "call_wanted"),  # and 25
        move(booked, "ready", "ready", "implants"),  # 30 points for the service
        move(came, "ready", "patient"),
        move(cooled, "patient", "patient", "", "hot", "timer"),
        move(came + 90 * DAY, "patient", "patient", "silent", why="timer"),
        move(forgotten, "patient", "patient", "", "implants", "timer"),  # log2(10) halvings of 30 days: 99.7 days
        move(came + 180 * DAY, "patient", "patient", "recall_due", why="timer"),
    ]
    assert {one["goal"]: (one["value_minor"], one["currency"]) for one in story.conversions} == {
        "appointment": (12000, "PLN"),
        "new_patient": (40000, "PLN"),
    }


def test_clinic_who_looks_for_work_is_left_in_peace() -> None:
    story = told(
        "clinic", [page(START, "/jobs/nurse"), form(START + MINUTE, "job"), form(START + HOUR, "callback")], START + DAY
    )
    assert [(one["stage"], one["segments"]) for one in story.segments] == [("new", [])]
