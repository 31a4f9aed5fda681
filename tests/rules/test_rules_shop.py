"""The normative example, compiled: each expected value is read off shop.yaml by hand."""

from pathlib import Path

import pytest

from app.domain.rulebook import (
    All,
    AnyOf,
    Attribution,
    CartValueIs,
    ChannelIs,
    ChannelRule,
    CustomModel,
    DataDriven,
    Did,
    Goal,
    GradeIs,
    InterestIs,
    Internal,
    Known,
    LastIs,
    Mailable,
    Not,
    OrdersAre,
    PageDurationIs,
    Pattern,
    PointsPer,
    RevenueIs,
    Rules,
    ScoreIs,
    Segment,
    Sequence,
    SessionsAre,
    Signal,
    Stage,
    StageIs,
    Test,
    Tracker,
    TraitIs,
    TraitPoints,
    VisitDurationIs,
    Where,
)
from app.rules import load

HOUR = 3_600_000
DAY = 24 * HOUR
PRICING = Where((("path", Test(glob=("/pricing*",))),))


@pytest.fixture(scope="module")
def shop() -> Rules:
    return load(Path(__file__).parent / "shop.yaml")


@pytest.fixture(scope="module")
def segments(shop: Rules) -> dict[str, Segment]:
    return {segment.name: segment for segment in shop.segments}


def test_brand_money_and_time(shop: Rules) -> None:
    assert (shop.version, shop.brand, shop.timezone, shop.currency) == ("2026-11-22", "default", "Europe/Kyiv", "EUR")
    assert shop.own_domains == {"shop.example"}
    assert shop.payment_domains == {"paypal.com", "checkout.stripe.com"}
    assert shop.internal == Internal(ips=("203.0.113.0/24",), email_domains=("shop.example",))
    assert shop.channels == (ChannelRule("Partner", Where((("medium", Test(equals="partner")),))),)


def test_rates_are_by_currency_and_date(shop: Rules) -> None:
    assert shop.rates == {
        "USD": (("2026-01-01", 0.92), ("2026-02-01", 0.93)),
        "UAH": (("2026-01-01", 0.0213), ("2026-02-01", 0.0211)),
    }


def test_signals(shop: Rules) -> None:
    assert len(shop.signals) == 16
    assert next(iter(shop.signals)) == "page_view"
    assert shop.signals["page_view"] == Signal("page_view", Pattern("page_viewed"), 1.0, 14 * DAY, max_per_day=10)
    assert shop.signals["pricing_view"] == Signal("pricing_view", Pattern("page_viewed", where=PRICING), 6.0, 14 * DAY)
    assert shop.signals["reading"] == Signal(
        "reading", Pattern("page_engaged"), 1.0, 14 * DAY, points_per=PointsPer("duration", 30.0, 1.0, 5.0)
    )
    assert shop.signals["mail_open"].points == 0.5
    assert shop.signals["cart_remove"].points == -6.0
    assert shop.signals["contact_form"].pattern.where == Where((("form", Test(one_of=("contact", "demo"))),))
    assert shop.signals["big_order"].pattern.where == Where((("amount", Test(ge=200.0)),))
    assert shop.signals["big_order"].half_life == 90 * DAY


def test_a_track_event_by_its_own_name_never_fades_without_half_life(shop: Rules) -> None:
    assert shop.signals["newsletter"] == Signal(
        "newsletter", Pattern(name="newslettersubscribed"), 8.0, None, once=True
    )


def test_scores(shop: Rules) -> None:
    assert set(shop.scores) == {"engagement", "service_interest"}
    assert shop.scores["engagement"].signals == tuple(shop.signals)
    assert (shop.scores["engagement"].min, shop.scores["engagement"].max) == (0.0, 100.0)
    assert shop.scores["service_interest"].signals == ("talk", "contact_form")
    assert shop.scores["service_interest"].max == 50.0
    assert shop.interests is not None
    assert (shop.interests.signals, shop.interests.by) == (("product_view", "cart_add"), "category")
    assert shop.total == {"engagement": 0.8, "fit": 0.2}
    assert shop.fit is not None
    assert shop.fit.traits == (
        TraitPoints(Where((("country", Test(one_of=("ua", "pl", "de"))),)), 40.0),
        TraitPoints(Where((("employees", Test(ge=50.0)),)), 30.0),
        TraitPoints(Where((("email", Test(glob=("*@gmail.com", "*@ukr.net"))),)), -10.0),
    )


def test_grades_and_exclusion(shop: Rules) -> None:
    assert shop.grades_fit == ((75.0, "A"), (50.0, "B"), (25.0, "C"), (0.0, "D"))
    assert shop.grades_engagement == ((75.0, "1"), (50.0, "2"), (25.0, "3"), (0.0, "4"))
    assert shop.exclude == TraitIs(Where((("status", Test(one_of=("disqualified", "competitor"))),)))


def test_stages(shop: Rules) -> None:
    assert shop.stages == (
        Stage("new"),
        Stage("aware", ScoreIs("score", Test(ge=8.0)), ScoreIs("score", Test(lt=4.0))),
        Stage(
            "ready",
            AnyOf((ScoreIs("score", Test(ge=40.0)), Did("signal:checkout", within=3 * DAY))),
            ScoreIs("score", Test(lt=25.0)),
            min_stay=HOUR,
        ),
        Stage("customer", OrdersAre(Test(ge=1.0))),
    )


@pytest.mark.parametrize(
    ("name", "enter"),
    [
        ("vip", All((OrdersAre(Test(ge=3.0), 365 * DAY), RevenueIs(Test(ge=500.0), 365 * DAY)))),
        (
            "cart_abandoned",
            All(
                (
                    Did("signal:cart_add", within=DAY),
                    LastIs("signal:cart_add", HOUR),
                    Did("kind:order_completed", since="signal:cart_add", negated=True),
                    CartValueIs(Test(ge=20.0)),
                )
            ),
        ),
        ("dormant", LastIs("kind:any", 30 * DAY)),
        ("lapsed_buyer", All((OrdersAre(Test(ge=1.0)), LastIs("kind:order_completed", 90 * DAY)))),
        ("readers", VisitDurationIs(Test(ge=300_000.0))),
        ("pricing_readers", PageDurationIs(Test(glob=("/pricing*",)), Test(ge=60_000.0))),
        ("shoe_fans", InterestIs("shoes", Test(ge=6.0))),
        ("warmed_by_mail", Sequence(("signal:mail_click", "signal:pricing_view"), 7 * DAY)),
        ("frequent", Did("signal:page_view", at_least=20, within=7 * DAY)),
        ("local", TraitIs(Where((("country", Test(equals="ua")),)))),
        ("not_seen_lately", LastIs("kind:visit", 14 * DAY)),
        (
            "to_call",
            All(
                (
                    GradeIs(("A1", "A2", "B1")),
                    ScoreIs("service_interest", Test(ge=20.0)),
                    Mailable(value=True),
                    SessionsAre(Test(ge=2.0)),
                )
            ),
        ),
        ("paid_first", ChannelIs("first", Test(one_of=("paid search", "paid social")))),
        ("came_by_partner", ChannelIs("last", Test(equals="partner"))),
        ("hot_stranger", All((StageIs(Test(equals="ready")), Not(Known(value=True))))),
    ],
)
def test_segments(segments: dict[str, Segment], name: str, enter: object) -> None:
    assert segments[name].enter == enter


def test_how_segments_are_left(segments: dict[str, Segment]) -> None:
    assert len(segments) == 18
    assert segments["shoe_fans"].exit == InterestIs("shoes", Test(lt=3.0))
    assert segments["shoe_fans"].cooldown == 7 * DAY
    assert segments["not_seen_lately"].exit == Did("kind:page_viewed", within=DAY)
    assert segments["not_seen_lately"].min_stay == HOUR
    assert (segments["vip"].exit, segments["vip"].min_stay, segments["vip"].cooldown) == (None, 0, 0)


def test_a_condition_with_its_own_where_has_a_tracker_of_its_own(shop: Rules, segments: dict[str, Segment]) -> None:
    booked = segments["booked"].enter
    assert isinstance(booked, Did)
    assert booked.tracker.startswith("kind:form_submitted?")
    assert shop.trackers[booked.tracker].pattern == Pattern(
        "form_submitted", also=Where((("form", Test(equals="booking")),))
    )
    talkative = segments["talkative"].enter
    assert isinstance(talkative, All)
    talked = talkative.parts[0]
    assert isinstance(talked, Did)
    assert shop.trackers[talked.tracker].pattern.also == Where(
        (
            ("medium", Test(none_of=("bot",))),
            ("text", Test(exists=True)),
            ("length", Test(gt=20.0, le=4000.0)),
        )
    )
    asked = segments["asked_for_price"].enter
    assert isinstance(asked, Did)
    assert shop.trackers[asked.tracker].pattern.also == Where((("query", Test(contains="price")),))


def test_trackers_are_as_deep_as_their_deepest_use(shop: Rules) -> None:
    assert shop.trackers["signal:page_view"] == Tracker("signal:page_view", Pattern("page_viewed"), 20)
    assert shop.trackers["signal:pricing_view"] == Tracker(
        "signal:pricing_view", Pattern("page_viewed", where=PRICING), 100
    )
    assert shop.trackers["signal:mail_click"].depth == 100
    assert shop.trackers["signal:cart_add"].depth == 1
    assert shop.trackers["kind:any"] == Tracker("kind:any", Pattern("any"), 1)
    assert shop.trackers["kind:visit"].pattern == Pattern("visit")
    plain = {name for name in shop.trackers if "?" not in name}
    assert plain == {
        *("kind:any", "kind:visit", "kind:order_completed", "kind:page_viewed"),
        *("signal:cart_add", "signal:checkout", "signal:mail_click", "signal:page_view", "signal:pricing_view"),
    }


def test_goals(shop: Rules) -> None:
    assert shop.goals == (
        Goal("mql", None, "ready", "100"),
        Goal("won", Pattern(name="dealwon"), None, "amount", 180 * DAY),
        Goal("purchase", Pattern("order_completed"), None, "order", 30 * DAY, "reset"),
        Goal(
            "enquiry",
            Pattern("form_submitted", where=Where((("form", Test(equals="contact")),))),
            None,
            "50",
            90 * DAY,
            "first",
        ),
    )


def test_attribution(shop: Rules) -> None:
    assert shop.attribution == Attribution(
        half_life=7 * DAY,
        ignore=("Direct",),
        milestone_stage="ready",
        custom=CustomModel(10.0, 30.0, 60.0),
        correction_window=3 * DAY,
        data_driven=DataDriven(min_conversions=100, refit_every=HOUR, order=1),
    )
