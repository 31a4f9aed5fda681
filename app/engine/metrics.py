"""Every metric of a worker, as a closed type. `app.engine.meters` holds the numbers."""

from enum import Enum
from typing import Final, Literal

import msgspec

Kind = Literal["counter", "gauge", "histogram"]
Labels = tuple[str, ...]

FAST_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
WAIT_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3_600.0, 86_400.0)
DUE_S: Final = (1.05, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 600.0, 3_600.0, 86_400.0)
RECOVERY_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0)
RECORDS: Final = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 2_000.0, 4_000.0, 10_000.0)


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What a metric is."""

    name: str
    """As it stands on the page; a counter's ends in `_total`."""
    kind: Kind
    unit: str
    """What one of it is."""
    help: str
    labels: Labels = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds, of a histogram."""
    count: str = ""
    """Name of the programs' count (`Step.counts`) that feeds it. With labels, their values follow it, as in
    `rejected.no_type` or `read.events.web.page_viewed`; only the first of several may have dots in it."""


class Metric(Enum):
    """All there are. docs/operations.md lists them, and a test compares."""

    # --- what the leads program counts, once each, when the step that counted it is durable
    EVENTS = Spec(
        name="leadstream_events_total",
        kind="counter",
        unit="records",
        help="Records of events.* where they were first read, by kind; `unreadable` are those rejected at once.",
        labels=("topic", "kind"),
        count="read",
    )
    REJECTED = Spec(
        name="leadstream_rejected_total",
        kind="counter",
        unit="records",
        help="Records sent to events.rejected.",
        labels=("reason",),
        count="rejected",
    )
    DUPLICATES = Spec(
        name="leadstream_duplicates_total",
        kind="counter",
        unit="events",
        help="Events whose message id the lead has had; they count once.",
        count="duplicates",
    )
    BOTS = Spec(
        name="leadstream_bots_total",
        kind="counter",
        unit="events",
        help="Events tagged as of bots, mail scanners or internal traffic; never scored.",
        count="bots",
    )
    LATE = Spec(
        name="leadstream_late_total",
        kind="counter",
        unit="events",
        help="Events older than their lead's newest one; folded in their place.",
        count="late",
    )
    CLAMPED = Spec(
        name="leadstream_clamped_total",
        kind="counter",
        unit="events",
        help="Events whose time was more than 5 minutes ahead of their record's, which was taken: a clock is wrong.",
        count="clamped",
    )
    FORWARDED = Spec(
        name="leadstream_forwarded_total",
        kind="counter",
        unit="events",
        help="Events that landed in another partition than their lead's and took a second hop; check the keys.",
        count="forwarded",
    )
    NOT_APPLIED = Spec(
        name="leadstream_not_applied_total",
        kind="counter",
        unit="events",
        help="Events of kinds that this version counts and does not apply yet.",
        labels=("kind",),
        count="not_applied",
    )
    LEADS = Spec(
        name="leadstream_leads_total",
        kind="counter",
        unit="leads",
        help="Leads that came to be.",
        count="leads",
    )
    SEGMENT_CHANGES = Spec(
        name="leadstream_segment_changes_total",
        kind="counter",
        unit="records",
        help="Changes of stage or segments sent to leads.segments.",
        count="segment_changes",
    )
    CONVERSIONS = Spec(
        name="leadstream_conversions_total",
        kind="counter",
        unit="records",
        help="Conversions sent to leads.conversions for the first time.",
        count="conversions",
    )
    REVISIONS = Spec(
        name="leadstream_revisions_total",
        kind="counter",
        unit="records",
        help="Revisions of conversions sent to leads.conversions.",
        count="revisions",
    )

    DUE_LEADS = Spec(
        name="leadstream_due_leads_total",
        kind="counter",
        unit="leads",
        help="Leads looked at because their time had come, with no event: a score faded, an absence was long enough.",
        count="due",
    )

    FOLLOWED = Spec(
        name="leadstream_followed_leads_total",
        kind="counter",
        unit="leads",
        help="Leads looked at because their rules had changed, with no event.",
        count="followed",
    )

    # --- steps
    STEP_RECORDS = Spec(
        name="leadstream_step_records",
        kind="histogram",
        unit="records",
        help="New records a step took. Small is quick, large is efficient: it grows by itself with the load.",
        buckets=RECORDS,
    )
    STEP_SECONDS = Spec(
        name="leadstream_step_seconds",
        kind="histogram",
        unit="seconds",
        help="Time of a step by stage: fold (decode, fold, encode), changelog (until acknowledged; with exactly_once "
        "until the transaction is committed, outbox and all), rows (local write), outbox (until acknowledged). Wall "
        "time; what other lanes did while one waited is in it.",
        labels=("stage",),
        buckets=FAST_S,
    )
    IDLE_STEPS = Spec(
        name="leadstream_idle_steps_total",
        kind="counter",
        unit="steps",
        help="Steps without input: timed changes, and sweeps that a command asked for.",
    )
    STEPS_HALVED = Spec(
        name="leadstream_steps_halved_total",
        kind="counter",
        unit="steps",
        help="Steps done again in two halves because their batch was above step_bytes.",
    )
    LATENCY = Spec(
        name="leadstream_latency_seconds",
        kind="histogram",
        unit="seconds",
        help="From a record's timestamp until what follows from it is acknowledged. Of each chunk one half counts as "
        "old as its first record, the other as its last.",
        buckets=WAIT_S,
    )
    DUE_LAG = Spec(
        name="leadstream_due_lag_seconds",
        kind="histogram",
        unit="seconds",
        help="From the moment at which a lead was due until what followed from it was acknowledged. 1 s at least: so "
        "long a lane waits for events that are older than that moment.",
        buckets=DUE_S,
    )
    DUE_WAIT = Spec(
        name="leadstream_due_wait_seconds",
        kind="gauge",
        unit="seconds",
        help="How long the lead that was due first has been waiting; 0 when none is due. Up to 1 s is usual; while a "
        "lane is behind with its inputs, its due leads wait for them.",
        labels=("partition",),
    )
    REPEATS = Spec(
        name="leadstream_repeats_dropped_total",
        kind="counter",
        unit="records",
        help="Records skipped because they were applied before: read again, or sent again by a lane.",
    )

    # --- partitions come and go
    LAG = Spec(
        name="leadstream_lag",
        kind="gauge",
        unit="records",
        help="Records of an input partition that are not processed yet; none shown before the first fetch.",
        labels=("topic", "partition"),
    )
    LANES = Spec(
        name="leadstream_lanes",
        kind="gauge",
        unit="lanes",
        help="Lanes of this worker: open, or opening (taking their partition over).",
        labels=("state",),
    )
    REBALANCES = Spec(
        name="leadstream_rebalances_total",
        kind="counter",
        unit="rebalances",
        help="Times that the consumer group gave this worker its partitions; 1 is the start.",
    )
    RECOVERY_SECONDS = Spec(
        name="leadstream_recovery_seconds",
        kind="histogram",
        unit="seconds",
        help="Time a lane took to take its partition over: changelog read, marked, outbox sent again.",
        buckets=RECOVERY_S,
    )
    RECOVERED_ROWS = Spec(
        name="leadstream_recovered_rows_total",
        kind="counter",
        unit="records",
        help="Changelog records read while partitions were taken over.",
    )
    RESENT = Spec(
        name="leadstream_outbox_resent_total",
        kind="counter",
        unit="records",
        help="Records of the last step sent again after a take-over, because they may not have been sent.",
    )
    INPUTS_AWAITED = Spec(
        name="leadstream_inputs_awaited_seconds_total",
        kind="counter",
        unit="seconds",
        help="Time in which lanes held records back for another input, which has older ones that were not fetched yet.",
    )
    EXPIRED = Spec(
        name="leadstream_expired_total",
        kind="counter",
        unit="records",
        help="Records of an input that the broker removed, by its retention, before any worker read them: lost.",
    )


Stage = Literal["fold", "changelog", "rows", "outbox"]
"""What a step's time goes to."""
