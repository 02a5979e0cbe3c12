"""Recalibration: the straight line on the log-odds that makes a score mean what it says again."""

from dataclasses import dataclass

import numpy as np

_STEPS = 30
_PRIOR_ROWS = 50.0  # how many rows' worth of belief that the scores are right as they stand


@dataclass(frozen=True, slots=True)
class Calibration:
    """A line on the log-odds; the default changes nothing."""

    slope: float = 1.0
    intercept: float = 0.0

    def apply(self, margins: np.ndarray) -> np.ndarray:
        """Return the probabilities of margins (log-odds), same shape.

        >>> Calibration().apply(np.array([0.0])).tolist()
        [0.5]
        """
        return sigmoid(self.slope * margins + self.intercept)

    def after(self, first: "Calibration") -> "Calibration":
        """Return the one line that stands for ``first`` followed by this one."""
        return Calibration(self.slope * first.slope, self.slope * first.intercept + self.intercept)


def sigmoid(margins: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-margin)) without overflow, same shape."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(margins, -500.0, 500.0))))


def logit(scores: np.ndarray) -> np.ndarray:
    """Return the log-odds of probabilities, clipped to stay finite, same shape."""
    clipped = np.clip(scores, 1e-9, 1 - 1e-9)
    return np.asarray(np.log(clipped / (1 - clipped)))


def fit_calibration(margins: np.ndarray, labels: np.ndarray) -> Calibration:
    """Return the line that fits the labels best, held near "change nothing" where rows are few.

    Args:
        margins: Log-odds given to rows the model was not fitted on, shape (n,).
        labels: 0 or 1, shape (n,).

    Source: Platt (1999), Probabilistic outputs for support vector machines; here with a Gaussian prior
    around slope 1 and intercept 0 worth 50 rows, maximised by Newton's method.
    """
    if len(margins) == 0:
        return Calibration()
    design = np.column_stack([margins, np.ones(len(margins))])
    prior = np.array([1.0, 0.0])
    weights = prior.copy()
    precision = _PRIOR_ROWS * 0.25 * np.diag([max(float(np.mean(margins**2)), 1e-6), 1.0])
    for _ in range(_STEPS):
        scores = sigmoid(design @ weights)
        gradient = design.T @ (labels - scores) - precision @ (weights - prior)
        curvature = (design * (scores * (1 - scores))[:, None]).T @ design + precision
        step = np.linalg.solve(curvature, gradient)
        weights = weights + np.clip(step, -2.0, 2.0)  # a full Newton step can overshoot far from the optimum
        if np.max(np.abs(step)) < 1e-9:
            break
    slope = max(float(weights[0]), 0.05)  # a line that turns the ranking over is noise, not calibration
    return Calibration(slope, float(weights[1]))
