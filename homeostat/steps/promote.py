"""The healer's second half: carries verdicts out in the registry, closes cases, and answers operators."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from homeostat.contract.model import Contract
from homeostat.errors import StaleCaseError, TransientError
from homeostat.healing.closing import closed, is_done, is_due, is_over, promotion_of, still_true
from homeostat.healing.operator import ACTIONS, DONE, REFUSED, Wish, actor_of, refusal, said, wish_of
from homeostat.metric_names import CASE_AGE, CASE_STATE, DECISIONS
from homeostat.ports import Aliases, CaseStore, Ledger, ModelRegistry, OperatorDecision, Telemetry
from homeostat.records import HOMEOSTAT, Action, CanaryVerdict, Case, CaseState, Promotion, Record, derived_id

OUTCOME_TAG = "homeostat.outcome"
REASON_TAG = "homeostat.reason"
_OUTCOMES = {Action.PROMOTE: "promoted", Action.REJECT: "rejected", Action.ROLLBACK: "rolled_back"}
_WAITING = "waiting_for_approval"


class PromoteStep:
    """Moves the registry's aliases, and only as the open case asks for.

    Order of every change: ledger, aliases, case. The case is what commits it: a crash in between finds the
    case as it was, and the verdict's next delivery repeats the same idempotent writes to the same end.

    An operator's decision on who serves comes as a verdict of the judge's, so it is carried out like any other,
    and answered behind the case. ``hold`` needs no verdict; what can't be done is answered and changes nothing.
    """

    def __init__(
        self, contract: Contract, registry: ModelRegistry, cases: CaseStore, ledger: Ledger, telemetry: Telemetry
    ) -> None:
        """Take where aliases, case and decisions are kept."""
        self._contract = contract
        self._registry = registry
        self._cases = cases
        self._ledger = ledger
        self._telemetry = telemetry
        self._shown: CaseState | None = None

    def handle(self, records: Sequence[Record], now: datetime) -> list[Record]:
        """Carry out verdicts in the order they were given.

        Raises:
            TransientError: Somebody else wrote the case first.
        """
        promotions = [self._carry_out(record, now) for record in records if isinstance(record, CanaryVerdict)]
        return [promotion for promotion in promotions if promotion is not None]

    def restore(self, records: Sequence[Record], now: datetime) -> None:
        """Need no memory: what was carried out is in the case and in the registry."""

    def tick(self, now: datetime) -> list[Record]:
        """End a cooldown that is over, follow an operator who moved an alias during a canary, and answer others.

        Raises:
            TransientError: Somebody else wrote the case first.
        """
        case = self._cases.load()
        promotions: list[Record] = []
        if case.on_trial:
            promotions = self._follow_operator(case, self._registry.aliases(), now)
        elif case.state is CaseState.COOLDOWN and (case.cooldown_until is None or now >= case.cooldown_until):
            self._save(_rested(case, now))
        for decision in self._registry.decisions():
            self._hear(decision, now)
        self._show(self._cases.load(), now)
        return promotions

    def _carry_out(self, verdict: CanaryVerdict, now: datetime) -> Promotion | None:
        """Carry out one verdict; None for one that a closed case no longer asks for, or that only an operator may."""
        case, aliases = self._cases.load(), self._registry.aliases()
        if verdict.action is Action.ROLLBACK:
            promotion = self._roll_back(verdict, case, aliases, now)
        else:
            promotion = self._judged(verdict, case, aliases, now)
        if promotion is not None and verdict.actor != HOMEOSTAT:
            self._answer(promotion)
        return promotion

    def _judged(self, verdict: CanaryVerdict, case: Case, aliases: Aliases, now: datetime) -> Promotion | None:
        if case.request_id != verdict.request_id:
            return None
        verdict = still_true(verdict, aliases)
        if is_done(verdict, case, aliases):
            return promotion_of(verdict, aliases.champion)
        if not is_due(verdict, case):
            return None
        if verdict.action is Action.START:
            return self._start(verdict, case, aliases, now)
        manual = self._contract.canary.approval == "manual" and verdict.actor == HOMEOSTAT
        if manual and case.on_trial and verdict.action is Action.PROMOTE:
            self._wait(verdict, case, aliases, now)
            return None
        return self._close(verdict, case, aliases, now)

    def _start(self, verdict: CanaryVerdict, case: Case, aliases: Aliases, now: datetime) -> Promotion:
        self._record(verdict, aliases.champion, now)
        self._registry.set_alias("challenger", verdict.version)
        self._save(replace(case, state=CaseState.CANARY, challenger=verdict.version, since=now))
        return promotion_of(verdict, aliases.champion)

    def _wait(self, verdict: CanaryVerdict, case: Case, aliases: Aliases, now: datetime) -> None:
        """Leave a proven challenger in its canary until an operator has decided; later evidence replaces the first."""
        if case.state is CaseState.WAITING and case.reason == verdict.reason:
            return
        if case.state is not CaseState.WAITING:
            self._record(verdict, aliases.champion, now, CaseState.WAITING)
        self._tag(verdict, _WAITING)
        self._save(replace(case, state=CaseState.WAITING, reason=verdict.reason))

    def _close(self, verdict: CanaryVerdict, case: Case, aliases: Aliases, now: datetime) -> Promotion:
        champion = verdict.version if verdict.action is Action.PROMOTE else aliases.champion
        self._record(verdict, champion, now)
        if verdict.action is Action.PROMOTE and verdict.version != aliases.champion:
            self._registry.set_alias("previous", aliases.champion)
            self._registry.set_alias("champion", verdict.version)
        if aliases.challenger is not None:
            self._registry.set_alias("challenger", None)
        self._tag(verdict, _OUTCOMES[verdict.action])
        self._save(closed(case, verdict, champion, now, policy=self._contract.healing))
        return promotion_of(verdict, champion)

    def _roll_back(self, verdict: CanaryVerdict, case: Case, aliases: Aliases, now: datetime) -> Promotion | None:
        """Give the traffic back to ``previous``; a case that is open meanwhile rested on the bad champion, and ends."""
        begun = aliases.champion == aliases.previous and aliases.champion != verdict.version
        if aliases.previous is None or not (begun or aliases.champion == verdict.version):
            return None
        if begun and is_over(verdict, case):
            done = case.state is CaseState.COOLDOWN and case.request_id == verdict.request_id
            return promotion_of(verdict, aliases.champion) if done else None
        self._record(verdict, aliases.previous, now)
        self._registry.set_alias("champion", aliases.previous)
        if aliases.challenger is not None:
            self._registry.set_alias("challenger", None)
        self._tag(verdict, _OUTCOMES[verdict.action])
        ended = replace(case, request_id=verdict.request_id)  # a verdict on the case that ends here is void
        self._save(closed(ended, verdict, aliases.previous, now, policy=self._contract.healing))
        return promotion_of(verdict, aliases.previous)

    def _follow_operator(self, case: Case, aliases: Aliases, now: datetime) -> list[Record]:
        """Close a canary whose aliases somebody moved by hand in the registry."""
        if aliases.champion == case.challenger:
            action, reason = Action.PROMOTE, "champion was moved to the challenger in the registry"
        elif aliases.challenger != case.challenger:
            action, reason = Action.REJECT, "challenger was taken away in the registry"
        else:
            return []
        request_id = str(case.request_id)
        verdict_id = derived_id(request_id, action, case.challenger or "")  # the judge's would be the same
        verdict = CanaryVerdict(verdict_id, request_id, now, action, case.challenger, reason, actor="operator")
        before = self._champion_before(request_id)
        if action is Action.PROMOTE and before not in {None, aliases.previous}:
            self._registry.set_alias("previous", before)
        return [self._close(verdict, case, aliases, now)]

    def _champion_before(self, request_id: str) -> str | None:
        """Return who served when the canary of a case began, from the ledger."""
        starts = [entry.payload for entry in self._ledger.entries() if entry.kind == Action.START]
        champions = [payload["champion"] for payload in starts if payload["request_id"] == request_id]
        return str(champions[-1]) if champions and champions[-1] else None

    def _hear(self, decision: OperatorDecision, now: datetime) -> None:
        """Answer what can't be done, and hold a canary; the judge has still to say its part of the rest."""
        case = self._cases.load()
        wish = wish_of(decision)
        if wish is Wish.RETRAIN:  # the other half's
            return
        why_not = refusal(decision, case, self._registry.aliases())
        if why_not is not None:
            self._registry.answer(decision, f"{REFUSED}{why_not}")
        elif wish is Wish.HOLD:
            self._hold(decision, case, now)

    def _hold(self, decision: OperatorDecision, case: Case, now: datetime) -> None:
        request_id, version = str(case.request_id), str(case.challenger)
        if not case.held:
            payload = {"request_id": request_id, "version": version, "reason": said(decision)}
            self._ledger.append(derived_id(request_id, Wish.HOLD, version), now, Wish.HOLD, payload, actor_of(decision))
            self._telemetry.count(DECISIONS, product=self._contract.product, action=Wish.HOLD)
            self._save(replace(case, held=True))
        self._registry.answer(decision, f"{DONE}version {version} stays in its canary until it is approved or rejected")

    def _answer(self, promotion: Promotion) -> None:
        """Answer the operators who asked for what was done now."""
        for decision in self._registry.decisions():
            action = ACTIONS.get(wish_of(decision))
            if action is promotion.action and decision.version in {promotion.version, None}:
                self._registry.answer(decision, f"{DONE}{_told(promotion)}")

    def _record(
        self, verdict: CanaryVerdict, champion: str | None, now: datetime, kind: Action | CaseState | None = None
    ) -> None:
        """Write a verdict into the ledger, once, as what became of it: by itself what it asks for."""
        kind = kind or verdict.action
        payload = {
            "request_id": verdict.request_id,
            "version": verdict.version,
            "champion": champion,
            "reason": verdict.reason,
            "evidence": verdict.evidence,
        }
        entry_id = derived_id(verdict.verdict_id, "decision" if kind is verdict.action else kind)
        self._ledger.append(entry_id, now, kind.value, payload, verdict.actor)
        self._telemetry.count(DECISIONS, product=self._contract.product, action=kind.value)

    def _tag(self, verdict: CanaryVerdict, outcome: str) -> None:
        if verdict.version is not None:
            self._registry.tag(verdict.version, {OUTCOME_TAG: outcome, REASON_TAG: verdict.reason})

    def _save(self, case: Case) -> None:
        try:
            self._cases.save(case)
        except StaleCaseError as error:
            raise TransientError(f"the case was written meanwhile: {error}") from error

    def _show(self, case: Case, now: datetime) -> None:
        product = self._contract.product
        age_s = (now - case.since).total_seconds() if case.since else 0.0
        self._telemetry.gauge(CASE_AGE, max(0.0, age_s), product=product)
        if case.state is not self._shown:
            for one in CaseState:
                self._telemetry.gauge(CASE_STATE, float(one is case.state), product=product, state=one.value)
            self._shown = case.state


def _rested(case: Case, now: datetime) -> Case:
    """Return the case that follows one whose cooldown is over: all that is remembered is how healing went."""
    return Case(
        CaseState.STABLE,
        case.revision,
        since=now,
        trained_at=case.trained_at,
        unanswered=case.unanswered,
        fruitless=case.fruitless,
        fruitless_against=case.fruitless_against,
    )


def _told(promotion: Promotion) -> str:
    version, champion = promotion.version, promotion.champion
    if promotion.action is Action.PROMOTE:
        return f"version {version} was promoted and serves now"
    if promotion.action is Action.ROLLBACK:
        return f"version {version} was rolled back, version {champion} serves again"
    return f"version {version} was rejected, version {champion} goes on serving"
