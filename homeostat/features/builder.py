"""Feature rows for stream, restore and backfill alike: one implementation, so they can't differ."""

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from homeostat.contract.model import Contract
from homeostat.features.columns import EventColumns
from homeostat.features.facts import Facts
from homeostat.features.parsing import ParsedEvent, ParsedLabel
from homeostat.records import FeatureRow


class FeatureBuilder:
    """Turns parsed events into feature rows, remembering what their windows and labels need.

    A row sees what was known strictly before its event time and was added with it or earlier. A stream
    in the order in which things became known gives the same rows however it is cut into batches; what
    comes out of order counts from the batch it comes in. Events later than the contract's
    ``allowed_lateness`` have to be kept out by the caller: the windows before that are forgotten.
    """

    def __init__(self, contract: Contract) -> None:
        self._names: Final = contract.feature_names
        self._columns: Final = EventColumns(contract)
        self._facts: Final = Facts(contract)
        self._maturity: Final = contract.label.maturity
        self._lateness: Final = contract.event.allowed_lateness
        # An event lives on until its label has left all windows: after a restart labels come last.
        self._memory: Final = self._facts.longest_span + self._maturity + self._lateness
        self._newest: datetime | None = None
        self._events: dict[str, ParsedEvent] = {}
        self._rows: dict[str, FeatureRow] = {}
        self._labelled: set[str] = set()
        self._waiting: dict[str, ParsedLabel] = {}  # labels that came before their event
        self._order: deque[str] = deque()  # event ids as they came, about in event-time order

    @property
    def horizon(self) -> datetime | None:
        """Events before this are forgotten."""
        return None if self._newest is None else self._newest - self._memory

    def event(self, event_id: str) -> ParsedEvent | None:
        """Return the event added under an id, None if it never was or is forgotten."""
        return self._events.get(event_id)

    def row(self, event_id: str) -> FeatureRow | None:
        """Return the row built for an id, None if none was since the start, or it is forgotten."""
        return self._rows.get(event_id)

    def add(self, events: Sequence[ParsedEvent], labels: Sequence[ParsedLabel]) -> list[FeatureRow]:
        """Fold a batch in and return one row per event, in order.

        An event id that is known adds nothing and gives its first row again. A label counts once, if it
        is known within the maturity of its event; one whose event is unknown waits for it.
        """
        self._learn(events, labels)
        missing = {event.event_id: self._events[event.event_id] for event in events if event.event_id not in self._rows}
        self._rows.update((row.event_id, row) for row in self._built(list(missing.values())))
        rows = [self._rows[event.event_id] for event in events]
        self._forget()
        return rows

    def restore(self, events: Sequence[ParsedEvent], labels: Sequence[ParsedLabel]) -> None:
        """Fold a batch in without building rows; all events may come before the first label."""
        self._learn(events, labels)
        self._forget()

    def _learn(self, events: Sequence[ParsedEvent], labels: Sequence[ParsedLabel]) -> None:
        new: dict[str, ParsedEvent] = {}
        for event in events:
            if event.event_id not in self._events:
                new.setdefault(event.event_id, event)
        self._events.update(new)
        self._order.extend(new)
        if new:
            newest = max(event.event_time for event in new.values())
            self._newest = newest if self._newest is None else max(self._newest, newest)
        self._facts.learn_events(list(new.values()))
        self._facts.learn_labels(self._matched(new, labels))

    def _matched(
        self, new: Mapping[str, ParsedEvent], labels: Sequence[ParsedLabel]
    ) -> list[tuple[ParsedEvent, ParsedLabel]]:
        """Return the labels that count now, each with its event."""
        ready: list[ParsedLabel] = []
        for label in labels:
            event = self._events.get(label.event_id)
            # One that is older than its event waits for it here too, or batches would change the order.
            if event is None or (label.event_id in new and label.label_time < event.event_time):
                self._waiting.setdefault(label.event_id, label)
            else:
                ready.append(label)
        ready = [self._waiting.pop(event_id) for event_id in new if event_id in self._waiting] + ready
        matched: list[tuple[ParsedEvent, ParsedLabel]] = []
        for label in ready:
            event = self._events[label.event_id]
            if label.event_id not in self._labelled and label.label_time <= event.event_time + self._maturity:
                matched.append((event, label))
            self._labelled.add(label.event_id)
        return matched

    def _built(self, events: Sequence[ParsedEvent]) -> list[FeatureRow]:
        if not events:
            return []
        columns = {**self._columns.compute(events), **self._facts.compute(events)}
        cells = zip(*(columns[name] for name in self._names), strict=True)
        return [
            FeatureRow(event.event_id, event.entity_id, event.event_time, values)
            for event, values in zip(events, cells, strict=True)
        ]

    def _forget(self) -> None:
        """Drop what can't matter any more, a few entries at every batch."""
        if self._newest is None or (horizon := self.horizon) is None:
            return
        self._facts.trim(self._newest - self._lateness)
        while self._order and self._events[self._order[0]].event_time < horizon:
            event_id = self._order.popleft()
            del self._events[event_id]
            self._rows.pop(event_id, None)
            self._labelled.discard(event_id)
        if self._waiting and next(iter(self._waiting.values())).label_time < horizon:
            self._waiting = {key: label for key, label in self._waiting.items() if label.label_time >= horizon}
