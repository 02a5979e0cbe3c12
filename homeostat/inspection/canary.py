"""The evidence of a running canary, folded as the judge folds it."""

from datetime import datetime

from homeostat.canary.confidence import MIN_BLOCKS
from homeostat.canary.memory import CanaryMemory
from homeostat.canary.stage import Stage, begun, stage_of
from homeostat.canary.verdict import judge_canary
from homeostat.contract.model import Contract
from homeostat.contract.policies import CanaryPolicy
from homeostat.inspection.waiting import day
from homeostat.records import Case, Outcome
from homeostat.tail import Tail


class CanaryEvidence:
    """Outcomes since a canary began; each look adds what came since the one before."""

    def __init__(self, contract: Contract, request_id: str, offset: int) -> None:
        """Take the case of the canary and the offset of its first outcome."""
        self.request_id = request_id
        self._contract = contract
        self._offset = offset
        self._memory = CanaryMemory(contract.canary, contract.objective.metric)

    def follow(self, tail: Tail) -> None:
        """Fold in what has come since the last call."""
        rows = []
        for offset, record in tail.after("outcomes", self._offset):
            self._offset = offset + 1
            if isinstance(record, Outcome) and len(record.scores) > 1:
                rows.append(record)
        self._memory.fold(rows)

    def words(self, case: Case, champion: str, now: datetime) -> str:
        """Return how far the canary has come and what it waits for."""
        policy, since = self._contract.canary, case.since or now
        challenger, stage = str(case.challenger), stage_of(case, policy, now)
        ends = since + policy.max_duration + self._contract.label.maturity
        trial = self._memory.trial(champion, challenger, since)
        stage = stage.after(self._memory.scored(challenger, begun(case, now)))
        finding = judge_canary(trial, policy, looks=0, expired=now >= ends, stage=stage)
        seen, name = finding.evidence, _name(policy, stage)
        if finding.action is not None:
            return f"{name}: {finding.reason}; the judge says so at its next look"
        if not seen["rows"]:
            first = day(since + self._contract.label.maturity)
            return f"{name}: 0 of {policy.min_rows:,} mature rows; label maturity until {first}"
        if "mean_difference" not in seen:
            progress = f"{seen['rows']:,} of {policy.min_rows:,} mature rows, {seen['blocks']} of {MIN_BLOCKS} blocks"
            return f"{name}: {progress}; at the latest {day(ends)}"
        wanted = f" of about {seen['rows_needed']:,}" if seen["rows_needed"] else ""
        interval = f"{seen['mean_difference']:+.4f} [{seen['lower']:+.4f}, {seen['upper']:+.4f}]"
        return f"{name}: {seen['rows']:,}{wanted} mature rows, difference {interval}; at the latest {day(ends)}"


def _name(policy: CanaryPolicy, stage: Stage) -> str:
    """Return what a canary is called: by its step, where it has several."""
    if policy.share is not None:
        return "canary"
    until = f" until {day(stage.until)}" if stage.until else ""
    onward = f", then {stage.next:.0%}" if stage.next else ""
    return f"canary at {stage.share:.0%}{until}{onward}" if stage.share else f"shadow{until}{onward}"
