"""Keeps features and outcomes for training."""

from collections.abc import Sequence
from datetime import datetime

from homeostat.batches import FeatureRows
from homeostat.ports import OfflineFeatures
from homeostat.records import FeatureRow, Outcome, Record


class ArchiveStep:
    """The one writer of the offline store: behind the topics, so that nobody who asks for a score waits for its files.

    It is paced, for the store likes few large writes, and comes before the steps that may ask for a training.
    """

    def __init__(self, offline: OfflineFeatures) -> None:
        """Take the store."""
        self._offline = offline

    def handle(self, records: Sequence[Record], now: datetime) -> list[Record]:  # noqa: ARG002 - the worker's shape
        """Store feature rows and outcomes, each once by its event id."""
        outcomes = [record for record in records if isinstance(record, Outcome)]
        rows = [record for record in records if isinstance(record, FeatureRow | FeatureRows)]
        rows += [FeatureRow(o.event_id, o.entity_id, o.event_time, o.values) for o in outcomes if o.values]
        self._offline.write_features(rows)
        self._offline.write_outcomes(outcomes)
        return []

    def restore(self, records: Sequence[Record], now: datetime) -> None:
        """Need no memory: what was stored is in the store."""

    def tick(self, now: datetime) -> list[Record]:  # noqa: ARG002 - the worker's shape
        """Have nothing to do as time passes."""
        return []
