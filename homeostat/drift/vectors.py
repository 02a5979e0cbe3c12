"""Vector columns: the embedding distance of a window's vectors to the reference's."""

from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np
import polars as pl

from homeostat.drift.bins import Bins, number_bins
from homeostat.drift.design import INDEPENDENT, Design
from homeostat.drift.embedding import EmbeddingReference, EmbeddingTest, embedding_reference, embedding_test
from homeostat.drift.numbers import NumbersReference, numbers_reference
from homeostat.drift.training_windows import TrainingWindows, borne
from homeostat.drift.vector_map import VectorMap, Vectors, fitted_map
from homeostat.vectors import vector_rows

_MOST_NUMBERS = 1 << 24  # of the reference's vectors at most, and
_MOST_ROWS = 20_000  # rows: the covariance of the mapped rows gains nothing from more
_APART = 1_000  # between the seeds of two columns: a map takes three


@dataclass(frozen=True, slots=True)
class VectorReference:
    """The reference's vectors after the column's map, and how far calm windows lie apart."""

    size: int  # of a vector
    embedding: EmbeddingReference
    design: Design = INDEPENDENT
    numbers: NumbersReference | None = None  # none in old profiles

    def test(self, total: np.ndarray, rows: int) -> EmbeddingTest | None:
        """Return how far a window's vectors have moved, None without any, or where the reference never varies.

        Args:
            total: Sum of their Fourier features, shape (WIDTH,).
            rows: How many there are.
        """
        found = embedding_test(self.embedding, total, rows, self.design)
        return None if found is None else replace(found, seen=min(1.0, found.directions / self.size))

    def total(self, column: VectorMap, vectors: Vectors) -> np.ndarray:
        """Return the sum of the Fourier features of the vectors that are there, shape (WIDTH,)."""
        mapped = column.features(vectors, self.embedding.bandwidth)
        return np.asarray(mapped[~np.isnan(mapped[:, 0])].sum(axis=0, dtype=np.float64))


def vector_bins(name: str, cells: pl.Series, weights: np.ndarray, seed: int) -> Bins:
    """Return the bins of a vector column: of where each vector lies along one direction, and of missing ones.

    Args:
        name: The column.
        cells: Lists, null where missing; the newest has the size that counts.
        weights: Row weights, shape (n,); rows without weight don't count.
        seed: Draws the map, another for each name.
    """
    sizes = cells.list.len().drop_nulls()
    size = int(sizes[-1]) if len(sizes) else 0
    sample = vector_rows(cells.gather(_sampled(cells, weights, size, seed)), size)
    fitted = fitted_map(sample, seed + _APART * crc32(name.encode()))
    return replace(number_bins(name, fitted.along(cells), weights), vector=fitted)


def vector_reference(
    column: Bins, cells: pl.Series, weights: np.ndarray, seed: int, windows: TrainingWindows | None = None
) -> VectorReference | None:
    """Return what live vectors are held against, None for a column of none.

    Args:
        column: Its bins.
        cells: Lists of one size, null where missing.
        weights: Row weights, shape (n,).
        seed: Draws the sample.
        windows: Training windows as long as the live ones; None where nothing is known of them.
    """
    sample = _sampled(cells, weights, column.vector.size if column.vector else 0, seed)
    if column.vector is None or not sample.size:
        return None
    known = None
    if windows is not None:
        known = windows.among((cells.list.len() == column.vector.size).fill_null(value=False).to_numpy())
    rows = vector_rows(cells.gather(sample), column.vector.size)
    place = None if known is None else known.place[sample]
    reference = embedding_reference(column.vector, rows, weights[sample], column.vector.seed, place)
    numbers = numbers_reference(cells, column.vector.size, weights, known)
    if known is None:
        return VectorReference(column.vector.size, reference, numbers=numbers)
    return VectorReference(column.vector.size, *borne(known, column.vector, cells, reference), numbers=numbers)


def _sampled(cells: pl.Series, weights: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Return places of known rows with weight, as many as are worth looking at, in order."""
    known = np.flatnonzero((cells.list.len() == size).fill_null(value=False).to_numpy() & (weights > 0))
    most = min(_MOST_ROWS, _MOST_NUMBERS // max(size, 1))
    return np.sort(np.random.default_rng(seed).permutation(known)[:most])
