"""Rows of values become JSON messages in the order in which they became known."""

from typing import Final, Self

import msgspec
import numpy as np
import polars as pl
import polars.selectors as cs

from homeostat.replay.recording import Track

UTC_TIME: Final = "%Y-%m-%dT%H:%M:%S%.fZ"


class Sendable:
    """Columns of messages: values of the right types, and beside them the cells that could not be read so."""

    def __init__(self) -> None:
        self._values: dict[str, pl.Series] = {}
        self._unread: dict[str, pl.Series] = {}

    def put(self, name: str, values: pl.Series, cells: pl.Series | None = None) -> None:
        """Add a field.

        Args:
            name: In the messages.
            values: Of the field's type, null where missing or unreadable.
            cells: The same as texts; one that is there where the value is not goes out as it stands.
        """
        self._values[name] = _written(values).alias(name)
        if cells is not None:
            unread = cells.set(values.is_not_null(), None)
            if unread.null_count() < unread.len():
                self._unread[name] = unread

    def where(self, kept: pl.Series) -> Self:
        """Return the rows that are kept."""
        rows = type(self)()
        rows._values = {name: column.filter(kept) for name, column in self._values.items()}
        rows._unread = {name: column.filter(kept) for name, column in self._unread.items()}
        return rows

    def encoded(self) -> pl.Series:
        """Return one JSON object a row as bytes."""
        frame = pl.DataFrame(list(self._values.values()))
        messages = frame.select(pl.struct(pl.all()).struct.json_encode().cast(pl.Binary)).to_series()
        if not self._unread:
            return messages
        odd = pl.DataFrame(self._unread).select(pl.any_horizontal(pl.all().is_not_null())).to_series()
        spots = odd.arg_true()
        return messages.scatter(spots, [self._with_cells(spot, frame) for spot in spots.to_list()])

    def _with_cells(self, spot: int, frame: pl.DataFrame) -> bytes:
        row = frame.row(spot, named=True)
        row |= {name: cells[spot] for name, cells in self._unread.items() if cells[spot] is not None}
        return msgspec.json.encode(row)


def track_of(rows: Sendable, times: pl.Series) -> Track:
    """Return messages by the time they became known; ties keep the order of the rows.

    Args:
        rows: The messages.
        times: When each became known: UTC, microseconds, none missing.
    """
    micros = times.dt.epoch("us").to_numpy()
    order = np.argsort(micros, kind="stable")
    return Track(micros[order], rows.encoded().gather(order))


def _written(values: pl.Series) -> pl.Series:
    frame = pl.DataFrame([values])
    return frame.with_columns(cs.datetime().dt.convert_time_zone("UTC").dt.strftime(UTC_TIME)).to_series()
