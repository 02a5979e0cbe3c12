"""The loss of each row, by the name of the contract's metric: small is good."""

import numpy as np

CLIP = 1e-6  # keeps the loss of a certain and wrong score finite: at most 13.8 nats


def row_losses(metric: str, labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the loss of each row, shape (n,), in nats for log_loss and squared probability for brier.

    Args:
        metric: ``log_loss`` or ``brier``, from ``contract.objective.metric``.
        labels: 0 or 1 for each row, shape (n,).
        scores: Predicted probability of label 1, shape (n,); clipped to [1e-6, 1 - 1e-6].

    Raises:
        ValueError: The metric has another name.

    Source: Good (1952), doi:10.1111/j.2517-6161.1952.tb00104.x; Brier (1950),
    doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.

    >>> row_losses("brier", np.array([1.0, 0.0]), np.array([0.8, 0.5])).round(2).tolist()
    [0.04, 0.25]
    """
    truth = np.asarray(labels, dtype=np.float64)
    clipped = np.clip(np.asarray(scores, dtype=np.float64), CLIP, 1 - CLIP)
    if metric == "log_loss":
        return np.asarray(-(truth * np.log(clipped) + (1 - truth) * np.log1p(-clipped)))
    if metric == "brier":
        return np.asarray((clipped - truth) ** 2)
    raise ValueError(f"metric is {metric!r}; expected log_loss or brier")
