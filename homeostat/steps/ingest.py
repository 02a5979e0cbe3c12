"""Ingest: raw bytes are held against the contract and become feature rows and labels, or dead letters."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, get_args

from homeostat.contract.model import Contract
from homeostat.errors import InvalidRecordError
from homeostat.features.builder import FeatureBuilder
from homeostat.features.parsing import EventParser, LabelParser, ParsedEvent, ParsedLabel
from homeostat.metric_names import EVENTS, FEATURE_FRESHNESS, QUARANTINED
from homeostat.ports import OnlineFeatures, Telemetry
from homeostat.records import DeadLetter, FeatureRow, Label, RawEvent, RawLabel, Record, derived_id

CLOCK_SLACK: Final = timedelta(minutes=1)  # clocks of producers may be this far ahead of ours

RawTopic = Literal["raw_events", "raw_labels"]


@dataclass(slots=True)
class _Batch:
    """What became of one micro-batch; ``newest`` is the newest event time seen with it."""

    newest: datetime | None
    events: list[ParsedEvent] = field(default_factory=list)
    labels: list[ParsedLabel] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)

    def refuse(self, topic: RawTopic, value: bytes, reason: str, at: datetime) -> None:
        """Quarantine a record; the same bytes make the same letter."""
        # Any bytes at all are text in latin-1, so bytes that are no UTF-8 have an id too.
        letter_id = derived_id(topic, value.decode("latin-1"))
        self.letters.append(DeadLetter(letter_id, topic, reason, value, at))


class IngestStep:
    """Turns raw events and labels into feature rows and labels, and stores the last row of each entity online."""

    def __init__(self, contract: Contract, online: OnlineFeatures, telemetry: Telemetry) -> None:
        self._product = contract.product
        self._lateness = contract.event.allowed_lateness
        self._online = online
        self._telemetry = telemetry
        self._event_parser = EventParser(contract)
        self._label_parser = LabelParser(contract)
        self._builder = FeatureBuilder(contract)
        self._newest: datetime | None = None  # event time
        self._newest_of: dict[str, datetime] = {}  # by entity
        self._prune_above = 0
        for topic in get_args(RawTopic):  # a counter that springs up at 1 has no rate: the first letter would go unseen
            telemetry.count(QUARANTINED, 0, product=contract.product, topic=topic)

    def handle(self, records: Sequence[Record], now: datetime) -> list[Record]:
        """Return feature rows, labels and dead letters; the rows are stored when this returns."""
        batch = self._sorted_out(records, now)
        rows = self._builder.add(batch.events, batch.labels)
        self._note_entities(batch.events)
        if rows:
            self._online.write([row for row in rows if self._is_newest(row)])
        self._newest = batch.newest  # not before: a batch repeated after a failed write is judged as it was
        self._telemetry.count(EVENTS, len(rows), product=self._product)
        for letter in batch.letters:
            self._telemetry.count(QUARANTINED, product=self._product, topic=letter.topic)
        labels = [Label(label.event_id, label.label_time, label.value) for label in batch.labels]
        return [*rows, *labels, *batch.letters]

    def restore(self, records: Sequence[Record], now: datetime) -> None:
        """Fold again what was handled before a restart; all events may come before the first label."""
        batch = self._sorted_out(records, now)
        self._builder.restore(batch.events, batch.labels)
        self._newest = batch.newest
        self._note_entities(batch.events)

    def tick(self, now: datetime) -> list[Record]:
        """Report the age of the newest feature row, which grows while nothing comes in."""
        if self._newest is not None:
            age_s = max(0.0, (now - self._newest).total_seconds())
            self._telemetry.gauge(FEATURE_FRESHNESS, age_s, product=self._product)
        return []

    def _sorted_out(self, records: Sequence[Record], now: datetime) -> _Batch:
        """Return the batch parsed, with what is unusable among the letters."""
        batch = _Batch(self._newest)
        seen: dict[str, ParsedEvent] = {}
        for record in records:
            if isinstance(record, RawEvent):
                self._take_event(record.value, now, batch, seen)
            elif isinstance(record, RawLabel):
                self._take_label(record.value, now, batch)
        return batch

    def _take_event(self, value: bytes, now: datetime, batch: _Batch, seen: dict[str, ParsedEvent]) -> None:
        try:
            event = self._event_parser.parse(value)
            self._check(event, seen, batch.newest, now)
        except InvalidRecordError as error:
            batch.refuse("raw_events", value, str(error), now)
        else:
            seen.setdefault(event.event_id, event)
            batch.events.append(event)
            batch.newest = event.event_time if batch.newest is None else max(batch.newest, event.event_time)

    def _take_label(self, value: bytes, now: datetime, batch: _Batch) -> None:
        try:
            label = self._label_parser.parse(value)
            _refuse_future("label_time", label.label_time, now)
        except InvalidRecordError as error:
            batch.refuse("raw_labels", value, str(error), now)
        else:
            batch.labels.append(label)

    def _check(self, event: ParsedEvent, seen: dict[str, ParsedEvent], newest: datetime | None, now: datetime) -> None:
        """Refuse an event that changes one sent before, or whose time can't be."""
        earlier = seen.get(event.event_id) or self._builder.event(event.event_id)
        if earlier is not None and earlier != event:
            raise InvalidRecordError(f"event id '{event.event_id}' was sent before with other content")
        if event.event_id in seen or self._builder.row(event.event_id) is not None:
            return  # however old: a producer or a retry may send the same event again much later
        _refuse_future("event_time", event.event_time, now)
        if newest is not None and event.event_time < newest - self._lateness:
            late_s = (newest - event.event_time).total_seconds()
            raise InvalidRecordError(
                f"too late: {late_s:.0f} s behind the newest event time {newest.isoformat()}, "
                f"allowed are {self._lateness.total_seconds():.0f} s"
            )

    def _note_entities(self, events: Sequence[ParsedEvent]) -> None:
        for event in events:
            newest = self._newest_of.get(event.entity_id, event.event_time)
            self._newest_of[event.entity_id] = max(newest, event.event_time)
        horizon = self._builder.horizon
        if horizon is not None and len(self._newest_of) > self._prune_above:
            self._newest_of = {entity: time for entity, time in self._newest_of.items() if time >= horizon}
            self._prune_above = 2 * len(self._newest_of) + 1000

    def _is_newest(self, row: FeatureRow) -> bool:
        """Whether the online store should hold this row: a late or repeated one must not replace a newer."""
        return row.event_time >= self._newest_of.get(row.entity_id, row.event_time)


def _refuse_future(name: str, time: datetime, now: datetime) -> None:
    if time > now + CLOCK_SLACK:
        ahead_s = (time - now).total_seconds()
        raise InvalidRecordError(f"{name} {time.isoformat()} is {ahead_s:.0f} s ahead of the clock")
