"""Two models on the same rows: is the difference of their losses more than chance?"""

from dataclasses import dataclass

import numpy as np
from scipy import stats  # type: ignore[import-untyped]

CLUSTERS = 20  # a span is cut into at least so many time blocks where a day is too long


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Mean loss of one model minus another's on the same rows; negative means the first is better.

    Args:
        mean: Mean difference over rows, in units of the loss.
        standard_error: Of the mean, over time blocks; infinite where there are fewer than two.
        clusters: Number of time blocks.
    """

    mean: float
    standard_error: float
    clusters: int

    def upper(self, confidence: float) -> float:
        """Return the one-sided upper bound of the true difference."""
        if self.clusters < 2:
            return float("inf")
        return self.mean + float(stats.t.ppf(confidence, self.clusters - 1)) * self.standard_error

    def lower(self, confidence: float) -> float:
        """Return the one-sided lower bound of the true difference."""
        return 2 * self.mean - self.upper(confidence)


def paired_difference(
    candidate: np.ndarray, baseline: np.ndarray, day: np.ndarray, length: float | None = None
) -> PairedDifference:
    """Return how much less a candidate loses than a baseline, row by row on the same rows.

    Neighbouring rows share weather, crowds and outages, so rows are no independent evidence: the standard
    error is taken over time blocks, of a day or a twentieth of the span, whichever is shorter.

    Args:
        candidate: Loss of each row, shape (n,).
        baseline: Loss of the same rows, shape (n,).
        day: Event time in days, shape (n,).
        length: Days of a time block where another than the above is wanted.

    Source: Liang and Zeger (1986), doi:10.1093/biomet/73.1.13, for the cluster-robust variance.
    """
    gap = np.asarray(candidate - baseline, dtype=np.float64)
    if len(gap) == 0:
        return PairedDifference(0.0, float("inf"), 0)
    mean = float(gap.mean())
    length = length or min(1.0, max(float(np.ptp(day)), 1e-9) / CLUSTERS)
    _, cluster = np.unique(np.floor((day - day.min()) / length), return_inverse=True)
    sums = np.bincount(cluster, weights=gap - mean)
    count = len(sums)
    if count < 2:
        return PairedDifference(mean, float("inf"), count)
    error = float(np.sqrt(count / (count - 1) * np.sum(sums**2)) / len(gap))
    return PairedDifference(mean, error, count)


def mean_error(losses: np.ndarray, day: np.ndarray) -> float:
    """Return the standard error of a mean loss over time blocks, 0 where there is one block alone."""
    error = paired_difference(losses, np.zeros(len(losses)), day).standard_error
    return error if np.isfinite(error) else 0.0
