"""What paired evidence says about a challenger: promote, reject, or look again later."""

from dataclasses import dataclass, field
from typing import Any

from homeostat.canary.confidence import MIN_BLOCKS, Interval, interval, width_in_sd
from homeostat.canary.evidence import BlockSums
from homeostat.contract.policies import CanaryPolicy
from homeostat.records import Action

TUNED_FLOORS = 4
"""The interval is tightest at this multiple of ``min_rows``: small gains are proven well past the floor."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One look's conclusion; ``action`` is None while it is too early to say."""

    action: Action | None
    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)
    guardrail: bool = False  # a limit that needs no comparison was broken


@dataclass(frozen=True, slots=True)
class Health:
    """What is known about a challenger without any label."""

    scored: int = 0  # rows it scored
    failed: int = 0  # rows the champion scored and it did not

    @property
    def failed_ratio(self) -> float:
        """Share of its rows that the challenger did not score."""
        return self.failed / max(self.scored + self.failed, 1)


def judge_canary(sums: BlockSums, policy: CanaryPolicy, health: Health, *, looks: int, expired: bool) -> Finding:
    """Return what to do with a challenger after a look at the evidence.

    Harm is an interval wholly above zero, worth is one wholly below the margin; each is claimed wrongly with
    a chance of at most ``policy.alpha`` over all looks. The champion's mean loss, which scales the margin,
    is taken as known.

    Args:
        sums: Complete blocks, the champion as incumbent, the challenger as rival.
        policy: The contract's canary policy.
        health: Rows the challenger scored and failed to score.
        looks: Number of this look, for the record; the interval does not depend on it.
        expired: The canary had all of ``policy.max_duration``.
    """
    evidence = _described(sums, policy, looks, ("champion_loss", "challenger_loss"))
    evidence["fallback_ratio"] = health.failed_ratio
    seen = health.scored + health.failed
    if seen >= policy.min_rows and health.failed_ratio > policy.max_fallback_ratio:
        reason = f"failed to score {health.failed} of {seen} rows, more than {policy.max_fallback_ratio:.1%}"
        return Finding(Action.REJECT, reason, evidence, guardrail=True)
    found = bounds(sums, policy)
    if found is not None:
        limit = policy.margin * evidence["champion_loss"]
        evidence |= _bounded(found, policy, limit)
        if found.lower > 0:
            return Finding(Action.REJECT, f"worse than the champion: {_spoken(found)}", evidence)
        if found.upper < limit:
            claim = "better than the champion" if limit == 0 else f"not worse than the champion by {limit:.5f}"
            return Finding(Action.PROMOTE, f"{claim}: {_spoken(found)}", evidence)
    if expired:
        shown = _spoken(found) if found else f"only {evidence['rows']} rows in {evidence['blocks']} blocks"
        return Finding(Action.REJECT, f"nothing proven within {policy.max_duration}: {shown}", evidence)
    return Finding(None, _waiting(found, evidence, policy), evidence)


def judge_watch(sums: BlockSums, policy: CanaryPolicy, *, looks: int) -> Finding:
    """Return whether a promoted model is proven to be worse than the one it replaced.

    Args:
        sums: Complete blocks since the promotion, the previous champion as incumbent, the new one as rival.
        policy: The contract's canary policy.
        looks: Number of this look, for the record.
    """
    evidence = _described(sums, policy, looks, ("previous_loss", "champion_loss"))
    found = bounds(sums, policy)
    if found is None:
        return Finding(None, _waiting(None, evidence, policy), evidence)
    evidence |= _bounded(found, policy, 0.0)
    if found.lower > 0:
        return Finding(Action.ROLLBACK, f"worse than the model it replaced: {_spoken(found)}", evidence)
    return Finding(None, f"no harm proven: {_spoken(found)}", evidence)


def bounds(sums: BlockSums, policy: CanaryPolicy) -> Interval | None:
    """Return the interval on the mean difference, None while rows or blocks are too few for one."""
    if len(sums.rows) < MIN_BLOCKS or sums.rows.sum() < policy.min_rows:
        return None
    tuned_rows = TUNED_FLOORS * policy.min_rows
    return interval(sums.rows, sums.differences, alpha=policy.alpha, tuned_rows=tuned_rows)


def rows_needed(found: Interval, policy: CanaryPolicy, limit: float) -> int | None:
    """Return at how many rows the interval would leave ``limit`` behind if mean and spread stayed as they are.

    None: not within 1,000 times the rows so far.
    """
    gap, tuned_rows = abs(found.mean - limit), TUNED_FLOORS * policy.min_rows
    low, high = found.rows, 1000 * found.rows
    if width_in_sd(high, policy.alpha, tuned_rows) * found.row_sd >= gap:
        return None
    while high > low * 1.02:  # 2 %: finer than the estimate deserves
        middle = round((low * high) ** 0.5)
        enough = width_in_sd(middle, policy.alpha, tuned_rows) * found.row_sd < gap
        low, high = (low, middle) if enough else (middle, high)
    return high


def _described(sums: BlockSums, policy: CanaryPolicy, looks: int, names: tuple[str, str]) -> dict[str, Any]:
    rows = int(sums.rows.sum())
    return {
        "rows": rows,
        "blocks": len(sums.rows),
        names[0]: float(sums.incumbent.sum()) / rows if rows else None,
        names[1]: float(sums.rival.sum()) / rows if rows else None,
        "looks": looks,
        "alpha": policy.alpha,
        "margin": policy.margin,
    }


def _bounded(found: Interval, policy: CanaryPolicy, limit: float) -> dict[str, Any]:
    return {
        "mean_difference": found.mean,
        "lower": found.lower,
        "upper": found.upper,
        "neighbour_correlation": found.neighbour_correlation,
        "rows_needed": rows_needed(found, policy, limit),
    }


def _spoken(found: Interval) -> str:
    span = f"[{found.lower:+.5f}, {found.upper:+.5f}]"
    return f"mean loss difference {found.mean:+.5f} in {span} over {found.rows} rows in {found.blocks} blocks"


def _waiting(found: Interval | None, evidence: dict[str, Any], policy: CanaryPolicy) -> str:
    if found is not None:
        return f"undecided: {_spoken(found)}"
    rows, blocks = evidence["rows"], evidence["blocks"]
    return f"too early: {rows} of {policy.min_rows} rows, {blocks} of {MIN_BLOCKS} blocks"
