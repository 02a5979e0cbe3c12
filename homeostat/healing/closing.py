"""How a verdict moves a case: pure, so that the same verdict delivered twice moves it once."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from homeostat.contract.durations import written
from homeostat.contract.policies import HealingPolicy
from homeostat.ports import Aliases, LedgerEntry
from homeostat.records import HOMEOSTAT, Action, CanaryVerdict, Case, CaseState, Promotion, derived_id

GUARDRAIL = "guardrail"
"""Key in a verdict's evidence: a limit that needs no comparison was broken."""

SERVING = "serving_entry"
"""Key in a verdict's evidence on who serves: the ledger's entry by which the champion had begun to at the look.

A version may be rolled back, brought back by hand and rolled back again: what was said of the first time is not
about the second.
"""

MOVED = "moved_alias"
"""Key in a person's verdict's evidence: the alias that says so, and so was moved before the verdict."""

SHARE = "next_share"
"""Key in a verdict's evidence: what share of entities a challenger is to answer."""

_MOST_BACK_OFF = 8.0  # times the cooldown


def still_true(verdict: CanaryVerdict, aliases: Aliases) -> CanaryVerdict:
    """Return the verdict, turned into a rejection where it was won against a champion that serves no more.

    An operator's word does not rest on who it was won against.
    """
    against = verdict.evidence.get("champion")
    if verdict.action is not Action.PROMOTE or verdict.actor != HOMEOSTAT:
        return verdict
    if aliases.champion in {against, verdict.version}:
        return verdict
    reason = f"judged against champion {against}, but {aliases.champion} serves now"
    verdict_id = verdict_id_of(verdict.request_id, Action.REJECT, verdict.version, verdict.evidence)
    return replace(verdict, verdict_id=verdict_id, action=Action.REJECT, reason=reason)


def afresh(verdict: CanaryVerdict, entries: Callable[[], Iterable[LedgerEntry]]) -> CanaryVerdict:
    """Return the verdict, turned into a rejection where the same recipe, learnt from the same rows, was rolled back.

    Args:
        verdict: On a candidate; only a start reads the ledger.
        entries: Reads the ledger.
    """
    made_of = _made_of(verdict.evidence)
    if verdict.action is not Action.START or made_of is None:
        return verdict
    tried: set[str] = set()
    for entry in entries():
        is_other = entry.payload.get("version") != verdict.version  # a start told again is about no second trial
        if entry.kind == Action.START and is_other and _made_of(entry.payload["evidence"]) == made_of:
            tried.add(entry.payload["version"])
        if entry.kind == Action.ROLLBACK and entry.payload["version"] in tried:
            reason = f"the same as version {entry.payload['version']}, which was rolled back: no row is new since"
            verdict_id = verdict_id_of(verdict.request_id, Action.REJECT, verdict.version, verdict.evidence)
            return replace(verdict, verdict_id=verdict_id, action=Action.REJECT, reason=reason)
    return verdict


def _made_of(evidence: Mapping[str, Any]) -> tuple[Any, Any] | None:
    """Return the recipe and the rows of a candidate, as its training's receipt has them."""
    receipt = evidence.get("receipt") or {}
    return (receipt["recipe"], receipt["data_span"]) if {"recipe", "data_span"} <= receipt.keys() else None


def begun_in(entries: Iterable[LedgerEntry], case: Case) -> CanaryVerdict | None:
    """Return the verdict that the ledger has and the case does not: whoever carried it out died in between.

    Who serves is in the case by its entry; a rejection ends the canary that it is about.
    """
    later = takewhile(lambda entry: entry.entry_id != case.serving_entry, reversed(list(entries)))
    for entry in later:
        is_open = case.on_trial and entry.payload.get("request_id") == case.request_id
        if entry.kind in {Action.PROMOTE, Action.ROLLBACK} or (entry.kind == Action.REJECT and is_open):
            return verdict_in(entry)
    return None


def as_left(verdict: CanaryVerdict, case: Case, aliases: Aliases) -> Aliases:
    """Return the aliases as the process left them that died while it carried a verdict out.

    ``champion`` had been moved, and a person has moved it since, where that was what the verdict was found by, where
    a promotion has taken ``challenger`` away, which comes behind, or where nobody else would have put it.
    """
    put = {Action.PROMOTE: verdict.version, Action.ROLLBACK: case.previous}.get(verdict.action)
    is_past = verdict.action is Action.PROMOTE and case.on_trial and aliases.challenger is None
    if put is not None and (MOVED in verdict.evidence or is_past or aliases.champion not in {case.champion, put}):
        return replace(aliases, champion=put)
    return aliases


def is_due(verdict: CanaryVerdict, case: Case) -> bool:
    """Return whether the open case is waiting for this verdict."""
    if case.state is CaseState.TRAINING:
        return verdict.action is not Action.STEP
    if not case.on_trial or verdict.action is Action.START or verdict.version != case.challenger:
        return False
    return not case.held or verdict.actor != HOMEOSTAT or GUARDRAIL in verdict.evidence


def is_done(verdict: CanaryVerdict, case: Case, aliases: Aliases) -> bool:
    """Return whether this verdict was carried out before, so that its promotion is only said again."""
    if verdict.action is Action.STEP:
        return case.on_trial and case.challenger == verdict.version and verdict.evidence[SHARE] <= (case.share or 0)
    if verdict.action is Action.START:
        return case.on_trial or case.state is CaseState.COOLDOWN
    served = aliases.champion == verdict.version and verdict.version is not None
    return case.state is CaseState.COOLDOWN and served == (verdict.action is Action.PROMOTE)


def approval_due(case: Case, deadline: timedelta | None) -> datetime | None:
    """Return when a proven challenger that nobody approves is rejected, None for never: one that is held has time.

    Args:
        case: The case.
        deadline: How long to wait for an approval, None for ever.
    """
    if deadline is None or case.waiting_since is None or case.held:
        return None
    return case.waiting_since + deadline


def overdue(case: Case, deadline: timedelta | None, now: datetime) -> CanaryVerdict | None:
    """Return the rejection of a proven challenger that nobody has approved in time, None before that."""
    due = approval_due(case, deadline)
    if deadline is None or due is None or now < due:
        return None
    reason = f"nobody approved it within {written(deadline)}: {case.reason}"
    request_id, version = str(case.request_id), case.challenger
    verdict_id = derived_id(request_id, Action.REJECT, version or "")
    return CanaryVerdict(verdict_id, request_id, now, Action.REJECT, version, reason, {"deadline": deadline})


def verdict_id_of(request_id: str, action: Action, version: str | None, evidence: Mapping[str, Any]) -> str:
    """Return a verdict's id: a request has one of each kind on a version, a rollback for each time it serves.

    A step has one for each share.
    """
    which = {Action.ROLLBACK: SERVING, Action.STEP: SHARE}.get(action)
    this_time = (str(evidence.get(which)),) if which else ()
    return derived_id(request_id, action, version or "", *this_time)


def entry_of(verdict: CanaryVerdict) -> str:
    """Return the id of the ledger's entry on what a verdict asks for."""
    return derived_id(verdict.verdict_id, "decision")


def promotion_of(verdict: CanaryVerdict, champion: str | None) -> Promotion:
    """Return what a verdict came to, with who serves after it."""
    promotion_id = derived_id(verdict.verdict_id, "promotion")
    return Promotion(
        promotion_id, verdict.request_id, verdict.at, verdict.action, verdict.version, champion, verdict.reason
    )


def promotion_in(entry: LedgerEntry) -> Promotion:
    """Return what a verdict came to by the ledger's entry on it."""
    said = entry.payload
    promotion_id = derived_id(said["verdict_id"], "promotion")
    action = Action(entry.kind)
    return Promotion(
        promotion_id, said["request_id"], entry.at, action, said["version"], said["champion"], said["reason"]
    )


def verdict_in(entry: LedgerEntry) -> CanaryVerdict:
    """Return the verdict that the ledger's entry is about."""
    said = entry.payload
    verdict_id, request_id, reason, evidence = (said[key] for key in ("verdict_id", "request_id", "reason", "evidence"))
    action = Action(entry.kind)
    return CanaryVerdict(verdict_id, request_id, entry.at, action, said["version"], reason, evidence, entry.actor)


def closed(case: Case, verdict: CanaryVerdict, champion: str | None, now: datetime, *, policy: HealingPolicy) -> Case:
    """Return the case as it cools down after a verdict.

    Args:
        case: The case that ends.
        verdict: What ends it.
        champion: Who serves after it.
        now: When.
        policy: How long to cool down.
    """
    fruitless = 0
    if verdict.action is Action.REJECT and champion is not None:
        fruitless = 1 + (case.fruitless if case.fruitless_against == champion else 0)
    return replace(
        case,
        state=CaseState.COOLDOWN,
        challenger=None,
        since=now,
        cooldown_until=now + policy.cooldown * back_off(policy, fruitless),
        reason=verdict.reason,
        held=False,
        waiting_since=None,
        fruitless=fruitless,
        fruitless_against=champion if fruitless else None,
    )


def back_off(policy: HealingPolicy, fruitless: int) -> float:
    """Return how many times the cooldown to wait after so many fruitless cases in a row.

    A drift that no training can heal would else be trained against once a cooldown until the budget is spent.

    >>> [back_off(HealingPolicy(backoff=2.0), fruitless) for fruitless in range(7)]
    [1.0, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    """
    doublings = min(max(fruitless - 1, 0), 64)  # a float holds 4 to the 64th
    return float(min(policy.backoff**doublings, _MOST_BACK_OFF))


def rested(case: Case, now: datetime) -> Case:
    """Return the case that follows one whose cooldown is over: all that is remembered is how healing went."""
    return Case(
        CaseState.STABLE,
        case.revision,
        since=now,
        trained_at=case.trained_at,
        unanswered=case.unanswered,
        fruitless=case.fruitless,
        fruitless_against=case.fruitless_against,
        champion=case.champion,
        previous=case.previous,
        serving_entry=case.serving_entry,
        serving_since=case.serving_since,
    )
