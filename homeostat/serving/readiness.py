"""Says what a product without a champion waits for, by its contract."""

from datetime import datetime, timedelta

from homeostat.bootstrap import Ports
from homeostat.codec import decode
from homeostat.contract.model import Contract
from homeostat.errors import TransientError
from homeostat.flow import topic_name
from homeostat.ports import AliasReader
from homeostat.records import Case, CaseState, Outcome
from homeostat.tail import BEGINNING

_PAGE = 500  # outcomes counted at a look: some 5 ms that serving waits for
_DAY = timedelta(days=1)


class Readiness:
    """Looks at one product; each look reads at most a page, and what it has counted it need not count again."""

    def __init__(self, contract: Contract, registry: AliasReader, stack: Ports) -> None:
        """Take who knows who serves, and the stores, which are opened only while nobody does."""
        self._contract = contract
        self._registry = registry
        self._stack = stack
        self._outcomes = topic_name(contract.product, "outcomes")
        self._labelled = 0
        self._offset = 0
        self._history_since: datetime | None = None

    def missing(self, now: datetime) -> str | None:
        """Return None when a champion serves, else what it still takes until one does."""
        try:
            return None if self._registry.aliases().champion else f"no champion yet: {self._waits_for(now)}"
        except TransientError as error:
            return str(error)

    def _waits_for(self, now: datetime) -> str:
        self._count()
        case = self._stack.cases.load()
        match case.state:
            case CaseState.STABLE:
                return f"collecting, {self._rows()}, {self._span(now)}"
            case CaseState.TRAINING:
                return f"a training is running{_since(case)}, {self._rows()}"
            case CaseState.COOLDOWN:
                until = f" until {case.cooldown_until:%Y-%m-%d %H:%M} UTC" if case.cooldown_until else ""
                return f"the last training found no model that may serve; the next one waits{until}, {self._rows()}"
            case _:
                return f"version {case.challenger} has to be let in: {case.state.value}{_since(case)}"

    def _rows(self) -> str:
        wanted = self._contract.training.min_rows
        return f"{min(self._labelled, wanted):,} of {wanted:,} mature labelled rows"

    def _span(self, now: datetime) -> str:
        """Return how much of the history that a first training needs is there, as the healer counts it."""
        wanted = self._contract.training.cold_start_after
        since = self._since_when()
        if since is None:
            return f"{wanted / _DAY:.1f} days of history from the first drift report on"
        there = min(max(now - self._contract.label.maturity - since, timedelta(0)), wanted)
        return f"{there / _DAY:.1f} of {wanted / _DAY:.1f} days of labelled history"

    def _since_when(self) -> datetime | None:
        if self._history_since is None:
            began = [entry.payload["since"] for entry in self._stack.ledger.entries() if entry.kind == "history_began"]
            self._history_since = datetime.fromisoformat(str(began[0])) if began else None
        return self._history_since

    def _count(self) -> None:
        """Count labelled outcomes up to what a first training needs, a page at a look."""
        if self._labelled >= self._contract.training.min_rows:
            return
        start = max(self._offset, self._stack.log.offset_at(self._outcomes, BEGINNING))  # retention may have trimmed
        for message in self._stack.log.read(self._outcomes, start, _PAGE):
            outcome = decode("outcomes", message.value, message.headers)
            self._labelled += isinstance(outcome, Outcome) and outcome.label is not None
            self._offset = message.offset + 1


def _since(case: Case) -> str:
    return f" since {case.since:%Y-%m-%d %H:%M} UTC" if case.since else ""
