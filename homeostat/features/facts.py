"""What is known about each key, and since when: the memory behind a contract's aggregates."""

from collections.abc import Hashable, Iterable, Sequence
from datetime import timedelta
from typing import Final

import numpy as np
import polars as pl

from homeostat.contract.model import AggregateFeature, Contract
from homeostat.features.windows import History, Integers, aggregate

_MIN_TRIM: Final = 2_000  # facts; fewer are not worth the work of forgetting them
_US: Final = timedelta(microseconds=1)

Keys = list[Hashable]


class _Source:
    """The facts of one name by one key, kept as long as the longest window over them needs."""

    def __init__(self, by: tuple[str, ...], of: str | None, *, text: bool) -> None:
        self.by = by
        self.of = of
        self.span_us = 0
        self._text = text
        self._history = History(text=text)
        self._trim_at = _MIN_TRIM

    def learn(self, keys: Keys, known_us: Integers, values: pl.Series) -> None:
        """Keep the facts that are there and have a key: by what, since when, what."""
        if None in keys or values.null_count():
            there = np.array([key is not None for key in keys], bool) & values.is_not_null().to_numpy()
            keys = [key for key, kept in zip(keys, there, strict=True) if kept]
            known_us, values = known_us[there], values.filter(there)
        self._history.insert(keys, known_us, values.to_list() if self._text else values.cast(pl.Float64).to_numpy())

    def compute(self, wanted: Sequence[tuple[str, str, int]], keys: Keys, at_us: Integers) -> list[pl.Series]:
        """Return one column per wanted feature, given as its name, its kind and its span."""
        codes = self._history.codes(keys)
        rank = np.lexsort((at_us, codes))  # neighbours look at the same facts: most are in the cache by then
        codes, at_us = codes[rank], at_us[rank]
        end = self._history.before(codes, at_us)
        place = np.argsort(rank)
        return [
            aggregate(kind, self._history.values, self._history.before(codes, at_us - span_us), end)[place].alias(name)
            for name, kind, span_us in wanted
        ]

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

    def learn_events(self, events: pl.DataFrame) -> None:
        """Add what events tell by themselves."""
        self._learn(self._of_event, events, events, self._times_us(events))

    def learn_labels(self, events: pl.DataFrame, labels: pl.DataFrame) -> None:
        """Add labels and their facts under the keys of their events, row by row the same."""
        if labels.is_empty():
            return
        label_us = labels.get_column(self._contract.label.time).cast(pl.Int64).to_numpy()
        # A label may be known before its event is; nobody can join the two before both are there.
        self._learn(self._of_label, events, labels, np.maximum(self._times_us(events), label_us))

    def compute(self, events: pl.DataFrame) -> list[pl.Series]:
        """Return one column per feature, in the order of the events."""
        keys = _keys(events, self._wanted)
        at_us = self._times_us(events)
        columns: list[pl.Series] = []
        for source, wanted in self._wanted.items():
            columns += source.compute(wanted, keys[source.by], at_us)
        return columns

    def trim(self, oldest_us: int) -> None:
        """Forget what no event at or after a time, in microseconds since 1970, can see."""
        for source in self._sources.values():
            source.trim(oldest_us)

    def _times_us(self, events: pl.DataFrame) -> Integers:
        return events.get_column(self._contract.event.time).cast(pl.Int64).to_numpy()

    @staticmethod
    def _learn(sources: Sequence[_Source], events: pl.DataFrame, told: pl.DataFrame, known_us: Integers) -> None:
        if events.is_empty():
            return
        keys = _keys(events, sources)
        there = pl.Series(np.ones(told.height))
        for source in sources:
            source.learn(keys[source.by], known_us, there if source.of is None else told.get_column(source.of))


def _keys(events: pl.DataFrame, sources: Iterable[_Source]) -> dict[tuple[str, ...], Keys]:
    """Return the key of each event for every way to group them, None where a part is missing."""
    return {by: _key(events, by) for by in {source.by for source in sources}}


def _key(events: pl.DataFrame, by: tuple[str, ...]) -> Keys:
    if len(by) == 1:
        return events.get_column(by[0]).to_list()
    return [None if None in parts else parts for parts in events.select(by).iter_rows()]
