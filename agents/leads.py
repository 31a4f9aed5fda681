"""The leads agent: events in, leads' groups, profiles and conversions out."""

from collections.abc import Sequence

from app.domain.reader import Reader
from app.domain.rulebook import Rules
from app.engine.worker import Agents, Builder
from app.leads.program import LeadProgram
from app.settings import Settings


def leads(rules: Sequence[Rules]) -> Agents:
    """Return the agent for these rules, one a brand; messages of a brand without rules go by those of `default`.

    Raises:
        ValueError: no rules, or two for one brand.
    """
    readers = {brand.brand: Reader(brand) for brand in rules}
    if not readers or len(readers) < len(rules):
        raise ValueError("rules are needed, one file a brand")

    def declare(builder: Builder, settings: Settings) -> None:
        """Have one lane a partition read the four event topics and `leads.commands`."""

        def program(partition: int) -> LeadProgram:
            return LeadProgram(partition, settings, builder.topics, readers)

        builder.lane_agent("leads", builder.topics.inputs, program, table="leads")

    return declare
