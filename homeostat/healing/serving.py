"""Which version served which share at any moment, from the ledger alone: pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from homeostat.ports import LedgerEntry
from homeostat.records import Action

_ENDS = frozenset({Action.PROMOTE.value, Action.REJECT.value, Action.ROLLBACK.value})
_STAYS = frozenset({"adopted", "put_back"})  # leave a challenger where it is


@dataclass(frozen=True, slots=True)
class Serving:
    """Who answered, and by which entry of the ledger."""

    champion: str | None = None
    challenger: str | None = None
    share: float | None = None  # of entities that the challenger answered; None where the ledger does not say
    since: LedgerEntry | None = None

    @property
    def shares(self) -> dict[str, float]:
        """The share of entities by version; empty where the ledger does not say."""
        if self.champion is None:
            return {}
        if self.challenger is None:
            return {self.champion: 1.0}
        return {} if self.share is None else {self.champion: 1 - self.share, self.challenger: self.share}


def serving_at(entries: Iterable[LedgerEntry], time: datetime) -> Serving:
    """Return who served at a moment.

    An alias that a person moved where it can't stay changes nothing: the loop doesn't vouch for that version.

    Args:
        entries: Of the ledger, in order.
        time: Aware; an entry made at that very moment counts.
    """
    found = Serving()
    for entry in entries:
        if entry.at <= time:
            found = _after(found, entry)
    return found


def _after(before: Serving, entry: LedgerEntry) -> Serving:
    said = entry.payload
    if entry.kind == Action.START:
        return Serving(said["champion"], said["version"], said.get("share"), entry)
    if entry.kind == Action.STEP:
        return replace(before, share=said["share"], since=entry)
    if entry.kind in _ENDS:
        return Serving(said["champion"], since=entry)
    if entry.kind in _STAYS and said["champion"] != before.champion:
        return replace(before, champion=said["champion"], since=entry)
    return before
