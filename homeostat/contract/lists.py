"""Cells of a file as vectors: lists as Parquet has them, or JSON in the cells of a CSV."""

from typing import Final

import msgspec
import polars as pl

from homeostat.contract.cells import texts
from homeostat.vectors import LISTS, filled

_DECODER: Final[msgspec.json.Decoder[list[float] | dict[int, float]]] = msgspec.json.Decoder(
    list[float] | dict[int, float]
)


def vectors(column: pl.Series, size: int) -> pl.Series:
    """Return the cells as lists of numbers, null where missing or unreadable.

    A list may have any length: whoever takes the rows in says what is wrong with it.

    Args:
        column: As in the file: lists, or texts that hold a list, or an object of some numbers by their index.
        size: Numbers of a vector, for such objects; 0 where it is not known.

    >>> vectors(pl.Series(["[1, 2]", '{"1": 0.5}', "x", None]), 2).to_list()
    [[1.0, 2.0], [0.0, 0.5], None, None]
    """
    if isinstance(column.dtype, pl.List | pl.Array):
        inner = column.dtype.inner
        plain = isinstance(inner, pl.DataType) and (inner.is_numeric() or isinstance(inner, pl.Null))
        return column.cast(LISTS, strict=False) if plain else pl.Series(column.name, [None] * len(column), LISTS)
    return pl.Series(column.name, [_read(cell, size) for cell in texts(column).to_list()], LISTS)


def _read(cell: str | None, size: int) -> list[float] | None:
    if cell is None or not cell.startswith(("[", "{")):
        return None
    try:
        found = _DECODER.decode(cell)
        return found if isinstance(found, list) else filled(found, size)
    except (ValueError, RecursionError):
        return None
