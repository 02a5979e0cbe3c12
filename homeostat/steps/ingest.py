"""Ingest: raw bytes are held against the contract and become feature rows and labels, or dead letters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, get_args

import numpy as np
import polars as pl

from homeostat.batches import RawEvents, RawLabels
from homeostat.contract.model import Contract
from homeostat.features.builder import FeatureBuilder
from homeostat.features.tables import Raw, Table, event_reader, label_reader, values_at
from homeostat.features.vectors import same_cells
from homeostat.features.windows import EPOCH, microseconds
from homeostat.metric_names import EVENTS, FEATURE_TIME, QUARANTINED
from homeostat.ports import OnlineFeatures, Telemetry
from homeostat.records import DeadLetter, Label, RawEvent, RawLabel, Record, derived_id
from homeostat.tabular import FEW, as_records, feature_rows, single_rows, utc_times

CLOCK_SLACK: Final = timedelta(minutes=1)  # clocks of producers may be this far ahead of ours

_US: Final = timedelta(microseconds=1)
RawTopic = Literal["raw_events", "raw_labels"]


@dataclass(slots=True)
class _Batch:
    """What became of one micro-batch; ``newest_us`` is the newest event time seen with it."""

    events: pl.DataFrame
    labels: pl.DataFrame
    letters: list[DeadLetter]
    newest_us: int | None


class IngestStep:
    """Turns raw events and labels into feature rows and labels, and stores the last row of each entity online."""

    def __init__(
        self,
        contract: Contract,
        online: OnlineFeatures,
        telemetry: Telemetry,
        holds: Callable[[str], bool] | None = None,
        *,
        lane: int = 0,
    ) -> None:
        """Take the stores; ``holds`` says of an entity whether its events come by this lane of the raw topics."""
        self._product = contract.product
        self._event, self._label = contract.event, contract.label
        self._lateness_us = contract.event.allowed_lateness // _US
        self._online = online
        self._telemetry = telemetry
        self._holds = holds
        self._lane = str(lane)
        self._event_reader = event_reader(contract)
        self._label_reader = label_reader(contract)
        self._builder = FeatureBuilder(contract)
        self._newest_us: int | None = None  # event time
        self._newest_of: dict[str, int] = {}  # by entity
        self._prune_above = 0
        for topic in get_args(RawTopic):  # a counter that springs up at 1 has no rate: the first letter would go unseen
            telemetry.count(QUARANTINED, 0, product=contract.product, topic=topic)

    def handle(self, records: Sequence[Record], now: datetime) -> list[Record]:
        """Return feature rows, labels and dead letters; the rows are stored when this returns."""
        batch = self._sorted_out(records, now)
        rows = self._builder.add(batch.events, batch.labels)
        records = as_records(rows)
        if last := self._note_entities(batch.events):
            alone = rows.height <= FEW  # then each is a record already
            self._online.write(feature_rows(records[i] for i in last) if alone else single_rows(rows[last]))
        self._newest_us = batch.newest_us  # not before: a batch repeated after a failed write is judged as it was
        self._telemetry.count(EVENTS, rows.height, product=self._product)
        for letter in batch.letters:
            self._telemetry.count(QUARANTINED, product=self._product, topic=letter.topic)
        return [*records, *self._labels(batch.labels), *batch.letters]

    def restore(self, records: Sequence[Record], now: datetime) -> None:
        """Fold again what was handled before a restart; all events may come before the first label."""
        batch = self._sorted_out(records, now)
        self._builder.restore(batch.events, batch.labels)
        self._newest_us = batch.newest_us
        self._note_entities(batch.events)

    def tick(self, now: datetime) -> list[Record]:
        """Report the time of the newest feature row, of each lane by itself: of all, the newest one counts."""
        if self._newest_us is not None:
            newest = _time(self._newest_us)
            self._telemetry.timestamp(FEATURE_TIME, newest, now, product=self._product, lane=self._lane)
        return []

    def leave(self) -> None:
        """Tell of no newest row any more: the lane goes on in another process."""
        self._telemetry.gauge(FEATURE_TIME, None, product=self._product, lane=self._lane)

    def _sorted_out(self, records: Sequence[Record], now: datetime) -> _Batch:
        """Return the batch as tables, with what is unusable among the letters."""
        raw_events, raw_labels = _raw(records, RawEvent, RawEvents), _raw(records, RawLabel, RawLabels)
        events, labels = self._event_reader.read(raw_events), self._label_reader.read(raw_labels)
        newest_us, odd_events = self._checked(events.rows, now)
        times = labels.rows.get_column(self._label.time).cast(pl.Int64).to_list()
        latest_us = _latest_us(now)
        odd_labels = {i: _ahead("label_time", at, now) for i, at in enumerate(times) if at > latest_us}
        letters = [
            *_letters("raw_events", raw_events, events, odd_events, now),
            *_letters("raw_labels", raw_labels, labels, odd_labels, now),
        ]
        return _Batch(_without(events.rows, odd_events), _without(labels.rows, odd_labels), letters, newest_us)

    def _checked(self, events: pl.DataFrame, now: datetime) -> tuple[int | None, dict[int, str]]:
        """Return the newest time, and by its place why an event changes one sent before, or its time can't be."""
        newest_us, latest_us = self._newest_us, _latest_us(now)
        known = self._builder.known(events)
        odd = self._strays(events)
        ids, times = events.get_column(self._event.id), events.get_column(self._event.time).cast(pl.Int64)
        if not known and not odd and (newest := self._newest_of_plain(ids, times, latest_us)) is not None:
            return newest, odd
        seen: dict[str, int] = {}
        for i, (event_id, at_us) in enumerate(zip(ids.to_list(), times.to_list(), strict=True)):
            if i in odd:
                continue
            first = seen.get(event_id)
            is_same, is_built = known.get(i, (True, False)) if first is None else (_same(events, first, i), True)
            if not is_same:
                odd[i] = f"event id '{event_id}' was sent before with other content"
            # However old, if it is known: a producer or a retry may send the same event again much later.
            elif not is_built and at_us > latest_us:
                odd[i] = _ahead("event_time", at_us, now)
            elif not is_built and newest_us is not None and at_us < newest_us - self._lateness_us:
                odd[i] = self._late(at_us, newest_us)
            else:
                seen.setdefault(event_id, i)
                newest_us = at_us if newest_us is None or at_us > newest_us else newest_us
        return newest_us, odd

    def _newest_of_plain(self, ids: pl.Series, times: pl.Series, latest_us: int) -> int | None:
        """Return the newest time if no event has to be looked at by itself: none repeated, none ahead or late."""
        if ids.is_empty():
            return None
        at_us = times.to_numpy()
        newest_us = np.maximum.accumulate(at_us)
        if self._newest_us is not None:
            newest_us = np.maximum(newest_us, self._newest_us)
        in_time = newest_us[-1] <= latest_us and (at_us >= newest_us - self._lateness_us).all()
        return int(newest_us[-1]) if in_time and ids.n_unique() == len(ids) else None

    def _strays(self, events: pl.DataFrame) -> dict[int, str]:
        """Return what came by the lane of another entity: windows that are cut in two would count wrong, silently."""
        if self._holds is None:
            return {}
        name = self._event.entity
        entities = enumerate(events.get_column(name).to_list())
        why = f"came by the lane of another {name}: key each message by its {name}, partitioner murmur2_random"
        return {i: f"{name} '{entity}' {why}" for i, entity in entities if not self._holds(entity)}

    def _late(self, at_us: int, newest_us: int) -> str:
        return (
            f"too late: {(newest_us - at_us) / 1e6:.0f} s behind the newest event time {_time(newest_us).isoformat()}, "
            f"allowed are {self._lateness_us / 1e6:.0f} s"
        )

    def _note_entities(self, events: pl.DataFrame) -> list[int]:
        """Return which events are the newest of their entities: a late or repeated one must not replace a newer."""
        times = events.get_column(self._event.time).cast(pl.Int64).to_numpy()
        in_time = np.argsort(times, kind="stable")  # of one time the last that came counts
        entities = events.get_column(self._event.entity).gather(in_time).to_list()
        newest: list[int] = []
        for entity, i in dict(zip(entities, in_time.tolist(), strict=True)).items():
            at_us = int(times[i])
            if at_us >= self._newest_of.get(entity, at_us):
                self._newest_of[entity] = at_us
                newest.append(i)
        horizon = self._builder.horizon
        if horizon is not None and len(self._newest_of) > self._prune_above:
            horizon_us = microseconds(horizon)
            self._newest_of = {entity: at_us for entity, at_us in self._newest_of.items() if at_us >= horizon_us}
            self._prune_above = 2 * len(self._newest_of) + 1000
        return sorted(newest)

    def _labels(self, labels: pl.DataFrame) -> list[Label]:
        spec = self._label
        ids, times, truths = (labels.get_column(name) for name in (spec.id, spec.time, spec.field))
        return list(map(Label, ids.to_list(), utc_times(times), truths.to_list()))


def _raw(records: Sequence[Record], one: type[RawEvent | RawLabel], many: type[RawEvents | RawLabels]) -> list[Raw]:
    """Return what records of a topic hold, in order."""
    raw: list[Raw] = []
    for record in records:
        if isinstance(record, one):
            raw.append(record.value)
        elif isinstance(record, many):
            raw.append(pl.DataFrame(record.rows))
    return raw


def _letters(topic: RawTopic, raw: Sequence[Raw], table: Table, odd: dict[int, str], now: datetime) -> list[DeadLetter]:
    """Quarantine what can't be parsed and what is odd among the rest; the same bytes make the same letter."""
    faults = sorted([*table.faults, *((table.places[i], reason) for i, reason in odd.items())])
    values = values_at(raw, [place for place, _ in faults])
    # Any bytes at all are text in latin-1, so bytes that are no UTF-8 have an id too.
    return [
        DeadLetter(derived_id(topic, value.decode("latin-1")), topic, reason, value, now)
        for value, (_, reason) in zip(values, faults, strict=True)
    ]


def _same(events: pl.DataFrame, one: int, other: int) -> bool:
    return all(same_cells(cells[one : one + 1], cells[other : other + 1])[0] for cells in events)


def _without(table: pl.DataFrame, odd: dict[int, str]) -> pl.DataFrame:
    return table.filter([i not in odd for i in range(table.height)]) if odd else table


def _latest_us(now: datetime) -> int:
    return microseconds(now + CLOCK_SLACK)


def _time(at_us: int) -> datetime:
    return EPOCH + at_us * _US


def _ahead(name: str, at_us: int, now: datetime) -> str:
    time = _time(at_us)
    return f"{name} {time.isoformat()} is {(time - now).total_seconds():.0f} s ahead of the clock"
