"""A feature builder that takes and gives rows, for tests that look at single ones."""

from collections.abc import Sequence

import polars as pl

from homeostat.contract.model import Contract
from homeostat.features.builder import FeatureBuilder
from homeostat.features.parsing import ParsedEvent, ParsedLabel
from homeostat.features.tables import event_schema, label_schema, table_of
from homeostat.records import FeatureRow
from homeostat.tabular import single_rows


class RowBuilder:
    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.builder = FeatureBuilder(contract)

    def add(self, events: Sequence[ParsedEvent], labels: Sequence[ParsedLabel]) -> list[FeatureRow]:
        return single_rows(self.builder.add(self._of_events(events), self._of_labels(labels)))

    def restore(self, events: Sequence[ParsedEvent], labels: Sequence[ParsedLabel]) -> None:
        self.builder.restore(self._of_events(events), self._of_labels(labels))

    def knows(self, event: ParsedEvent) -> tuple[bool, bool] | None:
        """Whether an event of its id has the same content and has its row, None if it is unknown."""
        return self.builder.known(self._of_events([event])).get(0)

    def _of_events(self, events: Sequence[ParsedEvent]) -> pl.DataFrame:
        rows = [[e.event_id, e.event_time, *(e.fields[name] for name in self.contract.event.fields)] for e in events]
        return table_of(event_schema(self.contract), rows)

    def _of_labels(self, labels: Sequence[ParsedLabel]) -> pl.DataFrame:
        names = self.contract.label.facts
        rows = [[x.event_id, x.label_time, x.value, *(x.facts[name] for name in names)] for x in labels]
        return table_of(label_schema(self.contract), rows)
