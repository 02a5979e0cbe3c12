"""The healer's second half: carries verdicts out in the registry and closes cases."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from homeostat.contract.model import Contract
from homeostat.errors import StaleCaseError, TransientError
from homeostat.metric_names import CASE_STATE, DECISIONS
from homeostat.ports import Aliases, CaseStore, Ledger, ModelRegistry, Telemetry
from homeostat.records import Action, CanaryVerdict, Case, CaseState, Promotion, Record, derived_id

OUTCOME_TAG = "homeostat.outcome"
REASON_TAG = "homeostat.reason"


class PromoteStep:
    """Moves the registry's aliases, and only as the open case asks for.

    Order of every change: ledger, aliases, case. The case is what commits it: a crash in between finds the
    case as it was, and the verdict's next delivery repeats the same idempotent writes to the same end.
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
        """End a cooldown that is over, and follow an operator who moved an alias during a canary.

        Raises:
            TransientError: Somebody else wrote the case first.
        """
        case = self._cases.load()
        promotions: list[Record] = []
        if case.state is CaseState.CANARY:
            promotions = self._follow_operator(case, self._registry.aliases(), now)
        elif case.state is CaseState.COOLDOWN and (case.cooldown_until is None or now >= case.cooldown_until):
            stable = Case(CaseState.STABLE, case.revision, since=now, trained_at=case.trained_at)
            self._save(stable)
        self._show(self._cases.load().state)
        return promotions

    def _carry_out(self, verdict: CanaryVerdict, now: datetime) -> Promotion | None:
        """Carry out one verdict; None for one that a closed case no longer asks for."""
        case, aliases = self._cases.load(), self._registry.aliases()
        if verdict.action is Action.ROLLBACK:
            return self._roll_back(verdict, case, aliases, now)
        if case.request_id != verdict.request_id:
            return None
        verdict = _still_true(verdict, aliases)
        if _is_done(verdict, case, aliases):
            return _promotion(verdict, aliases.champion)
        if not _is_due(verdict, case):
            return None
        if verdict.action is Action.START:
            return self._start(verdict, case, aliases, now)
        return self._close(verdict, case, aliases, now)

    def _start(self, verdict: CanaryVerdict, case: Case, aliases: Aliases, now: datetime) -> Promotion:
        self._record(verdict, aliases.champion, now)
        self._registry.set_alias("challenger", verdict.version)
        self._save(replace(case, state=CaseState.CANARY, challenger=verdict.version, since=now))
        return _promotion(verdict, aliases.champion)

    def _close(
        self, verdict: CanaryVerdict, case: Case, aliases: Aliases, now: datetime, actor: str = "homeostat"
    ) -> Promotion:
        champion = verdict.version if verdict.action is Action.PROMOTE else aliases.champion
        self._record(verdict, champion, now, actor)
        if verdict.action is Action.PROMOTE and verdict.version != aliases.champion:
            self._registry.set_alias("previous", aliases.champion)
            self._registry.set_alias("champion", verdict.version)
        if aliases.challenger is not None:
            self._registry.set_alias("challenger", None)
        self._tag(verdict)
        self._save(self._cooling(case, verdict.reason, now))
        return _promotion(verdict, champion)

    def _roll_back(self, verdict: CanaryVerdict, case: Case, aliases: Aliases, now: datetime) -> Promotion | None:
        """Give the traffic back to ``previous``; a case that is open meanwhile rested on the bad champion, and ends."""
        begun = aliases.champion == aliases.previous and aliases.champion != verdict.version
        if aliases.previous is None or not (begun or aliases.champion == verdict.version):
            return None
        if begun and case.since is not None and case.since >= verdict.at:  # the case was written since: it is over
            said = case.state is CaseState.COOLDOWN and case.request_id == verdict.request_id
            return _promotion(verdict, aliases.champion) if said else None
        self._record(verdict, aliases.previous, now)
        self._registry.set_alias("champion", aliases.previous)
        if aliases.challenger is not None:
            self._registry.set_alias("challenger", None)
        self._tag(verdict)
        ended = replace(case, request_id=verdict.request_id)  # a verdict on the case that ends here is void
        self._save(self._cooling(ended, verdict.reason, now))
        return _promotion(verdict, aliases.previous)

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
        verdict = CanaryVerdict(verdict_id, request_id, now, action, case.challenger, reason)
        before = self._champion_before(request_id)
        if action is Action.PROMOTE and before not in {None, aliases.previous}:
            self._registry.set_alias("previous", before)
        return [self._close(verdict, case, aliases, now, actor="operator")]

    def _champion_before(self, request_id: str) -> str | None:
        """Return who served when the canary of a case began, from the ledger."""
        starts = [entry.payload for entry in self._ledger.entries() if entry.kind == Action.START]
        champions = [payload["champion"] for payload in starts if payload["request_id"] == request_id]
        return str(champions[-1]) if champions and champions[-1] else None

    def _record(self, verdict: CanaryVerdict, champion: str | None, now: datetime, actor: str = "homeostat") -> None:
        payload = {
            "request_id": verdict.request_id,
            "version": verdict.version,
            "champion": champion,
            "reason": verdict.reason,
            "evidence": verdict.evidence,
        }
        self._ledger.append(derived_id(verdict.verdict_id, "decision"), now, verdict.action.value, payload, actor)
        self._telemetry.count(DECISIONS, product=self._contract.product, action=verdict.action.value)

    def _tag(self, verdict: CanaryVerdict) -> None:
        done = {Action.PROMOTE: "promoted", Action.REJECT: "rejected", Action.ROLLBACK: "rolled_back"}
        if verdict.version is not None:
            self._registry.tag(verdict.version, {OUTCOME_TAG: done[verdict.action], REASON_TAG: verdict.reason})

    def _cooling(self, case: Case, reason: str, now: datetime) -> Case:
        until = now + self._contract.healing.cooldown
        return replace(case, state=CaseState.COOLDOWN, challenger=None, since=now, cooldown_until=until, reason=reason)

    def _save(self, case: Case) -> None:
        try:
            self._cases.save(case)
        except StaleCaseError as error:
            raise TransientError(f"the case was written meanwhile: {error}") from error

    def _show(self, state: CaseState) -> None:
        if state is not self._shown:
            for one in CaseState:
                self._telemetry.gauge(CASE_STATE, float(one is state), product=self._contract.product, state=one.value)
            self._shown = state


def _still_true(verdict: CanaryVerdict, aliases: Aliases) -> CanaryVerdict:
    """Return the verdict, turned into a rejection where it was won against a champion that serves no more."""
    against = verdict.evidence.get("champion")
    if verdict.action is not Action.PROMOTE or aliases.champion in {against, verdict.version}:
        return verdict
    reason = f"judged against champion {against}, but {aliases.champion} serves now"
    verdict_id = derived_id(verdict.request_id, Action.REJECT, verdict.version or "")
    return replace(verdict, verdict_id=verdict_id, action=Action.REJECT, reason=reason)


def _is_due(verdict: CanaryVerdict, case: Case) -> bool:
    """Return whether the open case is waiting for this verdict."""
    if case.state is CaseState.TRAINING:
        return True
    return case.state is CaseState.CANARY and verdict.action is not Action.START and verdict.version == case.challenger


def _is_done(verdict: CanaryVerdict, case: Case, aliases: Aliases) -> bool:
    """Return whether this verdict was carried out before, so that its promotion is only said again."""
    if verdict.action is Action.START:
        return case.state in {CaseState.CANARY, CaseState.COOLDOWN}
    served = aliases.champion == verdict.version and verdict.version is not None
    return case.state is CaseState.COOLDOWN and served == (verdict.action is Action.PROMOTE)


def _promotion(verdict: CanaryVerdict, champion: str | None) -> Promotion:
    promotion_id = derived_id(verdict.verdict_id, "promotion")
    return Promotion(
        promotion_id, verdict.request_id, verdict.at, verdict.action, verdict.version, champion, verdict.reason
    )
