"""The page that explains a lead: who is found by what, and that looking changes nothing."""

from collections.abc import Mapping
from typing import Any

import pytest

from app.domain.identity import lead_id, owner
from app.domain.reader import Reader
from app.engine.program import Rows
from app.leads.explain import Explainer, candidates
from app.leads.program import LeadProgram
from app.rules import loads
from app.settings import Settings
from tests.agents.test_leads_program import AT, READERS, SETTINGS, TOPICS, DictRows, page
from tests.domain.stories import DAY, HOUR, MINUTE

ADA, MAIL = "ada", "ada@example.com"
NORTH = """
version: north-1
brand: north
signals: {view: {event: page_viewed, points: 30}}
scores: {engagement: {signals: all}}
stages: [{name: seen}, {name: keen, enter: {score: {ge: 50}}}]
"""
BOTH = READERS | {"north": Reader(loads(NORTH))}


class Lanes(dict[int, tuple[LeadProgram, Rows]]):
    """Open lanes of one worker over rows in memory."""

    def __init__(self, *partitions: int, readers: Mapping[str, Reader] = READERS, replay: bool = False) -> None:
        settings = Settings(partitions=4, replay=replay)
        super().__init__({at: (LeadProgram(at, settings, TOPICS, readers), DictRows()) for at in partitions})

    def tell(self, key: str, offset: int, **message: Any) -> None:
        """Have the owner of a key read a page view of it."""
        kind, _, name = key.partition(":")
        ids = {"user": {"userId": name}, "anon": {"userId": None, "anonymousId": name}}
        ids |= {"email": {"userId": None, "context": {"traits": {"email": name}}}}
        program, rows = self[owner(key, 4)]
        assert isinstance(rows, DictRows)
        rows.store(program.step([page(offset, "", **{**ids[kind], **message})], rows))

    def stored(self) -> list[dict[bytes, bytes]]:
        return [dict(rows.scan(b"", None, 10_000)) for _, rows in self.values()]


def explainer(lanes: Lanes, now: int = AT + HOUR) -> Explainer:
    return Explainer(SETTINGS, lambda: lanes, lambda: now)


async def told(lanes: Lanes, lead: str, now: int = AT + HOUR, **query: str) -> dict[str, Any]:
    status, body = await explainer(lanes, now).page({"lead": lead, **query})
    assert status == 200, body
    return dict(body)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ada", ["user:ada", "anon:ada"]),
        (" Ada@Example.com ", ["user:Ada@Example.com", "email:ada@example.com", "anon:Ada@Example.com"]),
        ("+44 20 7946 0018", ["user:+44 20 7946 0018", "phone:+442079460018", "anon:+44 20 7946 0018"]),
        ("email:Ada@Example.com", ["email:ada@example.com"]),
        ("user:12", ["user:12"]),
        ("urn:12", ["user:urn:12", "anon:urn:12"]),
        ("email:0123456789abcdef", []),
        ("null", []),
        ("", []),
    ],
)
def test_what_a_marketer_may_mean(text: str, found: list[str]) -> None:
    assert candidates(text) == found


async def test_a_lead_is_found_by_its_user_id_with_everything_that_is_told_of_it() -> None:
    lanes = Lanes(0, 1, 2, 3)
    for minute in range(3):
        lanes.tell("user:ada", minute)
    body = await told(lanes, ADA)
    assert (body["brand"], body["lead_id"], body["at"]) == ("default", "user:ada", "2026-01-01T01:00:00.000Z")
    (engagement,) = [score for score in body["scores"] if score["score"] == "engagement"]
    (line,) = engagement["signals"]
    # Three views, counted from that day's start in Kyiv, two hours before: 3 · 2^(−3/(24 · 14)) points.
    assert (line["signal"], line["count"], line["raw_points"], line["points"]) == ("page_view", 3, 3, 2.98)
    assert (engagement["value"], body["score"]) == (2.98, 2.39)
    (next_stage,) = [stage for stage in body["ladder"] if stage["next"]]
    assert (next_stage["name"], next_stage["enter"]["text"]) == ("aware", "score ≥ 8 points")
    (missing,) = next_stage["enter"]["missing"]
    assert round(missing["amount"], 2) == 5.61
    assert [way["score"] for way in missing["by"]] == ["engagement", "fit"]


async def test_a_lead_is_found_by_what_else_it_is_known_by_when_all_are_looked_through() -> None:
    lanes = Lanes(0, 1, 2, 3)
    lanes.tell("user:ada", 0, anonymousId="a-1", context={"traits": {"email": MAIL}})
    for name in (MAIL, "a-1", f"email:{MAIL}"):
        status, body = await explainer(lanes).page({"lead": name})
        assert (status, body["why"]) == (404, f"no lead {name} on this worker")
        assert (await told(lanes, name, search="1"))["lead_id"] == "user:ada"


async def test_a_lead_is_found_by_the_name_that_outputs_give_it() -> None:
    lanes = Lanes(0, 1, 2, 3)
    lanes.tell(f"email:{MAIL}", 0)
    called = lead_id(f"email:{MAIL}", SETTINGS.id_key.encode())
    assert (await told(lanes, MAIL))["lead_id"] == called
    assert (await told(lanes, called, search="1"))["lead_id"] == called


async def test_a_worker_without_the_partition_says_whose_it_is() -> None:
    home = owner("user:ada", 4)
    others = [partition for partition in range(4) if partition != home]
    status, body = await explainer(Lanes(*others)).page({"lead": "user:ada"})
    assert status == 404
    assert (body["here"], body["partitions"], body["belongs_to"]) == (others, 4, [home])


async def test_what_is_not_understood_is_refused_with_what_was_expected() -> None:
    for query, why in (
        ({"lead": " "}, "lead: found '', expected a user id"),
        ({"lead": "none"}, "lead: found 'none', expected a user id"),
        ({"lead": ADA, "at": "tomorrow"}, "at: found 'tomorrow', expected a time such as"),
        ({"lead": ADA, "at": "9999-01-01T00:00:00Z"}, "at: found '9999"),
    ):
        status, body = await explainer(Lanes(0, 1, 2, 3)).page(query)
        assert status == 400
        assert body["why"].startswith(why)


async def test_one_name_in_two_brands_asks_which_and_each_has_its_own_rules() -> None:
    lanes = Lanes(0, 1, 2, 3, readers=BOTH)
    lanes.tell("user:ada", 0)
    lanes.tell("user:ada", 1, context={"brand": "north"})
    status, body = await explainer(lanes).page({"lead": ADA})
    assert (status, body["brands"]) == (409, ["default", "north"])
    north = await told(lanes, ADA, brand="north")
    assert (north["stage"], north["rules_version"], north["score"]) == ("seen", "north-1", 30)
    assert (await told(lanes, ADA, brand="default"))["stage"] == "new"


async def test_a_lead_is_found_by_the_key_of_its_outputs_which_has_the_brand_in_it() -> None:
    lanes = Lanes(0, 1, 2, 3, readers=BOTH)
    lanes.tell("user:ada", 0)
    lanes.tell("user:ada", 1, context={"brand": "north"})
    lanes.tell("user:west/user:bob", 2)
    for key, brand in (("default/user:ada", "default"), ("north/user:ada", "north")):
        assert (await told(lanes, key))["brand"] == brand
        assert (await told(lanes, key, brand=brand))["brand"] == brand
    assert (await explainer(lanes).page({"lead": "north/user:ada", "brand": "default"}))[0] == 404
    assert (await told(lanes, "user:west/user:bob"))["lead_id"] == "user:west/user:bob"


async def test_of_several_leads_of_one_name_the_strongest_is_told_and_the_others_named() -> None:
    lanes = Lanes(0, 1, 2, 3)
    lanes.tell("user:ada", 0)
    lanes.tell("anon:ada", 1)
    body = await told(lanes, ADA)
    assert (body["lead_id"], body["others"]) == ("user:ada", ["anon:ada"])
    assert (await told(lanes, "anon:ada"))["others"] == []


async def test_looking_ahead_changes_nothing_that_is_kept() -> None:
    lanes = Lanes(0, 1, 2, 3)
    for minute in range(12):
        lanes.tell("user:ada", minute)
    before = lanes.stored()
    dormant = await told(lanes, ADA, now=AT + 11 * MINUTE + 30 * DAY)
    assert "dormant" in dormant["segments"]
    assert "dormant" not in (await told(lanes, ADA))["segments"]
    by_hand = await told(lanes, ADA, at="2026-01-31T00:11:00Z")
    assert {**by_hand, "at": ""} == {**dormant, "at": ""}
    assert lanes.stored() == before
    lanes.tell("user:ada", 20)
    program, rows = lanes[owner("user:ada", 4)]
    assert program.peek("default", "user:ada", rows).core.signals["page_view"].count == 13


async def test_a_moment_before_the_newest_event_is_that_events() -> None:
    lanes = Lanes(0, 1, 2, 3)
    lanes.tell("user:ada", 30)
    assert (await told(lanes, ADA, now=AT))["at"] == "2026-01-01T00:30:00.000Z"


async def test_what_a_replay_has_not_folded_yet_is_seen_folded() -> None:
    lanes = Lanes(0, 1, 2, 3, replay=True)
    lanes.tell("user:ada", 0)
    lanes.tell("user:ada", 1)
    before = lanes.stored()
    (line,) = (await told(lanes, ADA))["scores"][0]["signals"]
    assert line["count"] == 2
    assert lanes.stored() == before


async def test_rules_that_are_newer_than_the_state_are_those_it_is_explained_by() -> None:
    lanes = Lanes(0, 1, 2, 3)
    lanes.tell("user:ada", 0)
    home = owner("user:ada", 4)
    changed = NORTH.replace("brand: north\n", "").replace("{ge: 50}", "{ge: 20}").replace("view:", "page_view:")
    lanes[home] = (LeadProgram(home, SETTINGS, TOPICS, {"default": Reader(loads(changed))}), lanes[home][1])
    body = await told(lanes, ADA)
    assert (body["stage"], body["rules_version"]) == ("keen", "north-1")
