"""What `leadstream rules diff` found, for people."""

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from app.cli.terminal import Section


def parts(told: dict[str, Any], most: int | None) -> Iterator[RenderableType]:
    """Yield what is to be printed; of the leads that move at most `most`, None = all."""
    scores = told["scores"]
    yield Text(
        f"Brand {told['brand']}, rules {told['old']} → {told['new']}, as of {told['at']}: "
        f"{told['moved']:,} of {told['leads']:,} leads change stage or segments; "
        f"scores: {scores['up']:,} higher, {scores['down']:,} lower, {scores['same']:,} the same"
    )
    if told["stages"]:
        stages = Section("Stages", "from", "to", "*leads")
        for row in told["stages"]:
            stages.add_row(row["from"], row["to"], f"{row['leads']:,}")
        yield stages
    if told["segments"]:
        segments = Section("Segments", "segment", "*enter", "*leave")
        for row in told["segments"]:
            segments.add_row(row["segment"], f"{row['entered']:,}", f"{row['left']:,}")
        yield segments
    shown = told["moves"] if most is None else told["moves"][:most]
    if shown:
        leads = Section("Leads", "lead", "stage", "enters", "leaves", "*score")
        for move in shown:
            before, after = move["stage"]
            score_before, score_after = move["score"]
            leads.add_row(
                f"{move['brand']}/{move['lead_id']}",
                before if before == after else f"{before} → {after}",
                ", ".join(move["entered"]),
                ", ".join(move["left"]),
                f"{score_before:g} → {score_after:g}",
            )
        yield leads
    hidden = len(told["moves"]) - len(shown)
    if hidden:
        yield Text(f"and {hidden:,} more: --all shows them")
