"""Confidence sequences for a mean: bounds that may be looked at at any time, as often as one likes."""

from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from scipy.special import ndtr, stdtrit  # type: ignore[import-untyped]

from homeostat.canary.spread import Floats, Spread

MIN_BLOCKS = 10
"""Below it the spread between blocks is not known well enough: the bounds are asymptotic."""

_SURE = 1e-300  # no chance is smaller: beyond it Student's quantile is infinite, and so is the bound


@dataclass(frozen=True, slots=True)
class Bound:
    """A mean and how far the truth may lie to one side of it, at one look."""

    mean: float
    half: float
    rows: int
    blocks: int
    row_sd: float  # spread of one row's value, blown up by all that rows depend on
    alpha: float
    tuned_rows: float

    @property
    def lower(self) -> float:
        """The bound below; the truth is ever under it with a chance of at most ``alpha``."""
        return self.mean - self.half

    @property
    def upper(self) -> float:
        """The bound above; the truth is ever over it with a chance of at most ``alpha``."""
        return self.mean + self.half


def width_in_sd(rows: Floats | float, alpha: float, tuned_rows: float) -> Floats:
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
    clock = np.asarray(rows, dtype=np.float64)
    grown = clock * rho2 + 1
    return np.asarray(np.sqrt(2 * grown / (clock**2 * rho2) * np.log(1 + np.sqrt(grown) / (2 * alpha))))


def half_widths(spread: Spread, alpha: float, tuned_rows: float) -> Floats:
    """Return after each block how far the truth may lie to one side of the mean, shape (n_blocks,).

    The clock is rows. Where rows depend on each other, a mean grows certain more slowly than with its rows, so
    that its looks are more alike than the boundary allows for: the error can only be smaller (Slepian). The
    spread is estimated, so the boundary gets the tails of Student's distribution. Infinite before ``MIN_BLOCKS``.
    """
    z = width_in_sd(spread.rows, alpha, tuned_rows) * np.sqrt(spread.rows)
    chance = np.maximum(ndtr(-z), _SURE)
    half = (-stdtrit(spread.freedom, chance) * np.sqrt(spread.variance)).max(axis=0)
    half[: MIN_BLOCKS - 1] = np.inf
    return np.asarray(half)


def bound(spread: Spread, alpha: float, tuned_rows: float) -> Bound | None:
    """Return the bound at the newest block, None before there are ``MIN_BLOCKS`` of them."""
    blocks = len(spread.rows)
    if blocks < MIN_BLOCKS:
        return None
    half, rows = float(half_widths(spread, alpha, tuned_rows)[-1]), float(spread.rows[-1])
    row_sd = sqrt(rows * float(spread.variance[:, -1].max()))
    return Bound(float(spread.mean[-1]), half, int(rows), blocks, row_sd, alpha, tuned_rows)


def rows_until(found: Bound, gap: float) -> int | None:
    """Return at how many rows the half-width would fall below ``gap`` if the spread a row stayed as it is.

    None: not within 1,000 times the rows so far.
    """
    low, high = found.rows, 1000 * found.rows
    if float(width_in_sd(high, found.alpha, found.tuned_rows)) * found.row_sd >= gap:
        return None
    while high > low * 1.02:  # 2 %: finer than the estimate deserves
        middle = round(sqrt(low * high))
        enough = float(width_in_sd(middle, found.alpha, found.tuned_rows)) * found.row_sd < gap
        low, high = (low, middle) if enough else (middle, high)
    return high
