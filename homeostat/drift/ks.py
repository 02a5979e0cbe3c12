"""Kolmogorov-Smirnov distance between two histograms over the same ordered bins."""

from dataclasses import dataclass

import numpy as np

from homeostat.drift.tails import kolmogorov_limit, kolmogorov_tail


@dataclass(frozen=True, slots=True)
class KsTest:
    """A distance with its null distribution: ``distance * root_rows`` is Kolmogorov's under no drift."""

    distance: float
    root_rows: float  # square root of n * m / (n + m)

    @property
    def p_value(self) -> float:
        """The chance of a distance this large without drift, never too small on bins."""
        return kolmogorov_tail(self.distance * self.root_rows)

    def limit(self, alpha: float) -> float:
        """Return the distance that chance alone exceeds with probability at most ``alpha``."""
        return kolmogorov_limit(alpha) / self.root_rows if self.root_rows > 0 else 1.0


def ks_test(reference: np.ndarray, live: np.ndarray) -> KsTest:
    """Return the largest gap between the two distributions at the bins' edges, where both are exact.

    Between edges the true distance may be larger, by less than the greatest share of a bin; the test on
    edges alone therefore alarms less often than its level, never more.

    Args:
        reference: Row counts at training time in the order of the values, shape (n_bins,), without missing values.
        live: Row counts in the current window, same shape.

    Source: Smirnov (1948), doi:10.1214/aoms/1177730256.

    >>> test = ks_test(np.array([250.0, 250, 250, 250]), np.array([100.0, 100, 100, 200]))
    >>> round(test.distance, 2), test.p_value < 0.001
    (0.15, True)
    """
    n, m = float(reference.sum()), float(live.sum())
    if n <= 0 or m <= 0:
        return KsTest(0.0, 0.0)
    gap = np.cumsum(reference) / n - np.cumsum(live) / m
    return KsTest(float(np.abs(gap).max()), float(np.sqrt(n * m / (n + m))))
