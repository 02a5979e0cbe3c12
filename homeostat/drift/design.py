"""Design effects: how much further than independent rows the training windows lay from one another."""

from dataclasses import dataclass, replace

import numpy as np

from homeostat.drift.tails import chi2_limit, chi2_tail, fisher_limit, fisher_tail


@dataclass(frozen=True, slots=True)
class Design:
    """The null distribution of a squared distance between a window and the reference, learnt from calm windows.

    Rows of one hour or day share their weather, so windows of a calm stream differ by more than their row
    counts explain. The default knows no windows and takes rows as independent.

    Source: Rao and Scott (1984), doi:10.1214/aos/1176346391: divide by the mean design effect (first order). The
    shape is that of Imhof (1961), doi:10.1093/biomet/48.3-4.419, section 5: chi-square with an offset, which has the
    mean, the variance and the skewness of the sum. Satterthwaite's, without one, has too light a tail where windows
    differ in one way far more than in the others: 1 % of calm columns lay beyond a level of 0.2 %. The F reference for
    few clusters is that of Thomas and Rao (1987), "Small-sample comparisons of level and power for simple
    goodness-of-fit statistics under cluster sampling", JASA 82.
    """

    between: float = 0.0  # variance from window to window beyond chance, in the unit of 1 / rows
    rows: float = 0.0  # of a usual window
    windows: float = 0.0  # in the reference, effective; 0: nothing is known
    shape: float = 0.0  # degrees of freedom of the distance: 1 when windows differ in a single way
    rest: float = 0.0  # degrees of freedom of ``between`` along one dimension
    offset: float = 0.0  # part of a usual distance that has no spread: what many small ways amount to

    @property
    def effect(self) -> float:
        """The variance of a usual window over that of as many independent rows, at least 1."""
        return 1.0 + self.between * self.rows

    def scale(self, reference_rows: float, live_rows: float) -> float:
        """Return the variance of the difference of two means, per unit of variance of a row.

        More rows than usual don't make a window less of its time; fewer count in proportion.
        """
        live = max(live_rows, 1.0)
        chance = 1 / live if self.windows == 0 else 1 / live + self.between * max(1.0, self.rows / live)
        return chance + self.reference_scale(reference_rows)

    def reference_scale(self, rows: float) -> float:
        """Return the reference's own part of that variance: what a training without end would take away."""
        chance = 1 / max(rows, 1.0)
        return chance if self.windows == 0 else chance + self.between / self.windows

    def longer(self, times: float) -> "Design":
        """Return what so many times the training windows would show, if they differ as those that are known."""
        return replace(self, windows=self.windows * times, rest=self.rest * times)

    def tail(self, ratio: float, degrees: float) -> float:
        """Return the chance of a squared distance that is ``ratio`` times its mean, in ``degrees`` dimensions."""
        if self.windows == 0 or degrees <= 0:
            return chi2_tail(ratio * degrees, degrees)
        shape = min(degrees, self.shape)
        return fisher_tail((ratio - self.offset) / (1 - self.offset), shape, shape * self.rest)

    def limit(self, alpha: float, degrees: float) -> float:
        """Return the ratio to its mean that a squared distance exceeds with chance ``alpha``."""
        if self.windows == 0 or degrees <= 0:
            return chi2_limit(alpha, degrees) / max(degrees, 1.0)
        shape = min(degrees, self.shape)
        return self.offset + (1 - self.offset) * fisher_limit(alpha, shape, shape * self.rest)


INDEPENDENT = Design()
"""Rows without a clock, or too few windows of them."""


@dataclass(frozen=True, slots=True)
class Distances:
    """Each training window against the rest of the training rows: arrays of shape (n_windows,)."""

    squared: np.ndarray  # distance, in the unit that has mean ``degrees * chance`` for independent rows
    degrees: np.ndarray
    chance: np.ndarray  # 1 / rows of the window + 1 / rows of the rest
    rows: np.ndarray  # effective
    mass: np.ndarray  # weight of the window
    points: np.ndarray  # (n_windows, n_dimensions): where the windows lie, scaled so that rows vary alike
    # 1 / windows that the rest of each amounts to, where that is not all the others: those of its season alone
    breadth: np.ndarray | None = None


def estimate(seen: Distances, parts: int = 1, *, of_many: bool = False) -> Design:
    """Return the design that the training windows show.

    The excess over chance is averaged over windows with their mass, so rows that hardly count in the reference
    hardly count here. A window is held against the others alone: against a whole that it is part of it
    would look too near.

    Args:
        seen: Distances of at least two windows, or of equal parts of windows.
        parts: Parts a window; they are taken as independent of one another.
        of_many: The distance is along many directions, in a unit that is right on average alone: rows of some windows
            scatter more than of others. The spread of the windows' distances is heard then; the third moment of where
            they lie is not, for in so many dimensions it is chance.

    >>> near = np.array([[0.1], [-0.1], [0.1], [-0.1]])
    >>> calm = Distances(np.full(4, 0.053), np.ones(4), np.full(4, 0.013), np.full(4, 100.0), np.ones(4), near)
    >>> round(estimate(calm).effect, 1)
    4.0
    """
    share = seen.mass / seen.mass.sum()
    spread = np.sum(share**2)
    # 1 / windows in the rest
    others = (spread - share**2) / (1 - share) ** 2 if seen.breadth is None else seen.breadth
    reference = 1 / spread if seen.breadth is None else 1 + 1 / float(np.sum(share * seen.breadth))
    excess = np.sum(share * (seen.squared - seen.degrees * seen.chance))
    unit = np.sum(share * seen.degrees * (1 + others))
    rest = 1 / spread - (1 / spread) / reference  # a mean for all, or for each season, is estimated
    between = float(max(excess, 0.0) / unit) if unit > 0 else 0.0
    shape, offset = _shape(seen.points, share, skewed=not of_many)
    if of_many:
        usual = seen.degrees * (seen.chance + between * (1 + others))
        rest = 1 / (1 / rest + shape / _mixed(seen.squared / usual, share, shape))
    return Design(
        between=between / parts,
        rows=float(np.sum(share * seen.rows)) * parts,
        windows=float(reference) / parts,
        shape=shape,
        rest=float(rest),
        offset=offset,
    )


def _mixed(ratios: np.ndarray, share: np.ndarray, shape: float) -> float:
    """Return the second degrees of freedom of the F that varies as the windows' distances, over what is usual, do.

    With one unit for all, windows whose rows scatter more alarm more often than the others are spared: the embedding
    alarmed on 10 % of calm looks at a level of 5 % when it was held against the same hours.
    """
    mean = np.sum(share * ratios)
    variance = float(np.sum(share * (ratios / mean - 1) ** 2)) if mean > 0 else 0.0
    beyond = variance * shape - 2
    return (2 * shape - 4 + 4 * variance * shape) / beyond if beyond > 0 else np.inf


def _shape(points: np.ndarray, share: np.ndarray, *, skewed: bool) -> tuple[float, float]:
    """Return the degrees of freedom and the offset of a sum of squares that varies as the windows' points do.

    Degrees are at most one less than the windows: few of them show too few. No correction: too few only raise the
    limit, and with the unbiased estimate 8 windows of a calm stream with daily memory alarmed three times as often.
    Without ``skewed``, and where the third moment is what chance makes of so few windows, the offset is 0
    (Satterthwaite).
    """
    ways = np.linalg.svd((points - share @ points) * np.sqrt(share)[:, None], compute_uv=False) ** 2
    if not ways.sum() > 0:
        return 1.0, 0.0
    ways /= ways.sum()
    second = float(np.sum(ways**2))
    if skewed and (shape := _skewed_shape(second, float(np.sum(ways**3)), float(np.sum(share**2)))) * second < 1:
        return shape, 1 - (shape * second) ** 0.5
    return max(1.0, 1 / second), 0.0


def _skewed_shape(second: float, third: float, spread: float) -> float:
    """Return the degrees of freedom of a chi-square as skew as the sum, from power sums of a sample's eigenvalues.

    What chance adds to the sums is taken off first: the moments of a Wishart matrix (Letac and Massam (2004), "All
    invariant moments of the Wishart distribution", doi:10.1111/j.1467-9469.2004.01-043.x).
    """
    one = spread / (1 - spread)  # 1 / degrees of freedom of the windows
    second = (second - one) / (1 + one)
    third = (third - 3 * (one + one**2) * second - one**2) / (1 + 3 * one + 4 * one**2)
    return max(1.0, second**3 / third**2) if second > 0 and third > 0 else np.inf
