"""Limits a rival must not be proven to break, whatever its mean loss: errors, latency, calibration, scores, slices.

Each kind has an equal part of the alpha set aside for guardrails, divided further by what it looks at, so that
all of them together are wrong with a chance of at most that alpha over all looks.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from homeostat.canary.confidence import bound
from homeostat.canary.evidence import Paired
from homeostat.canary.spread import Floats, spread_of
from homeostat.canary.trial import BINS, Shift, Trial
from homeostat.contract.policies import CanaryPolicy

_KINDS = 5
_WHOLESALE = 0.5  # share of its rows: a model that fails on more is not given the time to prove that
_COLLAPSED = 0.95  # share of a model's scores in one bin: it says the same of every row
_SPREAD_OUT = 0.5  # share of the incumbent's in its fullest bin, with which the rival has to be compared
_MOST_SLICES = 32  # that alpha is divided among; with more of them each gets less


@dataclass(frozen=True, slots=True)
class Guardrail:
    """Means of which not all may be proven to lie above zero."""

    rows: Floats  # shape (n_blocks, n_groups)
    excess: tuple[Floats, ...]  # sums over those rows, same shape; all have to be shown, so none costs alpha
    alpha: float
    says: str  # what is broken

    def is_broken(self, policy: CanaryPolicy) -> bool:
        """Return whether every mean is proven to lie above zero."""
        if self.rows.sum() < policy.min_rows or any(sums.sum() <= 0 for sums in self.excess):
            return False  # a bound lies below its mean
        kept = np.flatnonzero(self.rows.any(axis=1))
        found = (bound(spread_of(self.rows[kept], sums[kept]), self.alpha, policy.tuned_rows) for sums in self.excess)
        return all(one is not None and one.lower > 0 for one in found)


def breach(trial: Trial, policy: CanaryPolicy) -> str | None:
    """Return which guardrail a rival is proven to break, None where all hold."""
    rival = trial.rival
    worse = rival.is_failing(policy) and rival.failed_ratio > trial.incumbent.failed_ratio
    if worse and rival.failed_ratio > _WHOLESALE:
        return _failing(trial, policy)
    return next((guard.says for guard in guardrails(trial, policy) if guard.is_broken(policy)), None)


def guardrails(trial: Trial, policy: CanaryPolicy) -> Iterator[Guardrail]:
    """Give every guardrail of a trial, those that need no label first."""
    alpha = policy.guardrail_alpha / _KINDS
    yield _errors(trial, policy, alpha)
    if not trial.incumbent.is_failing(policy):  # one that fails is no measure of how scores should lie
        yield from _distribution(trial.shift, policy, alpha)
    yield _latency(trial.shift, policy, alpha)
    yield from _calibration(trial.paired, policy, alpha)
    yield from _slices(trial, policy, alpha)


def worst_slices(trial: Trial, most: int = 3) -> list[dict[str, float | int | str]]:
    """Return the slices in which the rival does worst against the incumbent, by mean loss, the worst first."""
    found: list[dict[str, float | int | str]] = [
        {"slice": name, "rows": rows.row_count, "mean_difference": float(rows.difference.sum()) / rows.row_count}
        for name, rows in trial.slices.items()
        if rows.row_count
    ]
    return sorted(found, key=lambda one: -float(one["mean_difference"]))[:most]


def _failing(trial: Trial, policy: CanaryPolicy) -> str:
    rival = trial.rival
    return f"failed to score {rival.failed} of {rival.seen} rows, more than {policy.max_fallback_ratio:.1%}"


def _errors(trial: Trial, policy: CanaryPolicy, alpha: float) -> Guardrail:
    shift = trial.shift
    excess = (shift.rival_failed - policy.max_fallback_ratio * shift.seen, shift.rival_failed - shift.incumbent_failed)
    return Guardrail(shift.seen, excess, alpha, _failing(trial, policy))


def _distribution(shift: Shift, policy: CanaryPolicy, alpha: float) -> Iterator[Guardrail]:
    """Give how the rival's scores can't be right: far from the incumbent's on average, or nearly all the same."""
    limit, total = policy.max_score_shift, max(float(shift.rows.sum()), 1.0)
    apart, share = float(shift.difference.sum()) / total, alpha / (2 + BINS)
    for sign, word in ((1.0, "higher"), (-1.0, "lower")):
        says = f"scores {sign * apart:.3f} {word} than the champion on average, limit {limit:g}"
        yield Guardrail(shift.rows, (sign * shift.difference - limit * shift.rows,), share, says)
    if shift.incumbent_bins.sum(axis=(0, 1)).max(initial=0) > _SPREAD_OUT * total:
        return  # its scores are hardly more spread themselves: events may just be rare
    for place in range(BINS):
        inside = shift.rival_bins[:, :, place]
        says = f"scores {inside.sum() / total:.1%} of the rows nearly the same, about {(place + 0.5) / BINS:.3f}"
        yield Guardrail(shift.rows, (inside - _COLLAPSED * shift.rows,), share, says)


def _latency(shift: Shift, policy: CanaryPolicy, alpha: float) -> Guardrail:
    limit, more = policy.max_slow_ratio, float(shift.slower.sum()) / max(float(shift.rows.sum()), 1.0)
    says = f"{more:.1%} more rows later than sla.latency_ms than by the champion, limit {limit:.1%}"
    return Guardrail(shift.rows, (shift.slower - limit * shift.rows,), alpha, says)


def _calibration(rows: Paired, policy: CanaryPolicy, alpha: float) -> Iterator[Guardrail]:
    """Give how the rival's mean score is further off the label rate than the incumbent's, by more than the limit.

    It is when it lies further off than the limit from the incumbent's mean score, and from its mirror image on
    the other side of the label rate. Both have to be shown; the two sides cost alpha.
    """
    limit = policy.max_calibration_harm
    off = float((rows.rival_score - rows.labels).sum()) / max(rows.row_count, 1)
    apart = rows.rival_score - rows.incumbent_score
    mirrored = rows.rival_score + rows.incumbent_score - 2 * rows.labels
    for sign, word in ((1.0, "high"), (-1.0, "low")):
        says = f"predicts too {word}: {off:+.4f} off the label rate, more than the champion by over {limit:g}"
        excess = tuple(sign * sums - limit * rows.rows for sums in (apart, mirrored))
        yield Guardrail(rows.rows, excess, alpha / 2, says)


def _slices(trial: Trial, policy: CanaryPolicy, alpha: float) -> Iterator[Guardrail]:
    share = alpha / max(len(trial.slices), _MOST_SLICES)
    for name, rows in trial.slices.items():
        says = f"worse than the champion by over {policy.max_slice_harm:.0%} where {name}, {rows.row_count} rows"
        harm = rows.rival_loss - (1 + policy.max_slice_harm) * rows.incumbent_loss
        yield Guardrail(rows.rows, (harm,), share, says)
