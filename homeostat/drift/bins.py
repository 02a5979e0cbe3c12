"""Bins of one column, fixed at training time, so that a live window needs counting alone."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import repeat

import numpy as np
import polars as pl

from homeostat.drift.vector_map import VectorMap

VALUE_BINS = 32  # quantile bins of a number: the binned KS misses at most 1/32 of the distance
TOP_CATEGORIES = 50  # rarer ones share one bin
_INDEX_BINS = 16  # a number's bins are joined in pairs above it: 32 would only add noise to the index
Cells = Sequence[object] | np.ndarray | pl.Series
"""One column of rows."""

_MANY = 1024  # numbers from which comparing with every edge beats a search for each number: 12 ns against 50


@dataclass(frozen=True, slots=True)
class Bins:
    """How one column is cut: value bins first, then (categories only) the others, then missing.

    A number ``x`` falls into bin ``i`` when ``edges[i - 1] < x <= edges[i]``; a category into the bin of
    its place in ``categories``.
    """

    name: str
    categorical: bool
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    centres: tuple[float, ...] = ()  # mean reference value of each value bin of a number; none in old profiles
    vector: VectorMap | None = None  # of a vector: its bins are those of where it lies along one direction

    @property
    def missing(self) -> int:
        """The bin of a missing value, always the last."""
        return len(self.edges) + 1 if not self.categorical else len(self.categories) + 1

    @property
    def size(self) -> int:
        """The number of bins, missing included."""
        return self.missing + 1

    def cells(self, frame: pl.DataFrame) -> Cells:
        """Return the column in a frame of training rows."""
        found = frame[self.name]
        if self.vector is not None:
            return found
        return found.cast(pl.String) if self.categorical else found.cast(pl.Float64).to_numpy()

    def numbers(self, cells: Cells) -> np.ndarray:
        """Return cells of a column that is no category as float64, shape (n,), NaN where missing."""
        if self.vector is not None:
            return self.vector.along(cells)  # type: ignore[arg-type] # by the contract
        return np.asarray(cells, dtype=np.float64)  # None becomes NaN


def number_bins(name: str, values: np.ndarray, weights: np.ndarray) -> Bins:
    """Return bins of about equal reference weight, one per value where there are few values.

    Args:
        name: The column.
        values: Reference values, shape (n,); NaN is missing.
        weights: Row weights, shape (n,).
    """
    known = np.isfinite(values)
    ordered, inverse = np.unique(values[known], return_inverse=True)
    if ordered.size == 0:
        return Bins(name, categorical=False)
    if ordered.size < VALUE_BINS:
        # one bin below the least and one above the greatest: a constant that starts to move is seen
        below = math.nextafter(ordered[0], -math.inf)
        edges = filter(math.isfinite, (below, *map(float, ordered)))  # JSON has no infinity
        return _centred(Bins(name, categorical=False, edges=tuple(edges)), values[known], weights[known])
    mass = np.cumsum(np.bincount(inverse, weights=weights[known]))
    at = np.searchsorted(mass, mass[-1] * np.arange(1, VALUE_BINS) / VALUE_BINS)
    bins = Bins(name, categorical=False, edges=tuple(map(float, np.unique(ordered[at]))))
    return _centred(bins, values[known], weights[known])


def _centred(bins: Bins, values: np.ndarray, weights: np.ndarray) -> Bins:
    """Return the bins with their reference means; a bin without weight has the edge next to it."""
    place = np.searchsorted(bins.edges, values, side="left")
    mass = np.bincount(place, weights, minlength=bins.missing)
    edges = np.asarray([*bins.edges, bins.edges[-1]])
    with np.errstate(over="ignore"):
        sums = np.bincount(place, weights * values, minlength=bins.missing)
    means = np.divide(sums, mass, out=edges, where=mass > 0)
    # a sum may leave its bin, by rounding or, near the ends of what a float holds, for good
    within = np.clip(np.nan_to_num(means), [values.min(), *bins.edges], [*bins.edges, values.max()])
    return replace(bins, centres=tuple(map(float, within)))


def category_bins(name: str, values: Iterable[object], weights: np.ndarray) -> Bins:
    """Return a bin for each of the heaviest categories, heaviest first, ties in text order."""
    mass: dict[str, float] = {}
    for value, weight in zip(values, weights.tolist(), strict=True):
        if value is not None:
            mass[str(value)] = mass.get(str(value), 0.0) + weight
    heaviest = sorted(mass, key=lambda value: (-mass[value], value))[:TOP_CATEGORIES]
    return Bins(name, categorical=True, categories=tuple(heaviest))


class Coder:
    """Turns columns of values into bin numbers."""

    def __init__(self, columns: Sequence[Bins]) -> None:
        """Prepare the look-ups of every column once."""
        self.columns = tuple(columns)
        self._edges = [np.asarray(column.edges) for column in columns]
        self._places: list[dict[object, int]] = [
            {**{value: i for i, value in enumerate(column.categories)}, None: column.missing} for column in columns
        ]

    def codes(self, values: Sequence[Cells]) -> np.ndarray:
        """Return the bin of each cell, shape (n_rows, n_columns).

        Args:
            values: One sequence a column: numbers (None or NaN where missing) or texts (None where missing). Arrays
                of numbers and series of texts are fastest.
        """
        coded = np.empty((len(values[0]), len(self.columns)), dtype=np.int32, order="F")  # columns are read whole
        for j, (column, cells) in enumerate(zip(self.columns, values, strict=True)):
            coded[:, j] = self._categories(j, cells) if column.categorical else self._numbers(j, cells)
        return coded

    def _numbers(self, j: int, cells: Cells) -> np.ndarray:
        numbers = self.columns[j].numbers(cells)
        found = _places(self._edges[j], numbers)
        found[np.isnan(numbers)] = self.columns[j].missing
        return found

    def _categories(self, j: int, cells: Cells) -> np.ndarray:
        places, missing = self._places[j], self.columns[j].missing
        if isinstance(cells, pl.Series):
            known = cells.cast(pl.Enum(self.columns[j].categories), strict=False).to_physical().cast(pl.Int32)
            found = known.fill_null(missing - 1).to_numpy(writable=True)
            found[cells.is_null().to_numpy()] = missing
            return found
        # no step of the interpreter a cell: a series of texts would have to be made first, which takes longer
        return np.fromiter(map(places.get, cells, repeat(missing - 1)), dtype=np.int32, count=len(cells))


def coarse(column: Bins, counts: np.ndarray) -> np.ndarray:
    """Return the counts for the index, whose last axis are the bins: a number's many bins in pairs, missing apart."""
    if column.categorical or column.missing <= _INDEX_BINS:
        return counts
    pairs = np.add.reduceat(counts[..., :-1], np.arange(0, column.missing, 2), axis=-1)
    return np.concatenate([pairs, counts[..., -1:]], axis=-1)


def _places(edges: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return how many edges are below each number, 0 for NaN or the count of edges."""
    if numbers.size < _MANY:
        return np.searchsorted(edges, numbers, side="left")
    found, above = np.zeros(numbers.size, dtype=np.uint8), np.empty(numbers.size, dtype=np.bool_)
    for edge in edges:
        np.greater(numbers, edge, out=above)  # no new array an edge: a third faster
        found += above.view(np.uint8)
    return found
