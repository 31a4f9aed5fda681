"""Conditions: their truth at a moment, and the moments at which it may change with no event."""

from collections.abc import Iterator

from app.domain import rulebook as rb
from app.domain.rulebook import Test
from tests.system.oracle.matching import dotted, folded, holds, passes
from tests.system.oracle.story import Story


def is_true(condition: rb.Condition, story: Story, now: int, stage: str | None) -> bool:
    """Whether a condition holds at a moment, in a stage."""
    match condition:
        case rb.All(parts=parts):
            return all(is_true(part, story, now, stage) for part in parts)
        case rb.AnyOf(parts=parts):
            return any(is_true(part, story, now, stage) for part in parts)
        case rb.Not(part=part):
            return not is_true(part, story, now, stage)
        case rb.StageIs(test=test):
            return passes(test, stage)
        case rb.ScoreIs(name=name, test=test):
            return passes(test, story.scores.value(name, now))
        case rb.InterestIs(category=category, test=test):
            return passes(test, story.scores.value(f"interest:{folded(category)}", now))
        case rb.GradeIs(grades=grades):
            return story.scores.grade(now) in grades
        case rb.Did() | rb.LastIs() | rb.Sequence():
            return happened(condition, story, now)
        case rb.OrdersAre() | rb.RevenueIs() | rb.CartValueIs():
            return bought(condition, story, now)
        case _:
            return stands(condition, story)


def happened(condition: rb.Did | rb.LastIs | rb.Sequence, story: Story, now: int) -> bool:
    """Conditions on what the lead did."""
    if isinstance(condition, rb.LastIs):
        times = story.occurrences(condition.tracker)
        return bool(times) and now - times[-1] >= condition.older_than
    if isinstance(condition, rb.Did):
        times = story.occurrences(condition.tracker)
        if condition.within is not None:
            times = [at for at in times if now - at < condition.within]
        since = story.occurrences(condition.since) if condition.since is not None else []
        if since:
            times = [at for at in times if at > since[-1]]
        return (len(times) >= condition.at_least) != condition.negated
    last = -1
    for tracker in condition.trackers:
        later = [at for at in story.occurrences(tracker)[-100:] if at > last and now - at < condition.within]
        if not later:
            return False
        last = later[0]
    return True


def bought(condition: rb.OrdersAre | rb.RevenueIs | rb.CartValueIs, story: Story, now: int) -> bool:
    """Conditions on orders and the cart."""
    if isinstance(condition, rb.CartValueIs):
        return passes(condition.test, story.cart)
    orders = [order for order in story.orders if not order.undone]
    if condition.within is not None:
        orders = [order for order in orders if now - order.at < condition.within]
    if isinstance(condition, rb.OrdersAre):
        return passes(condition.test, len(orders))
    reader = story.reader
    worth = [
        (reader.rate(order.currency, order.at) or 0) * order.left / 10 ** (2 if order.currency != "JPY" else 0)
        for order in orders
    ]
    return passes(condition.test, sum(worth))


def stands(condition: rb.Condition, story: Story) -> bool:
    """Conditions that only an event changes."""
    match condition:
        case rb.TraitIs(where=where):
            return holds(where, lambda name: dotted(story.traits, name))
        case rb.SessionsAre(test=test):
            return passes(test, len(story.journey.visits))
        case rb.VisitDurationIs(test=test):
            return passes(test, max((visit.span for visit in story.journey.visits), default=0))
        case rb.PageDurationIs(path=path, test=test):
            return passes(test, sum(ms for page, ms in story.page_ms.items() if passes(path, page)))
        case rb.ChannelIs(which=which, test=test):
            touches = story.journey.touches
            return bool(touches) and passes(test, touches[0 if which == "first" else -1].channel)
        case rb.Known(value=value):
            return story.known == value
        case rb.Mailable(value=value):
            return story.mailable == value
    raise AssertionError(condition)


def moments(story: Story, start: int, end: int) -> Iterator[int]:
    """Moments in (start, end] at which some condition of the rules may come to stand otherwise."""
    for condition in rb.conditions_of(story.rules):
        for at in _moments(condition, story, start, end):
            if start < at <= end:
                yield at


def _moments(condition: rb.Condition, story: Story, start: int, end: int) -> Iterator[int]:
    match condition:
        case rb.Did(tracker=tracker, within=int(within)):
            yield from (at + within for at in story.occurrences(tracker))
        case rb.LastIs(tracker=tracker, older_than=older_than):
            yield from (at + older_than for at in story.occurrences(tracker)[-1:])
        case rb.Sequence(trackers=trackers, within=within):
            yield from (at + within for tracker in trackers for at in story.occurrences(tracker))
        case rb.OrdersAre(within=int(within)) | rb.RevenueIs(within=int(within)):
            yield from (order.at + within for order in story.orders)
        case rb.ScoreIs(name=name, test=test):
            yield from _crossings(story, name, test, start, end)
        case rb.InterestIs(category=category, test=test):
            yield from _crossings(story, f"interest:{folded(category)}", test, start, end)
        case rb.GradeIs():
            for least, _ in story.rules.grades_engagement:
                yield from story.scores.crossings("engagement", least, start, end)


def _crossings(story: Story, name: str, test: Test, start: int, end: int) -> Iterator[int]:
    for bound in (test.ge, test.gt, test.le, test.lt, test.equals):
        if isinstance(bound, int | float):
            yield from story.scores.crossings(name, bound, start, end)
