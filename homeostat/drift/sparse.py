"""Counts of sparse vectors: thousands of features of which a row sets some hundred, in O(features) memory.

It tells each feature by itself; ``vectors`` holds a vector column of a contract against its reference as a whole.
"""

from dataclasses import dataclass

import numpy as np

from homeostat.drift.psi import PsiTest, psi_test

BINS = 16  # of equal width within a feature; what lies beyond the ends counts in the end bins
_ENDS = (0.01, 0.99)  # shares of the reference between which the bins lie


@dataclass(frozen=True, slots=True)
class SparseBins:
    """Where the bins of each feature begin, and how many there are to its unit; arrays of shape (n_features,)."""

    start: np.ndarray
    per_unit: np.ndarray

    @property
    def features(self) -> int:
        """The number of features."""
        return self.start.size


class SparseCounts:
    """How often each feature of some rows was set, by bin of its value; what isn't counted was absent."""

    def __init__(self, bins: SparseBins) -> None:
        """Start with no rows."""
        self.bins = bins
        self.rows = 0
        self.counts = np.zeros((bins.features, BINS))

    def add(self, features: np.ndarray, values: np.ndarray, rows: int) -> None:
        """Count ``rows`` rows given as the features they set and the values these have.

        Args:
            features: Place of each set feature, shape (n_set,), rows one after the other.
            values: Its value, same shape.
            rows: How many rows these are.
        """
        place = (values - self.bins.start[features]) * self.bins.per_unit[features]
        np.clip(place, 0, BINS - 1, out=place)
        flat = features * BINS + place.astype(np.int64)
        self.counts += np.bincount(flat, minlength=self.counts.size).reshape(self.counts.shape)
        self.rows += rows

    def merge(self, other: "SparseCounts") -> None:
        """Add the rows of another stretch, counted on the same bins."""
        self.rows += other.rows
        self.counts += other.counts

    def column(self, j: int) -> np.ndarray:
        """Return the counts of feature ``j``, shape (BINS + 1,), the last for rows in which it was absent."""
        return np.append(self.counts[j], self.rows - self.counts[j].sum())


def sparse_bins(features: np.ndarray, values: np.ndarray, size: int) -> SparseBins:
    """Return bins between the 1st and the 99th percentile of each feature's reference values.

    Args:
        features: Place of each set feature in the reference, shape (n_set,).
        values: Its value, same shape.
        size: How many features there are.

    >>> bins = sparse_bins(np.array([0, 0, 2]), np.array([0.0, 1.0, 5.0]), size=3)
    >>> counts = SparseCounts(bins)
    >>> counts.add(np.array([0, 0]), np.array([0.0, 9.0]), rows=3)
    >>> counts.column(0)[[0, -2, -1]].tolist(), float(counts.column(1)[-1])
    ([1.0, 1.0, 1.0], 3.0)
    """
    order = np.lexsort((values, features))
    ordered, first = values[order], np.searchsorted(features[order], np.arange(size))
    seen = np.bincount(features, minlength=size)
    ends = [first + np.rint(share * np.maximum(seen - 1, 0)).astype(np.int64) for share in _ENDS]
    low, high = (np.where(seen > 0, ordered[np.minimum(place, ordered.size - 1)], 0.0) for place in ends)
    span = np.where(high > low, high - low, 1.0)
    return SparseBins(low, BINS / span)


def sparse_tests(reference: SparseCounts, live: SparseCounts) -> list[PsiTest]:
    """Return the index of every feature, absence counted as a bin of its own."""
    return [psi_test(reference.column(j), live.column(j)) for j in range(reference.bins.features)]
