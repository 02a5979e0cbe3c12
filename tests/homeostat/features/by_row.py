"""A feature builder that takes and gives rows, for tests that look at single ones."""

from collections.abc import Sequence

from homeostat.contract.model import Contract
from homeostat.features.builder import FeatureBuilder
from homeostat.features.parsing import ParsedEvent, ParsedLabel
from homeostat.features.tables import event_table, label_table
from homeostat.records import FeatureRow
from homeostat.tabular import single_rows


class RowBuilder:
    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.builder = FeatureBuilder(contract)

    def add(self, events: Sequence[ParsedEvent], labels: Sequence[ParsedLabel]) -> list[FeatureRow]:
        return single_rows(self.builder.add(event_table(self.contract, events), label_table(self.contract, labels)))

    def restore(self, events: Sequence[ParsedEvent], labels: Sequence[ParsedLabel]) -> None:
        self.builder.restore(event_table(self.contract, events), label_table(self.contract, labels))

    def knows(self, event: ParsedEvent) -> tuple[bool, bool] | None:
        """Whether an event of its id has the same content and has its row, None if it is unknown."""
        return self.builder.known(event_table(self.contract, [event])).get(0)
