"""The healer's second half: carries verdicts out in the registry, closes cases, and answers operators."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from homeostat.contract.model import Contract
from homeostat.healing.alias_watch import AliasWatch, save
from homeostat.healing.answering import OperatorAnswers
from homeostat.healing.by_hand import is_overtaken, is_revoked
from homeostat.healing.closing import (
    SERVING,
    SHARE,
    afresh,
    approval_due,
    as_left,
    begun_in,
    closed,
    entry_of,
    is_done,
    is_due,
    overdue,
    promotion_in,
    promotion_of,
    rested,
    still_true,
)
from homeostat.healing.envelope import outside
from homeostat.healing.outcomes import OUTCOMES, tell, tell_it_waits
from homeostat.metric_names import APPROVAL_DUE, APPROVAL_SINCE, CASE_SINCE, CASE_STATE, DECISIONS
from homeostat.ports import Aliases, CaseStore, Ledger, ModelRegistry, Telemetry
from homeostat.records import HOMEOSTAT, Action, CanaryVerdict, Case, CaseState, Promotion, Record, derived_id


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
        self._watch = AliasWatch(contract.product, registry, cases, ledger, telemetry)
        self._answers = OperatorAnswers(contract.product, registry, cases, ledger, telemetry)
        self._shown: CaseState | None = None
        self._is_unsaid = True  # what was done last, perhaps

    def handle(self, records: Sequence[Record], now: datetime) -> list[Record]:
        """Carry out verdicts in the order they were given.

        Raises:
            TransientError: Somebody else wrote the case first.
        """
        promotions: list[Record] = []
        is_unsaid = self._pick_up(now)
        for record in records:
            if isinstance(record, CanaryVerdict):
                promotions += self._carry_out_unless_overtaken(record, now)
        self._is_unsaid = is_unsaid
        return promotions

    def restore(self, records: Sequence[Record], now: datetime) -> None:
        """Need no memory: what was carried out is in the case and in the registry."""

    def tick(self, now: datetime) -> list[Record]:
        """Follow operators who moved an alias, end a cooldown that is over, and answer other operators.

        Raises:
            TransientError: Somebody else wrote the case first.
        """
        promotions = self._said_before() if self._pick_up(now) else []
        promotions += [*self._end_wait(now), *self._follow_by_hand(now)]
        case = self._cases.load()
        if case.state is CaseState.COOLDOWN and (case.cooldown_until is None or now >= case.cooldown_until):
            case = save(self._cases, rested(case, now))
        for decision in self._registry.decisions():
            case = self._answers.hear(decision, case, now)
        self._show(case, now)
        self._is_unsaid = False
        return promotions

    def _pick_up(self, now: datetime) -> bool:
        """Bring to its end what was begun, and return whether it may be unsaid, as all is until a round has ended."""
        is_unsaid, self._is_unsaid = self._is_unsaid, True
        if is_unsaid:
            case = self._cases.load()
            if (begun := begun_in(self._ledger.entries(), case)) is not None:
                self._end(begun, case, as_left(begun, case, self._registry.aliases()), now)
        return is_unsaid

    def _carry_out_unless_overtaken(self, verdict: CanaryVerdict, now: datetime) -> list[Record]:
        """Carry out one verdict after what people have decided since it was given, and not against that.

        The registry is looked at once: each question takes a server some time, in which a bad model goes on answering.
        """
        followed: list[Record] = []
        case, aliases = self._cases.load(), self._registry.aliases()
        if is_overtaken(verdict, case, aliases):
            followed = self._follow_by_hand(now)
            case, aliases = self._cases.load(), self._registry.aliases()
        if self._is_revoked(verdict, case, aliases):
            return followed
        promotion = self._carry_out(verdict, case, aliases, now)
        return [*followed, promotion] if promotion else followed

    def _is_revoked(self, verdict: CanaryVerdict, case: Case, aliases: Aliases) -> bool:
        """Return whether an open tag says otherwise; what the ledger has already is brought to its end."""
        if not is_revoked(verdict, case, aliases, self._registry.decisions):
            return False
        return all(entry.entry_id != entry_of(verdict) for entry in self._ledger.entries())

    def _carry_out(self, verdict: CanaryVerdict, case: Case, aliases: Aliases, now: datetime) -> Promotion | None:
        """Carry out one verdict; None for one that a closed case no longer asks for, or that only an operator may."""
        if verdict.action is Action.ROLLBACK:
            promotion = self._roll_back(verdict, case, aliases, now)
        else:
            promotion = self._judged(verdict, case, aliases, now)
        if promotion is not None and verdict.actor != HOMEOSTAT:
            self._answers.answer(promotion)
        return promotion

    def _judged(self, verdict: CanaryVerdict, case: Case, aliases: Aliases, now: datetime) -> Promotion | None:
        if case.request_id != verdict.request_id:
            return None
        verdict = afresh(still_true(verdict, aliases), self._ledger.entries)
        if is_done(verdict, case, aliases):
            return promotion_of(verdict, aliases.champion)
        if not is_due(verdict, case):
            return None
        if verdict.action in {Action.START, Action.STEP}:
            return self._give_traffic(verdict, case, aliases, now)
        if (why := self._waits_for(verdict, case)) is not None:
            self._wait(replace(verdict, reason=f"{verdict.reason}; {why}"), case, aliases, now)
            return None
        return self._close(verdict, case, aliases, now)

    def _waits_for(self, verdict: CanaryVerdict, case: Case) -> str | None:
        """Return why an operator has to approve of a verdict, None where nobody has to."""
        if verdict.actor != HOMEOSTAT or verdict.action is not Action.PROMOTE or not case.on_trial:
            return None
        if self._contract.canary.approval == "automatic":
            return None
        return outside(self._contract, self._registry.load(str(verdict.version)), verdict.evidence)

    def _give_traffic(self, verdict: CanaryVerdict, case: Case, aliases: Aliases, now: datetime) -> Promotion:
        """Give a challenger its first share of the traffic, or a greater one."""
        self._record(verdict, aliases.champion, now)
        share = self._share(verdict)
        if case.champion is None:  # it served before the case knew of such things
            case = replace(case, champion=aliases.champion, previous=aliases.previous)
        case = replace(case, share=share, share_since=now)
        if verdict.action is Action.START:
            case = replace(case, state=CaseState.CANARY, challenger=verdict.version, since=now)
        self._watch.vouch(case, aliases)
        self._registry.set_alias("challenger", verdict.version, share)
        save(self._cases, case)
        return promotion_of(verdict, aliases.champion)

    def _share(self, verdict: CanaryVerdict) -> float:
        return float(verdict.evidence.get(SHARE, self._contract.canary.climb[0]))

    def _wait(self, verdict: CanaryVerdict, case: Case, aliases: Aliases, now: datetime) -> None:
        """Leave a proven challenger in its canary until an operator has decided; later evidence replaces the first."""
        if case.state is CaseState.WAITING and case.reason == verdict.reason:
            return
        if case.state is not CaseState.WAITING:
            self._record(verdict, aliases.champion, now, CaseState.WAITING)
        tell_it_waits(self._registry, verdict)
        since = case.waiting_since or now
        save(self._cases, replace(case, state=CaseState.WAITING, reason=verdict.reason, waiting_since=since))

    def _end(self, verdict: CanaryVerdict, case: Case, aliases: Aliases, now: datetime) -> Promotion | None:
        """Carry out what was decided already, by a person or by the ledger."""
        carry_out = self._roll_back if verdict.action is Action.ROLLBACK else self._close
        return carry_out(verdict, case, aliases, now)

    def _close(self, verdict: CanaryVerdict, case: Case, aliases: Aliases, now: datetime) -> Promotion:
        champion = verdict.version if verdict.action is Action.PROMOTE else aliases.champion
        self._record(verdict, champion, now)
        if verdict.action is Action.PROMOTE:
            case = self._serve(verdict, case, aliases, now)
        if aliases.challenger is not None:
            self._registry.set_alias("challenger", None)
        tell(self._registry, verdict, champion, now)
        ended = replace(case, request_id=verdict.request_id)  # a verdict on a case that ends by hand is void
        save(self._cases, closed(ended, verdict, champion, now, policy=self._contract.healing))
        return promotion_of(verdict, champion)

    def _serve(self, verdict: CanaryVerdict, case: Case, aliases: Aliases, now: datetime) -> Case:
        """Point ``champion`` to a version, the way back first, and return the case that knows."""
        version = str(verdict.version)
        before = case.champion or (aliases.champion if aliases.champion != version else aliases.previous)
        case = replace(case, champion=version, serving_entry=entry_of(verdict), serving_since=now)
        if before != version:
            case = replace(case, previous=before)
        self._watch.vouch(case, aliases)
        if before not in {version, aliases.previous}:
            self._registry.set_alias("previous", before)
        if aliases.champion != version:
            self._registry.set_alias("champion", version)
        return case

    def _roll_back(self, verdict: CanaryVerdict, case: Case, aliases: Aliases, now: datetime) -> Promotion | None:
        """Give the traffic back to ``previous``; a case that is open meanwhile rested on the bad champion, and ends.

        The case knows who serves since when, wherever a person has moved the aliases meanwhile.
        """
        entry_id = entry_of(verdict)
        if case.serving_entry == entry_id:
            return promotion_of(verdict, case.champion)
        champion, previous = (case.champion, case.previous) if case.champion else (verdict.version, aliases.previous)
        is_on_this_time = verdict.evidence.get(SERVING) == case.serving_entry and verdict.version == champion
        if not is_on_this_time or previous in {None, champion} or aliases.champion not in {champion, previous}:
            return None
        self._record(verdict, previous, now)
        if aliases.champion != previous:
            self._registry.set_alias("champion", previous)
        if aliases.challenger is not None:
            self._registry.set_alias("challenger", None)
        tell(self._registry, verdict, previous, now)
        back = replace(case, champion=previous, previous=previous, serving_entry=entry_id, serving_since=now)
        ended = replace(back, request_id=verdict.request_id)
        save(self._cases, closed(ended, verdict, previous, now, policy=self._contract.healing))
        return promotion_of(verdict, previous)

    def _follow_by_hand(self, now: datetime) -> list[Record]:
        """Carry out what people meant who moved aliases in the registry, until the aliases are as they should be."""
        promotions: list[Record] = []
        while (found := self._watch.look(now)) is not None:
            if (done := self._end(found, self._cases.load(), self._registry.aliases(), now)) is None:
                break
            promotions.append(done)
        return promotions

    def _end_wait(self, now: datetime) -> list[Record]:
        """Reject a proven challenger that nobody has approved by its deadline; one that is held has none."""
        verdict = overdue(self._cases.load(), self._contract.canary.approval_deadline, now)
        return self._carry_out_unless_overtaken(verdict, now) if verdict else []

    def _said_before(self) -> list[Record]:
        """Return what was done last: the process, or the round, that did it may have ended before it said so."""
        last = next((entry for entry in reversed(self._ledger.entries()) if entry.kind in OUTCOMES), None)
        return [promotion_in(last)] if last and "verdict_id" in last.payload else []

    def _record(
        self, verdict: CanaryVerdict, champion: str | None, now: datetime, kind: Action | CaseState | None = None
    ) -> None:
        """Write a verdict into the ledger, once, as what became of it: by itself what it asks for."""
        kind = kind or verdict.action
        payload: dict[str, Any] = {
            "request_id": verdict.request_id,
            "verdict_id": verdict.verdict_id,
            "version": verdict.version,
            "champion": champion,
            "reason": verdict.reason,
            "evidence": verdict.evidence,
        }
        if kind in {Action.START, Action.STEP}:
            payload["share"] = self._share(verdict)
        entry_id = derived_id(verdict.verdict_id, "decision" if kind is verdict.action else kind)
        self._ledger.append(entry_id, now, kind.value, payload, verdict.actor)
        self._telemetry.count(DECISIONS, product=self._contract.product, action=kind.value)

    def _show(self, case: Case, now: datetime) -> None:
        product = self._contract.product
        if case.since is not None:
            self._telemetry.timestamp(CASE_SINCE, case.since, now, product=product)
        self._telemetry.timestamp(APPROVAL_SINCE, case.waiting_since, now, product=product)
        due = approval_due(case, self._contract.canary.approval_deadline)
        self._telemetry.timestamp(APPROVAL_DUE, due, now, product=product)
        if case.state is not self._shown:
            for one in CaseState:
                self._telemetry.gauge(CASE_STATE, float(one is case.state), product=product, state=one.value)
            self._shown = case.state
