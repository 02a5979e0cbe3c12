"""The healer's first half: compares what is with what should be, and opens a case when a model must change."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from homeostat.contract.model import Contract
from homeostat.errors import StaleCaseError, TransientError
from homeostat.healing.by_hand import incumbent
from homeostat.healing.incidents import BrokenSpans
from homeostat.healing.operator import DONE, REFUSED, Wish, actor_of, refusal, said, wish_of
from homeostat.healing.rules import Decision, Kind, Situation, decide, hold_for_budget, labelled_rows, rows_needed
from homeostat.healing.streak import Streak
from homeostat.metric_names import DECISIONS
from homeostat.ports import Aliases, CaseStore, Ledger, ModelRegistry, OperatorDecision, Telemetry
from homeostat.records import Case, CaseState, DriftReport, Record, RetrainRequest, derived_id


class DecideStep:
    """Opens healing cases; level-triggered, so a lost or repeated record changes nothing.

    The history that a cold start waits for begins with the first drift report, i.e. when this product's loop
    began to watch. The ledger keeps that time (an entry's id is taken once), so a restart does not begin the
    wait anew. Whether enough rows came meanwhile is the training's to say.

    An operator may have a case opened without drift, confirmation or cooldown; one is open at a time and the
    budget holds all the same. The case keeps what the operator is to be told until that was done.
    """

    def __init__(  # noqa: PLR0917 - all steps are built alike: contract, ports, then what is theirs
        self,
        contract: Contract,
        registry: ModelRegistry,
        cases: CaseStore,
        ledger: Ledger,
        telemetry: Telemetry,
        seed: int = 0,
    ) -> None:
        """Take where aliases, case and decisions are kept, and the seed that all trainings' seeds follow from."""
        self._contract = contract
        self._registry = registry
        self._cases = cases
        self._ledger = ledger
        self._telemetry = telemetry
        self._seed = seed
        self._broken = BrokenSpans(contract.product, ledger)
        self._streak = Streak()
        self._first: DriftReport | None = None  # the first report that this process has seen
        self._history_since: datetime | None = None
        self._emitted: dict[str, datetime] = {}  # when this process last published a request
        self._noted: tuple[Kind, str] | None = None

    def handle(self, records: Sequence[Record], now: datetime) -> list[Record]:
        """Remember drift reports; what follows from them is decided by ``tick``."""
        self.restore(records, now)
        return []

    def restore(self, records: Sequence[Record], now: datetime) -> None:  # noqa: ARG002 - the port's shape
        """Fold drift reports; those made before the last case closed say nothing about the next one."""
        case = self._cases.load()
        for report in records:
            if not isinstance(report, DriftReport):
                continue
            if self._first is None:
                self._first = report
            self._broken.note(report)
            if case.state is CaseState.STABLE and (case.since is None or report.at > case.since):
                self._streak = self._streak.after(report)

    def tick(self, now: datetime) -> list[Record]:
        """Open a case when the rules say so and return its retrain request.

        Raises:
            TransientError: Somebody else wrote the case first.
        """
        case, aliases = self._cases.load(), self._registry.aliases()
        champion = incumbent(case, aliases)
        case = self._hear(case, aliases, now)
        situation = Situation(case, champion, self._streak, self._history(champion), now)
        decision = decide(self._contract, situation)
        if decision.kind is Kind.OPEN:
            case = self._saved(self._opened(case, decision, now))
        if case.state is CaseState.TRAINING and self._due(str(case.request_id), now):
            return [self._request(case, champion, now)]
        self._note(decision, case, now)
        return []

    def _history(self, champion: str | None) -> datetime | None:
        """Return since when the stream is watched; it matters only before any champion."""
        if champion is None and self._history_since is None and self._first is not None:
            entry_id = derived_id(self._contract.product, "history_began")
            began = self._first.at
            entry = self._ledger.append(entry_id, began, "history_began", {"since": began.isoformat()})
            self._history_since = datetime.fromisoformat(str(entry.payload["since"]))
        return self._history_since

    def _hear(self, case: Case, aliases: Aliases, now: datetime) -> Case:
        """Open a case for an operator who asked for a training, and answer; return the case as it is then.

        The case is opened before the answer is given: after a crash in between it says so itself.
        """
        asked = [one for one in self._registry.decisions() if wish_of(one) is Wish.RETRAIN]
        for decision in asked:
            if case.unanswered is None:
                why_not = refusal(decision, case, aliases) or self._no_budget(case, now)
                if why_not is not None:
                    self._registry.answer(decision, f"{REFUSED}{why_not}")
                    continue
                case = self._saved(self._asked(case, decision, aliases.champion, now))
            self._registry.answer(decision, str(case.unanswered))
            case = self._saved(replace(case, unanswered=None))
        if case.unanswered is not None:  # the answer was given, and then the process ended
            case = self._saved(replace(case, unanswered=None))
        return case

    def _no_budget(self, case: Case, now: datetime) -> str | None:
        held = hold_for_budget(self._contract, case, now)
        return held.reason if held else None

    def _asked(self, case: Case, asked: OperatorDecision, champion: str | None, now: datetime) -> Case:
        """Return the case that an operator wants, with the last look at this champion as its evidence."""
        latest = self._streak.latest
        known = latest is not None and champion is not None and latest.version == champion
        decision = Decision(Kind.OPEN, said(asked), latest if known else None, self._streak.since if known else None)
        opened = self._opened(case, decision, now)
        what = f"{DONE}case {opened.request_id} was opened, a training is asked for"
        return replace(opened, actor=actor_of(asked), unanswered=what)

    def _opened(self, case: Case, decision: Decision, now: datetime) -> Case:
        per = self._contract.budget.per
        cause = decision.report.report_id if decision.report else "cold"
        return Case(
            state=CaseState.TRAINING,
            revision=case.revision,
            request_id=derived_id(self._contract.product, "case", cause, str(case.revision)),
            report=decision.report,
            reason=decision.reason,
            since=now,
            drift_since=decision.drift_since,
            trained_at=(*(time for time in case.trained_at if time > now - per), now),
            fruitless=case.fruitless,
            fruitless_against=case.fruitless_against,
            champion=case.champion,
            previous=case.previous,
            serving_entry=case.serving_entry,
            serving_since=case.serving_since,
        )

    def _saved(self, case: Case) -> Case:
        try:
            return self._cases.save(case)
        except StaleCaseError as error:
            raise TransientError(f"the case was written meanwhile: {error}") from error

    def _due(self, request_id: str, now: datetime) -> bool:
        """Return whether to publish a request: once for each process, and again when it seems to be lost."""
        last = self._emitted.get(request_id)
        return last is None or now - last >= self._contract.healing.cooldown

    def _request(self, case: Case, champion: str | None, now: datetime) -> RetrainRequest:
        """Return the request of an open case, made from the case alone: after a crash it comes out the same."""
        request_id, at = str(case.request_id), case.since
        if at is None:
            raise TransientError("the case in training has no start; an operator must close it")
        payload = {"request_id": request_id, "reason": case.reason, "champion": champion, **self._summary(case)}
        self._ledger.append(derived_id(request_id, "opened"), at, "case_opened", payload, case.actor)
        self._emitted[request_id] = now
        self._streak = Streak()
        return RetrainRequest(
            request_id=request_id,
            requested_at=at,
            report_id=case.report.report_id if case.report else None,
            reason=case.reason,
            drift_since=case.drift_since,
            champion=champion,
            seed=int(derived_id(str(self._seed), request_id), 16) % 2**31,
            report=case.report,
            broken=self._broken.known_at(at, case.report),
        )

    def _summary(self, case: Case) -> dict[str, Any]:
        """Return what the ledger says of a case's evidence; a restarted process says the same."""
        since, report = case.drift_since.isoformat() if case.drift_since else None, case.report
        if report is None:
            return {"report_id": None, "drift_since": since}
        needed = rows_needed(self._contract, report)
        return {
            "report_id": report.report_id,
            "drift_since": since,
            "rows": report.rows,
            "labelled_rows": labelled_rows(report),
            "labelled_rows_needed": needed.rows,
            "labelled_rows_needed_for": needed.why,
            "drifted_features": [score.name for score in report.features if score.drifted],
            "loss": report.performance.loss if report.performance else None,
            "expected_loss": report.performance.expected_loss if report.performance else None,
        }

    def _note(self, decision: Decision, case: Case, now: datetime) -> None:
        """Write a reason for doing nothing into the ledger, once for each kind between two cases."""
        epoch = case.trained_at[-1].isoformat() if case.trained_at else "start"
        if decision.kind is Kind.CASE_OPEN or self._noted == (decision.kind, epoch):
            return
        entry_id = derived_id(self._contract.product, "left_alone", decision.kind, epoch)
        payload = {"kind": decision.kind.value, "reason": decision.reason, "request_id": case.request_id}
        self._ledger.append(entry_id, now, "left_alone", payload)
        self._telemetry.count(DECISIONS, product=self._contract.product, action=f"left_alone_{decision.kind}")
        self._noted = (decision.kind, epoch)
