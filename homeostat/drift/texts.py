"""Columns of many texts: how long they are, and the tail beyond the kept categories in hashed buckets."""

from dataclasses import dataclass
from zlib import crc32

import numpy as np
import polars as pl

from homeostat.drift.bins import Bins, Cells, number_bins
from homeostat.drift.design import Design
from homeostat.drift.training_windows import TrainingWindows, column_designs

MANY = 200  # distinct texts in the reference: with fewer, what lies beyond the kept categories is thin
BUCKETS = 16  # of the tail: as many as the index has bins of a number


@dataclass(frozen=True, slots=True)
class TextReference:
    """What one column of many texts shows beside its categories; all of it can be merged."""

    lengths: Bins  # of characters
    counts: tuple[float, ...]  # reference rows by length, then by bucket of the tail

    def counted(self, cells: Cells, tail: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the rows by length and by bucket, shape (lengths.size + BUCKETS,).

        Args:
            cells: Texts, None where missing.
            tail: Whether each is beyond the kept categories, shape (n,).
            weights: Of each row, shape (n,); None for 1.
        """
        places, buckets = _length_places(self.lengths, cells), _buckets(cells, tail)
        mass = np.ones(tail.size) if weights is None else weights
        by_length = np.bincount(places, mass, minlength=self.lengths.size)
        return np.concatenate([by_length, np.bincount(buckets, mass[tail], minlength=BUCKETS)])

    def lengths_of(self, counts: np.ndarray) -> np.ndarray:
        """Return the part of the counts that is by length, missing left out."""
        return counts[: self.lengths.missing]

    def refined(self, column: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Return a column's counts by category with the tail in its buckets instead of one bin."""
        return np.concatenate([column[:-2], counts[self.lengths.size :], column[-1:]])


def text_reference(column: Bins, cells: Cells, codes: np.ndarray, weights: np.ndarray) -> TextReference | None:
    """Return what a column shows beside its categories, None where it is no column of many texts.

    Args:
        column: Its bins.
        cells: Of the reference.
        codes: Bin of each cell, shape (n_rows,).
        weights: Of each row, summing to the effective rows.
    """
    if not column.categorical or len(set(cells)) <= MANY:
        return None
    lengths = number_bins(column.name, _lengths(cells), weights)
    empty = TextReference(lengths, ())
    counts = empty.counted(cells, codes == column.missing - 1, weights)
    return TextReference(lengths, tuple(counts.tolist()))


def text_designs(
    windows: TrainingWindows, text: TextReference, column: Bins, cells: Cells, codes: np.ndarray
) -> tuple[Design, Design]:
    """Return the designs of the column's index, its tail in buckets, and of the distance of its lengths."""
    tail = codes == column.missing - 1
    fine = np.where(codes == column.missing, column.missing - 1 + BUCKETS, codes)
    fine[tail] += _buckets(cells, tail)
    buckets = (*column.categories, *(f"bucket {k}" for k in range(BUCKETS - 1)))
    index, _ = column_designs(windows, Bins(column.name, categorical=True, categories=buckets), fine)
    _, gap = column_designs(windows, text.lengths, _length_places(text.lengths, cells))
    return index, gap


def _lengths(cells: Cells) -> np.ndarray:
    """Return the characters of each text, NaN where it is missing."""
    if isinstance(cells, pl.Series):
        return cells.str.len_chars().cast(pl.Float64).to_numpy()
    return np.asarray([np.nan if cell is None else len(str(cell)) for cell in cells])


def _length_places(lengths: Bins, cells: Cells) -> np.ndarray:
    long = _lengths(cells)
    return np.where(np.isnan(long), lengths.missing, np.searchsorted(lengths.edges, long, side="left"))


def _buckets(cells: Cells, tail: np.ndarray) -> np.ndarray:
    """Return the bucket of each text of the tail; a series is taken by its distinct ones, a micro-batch as it is."""
    if not isinstance(cells, pl.Series):
        return np.asarray([_bucket(cell) for cell, far in zip(cells, tail, strict=True) if far], dtype=np.int64)
    texts = cells.filter(pl.Series(tail))
    distinct = texts.unique()
    places = [_bucket(text) for text in distinct]
    return texts.replace_strict(distinct, places, return_dtype=pl.Int64).to_numpy().astype(np.int64)  # none: objects


def _bucket(text: object) -> int:
    return crc32(str(text).encode()) % BUCKETS  # the same in every process and release, unlike the hash of polars
