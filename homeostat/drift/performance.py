"""Loss on mature labels against what was promised at training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from homeostat.drift.tails import student_tail


@dataclass(slots=True)
class LossBlock:
    """Sums over the mature rows of one stretch of time; rows within it may depend on one another."""

    outcomes: int = 0  # mature rows, with or without a label
    rows: int = 0  # of them labelled
    loss: float = 0.0
    score: float = 0.0
    label: float = 0.0

    def add(self, losses: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> None:
        """Add labelled rows: each array has shape (n,)."""
        self.outcomes += len(losses)
        self.rows += len(losses)
        self.loss += float(losses.sum())
        self.score += float(scores.sum())
        self.label += float(labels.sum())


@dataclass(frozen=True, slots=True)
class LossTest:
    """The window's mean loss and the chance of one so high if the promise holds."""

    rows: int
    loss: float
    standard_error: float
    calibration_error: float  # mean score minus label rate
    p_value: float


def loss_test(blocks: Sequence[LossBlock], expected: float, expected_se: float = 0.0) -> LossTest | None:
    """Return the one-sided test of the mean loss against the promise, None without labelled rows.

    The standard error is that of a ratio of block sums, so rows of one hour or day that share their luck
    count as what they are. Fewer than two blocks give no p-value below 1.

    Args:
        blocks: Consecutive stretches of the window.
        expected: The promised mean loss.
        expected_se: Its standard error.

    Source: the linearised variance of a ratio over clusters, Cochran (1977), "Sampling Techniques", 6.3.

    >>> calm = [LossBlock(100, 100, loss) for loss in (50.0, 52.0, 49.0, 51.0)]
    >>> loss_test(calm, expected=0.50).p_value > 0.05, loss_test(calm, expected=0.40).p_value < 0.05
    (True, True)
    """
    filled = [block for block in blocks if block.rows]
    rows = sum(block.rows for block in filled)
    if rows == 0:
        return None
    loss = sum(block.loss for block in filled) / rows
    spread = sum((block.loss - loss * block.rows) ** 2 for block in filled)
    degrees = len(filled) - 1
    own = spread * len(filled) / degrees / rows**2 if degrees else float("inf")
    error = float(np.sqrt(own + expected_se**2))
    calibration = sum(block.score - block.label for block in filled) / rows
    return LossTest(rows, loss, error, calibration, _p_value(loss - expected, error, degrees))


def _p_value(increase: float, error: float, degrees: int) -> float:
    if degrees == 0:
        return 1.0
    if error == 0:
        return 0.0 if increase > 0 else 1.0
    return student_tail(increase / error, degrees)
