"""Kolmogorov-Smirnov distance between two histograms over the same ordered bins."""

from dataclasses import dataclass, replace

import numpy as np

from homeostat.drift.design import INDEPENDENT, Design
from homeostat.drift.tails import kolmogorov_limit, kolmogorov_tail

MEAN_SQUARE = np.pi**2 / 12  # of Kolmogorov's variable
_SHAPE = 2.5  # Satterthwaite's degrees of freedom of a Brownian bridge: (1/6)^2 / (1/90)


@dataclass(frozen=True, slots=True)
class KsTest:
    """A distance with its null distribution: ``distance * root_rows`` is Kolmogorov's for independent rows.

    Where training windows are known, its square is held against theirs by an F distribution: windows that differ
    in one way only, such as warm and cold ones, have heavier tails than a Brownian bridge.
    """

    distance: float
    root_rows: float  # square root of n * m / (n + m), effective rows
    design: Design = INDEPENDENT
    reference_rows: float = 0.0

    @property
    def p_value(self) -> float:
        """The chance of a distance this large without drift, never too small on bins."""
        return self.tail(self.distance)

    def tail(self, distance: float) -> float:
        """Return the chance of a distance as large as that one without drift."""
        value = distance * self.root_rows
        if self.design.windows == 0:
            return kolmogorov_tail(value)
        return self.design.tail(value**2 / MEAN_SQUARE, _SHAPE)

    def limit(self, alpha: float) -> float:
        """Return the distance that chance alone exceeds with probability at most ``alpha``."""
        if self.root_rows == 0:
            return 1.0
        if self.design.windows == 0:
            return kolmogorov_limit(alpha) / self.root_rows
        return float(np.sqrt(self.design.limit(alpha, _SHAPE) * MEAN_SQUARE)) / self.root_rows

    def longer(self, times: float) -> "KsTest":
        """Return the test as so many times the training would have it."""
        if self.root_rows == 0:
            return self
        less = (1 - 1 / times) * self.design.reference_scale(self.reference_rows)
        return replace(self, root_rows=(self.root_rows**-2 - less) ** -0.5, design=self.design.longer(times))


def ks_test(reference: np.ndarray, live: np.ndarray, design: Design = INDEPENDENT) -> KsTest:
    """Return the largest gap between the two distributions at the bins' edges, where both are exact.

    Between edges the true distance may be larger, by less than the greatest share of a bin; the test on
    edges alone therefore alarms less often than its level, never more.

    Args:
        reference: Row counts at training time in the order of the values, shape (n_bins,), without missing values.
        live: Row counts in the current window, same shape.
        design: How far calm windows lie apart.

    Source: Smirnov (1948), doi:10.1214/aoms/1177730256.

    >>> test = ks_test(np.array([250.0, 250, 250, 250]), np.array([100.0, 100, 100, 200]))
    >>> round(test.distance, 2), test.p_value < 0.001
    (0.15, True)
    """
    n, m = float(reference.sum()), float(live.sum())
    if n <= 0 or m <= 0:
        return KsTest(0.0, 0.0, design)
    gap = np.cumsum(reference) / n - np.cumsum(live) / m
    return KsTest(float(np.abs(gap).max()), design.scale(n, m) ** -0.5, design, n)
