"""Further distances between two histograms over the same bins: what they tell is reported, the tests decide."""

from collections.abc import Sequence

import numpy as np

from homeostat.drift.bins import Bins, coarse
from homeostat.drift.psi import join_thin_bins


def jensen_shannon(reference: np.ndarray, live: np.ndarray) -> float:
    """Return the Jensen-Shannon distance in base 2: 0 for equal shares, 1 for no bin in common.

    Args:
        reference: Row counts at training time, shape (n_bins,).
        live: Row counts in the current window, same shape.

    Source: Endres and Schindelin (2003), "A new metric for probability distributions",
    doi:10.1109/TIT.2003.813506.

    >>> jensen_shannon(np.array([9.0, 0.0]), np.array([0.0, 5.0]))
    1.0
    """
    p, q = reference / reference.sum(), live / live.sum()
    middle = (p + q) / 2
    return float(np.sqrt(max(0.0, (_information(p, middle) + _information(q, middle)) / 2)))


def wasserstein(reference: np.ndarray, live: np.ndarray, centres: Sequence[float]) -> float:
    """Return the work of turning one distribution into the other, in the unit of the column.

    Each row counts as the reference mean of its bin, so what lies beyond the reference's ends counts as the end
    bin does: a single wild value has no leverage.

    Args:
        reference: Row counts at training time in the order of the values, shape (n_bins,), without missing values.
        live: Row counts in the current window, same shape.
        centres: Mean reference value of each bin, ascending, same length.

    Source: Vallender (1974), "Calculation of the Wasserstein distance between probability distributions on the
    line", doi:10.1137/1118101.

    >>> wasserstein(np.array([1.0, 1, 0]), np.array([0.0, 1, 1]), [10, 20, 40])
    15.0
    """
    gap = np.cumsum(reference / reference.sum() - live / live.sum())
    return float(np.sum(np.abs(gap[:-1]) * np.diff(centres)))


def chi_square(reference: np.ndarray, live: np.ndarray) -> float:
    """Return Pearson's statistic of the two-sample table, thin neighbours joined.

    Args:
        reference: Row counts at training time, shape (n_bins,).
        live: Row counts in the current window, same shape.

    Source: Pearson (1900), doi:10.1080/14786440009463897.

    >>> chi_square(np.array([50.0, 50.0]), np.array([30.0, 70.0]))  # 100 * (0.4 * 0.6 expected)
    8.333333333333334
    """
    table = np.vstack(join_thin_bins(reference, live))
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    return float(np.sum((table - expected) ** 2 / np.where(expected > 0, expected, 1.0)))


def _information(shares: np.ndarray, other: np.ndarray) -> float:
    """Return the Kullback-Leibler divergence in bits."""
    seen = shares > 0
    return float(np.sum(shares[seen] * np.log2(shares[seen] / other[seen])))


def distances(column: Bins, reference: np.ndarray, live: np.ndarray) -> dict[str, float]:
    """Return every further distance of one column by name, missing values included; Wasserstein in deviations.

    Args:
        column: The bins.
        reference: Row counts at training time, shape (n_bins,), the last for missing values.
        live: Row counts in the current window, same shape.
    """
    told = {
        "jensen_shannon": jensen_shannon(reference, live),
        "chi_square": chi_square(coarse(column, reference), coarse(column, live)),
        "missing": float(live[-1] / live.sum()),
    }
    if column.categorical:  # reported, no fault by itself: shops open and close
        told["new"] = float(live[-2] / live.sum())
        told["vanished"] = float(reference[:-1][live[:-1] == 0].sum() / reference.sum())
    known, seen = reference[:-1], live[:-1]
    if column.centres and known.sum() > 0 and seen.sum() > 0:
        centres = np.asarray(column.centres)
        share = known / known.sum()
        with np.errstate(over="ignore", invalid="ignore"):
            deviation = float(np.sqrt(share @ (centres - share @ centres) ** 2))
            moved = wasserstein(known, seen, column.centres)
        if 0 < deviation < np.inf and np.isfinite(moved):  # a constant has no unit
            told["wasserstein"] = moved / deviation
    return told
