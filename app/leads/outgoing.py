"""What leads tell, as records of the output topics, and how much of it is enough for one step."""

from typing import Any, Final

import orjson

from app.domain.lead import Lead
from app.engine.program import Output, Step
from app.leads.rows import its_rows
from app.topics import Topics

PORTIONS: Final = 8
"""A lead with much to fold stops when it alone has filled this part of a step: what one more event brings has room."""


class Outgoing:
    """Makes the records of a lane's leads."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    def output(self, to: str, lead: Lead, value: dict[str, Any]) -> Output:
        """Return one record of a lead."""
        key = f"{lead.hot.brand}/{lead.lead_id}".encode()
        if to == "profiles":
            return Output(self._topics.profiles.name, key, orjson.dumps(value), ref=its_rows(lead).hot_key)
        topic = self._topics.segments if to == "segments" else self._topics.conversions
        return Output(topic.name, key, orjson.dumps(value))

    def move(self, lead: Lead, step: Step) -> int:
        """Move what a lead has told into a step, and count it; return how many bytes it takes."""
        size = 0
        for out in lead.take_outputs():
            output = self.output(out.to, lead, out.value)
            size += len(output.value or b"")
            step.outputs.append(output)
            if out.to == "conversions":
                step.count("revisions" if out.value["supersedes"] else "conversions")
            elif out.to == "segments":
                step.count("segment_changes")
        return size


class Portion:
    """What comes of one lead in one step."""

    def __init__(self, lead: Lead, step: Step, outgoing: Outgoing, step_bytes: int) -> None:
        self._lead = lead
        self._step = step
        self._outgoing = outgoing
        self._told = 0
        self._most = step_bytes // PORTIONS

    def enough(self) -> bool:
        """Whether the lead should wait for another step. It depends on the lead alone, not on who else is in it."""
        self._told += self._outgoing.move(self._lead, self._step)
        return self._told + its_rows(self._lead).written >= self._most
