"""Feature rows for stream, restore and backfill alike: one implementation, so they can't differ."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from homeostat.contract.model import Contract
from homeostat.features.columns import EventColumns
from homeostat.features.facts import Facts
from homeostat.features.schema import ENTITY_ID, EVENT_ID, EVENT_TIME, store_columns
from homeostat.features.shelf import Shelf
from homeostat.features.tables import event_schema
from homeostat.features.vectors import same_cells
from homeostat.features.windows import EPOCH, Integers, microseconds

_US: Final = timedelta(microseconds=1)
_BUILT: Final = "?"  # no name of a contract
_AT: Final = 1  # where a label has its time


class FeatureBuilder:
    """Turns tables of events into feature rows, remembering what their windows and labels need.

    A row sees what was known strictly before its event time and was added with it or earlier. A stream
    in the order in which things became known gives the same rows however it is cut into batches; what
    comes out of order counts from the batch it comes in. Events later than the contract's
    ``allowed_lateness`` have to be kept out by the caller: the windows before that are forgotten.
    """

    def __init__(self, contract: Contract) -> None:
        event, label = contract.event, contract.label
        self._names: Final = contract.feature_names
        self._id, self._entity, self._time = event.id, event.entity, event.time
        self._label_id, self._label_time = label.id, label.time
        self._columns: Final = EventColumns(contract)
        self._facts: Final = Facts(contract)
        self._maturity_us: Final = label.maturity // _US
        self._lateness_us: Final = event.allowed_lateness // _US
        # An event lives on until its label has left all windows: after a restart labels come last.
        self._memory: Final = self._facts.longest_span + label.maturity + event.allowed_lateness
        cells = {column.name: column.dtype_in_rows for column in store_columns(contract)}
        self._unbuilt: Final = pl.DataFrame(schema={_BUILT: pl.Boolean(), **cells})
        self._newest_us: int | None = None
        self._events: Final = Shelf()
        self._rows: Final = Shelf()  # one for each event, empty where none was built since the start
        self._numbers: dict[str, int] = {}  # on the shelves, by event id
        self._labelled: set[str] = set()
        self._waiting: dict[str, tuple[Any, ...]] = {}  # labels that came before their event
        self._no_events: Final = event_schema(contract).to_frame()

    @property
    def horizon(self) -> datetime | None:
        """Events before this are forgotten."""
        return None if self._newest_us is None else EPOCH + self._newest_us * _US - self._memory

    def known(self, events: pl.DataFrame) -> dict[int, tuple[bool, bool]]:
        """Return, by its place, for each event whose id is known: if all is the same, and if its row was built."""
        ids = events.get_column(self._id).to_list()
        if self._numbers.keys().isdisjoint(ids):
            return {}
        places = [place for place, event_id in enumerate(ids) if event_id in self._numbers]
        numbers, come = self._numbers_of([ids[place] for place in places]), events[places]
        stored = self._events.take(numbers)
        same = pl.DataFrame([same_cells(cells, stored.get_column(cells.name)).alias(cells.name) for cells in come])
        built = self._rows.take(numbers).get_column(_BUILT)
        return dict(zip(places, zip(same.min_horizontal(), built, strict=True), strict=True))

    def add(self, events: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
        """Fold a batch in and return one row per event, in order.

        An event id that is known adds nothing and gives its first row again. A label counts once, if it
        is known within the maturity of its event; one whose event is unknown waits for it.

        Args:
            events: As ``event_schema`` says.
            labels: As ``label_schema`` says.

        Returns:
            ``event_id``, ``entity_id``, ``event_time`` and the features in the contract's order.
        """
        new = self._learn(events, labels)
        built = self._built(new)
        self._rows.append(built)
        rows = self._headed(new, built) if new.height == events.height else self._again(events)
        self._forget()
        return rows

    def restore(self, events: pl.DataFrame, labels: pl.DataFrame) -> None:
        """Fold a batch in without building rows; all events may come before the first label."""
        new = self._learn(events, labels)
        self._rows.append(self._unbuilt.clear(new.height).with_columns(pl.lit(value=False).alias(_BUILT)))
        self._forget()

    def _learn(self, events: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
        """Remember what is new and return its events."""
        new, ids = self._fresh(events)
        self._put(new, ids)
        if new.height:
            newest_us = int(self._times_us(new).max())
            self._newest_us = newest_us if self._newest_us is None else max(self._newest_us, newest_us)
        self._facts.learn_events(new)
        self._facts.learn_labels(*self._matched(new, ids, labels))
        return new

    def _fresh(self, events: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
        """Return the events whose ids are unknown, each where it stands first, and their ids."""
        ids = events.get_column(self._id).to_list()
        if len(set(ids)) == len(ids) and self._numbers.keys().isdisjoint(ids):  # as nearly always
            return events, ids
        first = dict(zip(reversed(ids), reversed(range(len(ids))), strict=True))
        places = sorted(at for event_id, at in first.items() if event_id not in self._numbers)
        return events[places], [ids[place] for place in places]

    def _times_us(self, events: pl.DataFrame) -> Integers:
        return events.get_column(self._time).cast(pl.Int64).to_numpy()

    def _put(self, events: pl.DataFrame, ids: Sequence[str]) -> None:
        end = self._events.end
        self._numbers.update(zip(ids, range(end, end + events.height), strict=True))
        self._events.append(events)

    def _matched(
        self, new: pl.DataFrame, new_ids: Sequence[str], labels: pl.DataFrame
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the labels that count now behind their events, row by row the same.

        Args:
            new: The new events.
            new_ids: Theirs.
            labels: What has come.
        """
        if labels.is_empty() and not self._waiting:
            return self._no_events, labels
        new_us = dict(zip(new_ids, self._times_us(new).tolist(), strict=True))
        ready = []
        times = labels.get_column(self._label_time).cast(pl.Int64).to_list()
        for i, (event_id, at_us) in enumerate(zip(labels.get_column(self._label_id).to_list(), times, strict=True)):
            # One that is older than its event waits for it here too, or batches would change the order.
            if event_id not in self._numbers or at_us < new_us.get(event_id, at_us):
                self._waiting.setdefault(event_id, labels.row(i))
            else:
                ready.append(i)
        waited = [self._waiting.pop(event_id) for event_id in new_us if event_id in self._waiting]
        told = labels if len(ready) == labels.height else labels[ready]
        if waited:
            told = pl.concat([pl.DataFrame(waited, labels.schema, orient="row"), told])
        ids = told.get_column(self._label_id).to_list()
        if not ids:
            return self._no_events, told
        events = self._events.take(self._numbers_of(ids))
        latest = (events.get_column(self._time).cast(pl.Int64) + self._maturity_us).to_list()
        times = told.get_column(self._label_time).cast(pl.Int64).to_list()
        counts: list[int] = []
        for i, event_id in enumerate(ids):
            if event_id not in self._labelled and times[i] <= latest[i]:
                counts.append(i)
            self._labelled.add(event_id)
        return (events, told) if len(counts) == len(ids) else (events[counts], told[counts])

    def _built(self, events: pl.DataFrame) -> pl.DataFrame:
        if events.is_empty():
            return self._unbuilt
        columns = {column.name: column for column in (*self._columns.compute(events), *self._facts.compute(events))}
        built = pl.Series(_BUILT, np.ones(events.height, bool))
        return pl.DataFrame([built, *(columns[name] for name in self._names)])

    def _again(self, events: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of events of which some were known; one known since before a restart gets its row now."""
        ids = events.get_column(self._id).to_list()
        numbers = self._numbers_of(ids)
        lacking = ~self._rows.take(numbers).get_column(_BUILT).to_numpy()
        if lacking.any():  # they stand on the shelves once more
            known = self._events.take(np.unique(numbers[lacking]))
            self._put(known, known.get_column(self._id).to_list())
            self._rows.append(self._built(known))
            numbers = self._numbers_of(ids)
        return self._headed(self._events.take(numbers), self._rows.take(numbers))

    def _numbers_of(self, ids: Sequence[str]) -> Integers:
        return np.array([self._numbers[event_id] for event_id in ids], np.int64)

    def _headed(self, events: pl.DataFrame, built: pl.DataFrame) -> pl.DataFrame:
        heads = {EVENT_ID: self._id, ENTITY_ID: self._entity, EVENT_TIME: self._time}
        columns = [events.get_column(name).alias(head) for head, name in heads.items()]
        return pl.DataFrame([*columns, *(built.get_column(name) for name in self._names)])

    def _forget(self) -> None:
        """Drop what can't matter any more."""
        if self._newest_us is None or (horizon := self.horizon) is None:
            return
        self._facts.trim(self._newest_us - self._lateness_us)
        if old := self._events.older(self._time, microseconds(horizon), self._id):
            self._events.forget(len(old))
            self._rows.forget(len(old))
            first, numbers = self._events.first, self._numbers
            gone = [event_id for event_id in old if numbers.get(event_id, first) < first]  # it may stand here once more
            for event_id in gone:
                numbers.pop(event_id, None)  # both of its places may be old
            self._labelled.difference_update(gone)
        if self._waiting and next(iter(self._waiting.values()))[_AT] < horizon:
            self._waiting = {key: label for key, label in self._waiting.items() if label[_AT] >= horizon}
