"""What an operator may ask for, who asked, and why it can't be done: pure."""

import re
from difflib import get_close_matches
from enum import StrEnum

from homeostat.ports import Aliases, OperatorDecision
from homeostat.records import Action, Case, Promotion

DONE, REFUSED = "done: ", "refused: "
"""How an answer begins."""

_SPOKEN = re.compile(r"\s*(?P<word>\w+)(\s+by\s+(?P<by>[^:]+))?(\s*:\s*(?P<reason>.*))?\s*", re.DOTALL | re.IGNORECASE)
_LONGEST_NAME = 100
_MOST_CHARACTERS = 1_000  # of an operator's reason that travel into verdicts and the ledger


class Wish(StrEnum):
    """The words an operator may set."""

    APPROVE = "approve"
    REJECT = "reject"
    HOLD = "hold"
    ROLLBACK = "rollback"
    RETRAIN = "retrain"


ACTIONS: dict[Wish | None, Action] = {
    Wish.APPROVE: Action.PROMOTE,
    Wish.REJECT: Action.REJECT,
    Wish.ROLLBACK: Action.ROLLBACK,
}
"""Wishes about who serves: the judge puts them into verdicts, with the evidence so far."""

_SAID = {
    Wish.APPROVE: "approved",
    Wish.REJECT: "rejected",
    Wish.HOLD: "held",
    Wish.ROLLBACK: "rolled back",
    Wish.RETRAIN: "a training was asked for",
}


def wish_of(decision: OperatorDecision) -> Wish | None:
    """Return the word of a decision, None for one that is not known; case and blanks don't matter.

    A person before the registry's page may put all into the one tag: ``approve by ann: looks fine``.

    >>> wish_of(OperatorDecision("3", " Approve by ann: looks fine"))
    <Wish.APPROVE: 'approve'>
    """
    word = _part(decision, "word").lower()
    return next((wish for wish in Wish if wish == word), None)


def concerned(wish: Wish, aliases: Aliases) -> str | None:
    """Return the version that a wish is about where none is named: who serves, or who is to; None for nobody."""
    return aliases.champion if wish in {Wish.ROLLBACK, Wish.RETRAIN} else aliases.challenger


def _part(decision: OperatorDecision, name: str) -> str:
    found = _SPOKEN.fullmatch(decision.action)
    return (found and found[name]) or ""


def actor_of(decision: OperatorDecision) -> str:
    """Return who asked, as the ledger names actors.

    >>> actor_of(OperatorDecision("3", "approve", " ann ")), actor_of(OperatorDecision("3", "approve"))
    ('operator:ann', 'operator')
    """
    return named(_by(decision))


def named(name: str | None) -> str:
    """Return an operator as the ledger names actors, with a name where one is known."""
    return f"operator:{name}" if name else "operator"


def _by(decision: OperatorDecision) -> str:
    return (_part(decision, "by") or decision.by or "").strip()[:_LONGEST_NAME]


def said(decision: OperatorDecision) -> str:
    """Return who wished what and why, in words.

    >>> said(OperatorDecision("3", "approve", "ann", "looks fine"))
    'approved by ann: looks fine'
    """
    wish, by = wish_of(decision), _by(decision) or "an operator"
    reason = (decision.reason or _part(decision, "reason")).strip()[:_MOST_CHARACTERS]
    what = _SAID[wish] if wish else f"'{decision.action}'"
    return f"{what} by {by}: {reason}" if reason else f"{what} by {by}"


def told(promotion: Promotion) -> str:
    """Return what was carried out, in words."""
    version, champion = promotion.version, promotion.champion
    if promotion.action is Action.PROMOTE:
        return f"version {version} was promoted and serves now"
    if promotion.action is Action.ROLLBACK:
        return f"version {version} was rolled back, version {champion} serves again"
    return f"version {version} was rejected, version {champion} goes on serving"


def refusal(decision: OperatorDecision, case: Case, aliases: Aliases) -> str | None:
    """Return why a decision can't be carried out now, None when it can; ``retrain`` is the budget's to refuse too."""
    wish = wish_of(decision)
    if wish is None:
        return _unknown(decision.action)
    if wish is Wish.RETRAIN:
        return _no_training(case)
    if wish is Wish.ROLLBACK:
        return _no_rollback(decision.version, aliases)
    return _no_canary(wish, decision.version, case, aliases)


def _unknown(word: str) -> str:
    nearest = get_close_matches(word.strip().lower(), list(Wish), n=1, cutoff=0.0)
    meant = f"; did you mean '{nearest[0]}'?" if nearest else ""
    return f"'{word.strip()[:40]}' is no decision: expected one of {', '.join(Wish)}{meant}"


def _no_training(case: Case) -> str | None:
    if case.on_trial:
        return f"case {case.request_id} is open: approve or reject version {case.challenger} in its canary first"
    if case.is_open:
        return f"case {case.request_id} is open: a training is under way"
    return None


def _no_rollback(version: str | None, aliases: Aliases) -> str | None:
    if aliases.champion is None:
        return "no version serves: there is nothing to roll back"
    if version not in {None, aliases.champion}:
        return f"version {version} does not serve: set rollback on the champion, version {aliases.champion}"
    if aliases.previous is None:
        return f"version {aliases.champion} replaced nobody: there is no previous version to go back to"
    if aliases.previous == aliases.champion:
        return f"version {aliases.champion} is the previous version itself: the way back was taken already"
    return None


def _no_canary(wish: Wish, version: str | None, case: Case, aliases: Aliases) -> str | None:
    if not case.on_trial or case.challenger != aliases.challenger:
        if version is not None and version == aliases.champion:
            return f"version {version} serves already: there is no challenger to {wish}"
        never = f"version {version} is not in a canary" if version else "there is no canary"
        return f"{never}: only a challenger that is being validated on live traffic can be {_SAID[wish]}"
    if version is None:
        return f"name the version: set {wish} on the challenger, version {case.challenger}"
    if version != case.challenger:
        return f"version {version} is not the challenger: version {case.challenger} is"
    return None
