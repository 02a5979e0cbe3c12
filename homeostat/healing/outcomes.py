"""What a version's page in the registry says once a verdict on it was carried out."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from homeostat.healing.card import CARD_FILE
from homeostat.ports import ModelRegistry
from homeostat.records import HOMEOSTAT, Action, CanaryVerdict

OUTCOMES: Final[Mapping[Action, str]] = {
    Action.PROMOTE: "promoted",
    Action.REJECT: "rejected",
    Action.ROLLBACK: "rolled_back",
}
_WAITING: Final = "waiting_for_approval"
_OUTCOME_TAG: Final = "homeostat.outcome"
_REASON_TAG: Final = "homeostat.reason"


def tell(registry: ModelRegistry, verdict: CanaryVerdict, champion: str | None, at: datetime) -> None:
    """Put on a version's page what became of it and who serves, in place of what was to be decided."""
    if verdict.version is not None:
        outcome = OUTCOMES[verdict.action]
        _tag(registry, verdict, outcome)
        registry.describe(verdict.version, _words(verdict, outcome, champion, at), {})


def tell_it_waits(registry: ModelRegistry, verdict: CanaryVerdict) -> None:
    """Tag a proven challenger that waits for a person."""
    _tag(registry, verdict, _WAITING)


def _tag(registry: ModelRegistry, verdict: CanaryVerdict, outcome: str) -> None:
    if verdict.version is not None:
        registry.tag(verdict.version, {_OUTCOME_TAG: outcome, _REASON_TAG: verdict.reason})


def _words(verdict: CanaryVerdict, outcome: str, champion: str | None, at: datetime) -> str:
    """Return the description; the card beside it stays as it was before the decision."""
    by = "the loop" if verdict.actor == HOMEOSTAT else verdict.actor
    back = "To take it back, set the tag homeostat.decision to rollback. " if verdict.action is Action.PROMOTE else ""
    return (
        f"**Version {verdict.version}: {outcome.replace('_', ' ')}** at {at:%Y-%m-%d %H:%M} UTC by {by}: "
        f"{verdict.reason}. Version {champion} serves. {back}What was seen before is in {CARD_FILE} of the source run."
    )
