"""The steps of traffic that a challenger climbs: pure, from the case and the contract alone."""

from dataclasses import dataclass, replace
from datetime import datetime

from homeostat.contract.policies import CanaryPolicy
from homeostat.records import Case


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a challenger stands on its way to all traffic."""

    share: float
    next: float | None = None  # None: this is the last step
    until: datetime | None = None  # the step has to last; None: it has lasted long enough
    rows: int = 0  # that the step has still to see

    @property
    def waits_for(self) -> str | None:
        """What the step has to see before it may be passed, None when it has."""
        if self.until is not None:
            return f"{self.share:.0%} until {self.until:%Y-%m-%d %H:%M}"
        return f"{self.rows:,} more rows at {self.share:.0%}" if self.rows else None

    def after(self, rows: int) -> "Stage":
        """Return the step with rows that the challenger has scored since it began."""
        return replace(self, rows=max(0, self.rows - rows))


def begun(case: Case, now: datetime) -> datetime:
    """Return when the challenger got the share that it has."""
    return case.share_since or case.since or now


def stage_of(case: Case, policy: CanaryPolicy, now: datetime) -> Stage:
    """Return where a challenger stands before any row; a canary of a single ``share`` has nothing to wait for.

    >>> stage_of(Case(share=0.05), CanaryPolicy(steps=[0.05, 0.25, 1.0]), datetime(2030, 1, 1)).waits_for
    '5% until 2030-01-02 00:00'
    """
    share = policy.climb[0] if case.share is None else case.share
    later = next((step for step in policy.climb if step > share), None)
    if policy.share is not None:
        return Stage(share, later)
    until = begun(case, now) + policy.step_time
    return Stage(share, later, until if now < until else None, policy.min_rows)
