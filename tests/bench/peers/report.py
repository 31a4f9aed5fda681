"""The comparison's figures: medians of the rounds, ratios, and all of it as text."""

import platform
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import msgspec

from tests.bench.peers.measure import COMMIT_MS, Latency, Restore, Throughput

MIB = 1_048_576
OURS = "Leadstream"
THEIRS = ("stock Faust", "Quix Streams", "Kafka Streams", "Kafka Streams, cache")
"""Whom Leadstream with one worker is compared with."""


def summary(
    options: msgspec.Struct,
    cores: int | None,
    runs: Mapping[str, Sequence[Throughput]],
    restores: Mapping[str, Sequence[Restore]],
    latencies: Mapping[str, Latency],
) -> dict[str, Any]:
    """Return the figures, each named with its unit."""
    told = {name: _one(of, restores[name], latencies.get(name)) for name, of in runs.items()}
    rates = {name: one["events_per_core_second"] for name, one in told.items() if runs[name]}
    ratios = {name: rates[OURS] / rates[name] for name in THEIRS if name in rates and OURS in rates}
    return {
        "machine": {"cores": cores, "python": platform.python_version(), "system": platform.system()},
        "options": msgspec.to_builtins(options),
        "contenders": told,
        "per_core_ratio_of_leadstream": ratios,
    }


def _one(runs: Sequence[Throughput], restores: Sequence[Restore], latency: Latency | None) -> dict[str, Any]:
    figures: dict[str, Any] = {} if latency is None else {"latency": msgspec.to_builtins(latency)}
    if not runs:
        return figures
    figures |= {
        "events": runs[0].all_events,
        "leads": runs[0].leads,
        "crossings": runs[0].crossings,
        "changelog_records": runs[0].changelog_records,
        "events_per_core_second": median(run.per_core for run in runs),
        "events_per_core_second_of_runs": [run.per_core for run in runs],
        "events_per_second": median(run.per_second for run in runs),
        "memory_bytes": median(run.memory_bytes for run in runs),
        "disk_bytes_per_lead": median(run.disk_bytes / run.leads for run in runs),
    }
    if restores:
        figures["restore_leads_per_second"] = median(one.leads / one.seconds for one in restores)
        figures["restore_seconds"] = median(one.seconds for one in restores)
        figures["serving_seconds"] = median(one.serving_seconds for one in restores)
    return figures


def report(figures: dict[str, Any]) -> str:
    """Return the figures as lines to read."""
    machine, options = figures["machine"], figures["options"]
    lines = [
        f"{machine['cores']} cores, shared with the broker, nothing pinned; Python {machine['python']}",
        f"Apache Kafka, one broker, 4 partitions; medians of {options['repeats']} rounds; commit interval of Quix and "
        f"Kafka Streams {COMMIT_MS / 1000:.0f} s",
        "",
        " " * NAME + "".join(f"{head:>{len(head) + 2}}" for head in COLUMNS),
    ]
    for name, one in figures["contenders"].items():
        cells = (f"{_told(value(one)):>{len(head) + 2}}" for head, value in COLUMNS.items())
        lines.append(f"{name:<{NAME}}" + "".join(cells))
    lines.append("")
    for name, ratio in figures["per_core_ratio_of_leadstream"].items():
        lines.append(f"Leadstream / {name}: {ratio:.1f} a core")
    return "\n".join(lines)


NAME = 28
COLUMNS: dict[str, Callable[[dict[str, Any]], float | None]] = {
    "events/s/core": lambda one: one.get("events_per_core_second"),
    "events/s": lambda one: one.get("events_per_second"),
    "p50 ms": lambda one: one.get("latency", {}).get("p50_ms"),
    "p99 ms": lambda one: one.get("latency", {}).get("p99_ms"),
    "CPU ms/event then": lambda one: one.get("latency", {}).get("cpu_ms"),
    "restored leads/s": lambda one: one.get("restore_leads_per_second"),
    "serving after ms": lambda one: 1000 * one["serving_seconds"] if "serving_seconds" in one else None,
    "disk B/lead": lambda one: one.get("disk_bytes_per_lead"),
    "memory MiB": lambda one: one["memory_bytes"] / MIB if "memory_bytes" in one else None,
    "of events": lambda one: one.get("events"),
    "of leads": lambda one: one.get("leads"),
}


def _told(figure: float | None) -> str:
    return "–" if figure is None else f"{figure:,.{1 if 0 < figure < 10 else 0}f}"
