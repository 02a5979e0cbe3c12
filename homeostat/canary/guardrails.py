"""Limits a rival must not be proven to break, whatever its mean loss: latency, calibration, scores, slices.

Each kind has an equal part of the alpha set aside for guardrails, divided further by what it looks at, so that
all of them together are wrong with a chance of at most that alpha over all looks.
"""

import numpy as np

from homeostat.canary.confidence import Bound, bound
from homeostat.canary.evidence import Paired
from homeostat.canary.spread import Floats, spread_of
from homeostat.canary.trial import BINS, Shift, Trial
from homeostat.contract.policies import CanaryPolicy

_KINDS = 4
_COLLAPSED = 0.95  # share of a model's scores in one bin: it says the same of every row
_SPREAD_OUT = 0.5  # share of the incumbent's in its fullest bin, with which the rival has to be compared
_MOST_SLICES = 32  # that alpha is divided among; with more of them each gets less


def breach(trial: Trial, policy: CanaryPolicy) -> str | None:
    """Return which guardrail a rival is proven to break, None where all hold."""
    alpha = policy.guardrail_alpha / _KINDS
    # an incumbent that fails is no measure of how scores should lie
    by_scores = None if trial.incumbent.is_failing(policy) else _distribution(trial.shift, policy, alpha)
    without_labels = by_scores or _latency(trial.shift, policy, alpha)
    return without_labels or _calibration(trial.paired, policy, alpha) or _slices(trial, policy, alpha)


def worst_slices(trial: Trial, most: int = 3) -> list[dict[str, float | int | str]]:
    """Return the slices in which the rival does worst against the incumbent, by mean loss, the worst first."""
    found: list[dict[str, float | int | str]] = [
        {"slice": name, "rows": rows.row_count, "mean_difference": float(rows.difference.sum()) / rows.row_count}
        for name, rows in trial.slices.items()
        if rows.row_count
    ]
    return sorted(found, key=lambda one: -float(one["mean_difference"]))[:most]


def _calibration(rows: Paired, policy: CanaryPolicy, alpha: float) -> str | None:
    """Return how the rival's mean score is further off the label rate than the incumbent's, by more than the limit.

    It is when it lies further off than the limit from the incumbent's mean score, and from its mirror image on
    the other side of the label rate. Both have to be shown, so neither costs alpha; the two sides do.
    """
    limit = policy.max_calibration_harm
    apart = rows.rival_score - rows.incumbent_score
    mirrored = rows.rival_score + rows.incumbent_score - 2 * rows.labels
    for sign, word in ((1.0, "high"), (-1.0, "low")):
        if all(_exceeds(rows.rows, sign * sums, limit, policy, alpha / 2) for sums in (apart, mirrored)):
            off = float((rows.rival_score - rows.labels).sum()) / rows.row_count
            return f"predicts too {word}: {off:+.4f} off the label rate, more than the champion by over {limit:g}"
    return None


def _slices(trial: Trial, policy: CanaryPolicy, alpha: float) -> str | None:
    share = alpha / max(len(trial.slices), _MOST_SLICES)
    for name, rows in trial.slices.items():
        harm = rows.rival_loss - (1 + policy.max_slice_harm) * rows.incumbent_loss
        if _exceeds(rows.rows, harm, 0.0, policy, share):
            return f"worse than the champion by over {policy.max_slice_harm:.0%} where {name}, {rows.row_count} rows"
    return None


def _latency(shift: Shift, policy: CanaryPolicy, alpha: float) -> str | None:
    found = _exceeds(shift.rows, shift.slower, policy.max_slow_ratio, policy, alpha)
    if found is None:
        return None
    return (
        f"{found.mean:.1%} more rows later than sla.latency_ms than by the champion, limit {policy.max_slow_ratio:.1%}"
    )


def _distribution(shift: Shift, policy: CanaryPolicy, alpha: float) -> str | None:
    """Return how the rival's scores can't be right: far from the incumbent's on average, or nearly all the same."""
    limit = policy.max_score_shift
    for sign, word in ((1.0, "higher"), (-1.0, "lower")):
        found = _exceeds(shift.rows, sign * shift.difference, limit, policy, alpha / (2 + BINS))
        if found is not None:
            return f"scores {found.mean:.3f} {word} than the champion on average, limit {limit:g}"
    share = shift.incumbent_bins.sum(axis=(0, 1)).max(initial=0) / max(float(shift.rows.sum()), 1.0)
    if share > _SPREAD_OUT:  # its scores are hardly more spread themselves: events may just be rare
        return None
    for place in range(BINS):
        found = _exceeds(shift.rows, shift.rival_bins[:, :, place], _COLLAPSED, policy, alpha / (2 + BINS))
        if found is not None:
            return f"scores {found.mean:.1%} of the rows nearly the same, about {(place + 0.5) / BINS:.3f}"
    return None


def _exceeds(rows: Floats, sums: Floats, limit: float, policy: CanaryPolicy, alpha: float) -> Bound | None:
    """Return the lower bound of a mean that is proven to lie above a limit, None otherwise."""
    total = float(rows.sum())
    if total < policy.min_rows or float(sums.sum()) <= limit * total:  # the bound lies below the mean
        return None
    kept = np.flatnonzero(rows.any(axis=1))
    found = bound(spread_of(rows[kept], sums[kept]), alpha, policy.tuned_rows)
    return found if found is not None and found.lower > limit else None
