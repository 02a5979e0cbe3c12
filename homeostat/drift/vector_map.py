"""Vectors by fixed random projections: one number for each where a column of numbers is wanted, and a map of all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]

from homeostat.drift.draws import WIDTH, directions, phases
from homeostat.records import Cell
from homeostat.vectors import PackedVectors, is_short, packed_vectors

_AT_ONCE = 1 << 22  # numbers: 16 MiB in single precision
_FURTHEST = 1e3  # deviations: what lies beyond has no more leverage

Vectors = np.ndarray | PackedVectors | pl.Series | Sequence[Cell]
"""Vectors as rows of an array (n, size), NaN where missing; packed; as a column of lists; or as cells of records."""


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

    def rows(self, cells: Vectors) -> np.ndarray | PackedVectors:
        """Return vectors in a form that can be read again and again."""
        return cells if isinstance(cells, np.ndarray | PackedVectors) else packed_vectors(cells)

    def along(self, cells: Vectors, furthest: float = _FURTHEST) -> np.ndarray:
        """Return where each vector lies along one direction, shape (n,), NaN where missing.

        In double precision and then rounded: vectors that are alike lie in one place, whatever they came with or as.

        Args:
            cells: The vectors.
            furthest: Deviations that a number counts for at most.
        """
        if self.size == 0:
            return np.full(len(cells), np.nan)
        table = _table(self)[:, :1].astype(np.float64)
        return np.concatenate(
            [self._projected(part, table, furthest)[:, 0] for part in self._parts(cells)], dtype=np.float64
        )

    def project(self, cells: Vectors) -> np.ndarray:
        """Return random projections of the vectors, shape (n, WIDTH), NaN where missing."""
        return np.concatenate([self._projected(part, _table(self)) for part in self._parts(cells)])

    def features(self, cells: Vectors, bandwidth: float) -> np.ndarray:
        """Return the Fourier features of the vectors, shape (n, WIDTH), NaN where missing."""
        projected = self.project(cells)
        projected *= np.float32(1 / bandwidth)
        projected += phases(self.seed + 1)
        return np.asarray(np.cos(projected, out=projected))

    def _parts(self, cells: Vectors) -> Iterator[np.ndarray | PackedVectors]:
        """Yield some vectors at a time: as they are where few of their numbers are told, else with all of them."""
        step = max(1, _AT_ONCE // max(self.size, 1))
        for start in range(0, max(len(cells), 1), step):
            part = self.rows(cells[start : start + step])
            if isinstance(part, PackedVectors) and not is_short(part.values.size, len(part) * self.size):
                part = part.rows(self.size)
            yield part

    def _projected(
        self, part: np.ndarray | PackedVectors, table: np.ndarray, furthest: float = _FURTHEST
    ) -> np.ndarray:
        """Return vectors times a table, as float32."""
        far = np.float32(furthest) * np.asarray(self.scale, dtype=np.float32)
        if isinstance(part, np.ndarray):
            return np.asarray(np.clip(part, -far, far) @ table, dtype=np.float32)
        there = part.sizes == self.size
        known = part.among(there)
        with np.errstate(over="ignore"):  # too large for float32 reads as infinite
            values = np.clip(known.values.astype(np.float32), -far[known.at], far[known.at])
        ends = np.concatenate([[0], np.cumsum(known.told)])
        projected = np.full((len(part), table.shape[1]), np.nan, dtype=np.float32)
        projected[there] = csr_matrix((values, known.at, ends), (len(known), self.size)) @ table
        return projected


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
