"""The leads agent: events in, leads' groups, profiles and conversions out."""

import logging
from collections.abc import Mapping, Sequence

from app.domain.reader import Reader
from app.domain.rulebook import Rules
from app.engine.clock import wall_ms
from app.engine.program import Rows
from app.engine.worker import Agents, Builder
from app.leads import explain
from app.leads.commands import Switch
from app.leads.inforce import Given
from app.leads.program import LeadProgram
from app.leads.publishing import read_published
from app.leads.recent import Room
from app.settings import Settings

log = logging.getLogger(__name__)


def leads(rules: Sequence[Rules], published: Mapping[str, Switch] | None = None) -> Agents:
    """Return the agent for these rules, one a brand; messages of a brand without rules go by those of `default`.

    `published`: the versions on the topic `rules`, by brand. They hold; the file of such a brand is not used.

    Raises:
        ValueError: no rules, or two for one brand.
    """
    readers = {brand.brand: Reader(brand) for brand in rules}
    if not readers or len(readers) < len(rules):
        raise ValueError("rules are needed, one file a brand")
    given = Given(readers, published or {}, wall_ms())
    for brand, switch in given.published.items():
        if brand in readers:
            version, file = switch.rules.version, readers[brand].rules.version
            log.info(
                "brand %s: the published rules hold, version %s; the file, version %s, is not used",
                brand,
                version,
                file,
            )

    def declare(builder: Builder, settings: Settings) -> None:
        """Have one lane a partition read the four event topics and `leads.commands`."""

        room = Room(settings.recent_leads_bytes)

        def program(partition: int) -> LeadProgram:
            return LeadProgram(partition, settings, builder.topics, given, room)

        agent = builder.lane_agent("leads", builder.topics.inputs, program, table="leads")

        def lanes() -> dict[int, tuple[LeadProgram, Rows]]:
            open_now = agent.lanes.items()
            return {at: (lane.program, lane.rows) for at, lane in open_now if isinstance(lane.program, LeadProgram)}

        agent.pages[explain.PATH] = explain.Explainer(settings, lanes).page

    return declare


async def leads_as_published(settings: Settings, rules: Sequence[Rules]) -> list[Agents]:
    """Return the agent for these rules and those that were published.

    Raises:
        TopicsError, KafkaError, TimeoutError: the topic `rules` cannot be read.
        ValueError: as `leads` does.
    """
    return [leads(rules, await read_published(settings))]
