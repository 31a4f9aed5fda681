"""Messages told twice count once; so do orders."""

import pytest

from app.domain.event import Event
from app.domain.message_ids import MessageIds, SeenMessages
from tests.domain.stories import DAY, START, DictRows, Story, event, order, page, reader
from tests.domain.ways import plain, score

RULES = reader(plain("goals: {purchase: {event: order_completed, value: order, path: window}}\n"))


def add(ids: MessageIds, name: str, at: int, rows: DictRows) -> bool:
    """Have a message come in a step of its own."""
    return SeenMessages(ids, rows).add(name, at)


def remembers(ids: MessageIds, rows: DictRows, name: str, at: int) -> bool:
    return not add(ids, name, at, rows)


def test_a_message_told_twice_counts_once() -> None:
    story = Story(RULES).tell_each([page(START, id="a"), page(START, id="a"), page(START + 1, id="b")])
    assert (score(story), story.duplicates) == (2, 1)


def test_a_message_told_twice_together_counts_once() -> None:
    story = Story(RULES).tell(page(START, id="a"), page(START, id="a"))
    assert (score(story), story.duplicates) == (1, 1)


def test_of_copies_that_differ_the_one_applied_first_counts() -> None:
    story = Story(RULES).tell(event(START, "conversation", "a")).tell(page(START - DAY, id="a"))
    assert (score(story), story.duplicates) == (20, 1)


def test_two_leads_may_have_the_same_message_id() -> None:
    for key in ("user:ada", "user:bob"):
        assert score(Story(RULES, key=key).tell(page(START, id="a", key=key))) == 1


def test_a_duplicate_leaves_no_trace() -> None:
    told: list[Event] = [page(START, id="a"), order(START + 1, "o1", "10", id="b")]
    story = Story(RULES).tell_each(told)
    before = (dict(story.rows), len(story.segments), len(story.conversions))
    story.tell_each(told)
    assert (dict(story.rows), len(story.segments), len(story.conversions)) == before


def test_a_message_is_known_for_thirty_days_however_many_come() -> None:
    ids, rows = MessageIds(), DictRows()
    add(ids, "first", START, rows)
    for number in range(5_000):
        add(ids, f"m{number}", START + number * (30 * DAY // 5_000), rows)
    assert remembers(ids, rows, "first", START + 30 * DAY)


def test_the_newest_two_thousand_messages_are_known_however_old() -> None:
    ids, rows = MessageIds(), DictRows()
    for number in range(2_500):
        add(ids, f"m{number}", START + number * DAY, rows)
    assert all(remembers(ids, rows, f"m{number}", START + 2_500 * DAY) for number in range(500, 2_500))


def test_older_messages_are_forgotten_beyond_two_thousand() -> None:
    ids, rows = MessageIds(), DictRows()
    for number in range(2_500):
        add(ids, f"m{number}", START + number * DAY, rows)
    assert 2_000 <= len(ids) < 2_200
    assert not remembers(ids, rows, "m0", START + 2_500 * DAY)


def test_at_most_ten_thousand_messages_are_known() -> None:
    ids, rows = MessageIds(), DictRows()
    for number in range(10_500):
        add(ids, f"m{number}", START, rows)
    assert len(ids) <= 10_000
    assert remembers(ids, rows, "m10499", START)
    assert not remembers(ids, rows, "m0", START)


@pytest.mark.parametrize(("days", "a_day"), [(26, 400), (40, 80)])
def test_messages_of_one_step_are_known_as_if_each_had_a_step_of_its_own(days: int, a_day: int) -> None:
    """Past 10,000 messages, or 30 days and 2,000; some are told again at once, a day later, or after 10,140 others."""
    together, rows, alone, rows_alone = MessageIds(), DictRows(), MessageIds(), DictRows()
    for day in range(days):
        step, at = SeenMessages(together, rows), START + day * DAY
        for number in range(day * a_day, (day + 1) * a_day):
            again = (number - 3, number - a_day, number - 26 * 390) if number % 20 == 0 else ()
            for name in (f"m{one}" for one in (number, *again)):
                assert step.add(name, at) == add(alone, name, at, rows_alone)
    assert (together, rows) == (alone, rows_alone)
    assert 0 < together.first < together.end


# --- orders -----------------------------------------------------------------------------------------------------------


def test_an_order_id_converts_once_ever() -> None:
    events = [order(START, "o1", "10"), order(START + 1, "o1", "10"), order(START + 300 * DAY, "o1", "99")]
    story = Story(RULES).tell_each(events)
    assert [record["value_minor"] for record in story.conversions] == [1000]
    profile = story.until(START + 300 * DAY)
    assert (profile["orders"], profile["revenue"]) == (1, [{"currency": "EUR", "minor": 1000}])


def test_of_one_moment_the_order_with_the_lower_event_id_counts() -> None:
    told = [order(START, "o1", "2", id="b"), order(START, "o1", "1", id="a")]
    for events in (told, told[::-1]):
        story = Story(RULES).tell_each(events)
        assert story.until(START)["revenue"] == [{"currency": "EUR", "minor": 100}]
        assert story.conversions[-1]["value_minor"] == 100


def test_a_cancelled_order_does_not_convert_again() -> None:
    cancelled = event(START + 1, "order_cancelled", properties={"order_id": "o1"})
    story = Story(RULES).tell_each([order(START, "o1", "10"), cancelled, order(START + 2, "o1", "10")])
    assert [(record["cause"], record["value_minor"]) for record in story.conversions] == [
        ("conversion", 1000),
        ("cancel", 0),
    ]
    assert story.until(START + 2)["orders"] == 0


@pytest.mark.parametrize("order_id", ["1001", 1001, 1001.0, " 1001 "])
def test_an_order_id_is_text_or_a_number(order_id: object) -> None:
    told = event(START + 1, "order_completed", "again", properties={"order_id": order_id}, amount="10")
    story = Story(RULES).tell_each([order(START, "1001", "10"), told])
    assert story.until(START + 1)["orders"] == 1
    assert len(story.conversions) == 1


def test_the_second_message_of_an_order_is_worth_no_points() -> None:
    rules = reader(plain().replace("signals:\n", "signals:\n  bought: {event: order_completed, points: 7}\n"))
    assert score(Story(rules).tell_each([order(START, "o1", "1"), order(START + 1, "o1", "1")])) == 7
