"""What the output topics tell, for a person at a terminal: groups, hot leads, credit, and what could not be read."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from rich.console import Group, RenderableType
from rich.text import Text

from app.cli.terminal import Section
from app.domain.attribution.currency import exponent

HOTTEST: Final = 10
NEWEST: Final = 8
REASONS: Final = 3
"""Of the things a lead did, how many are told as the reason for its score."""
MODELS: Final = (
    *("first", "last", "last_non_direct", "linear", "time_decay", "position", "j_shaped", "inverse_j"),
    *("w_shaped", "full_path", "markov", "shapley", "custom"),
)
UNATTRIBUTED: Final = "unattributed"
NOTHING: Final = "–"

Record = dict[str, Any]


def money(minor: int, currency: str) -> str:
    """Return minor units as people write them: `1,234.50 EUR`."""
    return f"{amount(minor, currency)} {currency}"


def amount(minor: int, currency: str) -> str:
    """Return minor units of a currency in major ones, without its code: `1,234.50`."""
    places = exponent(currency)
    whole, rest = divmod(minor, 10**places)
    return f"{whole:,}{f'.{rest:0{places}d}' if places else ''}"


class Summary:
    """Keeps what a summary needs of the output records; `take` is given each of them once, in any order by lead."""

    def __init__(self, stages: Sequence[str]) -> None:
        self.stages = tuple(stages)
        """Of the rules, from the lowest."""
        self.counts: Counter[str] = Counter()
        """What the lanes counted: `events`, `duplicates`, `bots`, `late`, `clamped`, `not_applied.…`."""
        self.profiles: dict[str, Record] = {}
        self.changes: dict[str, Record] = {}
        """Lead → its newest change."""
        self.conversions: dict[str, Record] = {}
        """Conversion → its newest revision."""
        self.reasons: dict[str, deque[str]] = {}
        """Lead → the signals that moved it, newest first."""
        self.newest: deque[Record] = deque(maxlen=500)
        """Changes, as they came: in order of time for a lead, and nearly so for all."""
        self.entered: Counter[str] = Counter()
        """Stage → leads that came to it, from wherever."""
        self.by_time: Counter[str] = Counter()
        """Stage → those of them that came by time alone."""
        self.joined: Counter[str] = Counter()
        self.left: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self.revisions = 0

    def take(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Take one output record, as it was sent."""
        lead = (key or b"").decode("utf-8", "replace")
        if value is None:
            self.profiles.pop(lead, None)
            return
        told: Record = orjson.loads(value)
        if topic == "leads.profiles":
            self.profiles[lead] = told
        elif topic == "leads.segments":
            self._changed(lead, told)
        elif topic == "leads.conversions":
            self._converted(told)
        elif topic == "events.rejected":
            self.rejected[told["reason"]] += 1
            self.examples.setdefault(told["reason"], told["detail"])

    def _changed(self, lead: str, told: Record) -> None:
        self.changes[lead] = told
        self.newest.append(told)
        if told["stage"] != told["previous_stage"] and told["stage"] is not None:
            self.entered[told["stage"]] += 1
            self.by_time[told["stage"]] += told["cause"]["kind"] == "timer"
        self.joined.update(told["entered"])
        self.left.update(told["left"])
        signal = told["cause"].get("signal")
        if signal is not None:
            reasons = self.reasons.setdefault(lead, deque(maxlen=REASONS))
            if signal in reasons:
                reasons.remove(signal)
            reasons.appendleft(signal)

    def _converted(self, told: Record) -> None:
        known = self.conversions.get(told["conversion_id"])
        self.revisions += told["supersedes"] is not None
        if known is None or told["revision"] > known["revision"]:
            self.conversions[told["conversion_id"]] = told

    # --- tables -------------------------------------------------------------------------------------------------------

    def tables(self) -> list[RenderableType]:
        """Return everything there is to tell, in order."""
        return [
            self.headline(),
            self.stage_table(),
            self.segment_table(),
            self.lead_table(),
            *self.credit_tables(),
            self.rejected_table(),
            self.footnotes(),
        ]

    def glance(self) -> Group:
        """Return what changes from minute to minute."""
        return Group(self.headline(), self.stage_table(), self.newest_table())

    def headline(self) -> Text:
        """Return the numbers in one line."""
        return Text(
            f"{self.counts['events']:,} events, {len(self.profiles):,} leads, {sum(self.entered.values()):,} changes "
            f"of stage, {len(self.conversions):,} conversions, {sum(self.rejected.values()):,} messages rejected",
            style="bold",
        )

    def stage_table(self) -> Section:
        """Return each stage with the leads on it and how many came to it."""
        table = Section("Stages", "stage", "*leads now", "*came to it", "*of them by time alone", "*mean score")
        scores: dict[str, list[float]] = {}
        for profile in self.profiles.values():
            scores.setdefault(profile["stage"], []).append(profile["score"])
        for stage in self.stages:
            here = scores.get(stage, [])
            mean = f"{sum(here) / len(here):.1f}" if here else NOTHING
            table.add_row(stage, f"{len(here):,}", f"{self.entered[stage]:,}", f"{self.by_time[stage]:,}", mean)
        return table

    def segment_table(self) -> Section:
        """Return each segment's size and movement."""
        table = Section("Segments", "segment", "*leads now", "*entered", "*left")
        sizes = Counter(name for profile in self.profiles.values() for name in profile["segments"])
        for name in sorted({*sizes, *self.joined}, key=lambda name: (-sizes[name], name)):
            table.add_row(name, f"{sizes[name]:,}", f"{self.joined[name]:,}", f"{self.left[name]:,}")
        return table

    def lead_table(self) -> Section:
        """Return the leads with the highest scores, and why they have them."""
        table = Section(
            "Hottest leads", "lead", "contact", "stage", "*score", "because of", "interests", "last touch", "cart"
        )
        ranked = sorted(self.profiles.items(), key=lambda item: (-item[1]["score"], item[0]))
        for lead, profile in ranked[:HOTTEST]:
            change = self.changes.get(lead, {})
            cart = change.get("cart") or {"items": 0}
            table.add_row(
                profile["lead_id"],
                _contact(profile["contact"]),
                profile["stage"],
                f"{profile['score']:.2f}",
                ", ".join(self.reasons.get(lead, ())) or NOTHING,
                ", ".join(interest["category"] for interest in profile["interests"][:3]) or NOTHING,
                _touch(profile["last_touch"]),
                f"{cart['items']} for {money(cart['minor'], cart['currency'])}" if cart["items"] else NOTHING,
            )
        return table

    def credit_tables(self) -> list[Section]:
        """Return, for each goal and currency, what each model credits each channel with."""
        groups: dict[tuple[str, str], list[Record]] = {}
        for told in self.conversions.values():
            groups.setdefault((told["goal"], told["currency"]), []).append(told)
        return [_credits(goal, currency, groups[goal, currency]) for goal, currency in sorted(groups)]

    def rejected_table(self) -> Section:
        """Return how many messages were rejected for each reason."""
        table = Section("Rejected messages", "reason", "*messages", "for example")
        for reason, count in sorted(self.rejected.items(), key=lambda item: (-item[1], item[0])):
            table.add_row(reason, f"{count:,}", self.examples[reason])
        return table

    def newest_table(self) -> Section:
        """Return the newest changes."""
        table = Section("Newest changes", "at", "lead", "contact", "stage", "segments", "*score", "because of")
        for told in sorted(self.newest, key=lambda told: told["at"], reverse=True)[:NEWEST]:
            moved = told["stage"] != told["previous_stage"]
            segments = [*(f"+{name}" for name in told["entered"]), *(f"-{name}" for name in told["left"])]
            cause = told["cause"]
            table.add_row(
                told["at"],
                told["lead_id"],
                _contact(told["contact"]),
                f"{told['previous_stage'] or NOTHING} → {told['stage']}" if moved else str(told["stage"]),
                " ".join(segments) or NOTHING,
                f"{told['score']:.2f}",
                cause.get("signal") or ("time" if cause["kind"] == "timer" else cause["kind"]),
            )
        return table

    def footnotes(self) -> Text:
        """Return what else was counted."""
        counts = self.counts
        skipped = sum(count for name, count in counts.items() if name.startswith("not_applied."))
        lines = [
            f"{counts['duplicates']:,} duplicates counted once; {counts['bots']:,} events of bots, mail scanners and "
            f"internal traffic tagged, never scored; {counts['late']:,} late events folded in their place; "
            f"{counts['clamped']:,} events of the future taken at their record's time.",
            f"{self.revisions:,} conversions revised (refunds, cancellations, late touches); credit is of the newest "
            "revision. last_non_direct equals last while Direct counts only where there is nothing else.",
        ]
        if skipped:
            lines.append(f"{skipped:,} messages about identity, consent and erasure were counted and not applied yet.")
        return Text("\n".join(lines))


def _credits(goal: str, currency: str, conversions: Sequence[Record]) -> Section:
    models = [model for model in MODELS if any(model in told["credits"] for told in conversions)]
    by_channel: dict[str, Counter[str]] = {}
    paths: Counter[str] = Counter()
    for told in conversions:
        channels = [touch["channel"] for touch in told["touches"]] or [UNATTRIBUTED]
        paths.update(set(channels))
        for model, shares in told["credits"].items():
            for channel, minor in zip(channels, shares, strict=True):
                by_channel.setdefault(channel, Counter())[model] += minor
    total = sum(told["value_minor"] for told in conversions)
    title = (
        f"Credit for goal {goal}: {len(conversions):,} conversions, {money(total, currency)}; by model, in {currency}"
    )
    table = Section(title, "channel", "*in paths", *(f"*{model}" for model in models))
    for channel in sorted(by_channel, key=lambda name: (name == UNATTRIBUTED, -by_channel[name]["linear"], name)):
        table.add_row(
            channel, f"{paths[channel]:,}", *(amount(by_channel[channel][model], currency) for model in models)
        )
    return table


def _contact(contact: Mapping[str, str | None]) -> str:
    told = [value for field in ("name", "email", "phone") if (value := contact[field])]
    return ", ".join(told) or contact["user_id"] or NOTHING


def _touch(touch: Mapping[str, str | None] | None) -> str:
    if touch is None:
        return NOTHING
    told = ", ".join(value for field in ("source", "campaign") if (value := touch[field]))
    return f"{touch['channel']}{f' ({told})' if told else ''}, {(touch['at'] or '')[:10]}"
