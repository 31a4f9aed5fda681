"""What all lanes of an agent have in common."""

import msgspec


class LaneSpec(msgspec.Struct, frozen=True):
    """What all lanes of an agent have in common."""

    app_id: str
    name: str
    topics: tuple[str, ...]
    channels: frozenset[str]
    """Those of the topics that lanes write: repeats are dropped there, a gap is a fault."""
    partitions: int
    step_records: int
    """Most records that a step takes."""
    step_bytes: int
    """Changelog batch above which a step is halved."""
    most_bytes: int
    """Changelog batch above which nothing is appended: a step of one record is refused."""
    idle_leads: int
    idle_s: float
    step_s: float | None = None
    """How long a step with input may hold the event loop, about; None: as long as `step_records` take."""
    idle_step_s: float | None = None
    """How long a step without input may hold the event loop, about; None: as long as it takes."""

    def lane_name(self, partition: int) -> str:
        """Return the name a lane goes by in headers."""
        return f"{self.app_id}/{self.name}/{partition}"
