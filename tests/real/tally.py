"""What a drill counts: every figure is taken from what was sent and what the stores hold, and only then judged."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from homeostat.adapters.feast_features import FeastOfflineFeatures
from homeostat.adapters.feast_features.parts import PartFolder
from homeostat.contract.load import load_contract
from homeostat.features.schema import EVENT_ID, LABEL, store_columns
from homeostat.records import Cell, FeatureRow, Outcome, Record

from .evidence import Evidence, Sent
from .traffic import load_of

_SHOWN = 5
_TRIES = 20  # to list and read files that their writer merges meanwhile
Values = tuple[Cell, ...]


class Tally:
    """Figures in the order in which they were taken, and which of them should have been nothing."""

    def __init__(self) -> None:
        self.figures: dict[str, object] = {}
        self.wrong: dict[str, list[str]] = {}

    def none(self, what: str, ids: Iterable[str]) -> None:
        """Count what should not be there at all."""
        found = sorted(set(ids))
        self.figures[what] = len(found)
        if found:
            self.wrong[what] = found[:_SHOWN]

    def table(self) -> str:
        width = max(map(len, self.figures))
        return "\n".join(
            f"{name:<{width}}  {value:,}" if isinstance(value, int) else f"{name:<{width}}  {value}"
            for name, value in self.figures.items()
        )


class Store:
    """The offline store of one product: as its readers see it, and what its files hold."""

    def __init__(self, home: Path, contract: Path) -> None:
        """Take the product's folder and its contract."""
        known = load_contract(contract)
        self._root = home / "feast"
        self._store = FeastOfflineFeatures(known, self._root)
        self._names = known.feature_names
        self._stored = [column.stored_as for column in store_columns(known)]

    def ids_in_files(self, table: str) -> list[str]:
        """Return the event id of each row in the files of ``features`` or ``outcomes``, repeats too."""
        for _ in range(_TRIES):
            paths = sorted((self._root / table).rglob("*.parquet"))
            try:
                return [i for path in paths for i in pl.read_parquet(path, columns=[EVENT_ID])[EVENT_ID].to_list()]
            except FileNotFoundError:
                continue
        raise AssertionError(f"the files of {table} never stand still")

    def features(self) -> list[tuple[str, Values]]:
        """Return all feature rows as the store's readers see them, labelled or not: event id and values."""
        rows = _read(self._store._features)
        return [(event_id, tuple(values)) for event_id, *values in rows.select(EVENT_ID, *self._stored).iter_rows()]

    def outcomes(self) -> list[tuple[str, float | None]]:
        """Return all outcomes as the store's readers see them: event id and label."""
        return list(_read(self._store._outcomes).select(EVENT_ID, LABEL).iter_rows())

    def training(self) -> list[tuple[str, float, Values]]:
        """Return what a training would read: event id, label and features."""
        frame = self._store.training_frame(datetime.now(UTC) + timedelta(hours=1))
        rows = frame.select(EVENT_ID, LABEL, *self._names).iter_rows()
        return [(event_id, label, tuple(values)) for event_id, label, *values in rows]


def count_log(tally: Tally, evidence: Evidence, sent: Sent) -> dict[str, set[Values]]:
    """Hold the log against what was acknowledged, and return the values that each event's feature rows have there."""
    found, rows = defaultdict(set), 0
    entities = {}
    for record in evidence.records("features"):
        if isinstance(record, FeatureRow):
            found[record.event_id].add(record.values)
            entities[record.event_id] = record.entity_id
            rows += 1
    tally.figures["events acknowledged"] = len(sent.events)
    tally.none("events lost", sent.events.keys() - found.keys())
    tally.none("events under another entity", (i for i, of in sent.events.items() if entities.get(i, of) != of))
    tally.none("events with other values than sent", (i for i in sent.events if not _as_sent(i, found.get(i, ()))))
    tally.figures["feature rows that the log has again"] = rows - len(found)
    tally.none("repeated rows with other values", (event_id for event_id, values in found.items() if len(values) > 1))
    predicted = evidence.predicted()
    tally.figures["predictions acknowledged"] = len(sent.predictions)
    tally.none("predictions lost", (i for i, made in sent.predictions.items() if made not in predicted.get(i, ())))
    tally.none("events without a prediction", sent.events.keys() - predicted.keys())
    tally.none("events predicted twice", (event_id for event_id, made in predicted.items() if len(made) > 1))
    tally.figures["labels acknowledged"] = len(sent.labels)
    _count_labels(tally, "outcomes in the log", _labels_of(evidence.records("outcomes")), sent.labels)
    return found


def count_store(tally: Tally, store: Store, sent: Sent, logged: Mapping[str, Collection[Values]]) -> None:
    """Hold the offline store against what was acknowledged, and against the rows that the log has.

    Args:
        tally: Takes the figures.
        store: The offline store.
        sent: What was acknowledged.
        logged: The values of each event's feature rows in the log.
    """
    features, outcomes, training = store.features(), store.outcomes(), store.training()
    values = dict(features)
    tally.figures["feature rows in the offline store, as read"] = len(features)
    tally.none("feature rows read twice", _twice(event_id for event_id, _ in features))
    tally.figures["repeats in the feature files, which readers resolve"] = _repeats(store.ids_in_files("features"))
    tally.none("events not in the offline store", sent.events.keys() - values.keys())
    differ = (i for i in sent.events.keys() & values.keys() if values[i] not in logged.get(i, ()))
    tally.none("events with other values there", differ)
    tally.figures["outcomes in the offline store, as read"] = len(outcomes)
    tally.none("outcomes read twice", _twice(event_id for event_id, _ in outcomes))
    tally.figures["repeats in the outcome files, which readers resolve"] = _repeats(store.ids_in_files("outcomes"))
    tally.none("predictions without an outcome there", sent.predictions.keys() - dict(outcomes).keys())
    _count_labels(tally, "offline store", [(i, label) for i, label in outcomes if label is not None], sent.labels)
    tally.figures["labelled rows that a training reads"] = len(training)
    tally.none("training rows read twice", _twice(event_id for event_id, _, _ in training))
    _count_labels(tally, "training", [(event_id, label) for event_id, label, _ in training], sent.labels)
    others = (i for i, _, read in training if i in sent.events and read not in logged.get(i, ()))
    tally.none("events with other values in a training", others)


def _count_labels(tally: Tally, where: str, found: Iterable[tuple[str, float]], sent: Mapping[str, float]) -> None:
    labels = defaultdict(set)
    for event_id, label in found:
        labels[event_id].add(label)
    tally.none(f"labels lost, {where}", sent.keys() - labels.keys())
    tally.none(
        f"labels with another value, {where}", (i for i in sent.keys() & labels.keys() if labels[i] != {sent[i]})
    )


def _labels_of(records: Iterable[Record]) -> list[tuple[str, float]]:
    return [(r.event_id, r.label) for r in records if isinstance(r, Outcome) and r.label is not None]


def _as_sent(event_id: str, rows: Iterable[Values]) -> bool:
    return all(values[:4] == ("acme", load_of(event_id), None, None) for values in rows)


def _read(folder: PartFolder) -> pl.DataFrame:
    return pl.concat([folder.read(week) for week in folder.weeks()])


def _repeats(ids: Collection[str]) -> int:
    return len(ids) - len(set(ids))


def _twice(ids: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    return {event_id for event_id in ids if event_id in seen or seen.add(event_id)}
