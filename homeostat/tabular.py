"""Rows as columns and one by one: the same cells either way."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import chain, compress
from typing import Final

import numpy as np
import polars as pl

from homeostat.batches import FeatureRows
from homeostat.records import Cell, FeatureRow, Record

FEW: Final = 64
"""So many rows cost less one by one than columns cost to begin with."""

_MOST: Final = 10_000  # rows of one message
_BYTES: Final = 4 << 20  # of one message, about


def json_rows(table: pl.DataFrame) -> list[bytes]:
    """Return each row as the JSON object that would have been sent for it alone."""
    return table.write_ndjson().encode().split(b"\n")[:-1]


def single_rows(table: pl.DataFrame) -> list[FeatureRow]:
    """Return each row of a table as a record."""
    ids, entities, times, *cells = table.get_columns()
    values = zip(*map(cells_of, cells), strict=True)
    return list(map(FeatureRow, ids.to_list(), entities.to_list(), utc_times(times), values))


def cells_of(column: pl.Series) -> list[Cell]:
    """Return a column as the cells of records, a vector as a tuple."""
    cells = column.to_list()
    if not column.dtype.is_nested():
        return cells
    return [None if cell is None else tuple(cell) for cell in cells]


def vector_rows(cells: pl.Series | Sequence[Cell], size: int) -> np.ndarray:
    """Return vectors as float32, shape (n, size), NaN throughout where one is missing or has another size.

    Stored rows from before a change of the contract may have another one.

    Args:
        cells: A column of lists, or the cells of records.
        size: Numbers of each vector; 0 reads none.
    """
    rows = np.full((len(cells), size), np.nan, dtype=np.float32)
    if size == 0:
        return rows
    if isinstance(cells, pl.Series):
        fits = (cells.list.len() == size).fill_null(value=False)
        flat, there = cells.filter(fits).explode().to_numpy(), fits.to_numpy()
    else:
        there = np.asarray([isinstance(cell, tuple) and len(cell) == size for cell in cells], dtype=np.bool)
        flat = np.fromiter(chain.from_iterable(compress(cells, there)), np.float64)  # type: ignore[arg-type]
    with np.errstate(over="ignore"):  # too large for float32 reads as infinite
        rows[there] = flat.reshape(-1, size)
    return rows


def utc_times(times: pl.Series) -> list[datetime]:
    """Return aware times that name ``datetime.UTC``; polars would name a zone of the same offset, more slowly."""
    return [time.replace(tzinfo=UTC) for time in times.cast(pl.Datetime("us")).to_list()]


def as_records(table: pl.DataFrame) -> list[FeatureRow] | list[FeatureRows]:
    """Return the rows of a table as they travel: few of them one by one, many as columns."""
    if table.height <= FEW:
        return single_rows(table)
    most = int(_BYTES / (table.estimated_size() / table.height))
    return [FeatureRows(part) for part in table.iter_slices(max(1, min(most, _MOST)))]


def feature_rows(records: Iterable[Record]) -> list[FeatureRow]:
    """Return all feature rows among records, one by one."""
    rows: list[FeatureRow] = []
    for record in records:
        if isinstance(record, FeatureRow):
            rows.append(record)
        elif isinstance(record, FeatureRows):
            rows += single_rows(pl.DataFrame(record.rows))
    return rows
