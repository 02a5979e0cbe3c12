"""Who wins the backtest, and by how much: a table that goes into the receipt."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

from homeostat.contract.losses import row_losses
from homeostat.contract.policies import Constraints
from homeostat.training.backtest import Block, days_of, labels_of, mean_by_block
from homeostat.training.calibration import Calibration, sigmoid
from homeostat.training.paired import PairedDifference, paired_difference
from homeostat.training.recipe import Recipe

NOTHING = "do nothing"
BASE_RATE = "the label rate"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One cure with what it forecast.

    Args:
        name: For the table.
        margins: Out-of-sample log-odds by block.
        recipe: What to refit; None keeps the champion's learner.
        calibration: What to put on top of the learner.
    """

    name: str
    margins: Sequence[np.ndarray]
    recipe: Recipe | None = None
    calibration: Calibration = field(default_factory=Calibration)


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate held against doing nothing on the same rows.

    Args:
        candidate: The cure.
        losses: Row losses, shape (n,).
        by_block: Mean loss of each block.
        difference: Against doing nothing.
        auc: Area under the ROC curve, NaN where the blocks hold one label alone.
        calibration_error: Mean score minus label rate.
    """

    candidate: Candidate
    losses: np.ndarray
    by_block: list[float]
    difference: PairedDifference
    auc: float
    calibration_error: float

    @property
    def loss(self) -> float:
        """Mean loss over all rows."""
        return float(self.losses.mean())

    def row(self, confidence: float) -> dict[str, object]:
        """Return one line of the receipt's table."""
        return {
            "candidate": self.candidate.name,
            "loss": round(self.loss, 6),
            "difference": round(self.difference.mean, 6),
            "lower": _finite(self.difference.lower(confidence)),
            "upper": _finite(self.difference.upper(confidence)),
            "auc": _finite(self.auc),
            "calibration_error": round(self.calibration_error, 4),
            "by_block": [round(loss, 5) for loss in self.by_block],
        }


def score_all(candidates: Sequence[Candidate], blocks: Sequence[Block], metric: str) -> list[Scored]:
    """Return the candidates scored, in the same order; the first one is doing nothing."""
    labels, day = labels_of(blocks), days_of(blocks)
    both = 0 < labels.mean() < 1
    out: list[Scored] = []
    for candidate in candidates:
        scores = sigmoid(np.concatenate(list(candidate.margins)))
        losses = row_losses(metric, labels, scores)
        difference = paired_difference(losses, out[0].losses if out else losses, day)
        auc = float(roc_auc_score(labels, scores)) if both else float("nan")
        error = float(scores.mean() - labels.mean())
        out.append(Scored(candidate, losses, mean_by_block(losses, blocks), difference, auc, error))
    return out


def broken_constraint(scored: Scored, constraints: Constraints) -> str | None:
    """Return which offline gate a candidate fails, in words, None if none."""
    if constraints.min_auc is not None and not scored.auc >= constraints.min_auc:
        return f"min_auc: {scored.candidate.name} reaches {scored.auc:.4f}, {constraints.min_auc:g} is required"
    limit = constraints.max_calibration_error
    if limit is not None and abs(scored.calibration_error) > limit:
        error = f"{scored.candidate.name} is off by {scored.calibration_error:+.4f}"
        return f"max_calibration_error: {error}, {limit:g} is allowed"
    return None


@dataclass(frozen=True, slots=True)
class Choice:
    """The winner, or None, and why."""

    winner: Scored | None
    reason: str


def choose(scored: Sequence[Scored], blocks: Sequence[Block], confidence: float, constraints: Constraints) -> Choice:
    """Return the cure to adopt, or None where nothing better is to be had.

    A cure qualifies when it beats doing nothing and passes the gates. The first one that does is adopted
    unless a later one beats it in turn: the order is that of trust, and a smaller mean alone is what chance
    gives the best of many. No correction is made for the number of cures: the canary is the independent test.

    Args:
        scored: All candidates; the first one is doing nothing.
        blocks: What they were scored on.
        confidence: One-sided, of each comparison.
        constraints: What a model must satisfy whatever its loss.
    """
    nothing, cures = scored[0], scored[1:]
    better = [s for s in cures if _beats(s, nothing, blocks, confidence)]
    if not better:
        best = min(cures, key=lambda s: s.loss)
        bound = best.difference.upper(confidence)
        text = f"{best.candidate.name} changes the loss by {best.difference.mean:+.5f}, at most {bound:+.5f}"
        return Choice(None, f"nothing beats doing nothing at {confidence:.0%} confidence: {text}")
    broken = [broken_constraint(s, constraints) for s in better]
    fit = [s for s, why in zip(better, broken, strict=True) if why is None]
    if not fit:
        return Choice(None, f"constraint {broken[0]}")
    winner = fit[0]
    for rival in fit[1:]:
        if _displaces(rival, winner, blocks, confidence):
            winner = rival
    gain, bound = -winner.difference.mean / nothing.loss, winner.difference.upper(confidence)
    text = f"{winner.candidate.name}: loss {gain:.2%} below {nothing.candidate.name} ({bound:+.5f} at most)"
    return Choice(winner, text)


def _beats(cure: Scored, nothing: Scored, blocks: Sequence[Block], confidence: float) -> bool:
    """Tell whether a cure beats doing nothing; one that learns nothing new has to do so over whole blocks too."""
    if cure.candidate.recipe is None:
        return _displaces(cure, nothing, blocks, confidence)
    return cure.difference.upper(confidence) < 0


def _displaces(rival: Scored, winner: Scored, blocks: Sequence[Block], confidence: float) -> bool:
    """Tell whether a rival is better, over days and also over whole blocks.

    Conditions last for weeks: what fits this month's days alike may be wrong for all of the next. A rival
    has to be better in most blocks, not in the many days of one.
    """
    day, length = days_of(blocks), blocks[-1].end - blocks[-1].start
    by_day = paired_difference(rival.losses, winner.losses, day)
    by_block = paired_difference(rival.losses, winner.losses, day, length)
    return max(by_day.upper(confidence), by_block.upper(confidence)) < 0


def _finite(value: float) -> float | None:
    return round(value, 6) if np.isfinite(value) else None
