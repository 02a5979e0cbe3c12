"""Vectors as cells of records, as columns of tables and as rows of an array: one of few numbers stays short on its way.

On its way from the parser to a store or a model, a column of vectors is of the type ``VECTORS``: a vector of which
``indices`` are told has those ``values`` and is 0 elsewhere, any other has all its numbers in ``values``. Feature
stores, and whoever trains, have plain lists.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from struct import Struct
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]

from homeostat.records import Cell, SparseVector, Vector

VECTORS: Final = pl.Struct({"size": pl.UInt16(), "indices": pl.List(pl.UInt16()), "values": pl.List(pl.Float64())})
"""A column of vectors on its way."""

LISTS: Final = pl.List(pl.Float64())
"""A column of vectors in a store."""

_SHORT: Final = 4  # times as many numbers as are told: then indices cost less than they spare
_LEAST: Final = 64  # numbers, below which nothing is to be spared


def is_told(dtype: pl.DataType | None) -> bool:
    """Return whether a column of a producer tells vectors by index: by ``indices`` and ``values``, two lists."""
    if not isinstance(dtype, pl.Struct) or {field.name for field in dtype.fields} != {"indices", "values"}:
        return False
    inner = {field.name: field.dtype.inner for field in dtype.fields if isinstance(field.dtype, pl.List)}
    indices, values = (pl.Series(dtype=inner.get(name)).dtype for name in ("indices", "values"))
    return indices.is_integer() and values.is_numeric()


def is_short(told: int, size: int) -> bool:
    """Return whether so many numbers of a vector are better told by their index."""
    return size >= _LEAST and told * _SHORT <= size


def filled(some: Mapping[int, float], size: int) -> list[float]:
    """Return all numbers of a vector of which some are told by their index.

    Raises:
        ValueError: An index lies beyond the size.

    >>> filled({2: 0.5}, 4)
    [0.0, 0.0, 0.5, 0.0]
    """
    if some and not 0 <= min(some) <= max(some) < size:
        raise ValueError(f"an index beyond {size - 1}")
    numbers = [0.0] * size
    for index, value in some.items():
        numbers[index] = value
    return numbers


def vector_of(some: Mapping[int, float], size: int) -> Vector:
    """Return a vector of which some numbers are told by their index, as a record has it.

    Args:
        some: Numbers by their index, which lies within the size: to look is a third of the work, and a parser's.
        size: Of the vector.
    """
    if not is_short(len(some), size):
        return tuple(filled(some, size))
    indices, values = _packers(len(some))
    return SparseVector(size, indices.pack(*some), values.pack(*some.values()))


@lru_cache(4096)
def _packers(told: int) -> tuple[Struct, Struct]:
    return Struct(f"<{told}H"), Struct(f"<{told}d")


def packed(numbers: np.ndarray) -> Vector:
    """Return all numbers of a vector, shape (size,), as a record has it."""
    at = np.flatnonzero(numbers)
    if not is_short(at.size, numbers.size):
        return tuple(numbers.tolist())
    return SparseVector(numbers.size, at.astype(np.uint16).tobytes(), numbers[at].astype(np.float64).tobytes())


def unpacked(vector: Vector) -> np.ndarray:
    """Return all numbers of a vector as float64, shape (size,)."""
    if isinstance(vector, tuple):
        return np.asarray(vector, dtype=np.float64)
    numbers = np.zeros(vector.size)
    numbers[np.frombuffer(vector.indices, np.uint16)] = np.frombuffer(vector.values)
    return numbers


def is_vector(value: object, size: int) -> bool:
    """Return whether a cell is a vector of so many finite numbers."""
    if not isinstance(value, tuple | SparseVector) or len(value) != size:
        return False
    if isinstance(value, SparseVector):
        return bool(np.isfinite(np.frombuffer(value.values)).all())
    return all(isinstance(number, int | float) for number in value) and bool(np.isfinite(value).all())


@dataclass(frozen=True, slots=True)
class PackedVectors:
    """Many vectors: the numbers told of all of them, one after the other."""

    sizes: np.ndarray  # of each vector, shape (n,), -1 where it is missing
    told: np.ndarray  # numbers of each, shape (n,)
    by_index: np.ndarray  # how many of those by their index, shape (n,): all or none
    indices: np.ndarray  # uint16, shape (sum of by_index,)
    values: np.ndarray  # float64, shape (sum of told,)

    def __len__(self) -> int:
        return self.sizes.size

    def __getitem__(self, part: slice) -> "PackedVectors":
        """Return the vectors of a slice without steps."""
        start, stop, _ = part.indices(len(self))
        values, indices = (np.concatenate([[0], np.cumsum(many)]) for many in (self.told, self.by_index))
        return PackedVectors(
            self.sizes[part],
            self.told[part],
            self.by_index[part],
            self.indices[indices[start] : indices[stop]],
            self.values[values[start] : values[stop]],
        )

    @property
    def at(self) -> np.ndarray:
        """The index of each of the values."""
        if self.indices.size == self.values.size:
            return self.indices
        at = np.arange(self.values.size) - np.repeat(np.cumsum(self.told) - self.told, self.told)
        at[np.repeat(self.by_index > 0, self.told)] = self.indices
        return np.asarray(at)

    def among(self, kept: np.ndarray) -> "PackedVectors":
        """Return the vectors of a mask, shape (n,)."""
        if kept.all():
            return self
        indices, values = np.repeat(kept, self.by_index), np.repeat(kept, self.told)
        return PackedVectors(
            self.sizes[kept], self.told[kept], self.by_index[kept], self.indices[indices], self.values[values]
        )

    def filled(self, dtype: type[np.floating]) -> np.ndarray:
        """Return all numbers of all vectors, one after the other; what is too large for the type is infinite."""
        sizes = np.maximum(self.sizes, 0)
        with np.errstate(over="ignore"):
            values = self.values.astype(dtype)
        if not self.indices.size and values.size == sizes.sum():
            return values
        numbers = np.zeros(int(sizes.sum()), dtype)
        numbers[np.repeat(np.cumsum(sizes) - sizes, self.told) + self.at] = values
        return numbers

    def rows(self, size: int) -> np.ndarray:
        """Return the vectors as float32, shape (n, size), NaN throughout where one is missing or has another size."""
        there = self.sizes == size
        if size and there.all():
            return self.filled(np.float32).reshape(-1, size)
        rows = np.full((len(self), size), np.nan, dtype=np.float32)
        if size:
            rows[there] = self.among(there).filled(np.float32).reshape(-1, size)
        return rows


def vector_column(name: str, cells: Iterable[Cell | Sequence[float]]) -> pl.Series:
    """Return cells of records as a column of the type ``VECTORS``."""
    many = _cells_packed([*cells])
    known = many.sizes >= 0
    parts = [
        pa.array(np.maximum(many.sizes, 0).astype(np.uint16)),
        _lists(many.by_index, many.indices),
        _lists(many.told, many.values),
    ]
    made = pa.StructArray.from_arrays(parts, names=[field.name for field in VECTORS.fields], mask=pa.array(~known))
    return pl.Series(name, made, VECTORS)


def as_lists(column: pl.Series) -> pl.Series:
    """Return a column of vectors as lists of all their numbers."""
    if column.dtype != VECTORS:
        return column
    many = _column_packed(column)
    lists = _lists(np.maximum(many.sizes, 0), many.filled(np.float64), missing=many.sizes < 0)
    return pl.Series(column.name, lists, LISTS)


def vector_cells(column: pl.Series) -> list[Vector | None]:
    """Return a column of vectors, of either type, as cells of records."""
    if column.dtype != VECTORS:
        return [None if cell is None else tuple(cell) for cell in column.to_list()]
    many = _column_packed(column)
    indices, values = many.indices.tobytes(), many.values.tobytes()
    index_ends, value_ends = accumulate(many.by_index.tolist()), accumulate(many.told.tolist())
    cells: list[Vector | None] = []
    i = v = 0
    for size, next_i, next_v in zip(many.sizes.tolist(), index_ends, value_ends, strict=True):
        if size < 0:
            cells.append(None)
        elif next_i - i == next_v - v:
            cells.append(SparseVector(size, indices[2 * i : 2 * next_i], values[8 * v : 8 * next_v]))
        else:
            cells.append(tuple(many.values[v:next_v].tolist()))
        i, v = next_i, next_v
    return cells


def vector_rows(cells: pl.Series | Sequence[Cell], size: int) -> np.ndarray:
    """Return vectors as float32, shape (n, size), NaN throughout where one is missing or has another size.

    Stored rows from before a change of the contract may have another one.

    Args:
        cells: A column of either type, or the cells of records.
        size: Numbers of each vector; 0 reads none.
    """
    return packed_vectors(cells).rows(size)


def packed_vectors(cells: pl.Series | Sequence[Cell]) -> PackedVectors:
    """Return a column of either type, or the cells of records, packed; what is no vector is missing."""
    return _column_packed(cells) if isinstance(cells, pl.Series) else _cells_packed(cells)


def _cells_packed(cells: Sequence[Cell | Sequence[float]]) -> PackedVectors:
    """Return cells of records; what is no vector is missing."""
    sizes, told, by_index = (np.empty(len(cells), np.int64) for _ in range(3))
    indices: list[bytes] = []
    values: list[bytes] = []
    for i, cell in enumerate(cells):
        if isinstance(cell, SparseVector):
            indices.append(cell.indices)
            values.append(cell.values)
            sizes[i], told[i], by_index[i] = cell.size, len(cell.values) // 8, len(cell.indices) // 2
        elif isinstance(cell, tuple):
            values.append(array("d", cell).tobytes())
            sizes[i], told[i], by_index[i] = len(cell), len(cell), 0
        else:
            sizes[i], told[i], by_index[i] = -1, 0, 0
    return PackedVectors(
        sizes, told, by_index, np.frombuffer(b"".join(indices), np.uint16), np.frombuffer(b"".join(values), np.float64)
    )


def _column_packed(column: pl.Series) -> PackedVectors:
    """Return a column of vectors of either type."""
    if column.dtype != VECTORS:
        size = column.list.len().cast(pl.Int64)
        told = size.fill_null(0).to_numpy()
        return PackedVectors(
            size.fill_null(-1).to_numpy(), told, np.zeros_like(told), np.empty(0, np.uint16), _flat(column, np.float64)
        )
    sizes = column.struct.field("size").cast(pl.Int64).set(column.is_null(), -1).to_numpy()
    indices, values = column.struct.field("indices"), column.struct.field("values")
    told, by_index = (_lengths(lists) for lists in (values, indices))
    return PackedVectors(sizes, told, by_index, _flat(indices, np.uint16), _flat(values, np.float64))


def _lengths(lists: pl.Series) -> np.ndarray:
    return lists.list.len().fill_null(0).cast(pl.Int64).to_numpy()


def _flat(lists: pl.Series, dtype: type[np.number]) -> np.ndarray:
    """Return the numbers of all lists, one after the other."""
    found = lists.rechunk().to_arrow().flatten()
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=dtype)


def _lists(lengths: np.ndarray, flat: np.ndarray, missing: np.ndarray | None = None) -> pa.LargeListArray:
    """Return numbers as lists of these lengths, without a copy."""
    ends = np.concatenate([[0], np.cumsum(lengths)])
    mask = None if missing is None or not missing.any() else pa.array(missing)
    return pa.LargeListArray.from_arrays(pa.array(ends), pa.array(flat), mask=mask)
