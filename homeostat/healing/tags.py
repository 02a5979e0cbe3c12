"""The tags by which operators, the healer and those who serve talk, on a version or on the registered model itself."""

from collections.abc import Mapping
from datetime import UTC, datetime

from homeostat.ports import ALIASES, Aliases, OperatorDecision

DECISION_TAG = "homeostat.decision"
BY_TAG = "homeostat.decision_by"
REASON_TAG = "homeostat.decision_reason"
ANSWER_TAG = "homeostat.decision_answer"
SHARE_TAG = "homeostat.canary_share"  # on the model, where it is read together with the aliases
VOUCHED_TAG = "homeostat.vouched"  # so is this


def decision_in(version: str | None, tags: Mapping[str, str]) -> OperatorDecision | None:
    """Return the decision that is open by these tags, None without one."""
    if DECISION_TAG not in tags:
        return None
    return OperatorDecision(version, tags[DECISION_TAG], tags.get(BY_TAG), tags.get(REASON_TAG))


def answer_in(tags: Mapping[str, str]) -> str | None:
    """Return what became of the last decision, None while it is open or if there never was one."""
    return None if DECISION_TAG in tags else tags.get(ANSWER_TAG)


def asking(decision: OperatorDecision) -> dict[str, str | None]:
    """Return the tags that open a decision, None for one to remove; the one that is acted on comes last."""
    return {ANSWER_TAG: None, BY_TAG: decision.by, REASON_TAG: decision.reason, DECISION_TAG: decision.action}


def answering(text: str) -> dict[str, str | None]:
    """Return the tags that close a decision, None for one to remove; a crash in between leaves it open."""
    return {ANSWER_TAG: text, BY_TAG: None, REASON_TAG: None, DECISION_TAG: None}


def mover_in(tags: Mapping[str, str], alias: str, version: str | None) -> str | None:
    """Return who put an alias where it is, or took it away, by the registered model's tags; None where they don't say.

    MLflow's server writes them for whoever has logged in: deploy/mlflow/who.py.

    >>> mover_in({"homeostat.champion_by": "3: ann"}, "champion", "3")
    'ann'
    """
    where, _, name = tags.get(f"homeostat.{alias}_by", "").partition(":")
    return name.strip() or None if where == (version or "") else None


def share_tag(version: str, share: float) -> dict[str, str | None]:
    """Return the tag that gives a challenger its share of entities; it names the version, so no other can have it."""
    return {SHARE_TAG: f"{version}: {share}"}


def vouched_tag(aliases: Aliases) -> dict[str, str]:
    """Return the tag by which the loop says whom it means to serve since when, whatever is moved by hand.

    >>> vouched_tag(Aliases("4", previous="3", since=datetime(2030, 5, 1, tzinfo=UTC)))
    {'homeostat.vouched': 'champion=4 previous=3 since=2030-05-01T00:00:00+00:00'}
    """
    said = {alias: getattr(aliases, alias) for alias in ALIASES}
    said["since"] = aliases.since and aliases.since.isoformat()
    return {VOUCHED_TAG: " ".join(f"{name}={value}" for name, value in said.items() if value)}


def aliases_in(versions: Mapping[str, str], tags: Mapping[str, str]) -> Aliases:
    """Return who serves by the registered model's aliases and tags.

    >>> aliases_in({"champion": "1", "challenger": "2", "mine": "7"}, {"homeostat.canary_share": "2: 0.25"})
    Aliases(champion='1', challenger='2', previous=None, share=0.25, since=None)
    """
    champion, challenger, previous = (str(versions[alias]) if alias in versions else None for alias in ALIASES)
    share = _share(challenger, tags.get(SHARE_TAG, ""))
    return Aliases(champion, challenger, previous, share, vouched=_vouched(tags.get(VOUCHED_TAG, "")))


def _vouched(text: str) -> Aliases | None:
    said = {name: value for name, _, value in (word.partition("=") for word in text.split())}
    champion, challenger, previous = (said.get(alias) or None for alias in ALIASES)
    try:
        since = datetime.fromisoformat(said["since"]).astimezone(UTC) if "since" in said else None
    except ValueError:  # a person's words, as they are without a champion
        return None
    return Aliases(champion, challenger, previous, since=since) if champion else None


def _share(challenger: str | None, text: str) -> float | None:
    version, _, share = text.partition(":")
    try:
        found = float(share)
    except ValueError:  # a person's words
        return None
    return found if version == challenger and 0 <= found <= 1 else None
