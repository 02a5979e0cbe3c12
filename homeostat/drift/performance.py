"""Loss on mature labels against what the scores themselves announce."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from homeostat.contract.losses import CLIP, row_losses
from homeostat.drift.tails import student_tail
from homeostat.records import LossEstimate

_INTERVAL = 1.96  # standard errors to either side: 95 %
_ROUNDING = 1e-12  # nats a row: blocks that agree to the last bit would make it significant


@dataclass(slots=True)
class LossBlock:
    """Sums over the mature rows of one stretch of time; rows within it may depend on one another."""

    outcomes: int = 0  # mature rows, with or without a label
    rows: int = 0  # of them labelled
    loss: float = 0.0
    score: float = 0.0
    label: float = 0.0
    log_loss: float = 0.0  # in nats, whatever the loss of the contract
    announced: float = 0.0  # the log loss that the scores themselves expect: their entropy
    variance: float = 0.0  # of the labels, as the scores expect it

    def add(self, losses: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> None:
        """Add labelled rows: each array has shape (n,)."""
        self.outcomes += len(losses)
        self.rows += len(losses)
        self.loss += float(losses.sum())
        self.score += float(scores.sum())
        self.label += float(labels.sum())
        sure = np.clip(scores, CLIP, 1 - CLIP)
        self.log_loss += float(row_losses("log_loss", labels, scores).sum())
        self.announced -= float(np.sum(sure * np.log(sure) + (1 - sure) * np.log1p(-sure)))
        self.variance += float(np.sum(sure * (1 - sure)))


@dataclass(frozen=True, slots=True)
class LossTest:
    """How far labels lie from what the scores announce, and the chance of that if the scores mean what they say."""

    rows: int
    loss: float  # in the unit of the contract's objective
    log_loss: float
    announced: float
    calibration_error: float  # mean score minus label rate
    p_value: float  # of a log loss above the announced one
    calibration_p_value: float  # of the calibration error, two-sided
    calibration_gain: float  # nats a row that a shift of all log-odds would save


def loss_test(blocks: Sequence[LossBlock]) -> LossTest | None:
    """Return the one-sided test of the mean log loss against the entropy of the scores, None without labelled rows.

    A loss held against one of other weeks rises also where rows are harder to tell apart, which no training
    changes: from week to week it moves more by that than by most drift. The scores know how hard their rows
    are: a model whose scores are probabilities loses their entropy on average, week in, week out. It is the score
    test of a calibration slope of 1 against a smaller one.

    A mean score off the label rate is tested beside it: where labels become rarer than the scores say, the loss falls
    below what they announce, though the model is wrong. It is the score test of a calibration intercept of 0.

    Standard errors are those of a ratio of block sums, so rows of one hour or day that share their luck
    count as what they are. Fewer than two blocks give no p-value below 1.

    Args:
        blocks: Consecutive stretches of the window.

    Source: Cox (1958), "Two further applications of a model for binary regression", doi:10.1093/biomet/45.3-4.562; the
    linearised variance of a ratio over clusters, Cochran (1977), "Sampling Techniques", 6.3.

    >>> rng = np.random.default_rng(1)
    >>> scores = rng.uniform(0.05, 0.95, (7, 500))
    >>> honest, turned = [LossBlock() for _ in range(7)], [LossBlock() for _ in range(7)]
    >>> for i, row in enumerate(scores):
    ...     labels = (rng.uniform(size=500) < row).astype(float)
    ...     honest[i].add(labels, row, labels)
    ...     turned[i].add(labels, 1 - row, labels)
    >>> loss_test(honest).p_value > 0.05, loss_test(turned).p_value < 0.001
    (True, True)
    """
    filled = [block for block in blocks if block.rows]
    rows = sum(block.rows for block in filled)
    if rows == 0:
        return None
    degrees = len(filled) - 1
    surprise, error = _ratio([block.log_loss - block.announced for block in filled], filled)
    gap, gap_error = _ratio([block.score - block.label for block in filled], filled)
    variance = sum(block.variance for block in filled) / rows
    return LossTest(
        rows=rows,
        loss=sum(block.loss for block in filled) / rows,
        log_loss=sum(block.log_loss for block in filled) / rows,
        announced=sum(block.announced for block in filled) / rows,
        calibration_error=gap,
        p_value=_p_value(surprise, error, degrees),
        calibration_p_value=min(1.0, 2 * _p_value(abs(gap), gap_error, degrees)),
        calibration_gain=gap**2 / (2 * variance),
    )


def _ratio(sums: Sequence[float], blocks: Sequence[LossBlock]) -> tuple[float, float]:
    """Return the mean over all rows of what ``sums`` holds by block, and its standard error."""
    rows = sum(block.rows for block in blocks)
    mean, degrees = sum(sums) / rows, len(blocks) - 1
    spread = sum((part - mean * block.rows) ** 2 for part, block in zip(sums, blocks, strict=True))
    return mean, float(np.sqrt(spread * len(blocks) / degrees)) / rows if degrees else float("inf")


def _p_value(increase: float, error: float, degrees: int) -> float:
    if degrees == 0:
        return 1.0
    if error <= _ROUNDING:
        return 0.0 if increase > _ROUNDING else 1.0
    return student_tail(increase / error, degrees)


def announced_loss(metric: str, scores: np.ndarray, rows: np.ndarray, effect: float = 1.0) -> LossEstimate | None:
    """Return the loss that scores announce for rows whose labels aren't there yet, None without rows.

    It is right as long as the scores mean what they say: it sees rows become harder, not a world that turned
    round. The interval is that of the mean loss their labels will show: rows and labels both vary.

    Args:
        metric: ``log_loss`` or ``brier``.
        scores: Mean score of each bin, shape (n_bins,).
        rows: Live rows in each bin, same shape.
        effect: The design effect of the score: rows of one day have much in common.

    Source: confidence-based performance estimation, as NannyML names it; Guillory et al. (2021), "Predicting with
    confidence on unseen distributions", arXiv 2107.03315.

    >>> announced_loss("brier", np.array([0.1, 0.5]), np.array([500.0, 500.0])).loss
    0.17
    """
    total = float(rows.sum())
    if total == 0:
        return None
    one, zero = (row_losses(metric, np.full(scores.shape, label), scores) for label in (1.0, 0.0))
    means = scores * one + (1 - scores) * zero
    share = rows / total
    loss = float(share @ means)
    variance = share @ (means - loss) ** 2 + share @ (scores * (1 - scores) * (one - zero) ** 2)
    half = _INTERVAL * float(np.sqrt(variance * effect / total))
    return LossEstimate(int(total), loss, max(0.0, loss - half), loss + half)
