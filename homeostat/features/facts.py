"""What is known about each key, and since when: the memory behind a contract's aggregates."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, Final

import numpy as np

from homeostat.contract.model import AggregateFeature, Contract
from homeostat.features.parsing import ParsedEvent, ParsedLabel
from homeostat.features.windows import History, Integers, aggregate, microseconds
from homeostat.records import Scalar

Cell = Scalar | datetime

_MIN_TRIM: Final = 2_000  # facts; fewer are not worth the work of forgetting them
_US: Final = timedelta(microseconds=1)


class _Source:
    """The facts of one name by one key, kept as long as the longest window over them needs."""

    def __init__(self, by: tuple[str, ...], of: str | None, *, text: bool) -> None:
        self.of = of
        self.key = _key_getter(by)
        self.span_us = 0
        self._history = History(text=text)
        self._trim_at = _MIN_TRIM

    def learn(self, events: Sequence[ParsedEvent], known_us: Sequence[int], values: Sequence[Cell]) -> None:
        """Keep the facts that are there and have a key: of which event, since when, what."""
        keys = [self.key(event.fields) for event in events]
        if None in keys or None in values:
            there = [i for i, key in enumerate(keys) if key is not None and values[i] is not None]
            keys, known_us, values = [keys[i] for i in there], [known_us[i] for i in there], [values[i] for i in there]
        self._history.insert(keys, known_us, values)

    def compute(
        self, wanted: Sequence[tuple[str, str, int]], events: Sequence[ParsedEvent], at_us: Integers
    ) -> dict[str, list[Any]]:
        """Return one list of cells per wanted feature, given as its name, its kind and its span."""
        codes = self._history.codes([self.key(event.fields) for event in events])
        end = self._history.before(codes, at_us)
        return {
            name: aggregate(kind, self._history.values, self._history.before(codes, at_us - span_us), end)
            for name, kind, span_us in wanted
        }

    def trim(self, oldest_us: int) -> None:
        """Forget what no window ending at or after ``oldest_us`` reaches."""
        # A trim copies the history, so it waits until there is something to gain.
        if len(self._history) >= self._trim_at:
            self._history.trim(oldest_us - self.span_us)
            self._trim_at = len(self._history) + max(len(self._history) // 4, _MIN_TRIM)


class Facts:
    """Learns from events and labels, and computes the aggregate features of a contract.

    Facts of an event are known at its event time; its label and the facts that come with it at the
    label time, but not before the event. A fact that is missing, or lacks a part of its key, is no fact.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._sources: dict[tuple[tuple[str, ...], str | None], _Source] = {}
        self._wanted: Final[dict[_Source, list[tuple[str, str, int]]]] = {}
        for name, feature in contract.features.items():
            if isinstance(feature, AggregateFeature):
                wanted = self._wanted.setdefault(self._source(feature), [])
                wanted.append((name, feature.aggregate, feature.over // _US))
        sources = self._sources.values()
        self._of_event: Final = [s for s in sources if s.of is None or s.of in contract.event.fields]
        self._of_label: Final = [s for s in sources if s not in self._of_event]

    def _source(self, feature: AggregateFeature) -> _Source:
        by = tuple(feature.by)
        fields, facts = self._contract.event.fields, self._contract.label.facts
        spec = None if feature.of is None else fields.get(feature.of) or facts.get(feature.of)
        text = spec is not None and spec.type == "string"
        source = self._sources.setdefault((by, feature.of), _Source(by, feature.of, text=text))
        source.span_us = max(source.span_us, feature.over // _US)
        return source

    @property
    def longest_span(self) -> timedelta:
        """The longest span of any window."""
        return max((source.span_us for source in self._sources.values()), default=0) * _US

    def learn_events(self, events: Sequence[ParsedEvent]) -> None:
        """Add what events tell by themselves."""
        at_us = [microseconds(event.event_time) for event in events]
        for source in self._of_event:
            if source.of is None:
                source.learn(events, at_us, [True] * len(events))
            else:
                source.learn(events, at_us, [event.fields[source.of] for event in events])

    def learn_labels(self, labelled: Sequence[tuple[ParsedEvent, ParsedLabel]]) -> None:
        """Add labels and their facts under the keys of their events."""
        events = [event for event, _ in labelled]
        # A label may be known before its event is; nobody can join the two before both are there.
        known_us = [microseconds(max(event.event_time, label.label_time)) for event, label in labelled]
        for source in self._of_label:
            if source.of is None or source.of == self._contract.label.field:
                source.learn(events, known_us, [label.value for _, label in labelled])
            else:
                source.learn(events, known_us, [label.facts[source.of] for _, label in labelled])

    def compute(self, events: Sequence[ParsedEvent]) -> dict[str, list[Scalar]]:
        """Return one list of cells per feature, in the order of the events."""
        at_us = np.array([microseconds(event.event_time) for event in events], np.int64)
        columns: dict[str, list[Scalar]] = {}
        for source, wanted in self._wanted.items():
            columns.update(source.compute(wanted, events, at_us))
        return columns

    def trim(self, oldest: datetime) -> None:
        """Forget what no event at or after ``oldest`` can see."""
        for source in self._sources.values():
            source.trim(microseconds(oldest))


def _key_getter(by: tuple[str, ...]) -> Callable[[Mapping[str, Cell]], Hashable]:
    """Return what makes the key of an event out of its fields, None where a part is missing."""
    get = itemgetter(*by)
    if len(by) == 1:
        return get

    def key(fields: Mapping[str, Cell]) -> Hashable:
        parts = get(fields)
        return None if None in parts else parts

    return key
