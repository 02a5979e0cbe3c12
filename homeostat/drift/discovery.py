"""False discovery rate over everything one look tests: with 50 features at 5 % each, 92 % of calm looks would alarm."""

from collections.abc import Sequence

import numpy as np

from homeostat.drift.tails import adjusted_p_values


def level_in_force(p_values: Sequence[float], rate: float) -> float:
    """Return the level that keeps the expected share of false discoveries at ``rate``.

    A test is a discovery when its p-value is at most this level. With no drift anywhere the chance of
    any discovery is at most ``rate``, for independent and for positively dependent tests.

    Args:
        p_values: One p-value per test.
        rate: The false discovery rate, e.g. 0.01.

    Source: Benjamini and Hochberg (1995), doi:10.1111/j.2517-6161.1995.tb02031.x; Benjamini and
    Yekutieli (2001), doi:10.1214/aos/1013699998.

    >>> round(level_in_force([0.001, 0.012, 0.6, 0.9], rate=0.05), 4)
    0.025
    """
    if not p_values:
        return rate
    found = int(np.count_nonzero(adjusted_p_values(np.asarray(p_values)) <= rate))
    return rate * (max(found, 1) / len(p_values))
