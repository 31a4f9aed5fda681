"""Visits and touches: how a lead comes, what it does on the site, how long it stays (SEMANTICS §5)."""

from typing import Final

import msgspec

from app.domain import series
from app.domain.facts import Fact
from app.domain.rulebook import DAY_MS, PointsPer
from app.domain.series import Rows
from app.domain.signals import measured_units
from app.domain.state import Core, Session, Touch, View

IDLE_MS: Final = 30 * 60_000
SESSION_MS: Final = DAY_MS
LANDING_MS: Final = 5 * 60_000
TOUCHES_KEPT: Final = 500
TOUCHES_KEPT_MS: Final = 400 * DAY_MS
TOUCH_PREFIX: Final = "t|"
SESSION_PREFIX: Final = "s|"
_RECENT_PAGES: Final = 11
_VIEWS_KEPT: Final = 100
_PAGES_KEPT: Final = 100
_REFERRERS_KEPT: Final = 20
_TOUCHES: Final = msgspec.msgpack.Decoder(Touch)
EMAIL_MEDIUM: Final = "email"


def touch_from(fact: Fact) -> Touch:
    """Return the touch that a fact with a touchpoint makes."""
    point = fact.touch
    assert point is not None
    landing = fact.path if fact.visit else ""
    return Touch(
        fact.at,
        fact.id,
        point.channel,
        point.source,
        point.medium,
        point.campaign,
        point.content,
        point.term,
        point.click_id,
        landing,
    )


def add_touch(core: Core, touch: Touch, rows: Rows) -> None:
    """Make `touch` the newest."""
    if core.last_touch is not None:
        series.append(core.touches, core.last_touch, rows, TOUCH_PREFIX)
    core.last_touch = touch
    core.open_click = False
    if core.first_touch is None or touch.key < core.first_touch.key:
        core.first_touch = touch


def replace_last(core: Core, touch: Touch) -> None:
    """Put what a landing told into the mail click that caused it."""
    if core.first_touch is not None and core.last_touch is not None and core.first_touch.key == core.last_touch.key:
        core.first_touch = touch
    core.last_touch = touch
    core.open_click = False


def all_touches(core: Core, late: list[Touch], rows: Rows) -> list[Touch]:
    """Return the newest 500 touches of the last 400 days, by time, then id; `late` are those that came too late."""
    touches = series.read(core.touches, rows, TOUCH_PREFIX, _TOUCHES.decode)
    if core.last_touch is not None:
        touches.append(core.last_touch)
    if late:
        touches = sorted([*touches, *late], key=lambda touch: touch.key)
    return [touch for touch in touches if touch.at > core.at - TOUCHES_KEPT_MS][-TOUCHES_KEPT:]


def visit(core: Core, fact: Fact, rows: Rows) -> bool:
    """Apply a session event: its visit, and the touch if it is an arrival; whether a touch was made or changed."""
    session = core.session
    fresh = session is None or fact.at - session.last >= IDLE_MS or fact.at - session.start >= SESSION_MS
    touch = touch_from(fact) if fact.touch is not None else None
    differs = touch is not None and (core.last_touch is None or touch.compared != core.last_touch.compared)
    if fact.told and differs:
        fresh = True
    if session is None or fresh:
        session = _open_session(core, fact, rows)
    else:
        span = fact.at - session.last
        session.last = fact.at
        core.visit_ms += span
        core.longest_visit = max(core.longest_visit, session.last - session.start)
        _close_view(core, session, fact.at)
    new_referrer = bool(fact.referrer) and fact.referrer not in session.referrers
    if new_referrer:
        session.referrers = [*session.referrers, fact.referrer][-_REFERRERS_KEPT:]
    if touch is None:
        return False
    arrival = not session.arrived or (differs and (fact.told or new_referrer))
    session.arrived = True
    if _is_landing(core, fact, touch):
        replace_last(core, _landed(core.last_touch, touch, fact.told))
        return True
    if arrival:
        add_touch(core, touch, rows)
    return arrival


def _open_session(core: Core, fact: Fact, rows: Rows) -> Session:
    if core.session is not None:
        series.append(core.closed_sessions, [core.session.start, core.session.last], rows, SESSION_PREFIX, 32)
    core.session = Session(fact.at, fact.at)
    core.sessions += 1
    return core.session


def _is_landing(core: Core, fact: Fact, touch: Touch) -> bool:
    """Whether the event is the landing of the mail click just made."""
    click = core.last_touch
    if click is None or not core.open_click or fact.at - click.at >= LANDING_MS:
        return False
    return touch.medium.lower() == EMAIL_MEDIUM or (not fact.told and not fact.referrer)


def _landed(click: Touch | None, landing: Touch, told: bool) -> Touch:
    """Return the one touch of a mail click and its landing: the click's time and id, the landing's campaign."""
    assert click is not None
    told_by = landing if told else click
    return msgspec.structs.replace(told_by, at=click.at, event_id=click.event_id, landing_page=landing.landing_page)


def view_page(core: Core, path: str, at: int) -> None:
    """Begin the view of a page in the current session."""
    session = core.session
    assert session is not None
    session.views.pop(path, None)
    session.views[path] = View(at)
    if len(session.views) > _VIEWS_KEPT:
        del session.views[next(iter(session.views))]
    session.open_path = path
    if path:
        core.last_page = path
        core.recent_pages.pop(path, None)
        core.recent_pages[path] = at
        if len(core.recent_pages) > _RECENT_PAGES:
            del core.recent_pages[next(iter(core.recent_pages))]


def _view_of_dwell(core: Core, fact: Fact) -> tuple[str, View]:
    """Return the view that a dwell event belongs to: the session's latest of its path, without a path the latest.

    A dwell of a page whose view was never told stands for that view, from its own time on.
    """
    session = core.session
    assert session is not None
    views = session.views
    path = fact.path or next(reversed(views), "")
    if path not in views:
        views[path] = View(fact.at)
    return path, views[path]


def told_dwell(core: Core, fact: Fact) -> View:
    """Add the dwell of a `page_engaged` event to its view, and return the view."""
    path, view = _view_of_dwell(core, fact)
    before = max(view.gap, view.dwell)
    view.dwell += fact.dwell
    if path in core.page_ms:
        core.page_ms[path] += max(view.gap, view.dwell) - before
    return view


def more_units(view: View, name: str, value: float, per: PointsPer) -> float:
    """Add a measured value to its view and return by how many units that raises what the view is worth."""
    before = view.measured.get(name, 0.0)
    view.measured[name] = before + value
    return measured_units(per, before + value) - measured_units(per, before)


def _close_view(core: Core, session: Session, at: int) -> None:
    """End the open view at the session's next event."""
    path, session.open_path = session.open_path, None
    view = session.views.get(path) if path is not None else None
    if view is None or path is None:
        return
    before = max(view.gap, view.dwell)
    view.gap = min(at - view.at, IDLE_MS)
    if path in core.page_ms:
        core.page_ms[path] += max(view.gap, view.dwell) - before


def track_page(core: Core, path: str) -> None:
    """Keep the time on this path from now on: a condition asks about it. At most 100 paths, the least used goes."""
    if path not in core.page_ms:
        if len(core.page_ms) >= _PAGES_KEPT:
            del core.page_ms[min(core.page_ms, key=lambda known: (core.page_ms[known], known))]
        core.page_ms[path] = 0
