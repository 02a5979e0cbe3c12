"""The tags by which an operator and the healer talk, on a model version or on the registered model itself."""

from collections.abc import Mapping

from homeostat.ports import OperatorDecision

DECISION_TAG = "homeostat.decision"
BY_TAG = "homeostat.decision_by"
REASON_TAG = "homeostat.decision_reason"
ANSWER_TAG = "homeostat.decision_answer"


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
