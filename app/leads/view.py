"""A lead explained, as JSON tells it: `leadstream explain` and the worker's `/leads/explain`. Nothing of it is kept."""

from collections.abc import Iterable
from typing import Any, Final

from app.domain.conditions import Moment
from app.domain.explain import Explained, SignalLine, explain, explain_interest
from app.domain.explain_conditions import Told
from app.domain.explain_groups import Change, GroupTold, explain_groups
from app.domain.groups import settle
from app.domain.lead import Lead
from app.domain.needs import Need
from app.domain.outputs import iso, rounded

SCHEMA: Final = 1
_MS: Final = 1_000
"""ms in a second."""


def explained(lead: Lead, now: int) -> dict[str, Any] | None:
    """Return a lead as it is at `now` (UTC ms), or at its newest event if that is later; None when it has none yet.

    What the lead has taken in is folded and time goes on to that moment in the lead that is given, which is therefore
    not to be kept.
    """
    now = max(now, lead.core.at)
    lead.advance(now)
    core, reader = lead.core, lead.reader
    if core.stage is None:
        return None
    moment = Moment(core, reader, now, known=lead.known)
    if core.planned != reader.plan.fingerprint:
        # It was last looked at with other rules.
        settle(core, moment, reader.plan.every)
        moment = Moment(core, reader, now, known=lead.known)
    board, groups = moment.board, explain_groups(moment)
    return {
        "schema": SCHEMA,
        "brand": lead.hot.brand,
        "lead_id": lead.lead_id,
        "at": iso(now),
        "rules_version": reader.rules.version,
        "first_seen": iso(core.first_seen),
        "last_seen": iso(core.last_seen),
        "known": moment.known,
        "mailable": not core.mail_blocked,
        "excluded": moment.excluded,
        "stage": core.stage,
        "segments": sorted(core.segments),
        "score": rounded(board.value("score")),
        "grade": board.grade(),
        "cools_at": iso(groups.cools_at),
        "cools_to": groups.cools_to,
        "next_change_at": iso(groups.changes.at) if groups.changes else None,
        "next_change": _change(groups.changes),
        "scores": [_score(one) for one in explain(board)],
        "interests": [_interest(explain_interest(board, category)) for category, _ in board.interests()],
        "ladder": [_group(stage) | {"next": stage.next} for stage in groups.stages],
        "audiences": [_group(segment) for segment in groups.segments],
        "exclude": _condition(groups.exclude),
    }


# --- scores -----------------------------------------------------------------------------------------------------------


def _score(told: Explained) -> dict[str, Any]:
    shown = told.shown()
    signals, lines = shown[: len(told.signals)], shown[len(told.signals) :]
    return {
        "score": told.score,
        "value": rounded(told.value),
        "unit": "points",
        "signals": [_signal(line, points) for line, points in zip(told.signals, signals, strict=True)],
        "lines": [{"what": line.what, "points": points} for line, points in zip(told.lines, lines, strict=True)],
    }


def _signal(line: SignalLine, points: float) -> dict[str, Any]:
    return {
        "signal": line.signal,
        "count": line.count,
        "last_at": iso(line.last_at),
        "half_life_seconds": None if line.half_life is None else line.half_life / _MS,
        "raw_points": rounded(line.raw_points),
        "points": points,
        "caps": [
            {"cap": cap.name, "limit": cap.limit, "unit": cap.unit, "held_back": cap.held_back} for cap in line.caps
        ],
    }


def _interest(told: Explained) -> dict[str, Any]:
    """An interest is kept in points alone: its signals' counts and times are those of the scores."""
    signals = [
        {"signal": line.signal, "raw_points": rounded(line.raw_points), "points": points}
        for line, points in zip(told.signals, told.shown(), strict=True)
    ]
    return {"category": told.score, "value": rounded(told.value), "unit": "points", "signals": signals}


# --- groups -----------------------------------------------------------------------------------------------------------


def _group(told: GroupTold) -> dict[str, Any]:
    return {
        "name": told.name,
        "inside": told.inside,
        "since": iso(told.since),
        "stays_until": iso(told.stays_until),
        "closed_until": iso(told.closed_until),
        "enter": _condition(told.enter),
        "exit": _condition(told.exit),
    }


def _change(change: Change | None) -> dict[str, Any] | None:
    if change is None:
        return None
    return {"stage": change.stage, "entered": list(change.entered), "left": list(change.left)}


def _condition(told: Told | None) -> dict[str, Any] | None:
    if told is None:
        return None
    record: dict[str, Any] = {
        "rule": told.rule,
        "text": told.text,
        "holds": told.holds,
        "wanted": told.wanted,
        "changes_at": iso(told.changes_at),
    }
    if told.parts:
        return record | {"needs": "one" if told.any else "all", "parts": [_condition(part) for part in told.parts]}
    finding = told.finding
    return record | {
        "value": finding.value,
        "unit": finding.unit or None,
        "or_more": finding.or_more,
        "missing": _needs(finding.needs),
    }


def _needs(needs: Iterable[Need]) -> list[dict[str, Any]]:
    return [
        {
            "of": need.of,
            "amount": need.amount,
            "unit": need.unit or None,
            "way": need.way or None,
            "when": need.when or None,
            "wanted": need.wanted or None,
            "by": [{"score": name, "amount": amount, "unit": need.unit} for name, amount in need.by],
        }
        for need in needs
    ]
