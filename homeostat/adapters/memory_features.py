"""The feature stores in plain memory: for tests, and to read what a point-in-time join means."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from homeostat.batches import FeatureRows
from homeostat.contract.model import Contract
from homeostat.features.schema import store_columns
from homeostat.ports import OnlineRow
from homeostat.records import FeatureRow, Outcome
from homeostat.tabular import feature_rows

_TIME = pl.Datetime("us", "UTC")


class MemoryOnlineFeatures:
    """The last feature row of each entity, as long as the process lives."""

    def __init__(self) -> None:
        self._rows: dict[str, OnlineRow] = {}

    def write(self, rows: Sequence[FeatureRow]) -> None:
        """Store the last row of each entity; an older row never replaces a newer one."""
        for row in rows:
            stored = self._rows.get(row.entity_id)
            if stored is None or stored.event_time <= row.event_time:
                self._rows[row.entity_id] = OnlineRow(row.event_time, row.values)

    def read(self, entity_ids: Sequence[str]) -> list[OnlineRow | None]:
        """Return one row per id in the order asked, None where the entity is unknown."""
        return [self._rows.get(entity_id) for entity_id in entity_ids]

    def forget(self, before: datetime) -> int:
        """Delete the rows of events before a time and return how many went."""
        old = [entity_id for entity_id, row in self._rows.items() if row.event_time < before]
        for entity_id in old:
            del self._rows[entity_id]
        return len(old)


class MemoryOfflineFeatures:
    """Every feature row and mature outcome by event id, as long as the process lives."""

    def __init__(self, contract: Contract) -> None:
        self._names = contract.feature_names
        self._columns = store_columns(contract)
        self._features: dict[str, FeatureRow] = {}
        self._outcomes: dict[str, Outcome] = {}

    def write_features(self, rows: Sequence[FeatureRow | FeatureRows]) -> None:
        """Keep each row once."""
        for row in feature_rows(rows):
            self._features.setdefault(row.event_id, row)

    def write_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Keep each outcome once."""
        for outcome in outcomes:
            self._outcomes.setdefault(outcome.event_id, outcome)

    def training_frame(self, until: datetime) -> pl.DataFrame:
        """Return the labelled rows before ``until``, each with its entity's newest features at its time.

        An outcome whose entity had no features yet keeps its row, with missing cells.
        """
        labelled = self._labelled_frame(until)
        features = self._feature_frame()
        joined = labelled.join_asof(
            features, on="event_time", by="entity_id", strategy="backward", check_sortedness=False
        )
        return joined.select("event_id", "event_time", "label", *self._names)

    def forget(self, before: datetime) -> int:
        """Delete the rows of events before a time."""
        held = len(self._features) + len(self._outcomes)
        self._features = {i: row for i, row in self._features.items() if row.event_time >= before}
        self._outcomes = {i: outcome for i, outcome in self._outcomes.items() if outcome.event_time >= before}
        return held - len(self._features) - len(self._outcomes)

    def _labelled_frame(self, until: datetime) -> pl.DataFrame:
        rows = [o for o in self._outcomes.values() if o.label is not None and o.event_time < until]
        columns = [
            pl.Series("event_id", [outcome.event_id for outcome in rows], pl.String),
            pl.Series("entity_id", [outcome.entity_id for outcome in rows], pl.String),
            pl.Series("event_time", [outcome.event_time for outcome in rows], _TIME),
            pl.Series("label", [outcome.label for outcome in rows], pl.Float64),
        ]
        return pl.DataFrame(columns).sort("event_time", "event_id")

    def _feature_frame(self) -> pl.DataFrame:
        rows = sorted(self._features.values(), key=lambda row: row.event_time)  # stable: of two, the last written wins
        cells = zip(*(row.values for row in rows), strict=True) if rows else ((),) * len(self._names)
        columns = [pl.Series("entity_id", [row.entity_id for row in rows], pl.String)]
        columns.append(pl.Series("event_time", [row.event_time for row in rows], _TIME))
        columns.extend(column.series(values) for column, values in zip(self._columns, cells, strict=True))
        return pl.DataFrame(columns)
