"""Population stability index: how far a live column has moved from its reference, on fixed bins."""

from dataclasses import dataclass, replace

import numpy as np

from homeostat.drift.design import INDEPENDENT, Design

PSEUDO_COUNT = 0.5  # rows added to each bin, so an empty one cannot dominate (0.075 instead of 14.1)
_MIN_EXPECTED = 5.0  # rows in a bin below which chi-square is a bad null: Cochran (1954)
_MIN_SEEN = 10.0  # live rows that make a bin count even where the reference is empty


@dataclass(frozen=True, slots=True)
class PsiTest:
    """An index with its null distribution: ``index / scale`` is chi-square for independent rows without drift."""

    index: float
    scale: float  # 1 / n_reference + 1 / n_live, and what windows differ by beyond that
    degrees: int
    design: Design = INDEPENDENT
    reference_rows: float = 0.0

    @property
    def effect(self) -> float:
        """The index less what calm windows give on average."""
        return self.index - self.degrees * self.scale

    @property
    def p_value(self) -> float:
        """The chance of an index this large without drift."""
        return self.tail(self.index)

    def tail(self, index: float) -> float:
        """Return the chance of an index as large as that one without drift."""
        mean = self.degrees * self.scale
        return self.design.tail(index / mean, self.degrees) if mean > 0 else 1.0

    def limit(self, alpha: float) -> float:
        """Return the index that chance alone exceeds with probability ``alpha``."""
        return self.design.limit(alpha, self.degrees) * self.degrees * self.scale

    def longer(self, times: float) -> "PsiTest":
        """Return the test as so many times the training would have it."""
        less = (1 - 1 / times) * self.design.reference_scale(self.reference_rows)
        return replace(self, scale=self.scale - less, design=self.design.longer(times))


def psi(reference: np.ndarray, live: np.ndarray, pseudo_count: float = PSEUDO_COUNT) -> float:
    """Return the shift between two histograms over the same bins, in nats (0 = equal shares).

    Args:
        reference: Row counts at training time, shape (n_bins,).
        live: Row counts in the current window, same shape.
        pseudo_count: Rows added to each bin of both sides.

    Source: symmetric Kullback-Leibler, Jeffreys (1946), doi:10.1098/rspa.1946.0056.

    >>> round(psi(np.array([500.0, 500.0]), np.array([600.0, 400.0])), 4)
    0.0405
    """
    expected = (reference + pseudo_count) / (reference + pseudo_count).sum()
    actual = (live + pseudo_count) / (live + pseudo_count).sum()
    return float(np.sum((actual - expected) * np.log(actual / expected)))


def psi_test(reference: np.ndarray, live: np.ndarray, design: Design = INDEPENDENT) -> PsiTest:
    """Return the index over bins that hold enough rows, with its null distribution.

    Under no drift ``psi / (1/n + 1/m)`` tends to chi-square with one degree less than there are bins, so
    the limit follows from the row counts: there is no universal 0.1. Neighbouring bins too thin for
    that are joined first.

    Args:
        reference: Row counts at training time, shape (n_bins,); neighbours are alike in value or in frequency.
        live: Row counts in the current window, same shape.
        design: How far calm windows lie apart.

    Source: Yurdakul and Naranjo (2020), "Statistical properties of the population stability index",
    doi:10.21314/JRMV.2020.227.

    >>> calm = psi_test(np.full(10, 5000.0), np.array([52.0, 48, 50, 61, 39, 55, 45, 50, 47, 53]))
    >>> calm.index < calm.limit(alpha=0.01), calm.degrees
    (True, 9)
    """
    joined, seen = join_thin_bins(reference, live)
    rows = float(reference.sum())
    return PsiTest(psi(joined, seen), design.scale(rows, float(live.sum())), joined.size - 1, design, rows)


def join_thin_bins(reference: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both histograms with neighbours joined until every bin is thick enough to be tested."""
    both = reference + live
    expected = both * min(float(reference.sum()), float(live.sum())) / max(float(both.sum()), 1.0)
    starts, rows, seen = [0], 0.0, 0.0
    for i, (due, came) in enumerate(zip(expected.tolist(), live.tolist(), strict=True)):
        if rows >= _MIN_EXPECTED or seen >= _MIN_SEEN:
            starts.append(i)
            rows = seen = 0.0
        rows, seen = rows + due, seen + came
    if len(starts) > 1 and rows < _MIN_EXPECTED and seen < _MIN_SEEN:
        starts.pop()  # the last group is thin: it joins the one before it
    return np.add.reduceat(reference, starts), np.add.reduceat(live, starts)
