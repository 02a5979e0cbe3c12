"""Rows as columns and one by one: the same cells either way."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
import polars as pl

from homeostat.batches import FeatureRows
from homeostat.records import Cell, FeatureRow, Record
from homeostat.vectors import is_told, vector_cells

FEW: Final = 64
"""So many rows cost less one by one than columns cost to begin with."""

_MOST: Final = 10_000  # rows of one message
_BYTES: Final = 4 << 20  # of one message, about


def json_rows(table: pl.DataFrame) -> list[bytes]:
    """Return each row as the JSON object that would have been sent for it alone."""
    rows = table.write_ndjson().encode().split(b"\n")[:-1]
    told = [name for name, dtype in table.schema.items() if is_told(dtype)]
    return [_with_objects(row, told) for row in rows] if told else rows


def _with_objects(row: bytes, told: Sequence[str]) -> bytes:
    """Return a row with vectors as objects; one whose lists don't belong together stays as it is, and is refused."""
    cells = msgspec.json.decode(row)
    for name in told:
        if (cell := cells[name]) is None or None in cell.values():
            continue
        some = dict(zip(cell["indices"], cell["values"], strict=False))
        if len(some) == len(cell["indices"]) == len(cell["values"]):
            cells[name] = {str(index): value for index, value in some.items()}
    return msgspec.json.encode(cells)


def single_rows(table: pl.DataFrame) -> list[FeatureRow]:
    """Return each row of a table as a record."""
    ids, entities, times, *cells = table.get_columns()
    values = zip(*map(cells_of, cells), strict=True)
    return list(map(FeatureRow, ids.to_list(), entities.to_list(), utc_times(times), values))


def cells_of(column: pl.Series) -> list[Cell]:
    """Return a column as the cells of records."""
    return [*vector_cells(column)] if column.dtype.is_nested() else column.to_list()


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
