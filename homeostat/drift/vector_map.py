"""Vectors by fixed random projections: one number for each where a column of numbers is wanted, and a map of all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl

from homeostat.drift.draws import WIDTH, directions, phases
from homeostat.records import Cell
from homeostat.vectors import vector_rows

_AT_ONCE = 1 << 22  # numbers: 16 MiB in single precision
_FURTHEST = 1e3  # deviations: what lies beyond has no more leverage

Vectors = np.ndarray | pl.Series | Sequence[Cell]
"""Vectors as rows of an array (n, size), NaN where missing; as a column of lists; or as cells of records."""


@dataclass(frozen=True, slots=True)
class VectorMap:
    """Random projections of a column's vectors, and the random Fourier features that are made of them.

    Each number counts in deviations of the reference, so that none drowns the others. A vector of another size, as
    from before a change of the contract, reads as missing.

    Source: Rahimi and Recht (2007), "Random features for large-scale kernel machines", NIPS 20.
    """

    size: int
    seed: int
    scale: tuple[float, ...]  # of each number, shape (size,)

    def rows(self, cells: Vectors) -> np.ndarray:
        """Return vectors as float32, shape (n, size), NaN where missing."""
        return cells if isinstance(cells, np.ndarray) else vector_rows(cells, self.size)

    def along(self, cells: Vectors) -> np.ndarray:
        """Return where each vector lies along one direction, shape (n,), NaN where missing."""
        if self.size == 0:
            return np.full(len(cells), np.nan)
        table = _table(self)[:, :1]
        return np.concatenate([self._projected(part, table)[:, 0] for part in self._parts(cells)], dtype=np.float64)

    def project(self, cells: Vectors) -> np.ndarray:
        """Return random projections of the vectors, shape (n, WIDTH), NaN where missing."""
        return np.concatenate([self._projected(part, _table(self)) for part in self._parts(cells)])

    def features(self, cells: Vectors, bandwidth: float) -> np.ndarray:
        """Return the Fourier features of the vectors, shape (n, WIDTH), NaN where missing."""
        projected = self.project(cells)
        projected *= np.float32(1 / bandwidth)
        projected += phases(self.seed + 1)
        return np.asarray(np.cos(projected, out=projected))

    def _parts(self, cells: Vectors) -> Iterator[np.ndarray]:
        step = max(1, _AT_ONCE // max(self.size, 1))
        for start in range(0, max(len(cells), 1), step):
            yield self.rows(cells[start : start + step])

    def _projected(self, rows: np.ndarray, table: np.ndarray) -> np.ndarray:
        """Return the rows times a table.

        Of 3,000 numbers of which 100 are set that takes 10 us a row, half of what it takes to look for those first.
        """
        far = np.float32(_FURTHEST) * np.asarray(self.scale, dtype=np.float32)
        return np.asarray(np.clip(rows, -far, far) @ table)


def fitted_map(rows: np.ndarray, seed: int) -> VectorMap:
    """Return the map of a column by its reference.

    A number that never varies there gets the median deviation of the others: it may begin to move.

    Args:
        rows: Vectors of the reference, none missing, shape (n, size).
        seed: Draws the directions.
    """
    deviations = rows.astype(np.float64).std(axis=0) if len(rows) else np.zeros(rows.shape[1])
    varied = deviations[(deviations > 0) & np.isfinite(deviations)]
    usual = float(np.median(varied)) if varied.size else 1.0
    known = np.isfinite(deviations) & (deviations > 0)
    return VectorMap(rows.shape[1], seed, tuple(np.where(known, deviations, usual).tolist()))


@lru_cache(16)
def _table(drawn: VectorMap) -> np.ndarray:
    """Return the directions over the deviations, shape (size, WIDTH)."""
    scale = np.asarray(drawn.scale, dtype=np.float64).reshape(-1, 1)
    return np.asarray((directions(drawn.seed, drawn.size) / scale).astype(np.float32)).reshape(-1, WIDTH)
