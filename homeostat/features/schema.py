"""How a contract's feature rows are laid out in a feature store: names and types, no client."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from homeostat.contract.model import Contract
from homeostat.features.expressions import DTYPES
from homeostat.records import Cell
from homeostat.vectors import VECTORS, as_lists, vector_column

ENTITY_ID = "entity_id"
EVENT_ID = "event_id"
EVENT_TIME = "event_time"
EVENT_TIME_US = "event_time_us"
"""Microseconds since 1970, stored as a feature: online stores keep the row's own timestamp in whole seconds."""
CREATED_AT = "created_at"
"""Orders rows of one entity at one event time."""
LABEL = "label"

_RESERVED = frozenset(
    {
        ENTITY_ID,
        EVENT_ID,
        EVENT_TIME,
        EVENT_TIME_US,
        CREATED_AT,
        LABEL,
        "entity_row_id",
        "event_expire_timestamp",
        "event_timestamp",
        "rn",
    }
)


@dataclass(frozen=True, slots=True)
class StoreColumn:
    """One feature as the store knows it."""

    name: str  # in the contract
    stored_as: str
    categorical: bool  # text if so
    vector: bool = False  # a list of 64-bit floats if so, else one of them

    @property
    def kind(self) -> Literal["text", "number", "vector"]:
        """What its cells are."""
        return "text" if self.categorical else "vector" if self.vector else "number"

    @property
    def dtype(self) -> pl.DataType:
        """The type of its column in a store."""
        return DTYPES["string" if self.kind == "text" else self.kind]

    @property
    def dtype_in_rows(self) -> pl.DataType:
        """The type of its column in feature rows, on their way there."""
        return VECTORS if self.vector else self.dtype

    def series(self, cells: Iterable[Cell], name: str | None = None) -> pl.Series:
        """Return cells of records as a column of a store, named as in the contract unless told otherwise."""
        if self.vector:
            return as_lists(vector_column(name or self.name, cells))
        made: Callable[[Any], object] = str if self.categorical else float
        known = [None if cell is None else made(cell) for cell in cells]
        return pl.Series(name or self.name, known, self.dtype)


def store_columns(contract: Contract) -> tuple[StoreColumn, ...]:
    """Return the features in contract order."""
    return tuple(
        StoreColumn(name, stored_name(name), name in contract.categorical, name in contract.vectors)
        for name in contract.feature_names
    )


def stored_name(name: str) -> str:
    """Return a column name that no join in the store takes for its own; different names stay different.

    Feast's DuckDB join drops every column that ends in ``_y`` and overwrites the reserved ones, so those get
    one more underscore.

    >>> stored_name("distance"), stored_name("visibility_y"), stored_name("rn_")
    ('distance', 'visibility_y_', 'rn__')
    """
    bare = name.rstrip("_")
    return f"{name}_" if bare in _RESERVED or bare.endswith("_y") else name
