"""What a person means who moves an alias in the registry: pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from homeostat.healing.closing import GUARDRAIL, MOVED, SERVING
from homeostat.healing.operator import ACTIONS, Wish, refusal, wish_of
from homeostat.ports import Aliases, OperatorDecision
from homeostat.records import HOMEOSTAT, Action, CanaryVerdict, Case, CaseState, derived_id

_MORE_TRAFFIC = frozenset({Action.STEP, Action.PROMOTE})  # for the challenger


@dataclass(frozen=True, slots=True)
class Misplaced:
    """An alias that a person put where it can't stay."""

    alias: str
    version: str | None  # where it is
    rightful: str | None  # where it belongs
    reason: str


def moved_by_hand(
    case: Case, aliases: Aliases, now: datetime, is_validated: Callable[[str], bool]
) -> CanaryVerdict | Misplaced | None:
    """Return what a person decided by moving an alias since the last decision, None where nobody has.

    ``champion`` on the challenger or on another version that was validated once is a promotion, on the previous one
    a rollback; ``challenger`` taken away is a rejection. Everything else has to be put back.

    Args:
        case: What the last decision left behind.
        aliases: What is.
        now: When it was seen.
        is_validated: Says of a version whether it has passed the offline gates, asked where that matters.
    """
    if aliases.champion != case.champion:
        return _champion(case, aliases.champion, now, is_validated)
    if case.on_trial and aliases.challenger != case.challenger:
        reason = "challenger was taken away in the registry"
        return _verdict(case, Action.REJECT, case.challenger, reason, now)
    if not case.on_trial and aliases.challenger is not None:
        why = "only a candidate that a training brought forth is tried on live traffic: set the tag to retrain instead"
        return Misplaced("challenger", aliases.challenger, None, why)
    if aliases.previous != case.previous:
        why = f"previous is the way back from version {case.champion}: it is kept by the loop itself"
        return Misplaced("previous", aliases.previous, case.previous, why)
    return None


def incumbent(case: Case, aliases: Aliases) -> str | None:
    """Return who serves, None for nobody yet: one whose alias was taken away is put back, and is no cold start."""
    return aliases.champion or case.champion


def is_overtaken(verdict: CanaryVerdict, case: Case, aliases: Aliases) -> bool:
    """Return whether a person has moved an alias since a verdict was given, and means something else by it.

    Neither the last decision nor this one put ``champion`` there, or the challenger that was found to be worth
    more traffic was taken away.
    """
    is_gone = aliases.champion == case.champion and aliases.challenger != case.challenger
    if is_gone and case.state is CaseState.CANARY:
        return verdict.actor == HOMEOSTAT and verdict.action in {Action.STEP, Action.PROMOTE}
    expected = {case.champion}
    if verdict.action is Action.PROMOTE:
        expected.add(verdict.version)
    if verdict.action is Action.ROLLBACK:
        expected.add(case.previous)
    return case.champion is not None and aliases.champion not in expected


def is_revoked(
    verdict: CanaryVerdict, case: Case, aliases: Aliases, decisions: Callable[[], Iterable[OperatorDecision]]
) -> bool:
    """Return whether an open decision of a person's, that can be carried out, wants otherwise than the loop's verdict.

    More traffic gives way to ``reject`` and ``rollback``, less of it to ``approve``, and all that is not a broken
    guardrail to ``hold``. A training's own verdict is about no canary yet, and gives way to nobody.

    Args:
        verdict: The loop's, or a person's, which gives way to nobody.
        case: What the last decision left behind.
        aliases: What is.
        decisions: Asks for the open ones, where that matters.
    """
    if verdict.actor != HOMEOSTAT or not case.on_trial or verdict.action is Action.START:
        return False
    possible = {wish_of(one) for one in decisions() if refusal(one, case, aliases) is None}
    if Wish.HOLD in possible and verdict.action is not Action.ROLLBACK and GUARDRAIL not in verdict.evidence:
        return True
    is_more = verdict.action in _MORE_TRAFFIC
    return any(is_more != (ACTIONS[wish] in _MORE_TRAFFIC) for wish in possible & ACTIONS.keys())


def _champion(
    case: Case, version: str | None, now: datetime, is_validated: Callable[[str], bool]
) -> CanaryVerdict | Misplaced:
    if version is None:
        why = "somebody has to serve: move champion onto another version instead of taking it away"
        return Misplaced("champion", None, case.champion, why)
    if case.on_trial and version == case.challenger:
        reason = "champion was moved to the challenger in the registry"
        return _verdict(case, Action.PROMOTE, version, reason, now)
    if version == case.previous:
        reason = f"champion was moved back to version {version} in the registry"
        return _verdict(case, Action.ROLLBACK, case.champion, reason, now)
    if is_validated(version):
        reason = "champion was moved to a version validated before in the registry"
        return _verdict(case, Action.PROMOTE, version, reason, now)
    why = (
        f"version {version} was never validated: it has passed no offline gate, version {case.champion} goes on serving"
    )
    return Misplaced("champion", version, case.champion, why)


def _verdict(case: Case, action: Action, version: str | None, reason: str, now: datetime) -> CanaryVerdict:
    """Return an operator's verdict; one that is not on the open case ends that as well, for it rested on another."""
    if case.on_trial and version == case.challenger:
        request_id = str(case.request_id)
        verdict_id = derived_id(request_id, action, version or "")  # the judge's would be the same
    else:
        request_id = derived_id("by hand", action, version or "", case.serving_entry or "")
        verdict_id = request_id
    moved = "challenger" if action is Action.REJECT else "champion"
    evidence = {"champion": case.champion, SERVING: case.serving_entry, MOVED: moved}
    return CanaryVerdict(verdict_id, request_id, now, action, version, reason, evidence, actor="operator")
