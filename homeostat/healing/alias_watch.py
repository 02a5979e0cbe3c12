"""Sees what a person did to the aliases between two decisions, and puts back what can't stay."""

from dataclasses import replace
from datetime import datetime

from homeostat.errors import ModelError, StaleCaseError, TransientError
from homeostat.healing.by_hand import Misplaced, moved_by_hand
from homeostat.healing.closing import MOVED
from homeostat.healing.operator import REFUSED, named
from homeostat.healing.tags import ANSWER_TAG, vouched_tag
from homeostat.metric_names import DECISIONS
from homeostat.ports import ALIASES, Aliases, CaseStore, Ledger, ModelRegistry, Telemetry
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
        self._validated: set[str] = set()
        self._read = 0  # of the ledger, for them

    def look(self, now: datetime) -> CanaryVerdict | None:
        """Return what a person decided by moving an alias, None when nobody has or what they did was put back.

        Raises:
            TransientError: Somebody else wrote the case first.
        """
        for _ in ALIASES:  # each may be misplaced
            case, aliases = self._cases.load(), self._registry.aliases()
            if case.champion is None:
                self._adopt(case, aliases, now)
                return None
            found = moved_by_hand(case, aliases, now, self._is_validated)
            if not isinstance(found, Misplaced):
                if case.on_trial and found is None and aliases.share != case.share is not None:  # its tag was edited
                    self._registry.set_alias("challenger", case.challenger, case.share)
                if found is None:
                    self.vouch(case, aliases)
                return found and self._signed(found, aliases)
            self._put_back(found, case, aliases, now)
        return None

    def vouch(self, case: Case, aliases: Aliases) -> None:
        """Say in the registry who may serve by the case, unless it does: no other version will, whatever its alias."""
        vouched = Aliases(case.champion, case.challenger, case.previous, since=case.serving_since)
        if aliases.vouched != vouched:
            self._registry.tag(None, vouched_tag(vouched))

    def _adopt(self, case: Case, aliases: Aliases, now: datetime) -> None:
        """Take a champion that no decision of ours put there as it is: there is nobody to go back to."""
        if aliases.champion is None:
            return
        reason = f"version {aliases.champion} serves already"
        payload = {"version": aliases.champion, "champion": aliases.champion, "reason": reason}
        entry_id = derived_id(self._product, "adopted", aliases.champion)
        self._ledger.append(entry_id, now, "adopted", payload, self._mover("champion", aliases))
        adopted = replace(case, champion=aliases.champion, previous=aliases.previous)
        save(self._cases, replace(adopted, serving_entry=entry_id, serving_since=now))

    def _put_back(self, found: Misplaced, case: Case, aliases: Aliases, now: datetime) -> None:
        """Put an alias back where it belongs; the case's new revision makes the next time another one."""
        rightful = self._if_there(found.rightful) or (aliases.previous if found.alias == "champion" else None)
        champion = rightful if found.alias == "champion" else case.champion
        payload = {"alias": found.alias, "version": found.version, "champion": champion, "reason": found.reason}
        entry_id = derived_id(self._product, "put_back", found.alias, found.version or "", str(case.revision))
        self._ledger.append(entry_id, now, "put_back", payload, self._mover(found.alias, aliases))
        self._telemetry.count(DECISIONS, product=self._product, action="put_back")
        if shown := found.version or rightful:
            self._registry.tag(shown, {ANSWER_TAG: f"{REFUSED}{found.reason}"})
        self._registry.set_alias(found.alias, rightful)
        if champion != case.champion:  # it was deleted
            case = replace(case, champion=champion, serving_entry=entry_id, serving_since=now)
        elif found.alias == "previous":
            case = replace(case, previous=rightful)
        save(self._cases, case)

    def _signed(self, found: CanaryVerdict, aliases: Aliases) -> CanaryVerdict:
        """Return a person's verdict with the name of who moved the alias, where it is known."""
        return replace(found, actor=self._mover(found.evidence[MOVED], aliases))

    def _mover(self, alias: str, aliases: Aliases) -> str:
        return named(self._registry.mover(alias, getattr(aliases, alias)))

    def _if_there(self, version: str | None) -> str | None:
        """Return a version, None for one that was deleted and its aliases with it."""
        try:
            self._registry.answered(version)
        except ModelError:
            return None
        return version

    def _is_validated(self, version: str) -> bool:
        """Return whether a version has passed the offline gates once, by the ledger."""
        for entry in self._ledger.entries(self._read):
            self._read = entry.seq
            if entry.kind in _VALIDATED:
                self._validated.add(entry.payload["version"])
        return version in self._validated


def save(cases: CaseStore, case: Case) -> Case:
    """Store a case and return it with its new revision.

    Raises:
        TransientError: Somebody else wrote it first.
    """
    try:
        return cases.save(case)
    except StaleCaseError as error:
        raise TransientError(f"the case was written meanwhile: {error}") from error
