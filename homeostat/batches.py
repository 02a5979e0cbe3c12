"""Messages that hold many rows as columns: what one of them says, and nothing of how it travels."""

from dataclasses import dataclass
from typing import Protocol


class Columns(Protocol):
    """A table, by Arrow's C stream interface: polars and pyarrow give and take it without a copy."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the capsule of a stream of record batches."""


@dataclass(frozen=True, slots=True, eq=False)
class RawEvents:
    """Many events as a producer sent them, not yet held against the contract."""

    rows: Columns


@dataclass(frozen=True, slots=True, eq=False)
class RawLabels:
    """Many labels as a producer sent them, not yet held against the contract."""

    rows: Columns


@dataclass(frozen=True, slots=True, eq=False)
class FeatureRows:
    """Many feature rows: ``event_id``, ``entity_id``, ``event_time``, then the features in the contract's order."""

    rows: Columns
