"""Answers operators who set a tag: at once where it can't be done or needs no verdict, else behind what was done."""

from dataclasses import replace
from datetime import datetime

from homeostat.healing.alias_watch import save
from homeostat.healing.operator import ACTIONS, DONE, REFUSED, Wish, actor_of, refusal, said, told, wish_of
from homeostat.metric_names import DECISIONS
from homeostat.ports import CaseStore, Ledger, ModelRegistry, OperatorDecision, Telemetry
from homeostat.records import Case, Promotion, derived_id


class OperatorAnswers:
    """Takes decisions of operators on who serves; ``retrain`` is another's."""

    def __init__(
        self, product: str, registry: ModelRegistry, cases: CaseStore, ledger: Ledger, telemetry: Telemetry
    ) -> None:
        """Take where decisions, case and what was done are kept."""
        self._product = product
        self._registry = registry
        self._cases = cases
        self._ledger = ledger
        self._telemetry = telemetry

    def hear(self, decision: OperatorDecision, case: Case, now: datetime) -> Case:
        """Answer what can't be done, hold a canary, and return the case then; the judge has its part of the rest.

        Raises:
            TransientError: Somebody else wrote the case first.
        """
        wish = wish_of(decision)
        if wish is Wish.RETRAIN:
            return case
        why_not = refusal(decision, case, self._registry.aliases())
        if why_not is not None:
            self._registry.answer(decision, f"{REFUSED}{why_not}")
        elif wish is Wish.HOLD:
            return self._hold(decision, case, now)
        return case

    def answer(self, promotion: Promotion) -> None:
        """Answer the operators who asked for what was done now."""
        for decision in self._registry.decisions():
            action = ACTIONS.get(wish_of(decision))
            if action is promotion.action and decision.version in {promotion.version, None}:
                self._registry.answer(decision, f"{DONE}{told(promotion)}")

    def _hold(self, decision: OperatorDecision, case: Case, now: datetime) -> Case:
        request_id, version = str(case.request_id), str(case.challenger)
        if not case.held:
            payload = {"request_id": request_id, "version": version, "reason": said(decision)}
            self._ledger.append(derived_id(request_id, Wish.HOLD, version), now, Wish.HOLD, payload, actor_of(decision))
            self._telemetry.count(DECISIONS, product=self._product, action=Wish.HOLD)
            case = save(self._cases, replace(case, held=True))
        self._registry.answer(decision, f"{DONE}version {version} stays in its canary until it is approved or rejected")
        return case
