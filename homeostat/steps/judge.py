"""Judges challengers on paired outcomes, and watches a promoted champion against the one it replaced."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from homeostat.canary.memory import OutcomeMemory
from homeostat.canary.verdict import Finding, judge_canary, judge_watch
from homeostat.contract.model import Contract
from homeostat.metric_names import CANARY_LOSS_DIFFERENCE, CANARY_ROWS
from homeostat.ports import Aliases, CaseStore, ModelRegistry, Telemetry
from homeostat.records import (
    Action,
    CanaryVerdict,
    Case,
    CaseState,
    Outcome,
    Record,
    TrainingRun,
    TrainingStatus,
    derived_id,
)


class JudgeStep:
    """Turns training runs and outcomes into verdicts; who carries them out is ``promote``.

    A look happens when a block of outcomes was completed. A canary may last ``max_duration`` and is judged
    once the rows of that span are mature; the watch likewise.
    """

    def __init__(self, contract: Contract, registry: ModelRegistry, cases: CaseStore, telemetry: Telemetry) -> None:
        """Take where aliases and the case are read; the judge writes neither."""
        self._contract = contract
        self._policy = contract.canary
        self._registry = registry
        self._cases = cases
        self._telemetry = telemetry
        self._memory = OutcomeMemory(contract.canary, contract.objective.metric)
        self._requests: dict[str, str] = {}  # request by the version that came of it
        self._looks: dict[str, tuple[object, int, Finding]] = {}  # what the last look saw, its number, its finding
        self._given: dict[str, datetime] = {}  # when a verdict was last given, by its id

    def handle(self, records: Sequence[Record], now: datetime) -> list[Record]:
        """Answer each training run at once, and remember outcomes for the next look."""
        self.restore(records, now)
        return [self._answer(record, now) for record in records if isinstance(record, TrainingRun)]

    def restore(self, records: Sequence[Record], now: datetime) -> None:
        """Fold training runs and outcomes into memory."""
        for record in records:
            if isinstance(record, TrainingRun) and record.version is not None:
                self._requests[record.version] = record.request_id
        self._memory.fold(record for record in records if isinstance(record, Outcome))
        span = self._policy.max_duration + self._policy.watch + self._contract.label.maturity
        self._memory.forget(now - span - self._contract.label.maturity)

    def tick(self, now: datetime) -> list[Record]:
        """Look at the canary and at the watched champion, and return the verdict where there is one."""
        case, aliases = self._cases.load(), self._registry.aliases()
        verdicts = []
        if case.state is CaseState.CANARY and case.challenger is not None and case.challenger == aliases.challenger:
            verdicts += self._look_at_canary(case, aliases.champion or "", now)
        verdicts += self._look_at_champion(case, aliases, now)
        return list(verdicts)

    def _answer(self, run: TrainingRun, now: datetime) -> CanaryVerdict:
        """Return the verdict on a training run; a failed one travels like a rejected challenger."""
        evidence = {"run_id": run.run_id, "status": run.status, "cpu_s": run.cpu_s, "receipt": run.receipt}
        if run.status is not TrainingStatus.CANDIDATE or run.version is None:
            reason = f"{run.status.replace('_', ' ')}: {run.reason}"
            return self._verdict(run.request_id, Action.REJECT, run.version, Finding(None, reason, evidence), now)
        champion = self._registry.aliases().champion
        if champion is None or champion == run.version:
            finding = Finding(None, f"first champion: offline gates passed; {run.reason}", evidence)
            return self._verdict(run.request_id, Action.PROMOTE, run.version, finding, now)
        finding = Finding(None, f"offline gates passed: {run.reason}", evidence | {"champion": champion})
        return self._verdict(run.request_id, Action.START, run.version, finding, now)

    def _look_at_canary(self, case: Case, champion: str, now: datetime) -> list[CanaryVerdict]:
        challenger, since = str(case.challenger), case.since or now
        sums = self._memory.sums(champion, challenger)
        health = self._memory.health(challenger, since)
        expired = now >= since + self._policy.max_duration + self._contract.label.maturity
        finding = self._look(
            challenger,
            (champion, len(sums.rows), health, expired),
            lambda looks: judge_canary(sums, self._policy, health, looks=looks, expired=expired),
        )
        self._measure(finding.evidence)
        evidence = finding.evidence | {"champion": champion, "challenger": challenger}
        return self._once(str(case.request_id), challenger, replace(finding, evidence=evidence), now)

    def _look_at_champion(self, case: Case, aliases: Aliases, now: datetime) -> list[CanaryVerdict]:
        champion, previous = aliases.champion, aliases.previous
        since = self._memory.serving_since(champion) if champion else None
        if champion is None or previous in {None, champion} or since is None:
            return []
        if now >= since + self._policy.watch + self._contract.label.maturity:
            return []
        sums = self._memory.sums(str(previous), champion, since)
        finding = self._look(
            f"watch {champion}",
            (previous, len(sums.rows)),
            lambda looks: judge_watch(sums, self._policy, looks=looks),
        )
        request_id = self._requests.get(champion) or case.request_id or derived_id("watch", champion)
        evidence = finding.evidence | {"champion": champion, "previous": previous}
        return self._once(request_id, champion, replace(finding, evidence=evidence), now)

    def _look(self, key: str, seen: object, judge: Callable[[int], Finding]) -> Finding:
        """Return a new finding when there is something new to see, the last one otherwise."""
        last, looks, finding = self._looks.get(key, (None, 0, None))
        if finding is None or last != seen:
            finding = judge(looks + 1)
            self._looks[key] = (seen, looks + 1, finding)
        return finding

    def _once(self, request_id: str, version: str, finding: Finding, now: datetime) -> list[CanaryVerdict]:
        """Return the verdict of a finding once, and again only when it seems to be lost."""
        if finding.action is None:
            return []
        verdict = self._verdict(request_id, finding.action, version, finding, now)
        last = self._given.get(verdict.verdict_id)
        if last is not None and now - last < self._contract.healing.cooldown:
            return []
        self._given[verdict.verdict_id] = now
        return [verdict]

    def _verdict(
        self, request_id: str, action: Action, version: str | None, finding: Finding, now: datetime
    ) -> CanaryVerdict:
        verdict_id = derived_id(request_id, action, version or "")
        return CanaryVerdict(verdict_id, request_id, now, action, version, finding.reason, finding.evidence)

    def _measure(self, evidence: Mapping[str, Any]) -> None:
        product = self._contract.product
        self._telemetry.gauge(CANARY_ROWS, evidence["rows"], product=product)
        if evidence["rows"]:
            difference = evidence["challenger_loss"] - evidence["champion_loss"]
            self._telemetry.gauge(CANARY_LOSS_DIFFERENCE, difference, product=product)
