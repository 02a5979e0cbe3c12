"""What a column of an Arrow table must hold, looked at as a whole.

A check may call a good cell odd, which costs a second look at its row, but never an odd one good: what it lets
pass is what ``parsing`` makes of the same cell written as JSON.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from homeostat.contract.model import FieldSpec
from homeostat.features.expressions import DTYPES
from homeostat.features.parsing import MAX_INTEGER
from homeostat.vectors import LISTS, VECTORS, is_told

_EXACT: Final = 2**53  # up to here floats name every whole number
_SINCE: Final = datetime(1980, 1, 1, tzinfo=UTC)  # before, zones were off by seconds, which no text of a time says
_UNTIL: Final = datetime(9990, 1, 1, tzinfo=UTC)
_NUMBER, _SOUND = "#", "?"  # no names of a contract
_NO_INDICES: Final = pl.lit([], pl.List(pl.UInt16()))
Cast = Callable[[pl.Expr, pl.DataType], pl.Expr | None]


@dataclass(frozen=True, slots=True)
class Check:
    """One column of a table: how its cells are read, and which of them need no second look."""

    name: str
    dtype: pl.DataType
    read: Cast  # of cells of a type, None where that type takes a parser
    is_sound: Callable[[pl.Expr], pl.Expr]  # of what was read and is not missing
    nullable: bool = False


def checked(raw: pl.DataFrame, checks: Sequence[Check]) -> tuple[pl.DataFrame, NDArray[np.bool]]:
    """Return the columns that the checks name, and which rows are sound; the cells of the others mean nothing."""
    found = [_cells(raw, check) for check in checks]
    sound = pl.all_horizontal([is_sound for _, is_sound in found]).fill_null(value=False)
    # The row numbers see to it that constants fill the height, and that there is one.
    numbered = raw.select_seq(pl.row_index(_NUMBER), *(cells for cells, _ in found), sound.alias(_SOUND))
    return numbered.drop(_NUMBER, _SOUND), numbered.get_column(_SOUND).to_numpy()


def _cells(raw: pl.DataFrame, check: Check) -> tuple[pl.Expr, pl.Expr]:
    """Return what is read of a column and where that is sound."""
    column, dtype = pl.col(check.name), raw.schema.get(check.name, pl.Null())
    if check.name not in raw.columns:
        column = pl.lit(None)
    if dtype.is_float():
        column = pl.when(column.is_finite()).then(column)  # JSON has no others
    read = check.read(column, dtype)
    if read is None:
        return pl.lit(None, check.dtype).alias(check.name), pl.lit(value=False)
    missing = column.is_null() if check.nullable else pl.lit(value=False)
    return read.alias(check.name), pl.when(read.is_not_null()).then(check.is_sound(read)).otherwise(missing)


def id_check(name: str) -> Check:
    """Return what an id must be: a text that is not empty."""
    return Check(name, pl.String(), _text, lambda text: text != "")


def time_check(name: str) -> Check:
    """Return what the time of a row must be; it may not be missing."""
    return field_check(name, FieldSpec(type="time"))


def truth_check(name: str) -> Check:
    """Return what a label must be: true, false, 1 or 0."""
    return Check(name, pl.Float64(), _truth, lambda truth: (truth == 0) | (truth == 1))


def field_check(name: str, spec: FieldSpec) -> Check:
    """Return what a field of the contract must be."""
    dtype = DTYPES[spec.type]
    if spec.type == "time":
        return Check(name, dtype, _time, lambda time: time.is_between(_SINCE, _UNTIL), spec.nullable)
    if spec.type == "vector":
        size = spec.size or 0
        return Check(name, VECTORS, _vector(size), lambda vector: _is_whole(vector, size), spec.nullable)
    if spec.type in ("string", "boolean"):
        return Check(name, dtype, _text if spec.type == "string" else _boolean, _any, spec.nullable)
    low, high = -math.inf if spec.min is None else spec.min, math.inf if spec.max is None else spec.max
    if spec.type == "number":
        return Check(name, dtype, _number, lambda number: number.is_between(low, high), spec.nullable)
    least, most = math.ceil(max(low, -MAX_INTEGER)), math.floor(min(high, MAX_INTEGER))
    return Check(name, dtype, _integer, lambda whole: whole.is_between(least, most), spec.nullable)


def _any(cells: pl.Expr) -> pl.Expr:
    return cells.is_not_null()


def _text(cells: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    return cells.cast(pl.String) if isinstance(dtype, pl.String | pl.Categorical | pl.Enum | pl.Null) else None


def _boolean(cells: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    return cells.cast(pl.Boolean) if isinstance(dtype, pl.Boolean | pl.Null) else None


def _number(cells: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    if isinstance(dtype, pl.Float32):
        return cells.cast(pl.String).cast(pl.Float64)  # by its digits: a text of 0.1 is not 0.10000000149
    return cells.cast(pl.Float64) if dtype.is_integer() or isinstance(dtype, pl.Float64 | pl.Null) else None


def _integer(cells: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    if dtype.is_float():
        return pl.when((cells == cells.floor()) & (cells.abs() <= _EXACT)).then(cells).cast(pl.Int64)
    return cells.cast(pl.Int64, strict=False) if dtype.is_integer() or isinstance(dtype, pl.Null) else None


def _vector(size: int) -> Cast:
    """Return what reads a column of vectors: of all their numbers, or of those that are told by index."""

    def read(cells: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
        if isinstance(dtype, pl.Null):
            return cells.cast(VECTORS)
        if is_told(dtype) and isinstance(dtype, pl.Struct):
            return _told(cells, dict(dtype)["values"], size)
        if (values := _numbers(cells, dtype)) is None:
            return None
        told = values.list.len().cast(pl.UInt16(), strict=False)
        return pl.when(cells.is_not_null()).then(pl.struct(told.alias("size"), indices=_NO_INDICES, values=values))

    return read


def _told(cells: pl.Expr, dtype: object, size: int) -> pl.Expr | None:
    """Return vectors that are told by index, null where there are not as many indices as values."""
    indices, values = cells.struct.field("indices"), _numbers(cells.struct.field("values"), dtype)
    if values is None:
        return None
    narrow = indices.cast(pl.List(pl.UInt16()), strict=False)
    parts = pl.struct(size=pl.lit(size, pl.UInt16()), indices=narrow, values=values)
    return pl.when(cells.is_not_null() & (indices.list.len() == values.list.len())).then(parts)


def _numbers(cells: pl.Expr, dtype: object) -> pl.Expr | None:
    inner = dtype.inner if isinstance(dtype, pl.List | pl.Array) else None
    if isinstance(inner, pl.Float32):
        cells = cells.cast(pl.List(pl.String))  # by their digits, as any number
    elif inner is None or not (inner.is_integer() or isinstance(inner, pl.Float64)):
        return None
    return cells.cast(LISTS)


def _is_whole(vector: pl.Expr, size: int) -> pl.Expr:
    """Return where all numbers are told, or each of some by an index, none of them missing or not finite.

    A sum shows those that are not finite.
    """
    values, indices = vector.struct.field("values"), vector.struct.field("indices")
    told, by_index = values.list.len(), indices.list.len()
    there = (values.list.drop_nulls().list.len() == told) & values.list.sum().is_finite()
    once = indices.list.drop_nulls().list.n_unique() == by_index
    within = (indices.list.max() < size).fill_null(value=True)
    return (vector.struct.field("size") == size) & there & once & within & ((told == size) | (by_index == told))


def _truth(cells: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    return cells.cast(pl.Float64) if dtype.is_numeric() or isinstance(dtype, pl.Boolean | pl.Null) else None


def _time(cells: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    is_exact = isinstance(dtype, pl.Datetime) and dtype.time_zone is not None and dtype.time_unit != "ns"
    if not is_exact and not isinstance(dtype, pl.Null):
        return None
    return cells.cast(pl.Datetime("us", "UTC"))
