"""A few whole rows of each stretch of time: mergeable, the same whatever order they came in, and bounded."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from homeostat.drift.cells import CellCoder
from homeostat.records import Cell

KEPT = 128  # rows of a stretch


class Sample:
    """The rows with the smallest hashes of their ids, as a cell matrix.

    Source: bottom-k sampling, Cohen and Kaplan (2007), "Summarizing data using bottom-k sketches",
    doi:10.1145/1281100.1281133.
    """

    def __init__(self, coder: CellCoder) -> None:
        """Start with no rows of these features."""
        self._coder = coder
        self._keys = np.empty(0, dtype=np.uint64)
        self.seen = 0
        self.rows = np.empty((0, len(coder.columns) + 1))

    @property
    def since(self) -> float:
        """The first event time, seconds since 1970; infinite without rows."""
        return float(self.rows[:, -1].min(initial=np.inf))

    def add(self, ids: Sequence[str], values: Sequence[Sequence[Cell]], times: Sequence[float]) -> None:
        """Admit rows that are new.

        Args:
            ids: One for each row.
            values: The cells of each row in feature order.
            times: Event time of each row, seconds since 1970.
        """
        keys = pl.Series(ids).hash(seed=0).to_numpy()
        low = np.sort(np.argpartition(keys, KEPT)[:KEPT]) if len(keys) > KEPT else np.arange(len(keys))
        cells = [*zip(*(values[i] for i in low), strict=True)]
        self._keep(keys[low], self._coder.matrix(cells, np.asarray(times)[low]), len(keys))

    def merge(self, other: "Sample") -> None:
        """Admit the rows of another sample of the same features."""
        self._keep(other._keys, other.rows, other.seen)

    def _keep(self, keys: np.ndarray, rows: np.ndarray, seen: int) -> None:
        keys, rows = np.concatenate([self._keys, keys]), np.concatenate([self.rows, rows])
        order = np.argsort(keys, kind="stable")[:KEPT]
        self._keys, self.rows = keys[order], rows[order]
        self.seen += seen


def thinned(samples: Sequence[Sample], most: int) -> np.ndarray:
    """Return rows of all samples, of each in proportion to the rows it has seen, shape (n_rows, n_columns + 1).

    A stretch that has more than its share of the window's rows is held to what its sample keeps.

    Args:
        samples: At least one.
        most: Rows wanted at most.
    """
    seen = np.cumsum([sample.seen for sample in samples])
    ends = np.rint(seen * min(1.0, most / max(int(seen[-1]), 1))).astype(np.int64)
    parts = zip(samples, np.diff(ends, prepend=0).tolist(), strict=True)
    return np.concatenate([sample.rows[:wanted] for sample, wanted in parts])
