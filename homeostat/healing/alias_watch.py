"""Sees what a person did to the aliases between two decisions, and puts back what can't stay."""

from dataclasses import replace
from datetime import datetime

from homeostat.errors import ModelError, StaleCaseError, TransientError
from homeostat.healing.by_hand import Misplaced, moved_by_hand
from homeostat.healing.operator import REFUSED
from homeostat.healing.tags import ANSWER_TAG
from homeostat.metric_names import DECISIONS
from homeostat.ports import Aliases, CaseStore, Ledger, ModelRegistry, Telemetry
from homeostat.records import Action, CanaryVerdict, Case, derived_id

_VALIDATED = frozenset({Action.START.value, Action.PROMOTE.value, "adopted"})  # entries that name a version that passed


class AliasWatch:
    """Compares the registry's aliases with what the last decision left behind, which the case remembers."""

    def __init__(
        self, product: str, registry: ModelRegistry, cases: CaseStore, ledger: Ledger, telemetry: Telemetry
    ) -> None:
        """Take where aliases, case and decisions are kept."""
        self._product = product
        self._registry = registry
        self._cases = cases
        self._ledger = ledger
        self._telemetry = telemetry

    def look(self, now: datetime) -> CanaryVerdict | None:
        """Return what a person decided by moving an alias, None when nobody has or what they did was put back.

        Raises:
            TransientError: Somebody else wrote the case first.
        """
        for _ in Aliases.__slots__:  # each may be misplaced
            case, aliases = self._cases.load(), self._registry.aliases()
            if case.champion is None:
                self._adopt(case, aliases, now)
                return None
            found = moved_by_hand(case, aliases, now, self._is_validated)
            if not isinstance(found, Misplaced):
                return found
            self._put_back(found, case, aliases, now)
        return None

    def _adopt(self, case: Case, aliases: Aliases, now: datetime) -> None:
        """Take a champion that no decision of ours put there as it is: there is nobody to go back to."""
        if aliases.champion is None:
            return
        reason = f"version {aliases.champion} serves already"
        payload = {"version": aliases.champion, "champion": aliases.champion, "reason": reason}
        self._ledger.append(derived_id(self._product, "adopted", aliases.champion), now, "adopted", payload, "operator")
        save(self._cases, replace(case, champion=aliases.champion, previous=aliases.previous))

    def _put_back(self, found: Misplaced, case: Case, aliases: Aliases, now: datetime) -> None:
        """Put an alias back where it belongs; the case's new revision makes the next time another one."""
        payload = {"alias": found.alias, "version": found.version, "champion": case.champion, "reason": found.reason}
        entry_id = derived_id(self._product, "put_back", found.alias, found.version or "", str(case.revision))
        self._ledger.append(entry_id, now, "put_back", payload, "operator")
        self._telemetry.count(DECISIONS, product=self._product, action="put_back")
        rightful = self._if_there(found.rightful) or (aliases.previous if found.alias == "champion" else None)
        if shown := found.version or rightful:
            self._registry.tag(shown, {ANSWER_TAG: f"{REFUSED}{found.reason}"})
        self._registry.set_alias(found.alias, rightful)
        if found.alias == "champion":
            case = replace(case, champion=rightful)
        elif found.alias == "previous":
            case = replace(case, previous=rightful)
        save(self._cases, case)

    def _if_there(self, version: str | None) -> str | None:
        """Return a version, None for one that was deleted and its aliases with it."""
        try:
            self._registry.answered(version)
        except ModelError:
            return None
        return version

    def _is_validated(self, version: str) -> bool:
        """Return whether a version has passed the offline gates once, by the ledger."""
        return any(e.kind in _VALIDATED and e.payload["version"] == version for e in self._ledger.entries())


def save(cases: CaseStore, case: Case) -> None:
    """Store a case.

    Raises:
        TransientError: Somebody else wrote it first.
    """
    try:
        cases.save(case)
    except StaleCaseError as error:
        raise TransientError(f"the case was written meanwhile: {error}") from error
