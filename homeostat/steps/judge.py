"""Judges challengers on paired outcomes, and watches a promoted champion against the one it replaced."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from homeostat.canary.memory import CanaryMemory
from homeostat.canary.stage import begun, stage_of
from homeostat.canary.verdict import Finding, judge_canary, judge_watch
from homeostat.contract.model import Contract
from homeostat.errors import TransientError
from homeostat.healing.by_hand import incumbent
from homeostat.healing.card import CARD_FILE, Card, as_html, as_markdown
from homeostat.healing.closing import GUARDRAIL, SERVING, SHARE, verdict_id_of
from homeostat.healing.operator import ACTIONS, actor_of, refusal, said, wish_of
from homeostat.metric_names import CANARY_LOSS_DIFFERENCE, CANARY_ROWS, STEP_CPU, TRAINING_CPU, TRAININGS
from homeostat.ports import Aliases, CaseStore, ModelRegistry, OperatorDecision, Telemetry
from homeostat.records import (
    Action,
    CanaryVerdict,
    Case,
    CaseState,
    Outcome,
    Prediction,
    Record,
    TrainingRun,
    TrainingStatus,
    derived_id,
)

_ASKED_AGAIN = timedelta(minutes=1)  # an operator's verdict that seems to be lost: somebody waits for it
_log = logging.getLogger("homeostat.judge")
_UNSEEN = Finding(None, "nothing was compared yet")


class JudgeStep:
    """Turns training runs and outcomes into verdicts; who carries them out is ``promote``.

    A look happens when a block of outcomes or of answers was completed: what a challenger answers may stop it before
    any label is mature, and only labels promote it. A canary may last ``max_duration`` and is judged
    once the rows of that span are mature; the watch likewise. One that waits for an approval, or is held by an
    operator, goes on being judged and does not run out of time; held, only a broken guardrail rejects it.

    What an operator wants of who serves becomes a verdict too, at once and with the evidence so far.

    Trainings are counted here, each once by its id: a training itself may be a job whose metrics nobody reads.
    """

    def __init__(self, contract: Contract, registry: ModelRegistry, cases: CaseStore, telemetry: Telemetry) -> None:
        """Take where aliases and the case are read; the judge writes neither."""
        self._contract = contract
        self._policy = contract.canary
        self._registry = registry
        self._cases = cases
        self._telemetry = telemetry
        self._memory = CanaryMemory(contract.canary, contract.objective.metric)
        self._runs: dict[str, TrainingRun] = {}  # by the version that came of it
        self._counted: set[str] = set()  # ids of trainings
        self._carded: Finding | None = None  # what the last card says
        self._looks: dict[str, tuple[object, int, Finding]] = {}  # what the last look saw, its number, its finding
        self._given: dict[tuple[str, str], datetime] = {}  # when a verdict was last given, by its id and actor
        for status in TrainingStatus:  # a counter that springs up at 1 has no rate: the first failure would go unseen
            telemetry.count(TRAININGS, 0, product=contract.product, status=status.value)

    def handle(self, records: Sequence[Record], now: datetime) -> list[Record]:
        """Answer each training run at once, and remember outcomes and answers for the next look."""
        for record in records:
            if isinstance(record, TrainingRun):
                self._count(record)
        self.restore(records, now)
        return [self._answer(record, now) for record in records if isinstance(record, TrainingRun)]

    def restore(self, records: Sequence[Record], now: datetime) -> None:
        """Fold training runs, outcomes and answers into memory."""
        for record in records:
            if isinstance(record, TrainingRun):
                self._counted.add(record.run_id)
                if record.version is not None:
                    self._runs[record.version] = record
        self._memory.follow(record for record in records if isinstance(record, Prediction))  # say more
        self._memory.fold(record for record in records if isinstance(record, Outcome))
        span = self._policy.max_duration + self._policy.watch + self._contract.label.maturity
        self._memory.forget(now - span - self._contract.label.maturity)

    def tick(self, now: datetime) -> list[Record]:
        """Look at the canary and at the watched champion, and return the verdict where there is one.

        An operator's verdicts come first: what is found at the same look does not overrule them.
        """
        case, aliases, decisions = self._cases.load(), self._registry.aliases(), self._registry.decisions()
        found = []  # from here on the registry is not needed: a verdict counts as given once it is made
        if case.on_trial and case.challenger is not None and case.challenger == aliases.challenger:
            found += self._look_at_canary(case, aliases.champion or "", now)
        found += self._look_at_champion(case, aliases, now)
        return [*self._wanted(decisions, case, aliases, now), *found]

    def _answer(self, run: TrainingRun, now: datetime) -> CanaryVerdict:
        """Return the verdict on a training run; a failed one travels like a rejected challenger."""
        evidence = {"run_id": run.run_id, "status": run.status, "cpu_s": run.cpu_s, "receipt": run.receipt}
        if run.status is not TrainingStatus.CANDIDATE or run.version is None:
            reason = f"{run.status.replace('_', ' ')}: {run.reason}"
            return self._verdict(run.request_id, Action.REJECT, run.version, Finding(None, reason, evidence), now)
        champion = incumbent(self._cases.load(), self._registry.aliases())
        if champion is None or champion == run.version:
            asked = ", no approval asked for as nothing serves yet" if self._policy.approval == "manual" else ""
            finding = Finding(None, f"first champion: offline gates passed{asked}; {run.reason}", evidence)
            return self._verdict(run.request_id, Action.PROMOTE, run.version, finding, now)
        finding = Finding(None, f"offline gates passed: {run.reason}", evidence | {"champion": champion})
        return self._verdict(run.request_id, Action.START, run.version, finding, now)

    def _look_at_canary(self, case: Case, champion: str, now: datetime) -> list[CanaryVerdict]:
        challenger, since = str(case.challenger), case.since or now
        waits = case.held or case.state is CaseState.WAITING
        expired = not waits and now >= since + self._policy.max_duration + self._contract.label.maturity
        stage, since_step = stage_of(case, self._policy, now), begun(case, now)

        def judged(looks: int) -> Finding:
            trial, scored = self._memory.trial(champion, challenger, since), self._memory.scored(challenger, since_step)
            return judge_canary(trial, self._policy, looks=looks, expired=expired, stage=stage.after(scored))

        finding = self._look(challenger, (champion, self._memory.looks(), expired, stage), judged)
        self._measure(finding.evidence)
        self._show(case, champion, finding, now)
        if case.held and not finding.guardrail:
            return []
        evidence = finding.evidence | {"champion": champion, "challenger": challenger}
        if finding.guardrail:
            evidence[GUARDRAIL] = True
        if finding.action is Action.STEP:
            evidence[SHARE] = stage.next
        return self._once(str(case.request_id), challenger, replace(finding, evidence=evidence), now)

    def _look_at_champion(self, case: Case, aliases: Aliases, now: datetime) -> list[CanaryVerdict]:
        champion, previous, since = case.champion, aliases.previous, case.serving_since
        if champion is None or champion != aliases.champion or previous in {None, champion} or since is None:
            return []
        if now >= since + self._policy.watch + self._contract.label.maturity:
            return []
        finding = self._look(
            _watch(case),
            (previous, self._memory.looks()),
            lambda looks: judge_watch(
                self._memory.trial(str(previous), champion, since, labelled_since=since), self._policy, looks=looks
            ),
        )
        evidence = finding.evidence | {"champion": champion, "previous": previous, SERVING: case.serving_entry}
        return self._once(self._request_of(champion, case), champion, replace(finding, evidence=evidence), now)

    def _wanted(
        self, decisions: Sequence[OperatorDecision], case: Case, aliases: Aliases, now: datetime
    ) -> list[CanaryVerdict]:
        """Return verdicts for what operators want of who serves and can have."""
        verdicts = []
        for decision in decisions:
            action = ACTIONS.get(wish_of(decision))
            if action is not None and refusal(decision, case, aliases) is None:
                verdicts += self._asked(decision, action, case, aliases, now)
        return verdicts

    def _asked(
        self, decision: OperatorDecision, action: Action, case: Case, aliases: Aliases, now: datetime
    ) -> list[CanaryVerdict]:
        """Return an operator's wish as a verdict, with what the last look saw."""
        champion = str(aliases.champion)
        watched = action is Action.ROLLBACK
        version = champion if watched else str(case.challenger)
        request_id = self._request_of(champion, case) if watched else str(case.request_id)
        _, _, seen = self._looks.get(_watch(case) if watched else version, (None, 0, _UNSEEN))
        rival = {"previous": aliases.previous} if watched else {"challenger": version}
        evidence = seen.evidence | {"champion": aliases.champion, SERVING: case.serving_entry} | rival
        reason = f"{said(decision)}; evidence so far: {seen.reason}"
        verdict_id = verdict_id_of(request_id, action, version, evidence)
        verdict = CanaryVerdict(verdict_id, request_id, now, action, version, reason, evidence, actor_of(decision))
        return self._unless_given(verdict, now, _ASKED_AGAIN)

    def _request_of(self, champion: str, case: Case) -> str:
        """Return the request that a champion came of, as far as it is known."""
        run = self._runs.get(champion)
        return (run and run.request_id) or case.request_id or derived_id("watch", champion)

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
        return self._unless_given(verdict, now, self._contract.healing.cooldown)

    def _unless_given(self, verdict: CanaryVerdict, now: datetime, again: timedelta) -> list[CanaryVerdict]:
        """Return a verdict that was not given within a span by the same actor."""
        last = self._given.get((verdict.verdict_id, verdict.actor))
        if last is not None and now - last < again:
            return []
        self._given[verdict.verdict_id, verdict.actor] = now
        return [verdict]

    def _verdict(
        self, request_id: str, action: Action, version: str | None, finding: Finding, now: datetime
    ) -> CanaryVerdict:
        verdict_id = verdict_id_of(request_id, action, version, finding.evidence)
        return CanaryVerdict(verdict_id, request_id, now, action, version, finding.reason, finding.evidence)

    def _show(self, case: Case, champion: str, finding: Finding, now: datetime) -> None:
        """Refresh the challenger's decision card when a look has found something new."""
        challenger = str(case.challenger)
        seen = replace(finding, reason=f"{case.state}, {case.held}: {finding.reason}")
        if seen == self._carded:
            return
        run = self._runs.get(challenger)
        card = Card(self._contract, case, champion, run, finding.reason, finding.evidence, now)
        try:
            self._registry.describe(challenger, as_markdown(card), {CARD_FILE: as_html(card)})
        except TransientError as error:
            _log.warning("%s: no decision card now: %s", self._contract.product, error)
            return
        self._carded = seen

    def _count(self, run: TrainingRun) -> None:
        """Count a training that no earlier batch, nor an earlier process, has counted."""
        if run.run_id in self._counted:
            return
        product = self._contract.product
        self._telemetry.count(TRAININGS, product=product, status=run.status.value)
        self._telemetry.count(TRAINING_CPU, run.cpu_s, product=product)
        self._telemetry.count(STEP_CPU, run.cpu_s, product=product, step="train")

    def _measure(self, evidence: Mapping[str, Any]) -> None:
        product = self._contract.product
        self._telemetry.gauge(CANARY_ROWS, evidence["rows"], product=product)
        if evidence["rows"]:
            difference = evidence["challenger_loss"] - evidence["champion_loss"]
            self._telemetry.gauge(CANARY_LOSS_DIFFERENCE, difference, product=product)


def _watch(case: Case) -> str:
    """Return the key of the looks at who serves now: what was seen of a version the last time says nothing of this."""
    return f"watch {case.serving_entry}"
