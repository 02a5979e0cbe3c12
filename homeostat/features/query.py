"""A question about an entity."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from homeostat.records import Cell


@dataclass(frozen=True, slots=True)
class Query:
    """A question about an entity as it is now, without an event of its own; ``given`` features win over stored ones."""

    event_id: str  # what its label will name
    entity_id: str
    event_time: datetime
    given: Mapping[str, Cell] = field(default_factory=dict)
