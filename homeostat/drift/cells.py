"""Cells as numbers that keep what a fault shows by."""

from collections.abc import Sequence
from zlib import crc32

import numpy as np

from homeostat.drift.bins import Bins, Cells

_UNCLIPPED = 1e9  # deviations of a vector's numbers, in which another unit must still be seen


class _Codes(dict[object, float]):
    """Codes of texts; a text of no vocabulary has one of its own too, so that one for all is told from many."""

    def __missing__(self, text: object) -> float:
        return float(len(self) + crc32(str(text).encode()))


class CellCoder:
    """Turns cells into numbers that keep what a fault shows by: values as they are, texts by one vocabulary."""

    def __init__(self, columns: Sequence[Bins]) -> None:
        """Join the vocabularies of all columns, so that a text is known in another's place too."""
        texts = dict.fromkeys(text for column in columns for text in column.categories)
        self.columns = tuple(columns)
        self._codes = _Codes({text: float(i) for i, text in enumerate(texts)})
        self._codes[None] = np.nan
        self._places = [self._of(column, list(texts)) for column in columns]

    def matrix(self, cells: Sequence[Cells], times: np.ndarray) -> np.ndarray:
        """Return rows as float64, shape (n_rows, n_columns + 1), NaN where missing, the last column the event time.

        Args:
            cells: The cells of each feature.
            times: Event time of each row in seconds, shape (n_rows,).
        """
        out = np.empty((len(times), len(self.columns) + 1))
        for j, (column, each) in enumerate(zip(self.columns, cells, strict=True)):
            if column.categorical:
                out[:, j] = [self._codes[cell] for cell in each]
            elif column.vector is not None:
                out[:, j] = column.vector.along(each, _UNCLIPPED)  # type: ignore[arg-type] # by the contract
            else:
                out[:, j] = column.numbers(each)
        out[:, -1] = times
        return out

    def places(self, j: int, values: np.ndarray) -> np.ndarray:
        """Return known values of a matrix as column ``j`` reads them: a category as its bin, a number as it is."""
        if not self.columns[j].categorical:
            return values
        own = self._places[j]
        return np.asarray(own[np.minimum(values, own.size - 1).astype(np.int64)])

    @staticmethod
    def _of(column: Bins, texts: Sequence[str]) -> np.ndarray:
        own = {text: float(i) for i, text in enumerate(column.categories)}
        return np.asarray([*(own.get(text, float(len(own))) for text in texts), float(len(own))])
