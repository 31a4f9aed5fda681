"""The bench's figures as text, each with its unit."""

from typing import Any

MIB = 1_048_576


def report(figures: dict[str, Any]) -> str:
    """Return the figures as lines to read."""
    engine, stock, machine = figures["engine"], figures["stock"], figures["machine"]
    quiet = engine["latency"]
    lines = [
        f"machine            {machine['cores']} cores, Python {machine['python']}, {machine['system']}; "
        "embedded broker, 4 partitions, one worker",
        f"load               {engine['events']:,} events of {engine['leads']:,} leads, the sample's mix, shop.yaml; "
        f"{engine['late']:,} came after a later one of their lead",
        f"throughput         {engine['events_per_second']:,.0f} events/s ({engine['seconds']:.1f} s, "
        f"{engine['cpu_us_per_event']:,.0f} µs of processor time an event, all threads)",
        f"stock Faust        {stock['events_per_second']:,.0f} events/s over {stock['events']:,} events, same fold: "
        f"Leadstream is {figures['ratio']:.1f} times as fast",
        f"latency            p50 {quiet['p50_ms']:.0f} ms, p99 {quiet['p99_ms']:.0f} ms, worst {quiet['worst_ms']:.0f} "
        f"ms at {quiet['rate']:,.0f} events/s ({quiet['samples']:,} events that changed a group)",
        f"memory             {engine['peak_memory_bytes'] / MIB:,.0f} MiB at most "
        f"(stock: {stock['peak_memory_bytes'] / MIB:,.0f} MiB)",
        f"disk               {engine['disk_bytes_per_lead']:,.0f} bytes a lead as left, "
        f"{engine['disk_bytes_per_lead_compacted']:,.0f} compacted",
        f"restore            {engine['restore_leads_per_second']:,.0f} leads/s ({engine['restore_seconds']:.1f} s from "
        "the changelog to an empty disk)",
        "stages             µs of processor time an event (measured in a run of its own):",
    ]
    stages = engine["stages_us_per_event"]
    lines += [f"  {name:<16} {spent:>8.1f} µs" for name, spent in stages.items()]
    lines.append(f"  {'together':<16} {sum(stages.values()):>8.1f} µs")
    return "\n".join(lines)
