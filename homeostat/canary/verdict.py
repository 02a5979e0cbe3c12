"""What the evidence says about a challenger: promote, reject, or look again later."""

from dataclasses import dataclass, field
from typing import Any

from homeostat.canary.confidence import MIN_BLOCKS, Bound, bound, rows_until
from homeostat.canary.evidence import Paired
from homeostat.canary.guardrails import breach, worst_slices
from homeostat.canary.spread import spread_of
from homeostat.canary.stage import Stage
from homeostat.canary.trial import Shift, Trial
from homeostat.contract.policies import CanaryPolicy
from homeostat.records import Action

_ALONE = Stage(1.0)  # one step, which holds nothing back


@dataclass(frozen=True, slots=True)
class Finding:
    """One look's conclusion; ``action`` is None while it is too early to say."""

    action: Action | None
    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)
    guardrail: bool = False  # a limit was broken that holds whatever the mean loss


@dataclass(frozen=True, slots=True)
class Bounds:
    """The mean paired difference of the losses, rival minus incumbent, and where the truth lies."""

    mean: float
    lower: float  # the truth is ever below with a chance of at most ``policy.harm_alpha``
    upper: float  # the truth is ever above with a chance of at most ``policy.alpha``
    limit: float  # the margin in units of the loss
    harm: Bound
    worth: Bound

    @property
    def is_harm(self) -> bool:
        """The rival is proven to be worse."""
        return self.lower > 0

    @property
    def is_worth(self) -> bool:
        """The rival is proven to be better, or with a margin not to be worse by more than that."""
        return self.upper < self.limit


def judge_canary(trial: Trial, policy: CanaryPolicy, *, looks: int, expired: bool, stage: Stage = _ALONE) -> Finding:
    """Return what to do with a challenger after a look at the evidence.

    It may be looked at as often as one likes. A promotion rests on labelled rows alone and is wrong with a chance of
    at most ``policy.alpha`` over all looks; a rejection for harm or by a guardrail with one of at most
    ``policy.rollback_alpha``. Every row is scored by both models, so the steps of traffic make no difference to that.

    Args:
        trial: The challenger as rival, the champion as incumbent.
        policy: The contract's canary policy.
        looks: Number of this look, for the record; no bound depends on it.
        expired: The canary had all of ``policy.max_duration``.
        stage: The step of traffic it is at.
    """
    evidence = _described(trial, policy, looks, ("champion_loss", "challenger_loss")) | {"share": stage.share}
    broken = breach(trial, policy)
    if broken is not None:
        return Finding(Action.REJECT, broken, evidence, guardrail=True)
    found = bounds(trial.paired, policy)
    if found is not None:
        evidence |= _bounded(found)
        if found.is_harm:
            return Finding(Action.REJECT, f"worse than the champion: {_spoken(found)}", evidence)
        if not _one_sided(trial.paired) and (onward := _onward(found, policy, stage, expired=expired)) is not None:
            action, reason = onward
            return Finding(action, f"{reason}: {_spoken(found)}", evidence)
    if expired:
        shown = _spoken(found) if found else f"only {evidence['rows']} rows in {evidence['blocks']} blocks"
        return Finding(Action.REJECT, f"nothing proven within {policy.max_duration}: {shown}", evidence)
    return Finding(None, _waiting(found, trial, policy), evidence)


def judge_watch(trial: Trial, policy: CanaryPolicy, *, looks: int) -> Finding:
    """Return whether a promoted model is proven to be worse than the one it replaced, or to break a guardrail.

    Args:
        trial: The new champion as rival, the previous one as incumbent, since the promotion.
        policy: The contract's canary policy.
        looks: Number of this look, for the record.
    """
    evidence = _described(trial, policy, looks, ("previous_loss", "champion_loss"))
    broken = breach(trial, policy)
    if broken is not None:
        return Finding(Action.ROLLBACK, broken, evidence, guardrail=True)
    found = bounds(trial.paired, policy)
    if found is None:
        return Finding(None, _waiting(None, trial, policy), evidence)
    evidence |= _bounded(found)
    if found.is_harm:
        return Finding(Action.ROLLBACK, f"worse than the model it replaced: {_spoken(found)}", evidence)
    return Finding(None, f"no harm proven: {_spoken(found)}", evidence)


def bounds(rows: Paired, policy: CanaryPolicy) -> Bounds | None:
    """Return the bounds on the mean difference, None while rows or blocks are too few for any.

    The upper one is that of the rival's loss minus the incumbent's with the margin on top, so that it allows for
    both being estimated.
    """
    if rows.row_count < policy.min_rows:
        return None
    harm_spread = spread_of(rows.rows, rows.difference)
    harm = bound(harm_spread, policy.harm_alpha, policy.tuned_rows)
    spread = spread_of(rows.rows, rows.difference - policy.margin * rows.incumbent_loss) if policy.margin else None
    worth = bound(spread or harm_spread, policy.alpha, policy.tuned_rows)
    if harm is None or worth is None:
        return None
    limit = policy.margin * float(rows.incumbent_loss.sum()) / rows.row_count
    return Bounds(harm.mean, harm.lower, harm.mean + worth.half, limit, harm, worth)


def rows_needed(found: Bounds) -> tuple[int | None, int | None]:
    """Return at how many rows in all a decision is likely: if the difference stays, and if it is less by an error.

    The first is when the nearer bound would be passed at the difference seen so far; but that is an estimate and
    early on a lucky one looks decisive. The second takes it nearer to the bound by one standard error. None: out
    of sight, more than 1,000 times the rows so far.
    """
    error = found.harm.row_sd / found.harm.rows**0.5
    gains, harms = found.limit - found.mean, found.mean
    for_worth = [rows_until(found.worth, gap) if gap > 0 else None for gap in (gains, gains - error)]
    for_harm = [rows_until(found.harm, gap) if gap > 0 else None for gap in (harms, harms - error)]
    likely, cautious = (
        min((rows for rows in pair if rows is not None), default=None) for pair in zip(for_worth, for_harm, strict=True)
    )
    return likely, cautious


def _onward(found: Bounds, policy: CanaryPolicy, stage: Stage, *, expired: bool) -> tuple[Action | None, str] | None:
    """Return what a challenger that is not proven to be worse may do, None where that is to wait for more rows.

    It may have more traffic, as long as its time is not up; all of it only with the proof of a promotion. Proven,
    it may stay until its step has lasted long enough.
    """
    if found.is_worth:
        claim = f"not worse than the champion by {found.limit:.5f}" if policy.margin else "better than the champion"
        if stage.waits_for is not None:
            stays = stage.until is not None or not expired
            return (None, f"{claim}; before more traffic, {stage.waits_for}") if stays else None
        return (Action.PROMOTE, claim) if stage.next is None else (Action.STEP, f"{claim}; {stage.next:.0%} of traffic")
    if stage.next is None or stage.next == 1 or stage.waits_for is not None or expired:
        return None
    return Action.STEP, f"no harm proven; {stage.next:.0%} of traffic"


def _one_sided(rows: Paired) -> bool:
    """Return whether all labels are the same: the other kind may come late, and says what a model is worth too."""
    return float(rows.labels.sum()) in {0.0, float(rows.row_count)}


def _described(trial: Trial, policy: CanaryPolicy, looks: int, names: tuple[str, str]) -> dict[str, Any]:
    rows = trial.paired
    evidence = {
        "rows": rows.row_count,
        "blocks": rows.blocks,
        names[0]: rows.mean(rows.incumbent_loss),
        names[1]: rows.mean(rows.rival_loss),
        "looks": looks,
        "alpha": policy.alpha,
        "margin": policy.margin,
        "label_rate": rows.mean(rows.labels),
        "scored_rows": trial.rival.scored,
        "fallback_ratio": trial.rival.failed_ratio,
        "champion_fallback_ratio": trial.incumbent.failed_ratio,
        **_label_free(trial.shift),
        "calibration_error": rows.mean(rows.rival_score - rows.labels),
        "champion_calibration_error": rows.mean(rows.incumbent_score - rows.labels),
    }
    return evidence | ({"worst_slices": worst_slices(trial)} if trial.slices else {})


def _label_free(shift: Shift) -> dict[str, Any]:
    """Return how much later and higher the rival answers, as far as there are rows."""
    answered = float(shift.rows.sum())
    sums = {"later_ratio": shift.slower, "score_difference": shift.difference}
    return {name: float(each.sum()) / answered for name, each in sums.items()} if answered else {}


def _bounded(found: Bounds) -> dict[str, Any]:
    likely, cautious = rows_needed(found)
    return {
        "mean_difference": found.mean,
        "lower": found.lower,
        "upper": found.upper,
        "limit": found.limit,
        "rows_needed": likely,
        "rows_needed_cautious": cautious,
    }


def _spoken(found: Bounds) -> str:
    span = f"[{found.lower:+.5f}, {found.upper:+.5f}]"
    seen = f"over {found.harm.rows} rows in {found.harm.blocks} blocks"
    return f"mean loss difference {found.mean:+.5f} in {span} {seen}"


def _waiting(found: Bounds | None, trial: Trial, policy: CanaryPolicy) -> str:
    rows = trial.paired
    if found is None:
        unlabelled = f", {trial.rival.scored} scored" if trial.rival.scored > rows.row_count else ""
        return (
            f"too early: {rows.row_count} of {policy.min_rows} rows, {rows.blocks} of {MIN_BLOCKS} blocks{unlabelled}"
        )
    if found.is_worth and _one_sided(rows):
        return f"all labels so far are {rows.mean(rows.labels):g}: waiting for others; {_spoken(found)}"
    return f"undecided: {_spoken(found)}"
