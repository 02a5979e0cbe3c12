"""Tail probabilities of the null distributions of one test, and their inverses."""

import numpy as np
from scipy import special, stats  # type: ignore[import-untyped]


def chi2_tail(value: float, degrees: float) -> float:
    """Return the chance that a chi-square variable exceeds ``value``; 1 with no degrees of freedom."""
    return float(special.chdtrc(degrees, max(value, 0.0))) if degrees > 0 else 1.0


def chi2_limit(alpha: float, degrees: float) -> float:
    """Return the value a chi-square variable exceeds with chance ``alpha``."""
    return float(special.chdtri(degrees, alpha)) if degrees > 0 else 0.0


def fisher_tail(value: float, degrees: float, rest: float) -> float:
    """Return the chance that an F variable with (degrees, rest) exceeds ``value``."""
    return float(special.fdtrc(degrees, rest, max(value, 0.0)))


def fisher_limit(alpha: float, degrees: float, rest: float) -> float:
    """Return the value an F variable exceeds with chance ``alpha``."""
    return float(special.fdtri(degrees, rest, 1 - alpha))


def kolmogorov_tail(value: float) -> float:
    """Return the chance that the supremum of a Brownian bridge exceeds ``value``."""
    return float(special.kolmogorov(value))


def kolmogorov_limit(alpha: float) -> float:
    """Return the value the supremum of a Brownian bridge exceeds with chance ``alpha``."""
    return float(special.kolmogi(alpha))


def student_tail(value: float, degrees: float) -> float:
    """Return the chance that a Student variable exceeds ``value``."""
    return float(special.stdtr(degrees, -value))


def normal_scores(shares: np.ndarray) -> np.ndarray:
    """Return the standard normal quantile of each share."""
    return np.asarray(special.ndtri(shares))


def adjusted_p_values(p_values: np.ndarray) -> np.ndarray:
    """Return p-values adjusted after Benjamini and Hochberg."""
    return np.asarray(stats.false_discovery_control(p_values, method="bh"))
