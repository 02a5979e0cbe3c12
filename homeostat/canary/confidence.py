"""A confidence sequence for a mean paired difference: an interval that may be looked at at any time."""

from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit  # type: ignore[import-untyped]

from homeostat.errors import NotEnoughDataError

MIN_BLOCKS = 10
"""Below it the spread between blocks is not known well enough, and the interval is asymptotic."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds on a mean, each wrong with a chance of at most alpha over all looks together."""

    mean: float
    lower: float
    upper: float
    rows: int
    blocks: int
    row_sd: float  # spread of one row's difference, blown up by the dependence inside and between blocks
    neighbour_correlation: float  # of one block with the next; well above 0.15 the blocks are too short


def width_in_sd(rows: float, alpha: float, tuned_rows: float) -> float:
    """Return the half-width of the one-sided sequence after ``rows`` rows, for a spread of 1 a row.

    Args:
        rows: Rows so far, the sequence's clock.
        alpha: Chance that the bound is ever wrong.
        tuned_rows: Rows at which the bound is to be tightest; fixed before the first look.

    Source: one-sided Gaussian-mixture boundary; Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024),
    "Time-uniform central limit theory and asymptotic confidence sequences", arXiv 2103.06476.
    """
    # for a one-sided bound, their two-sided tuning at twice alpha
    spread = -2 * log(2 * alpha)
    rho2 = (spread + log(spread + 1)) / tuned_rows
    grown = rows * rho2 + 1
    return sqrt(2 * grown / (rows**2 * rho2) * log(1 + sqrt(grown) / (2 * alpha)))


def interval(
    block_rows: NDArray[np.int64], block_sums: NDArray[np.float64], *, alpha: float, tuned_rows: float
) -> Interval:
    """Return bounds on the mean difference a row that hold at this look and at all others together.

    Rows of one block may depend on each other in any way: only the blocks' sums are compared, so the
    effective observations are blocks (a ratio estimator with cluster-robust spread). Between blocks only a
    positive dependence on the next one is counted. In simulation a correlation of 0.15 between neighbours
    leaves the error near alpha (6 % at 5 %), 0.35 doubles it: choose blocks longer than the stream's memory.

    Args:
        block_rows: Rows in each block in time order, shape (n_blocks,).
        block_sums: Sum of the differences in each block, same shape.
        alpha: Chance that the lower bound is ever above the truth; the same again for the upper one below it.
        tuned_rows: See ``width_in_sd``.

    Raises:
        NotEnoughDataError: There are fewer than ``MIN_BLOCKS`` blocks.
    """
    blocks, rows = len(block_rows), int(block_rows.sum())
    if blocks < MIN_BLOCKS:
        raise NotEnoughDataError(f"{blocks} blocks, {MIN_BLOCKS} are needed for an interval")
    mean = float(block_sums.sum()) / rows
    residuals = block_sums - mean * block_rows
    spread = float(residuals @ residuals)
    neighbours = float(residuals[:-1] @ residuals[1:])
    row_sd = sqrt((spread + 2 * max(neighbours, 0.0)) * blocks / (blocks - 1) / rows)
    z = width_in_sd(rows, alpha, tuned_rows) * sqrt(rows)
    # the spread is estimated from few blocks: give the bound Student's tails
    half = -float(stdtrit(blocks - 1, ndtr(-z))) * row_sd / sqrt(rows)
    return Interval(mean, mean - half, mean + half, rows, blocks, row_sd, neighbours / spread if spread else 0.0)
