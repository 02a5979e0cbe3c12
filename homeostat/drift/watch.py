"""One champion under watch: the rows it has served since it serves, held against its profile."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from homeostat.contract.losses import row_losses
from homeostat.contract.model import Contract
from homeostat.drift.budget import policy_in_force
from homeostat.drift.change import change_of_losses, change_of_rows
from homeostat.drift.counts import Counter, WindowCounts
from homeostat.drift.domain import ROWS, DomainTest, domain_test
from homeostat.drift.norms import SCALES
from homeostat.drift.performance import LossBlock
from homeostat.drift.profile import Profile
from homeostat.drift.quarantine import Quarantine
from homeostat.drift.report import Judgement, judge_window
from homeostat.drift.samples import Sample, thinned
from homeostat.drift.window import MovingWindow
from homeostat.records import DataIncident, DriftStatus, Outcome, Prediction, Span

_BUCKETS = max(SCALES)  # of counts in a window: its start moves in steps of 1 %, in bounded memory
_LOSS_BLOCKS = 7  # at least, in a window: the degrees of freedom of the loss test come from them
_LONGEST_BLOCK = timedelta(days=1)  # rows of one day share weather, strikes and campaigns


@dataclass(frozen=True, slots=True)
class _Live:
    """The rows of one stretch of time: counted, and a few of them kept."""

    counts: WindowCounts
    sample: Sample


class Watch:
    """One champion under watch: its reference and what has been seen since it serves."""

    def __init__(self, version: str, profile: Profile, contract: Contract) -> None:
        """Start with no rows of this version."""
        window = contract.drift.window
        self.version = version
        self._profile = profile
        self._contract = contract
        self._policy = policy_in_force(contract)
        self._counter = Counter(profile)
        self._bucket = window / _BUCKETS
        self._block = min(_LONGEST_BLOCK, window / _LOSS_BLOCKS)
        self.restart_inputs()
        self.restart_losses()

    def restart_inputs(self) -> None:
        """Forget the live rows."""
        self.quarantine = Quarantine(self._profile, self._contract.drift.window)
        self.inputs = MovingWindow(
            self._bucket, lambda: _Live(WindowCounts(self._counter), Sample(self.quarantine.coder))
        )

    def restart_losses(self) -> None:
        """Forget the mature rows."""
        self.losses = MovingWindow(self._block, LossBlock)

    def count(self, rows: Sequence[Prediction]) -> None:
        """Count live rows, each event once."""
        for live, new in self.inputs.admit([row.event_id for row in rows], [row.event_time for row in rows]):
            admitted = [rows[i] for i in new.tolist()]
            values, times = [row.values for row in admitted], [row.event_time.timestamp() for row in admitted]
            live.counts.add(values, [row.scores[self.version] for row in admitted], times)
            live.sample.add([row.event_id for row in admitted], values, times)

    def mature(self, rows: Sequence[Outcome]) -> None:
        """Add up the losses of mature rows, each event once."""
        for block, new in self.losses.admit([row.event_id for row in rows], [row.event_time for row in rows]):
            admitted = [rows[i] for i in new.tolist()]
            pairs = [(row.scores[self.version], row.label) for row in admitted if row.label is not None]
            scores, labels = np.asarray(pairs, dtype=np.float64).reshape(-1, 2).T
            block.add(row_losses(self._contract.objective.metric, labels, scores), scores, labels)
            block.outcomes += len(new) - len(pairs)

    def incidents(self, now: datetime, memory: timedelta) -> tuple[DataIncident, ...]:
        """Return what has broken among the live rows, as ``Quarantine.look`` does."""
        return self.quarantine.look([live.sample for live in self.inputs.sums()], now, memory)

    def judgement(self, broken: Sequence[Span] = ()) -> Judgement:
        """Return what the rows say by the contract's policy, without those of broken spans."""
        counts, policy = self._total(broken), self._policy
        asked = policy.domain_classifier and counts.rows >= policy.min_rows
        domain = self._told_apart(broken) if asked else None
        judged = judge_window(counts, self.losses.sums(broken), policy, self._contract.objective.metric, domain)
        return self._dated(judged, broken) if judged.status is DriftStatus.DRIFTED else judged

    def _dated(self, judged: Judgement, broken: Sequence[Span]) -> Judgement:
        """Return the judgement with when the change came, and how many rows behind it have a label."""
        rows, losses = self.inputs.parts(broken), self.losses.parts(broken)
        found = change_of_rows([live.counts for _, live in rows], self._policy, judged)
        block = change_of_losses([sums for _, sums in losses], judged) if found is None else None
        since = rows[found][0] if found is not None else losses[block][0] if block is not None else None
        # where a classifier alone tells the rows apart, nothing dates the change
        behind = sum(sums.rows for first, sums in losses if since is None or first >= since)
        return replace(judged, changed_at=since, labelled_since=behind)

    def _total(self, broken: Sequence[Span]) -> WindowCounts:
        total = WindowCounts(self._counter)
        for live in self.inputs.sums(broken):
            total.merge(live.counts)
        return total

    def _told_apart(self, broken: Sequence[Span]) -> DomainTest | None:
        """Return how well a classifier tells the rows from the reference's; None where it has none."""
        reference, kept = self._profile.domain, self.inputs.sums(broken)
        if reference is None or not kept:
            return None
        rows = thinned([live.sample for live in kept], ROWS)
        return domain_test(reference, self.quarantine.coder, rows, self._contract.drift.window)
