"""Damage first: what a drifted feature is to the champion, and what its move may cost."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from homeostat.records import Attribution, DriftScore


def priced(score: DriftScore, attribution: Attribution, moved: float) -> DriftScore:
    """Return a column's score with what the feature is to the model and what its move may cost.

    A moved row is taken to lose what the feature is worth on average: the rows that moved times the worth.

    Args:
        score: As the tests left it.
        attribution: Of the feature.
        moved: Share of rows that lie in another bin than they would have, 0 to 1.
    """
    return replace(score, share=attribution.share, damage=attribution.worth * moved)


def moved_share(reference: np.ndarray, live: np.ndarray) -> float:
    """Return the least share of rows that has to change its bin to turn one histogram into the other.

    Source: total variation distance; Levin and Peres (2017), "Markov Chains and Mixing Times", 4.1.

    >>> moved_share(np.array([6.0, 2.0]), np.array([30.0, 30.0]))
    0.25
    """
    return float(np.abs(reference / reference.sum() - live / live.sum()).sum() / 2)


def without_harmless(
    features: Sequence[DriftScore], embedding: DriftScore | None, harmless_share: float
) -> list[DriftScore]:
    """Return the scores that may raise an alarm: not those of features that are next to nothing to the champion.

    The embedding sees all features alike. Where nothing but harmless ones drifted, it is silent with them.

    Args:
        features: Priced where that is known; others are never harmless.
        embedding: Over all features.
        harmless_share: Of the attribution; features below it are harmless.
    """
    harmful = [score for score in features if score.share is None or score.share >= harmless_share]
    harmless = any(score.drifted for score in features) and not any(score.drifted for score in harmful)
    return [*harmful] if embedding is None or harmless else [*harmful, embedding]
