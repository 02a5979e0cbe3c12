"""Every port but the feature stores in plain memory: for tests, and to read what a port means."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from math import inf
from threading import Lock
from typing import Any

from homeostat.errors import HomeostatError, ModelError, StaleCaseError
from homeostat.healing import chain
from homeostat.healing.tags import aliases_in, answer_in, answering, asking, decision_in, mover_in, share_tag
from homeostat.metric_names import METRICS
from homeostat.ports import ALIASES, Aliases, LedgerEntry, Message, ModelPackage, NewMessage, OperatorDecision
from homeostat.records import Case

Labels = tuple[tuple[str, str], ...]


class MemoryLog:
    """An event log that lives as long as the process."""

    def __init__(self) -> None:
        self._topics: dict[str, list[Message]] = defaultdict(list)
        self._committed: dict[tuple[str, str], int] = {}
        self._first: dict[str, int] = {}  # offset of the first message kept, by topic
        self._lock = Lock()

    def append(self, messages: Sequence[NewMessage], at: datetime) -> None:
        """Append in the order given; a clock that stepped back does not take a topic's time back."""
        by_topic: dict[str, list[NewMessage]] = defaultdict(list)
        for new in messages:
            by_topic[new.topic].append(NewMessage(new.topic, bytes(new.value), dict(new.headers)))
        with self._lock:
            for name, batch in by_topic.items():
                topic = self._topics[name]
                time, end = max(at, topic[-1].time) if topic else at, self._end(name)
                topic.extend(Message(name, i, new.value, new.headers, time) for i, new in enumerate(batch, end))

    def read(self, topic: str, offset: int, limit: int) -> list[Message]:
        """Return up to ``limit`` messages from ``offset`` on, in order.

        Raises:
            HomeostatError: The offset was trimmed.
        """
        with self._lock:
            start = offset - self._first.get(topic, 0)
            if start < 0:
                raise HomeostatError(f"{topic}: offset {offset} was trimmed")
            return self._topics.get(topic, [])[start : start + limit]

    def end(self, topic: str) -> int:
        """Return the offset the next message will get."""
        with self._lock:
            return self._end(topic)

    def offset_at(self, topic: str, time: datetime) -> int:
        """Return the first offset appended at or after ``time`` (``end`` if none)."""
        with self._lock:
            return self._first.get(topic, 0) + self._older(topic, time)

    def committed(self, group: str, topic: str) -> int:
        """Return the offset the group reads next; 0 if it never committed."""
        return self._committed.get((group, topic), 0)

    def commit(self, group: str, offsets: Mapping[str, int]) -> None:
        """Store the group's next offsets."""
        with self._lock:
            self._committed.update({(group, topic): offset for topic, offset in offsets.items()})

    def trim(self, topic: str, before: datetime) -> int:
        """Delete messages appended before a time that everybody has read, and return how many."""
        with self._lock:
            first = self._first.get(topic, 0)
            unread = [offset - first for (_, name), offset in self._committed.items() if name == topic]
            count = max(0, min([self._older(topic, before), *unread]))
            self._topics[topic] = self._topics[topic][count:]
            self._first[topic] = first + count
            return count

    def _end(self, topic: str) -> int:
        return self._first.get(topic, 0) + len(self._topics.get(topic, ()))

    def _older(self, topic: str, time: datetime) -> int:
        """Return how many of the messages kept were appended before a time."""
        return bisect_left(self._topics.get(topic, []), time, key=lambda message: message.time)


class MemoryRegistry:
    """A model registry that lives as long as the process; versions are counted from "1"."""

    def __init__(self) -> None:
        self._packages: dict[str, ModelPackage] = {}
        self._by_request: dict[str, str] = {}
        self._aliases: dict[str, str] = {}
        self._model_tags: dict[str, str] = {}
        self.described: dict[str, tuple[str, dict[str, str]]] = {}  # text and pages by version

    def register(self, package: ModelPackage, request_id: str) -> str:
        """Store a package once by request and return its version."""
        if request_id not in self._by_request:
            version = str(len(self._packages) + 1)
            self._packages[version] = _copied(package)
            self._by_request[request_id] = version
        return self._by_request[request_id]

    def load(self, version: str) -> ModelPackage:
        """Return the package stored under a version.

        Raises:
            ModelError: There is no such version.
        """
        return _copied(self._known(version))

    def aliases(self) -> Aliases:
        """Return who serves now."""
        return aliases_in(self._aliases, self._model_tags)

    def set_alias(self, alias: str, version: str | None, share: float | None = None) -> None:
        """Point ``alias`` to a version, or clear it with None.

        Raises:
            HomeostatError: The alias is none of champion, challenger and previous.
            ModelError: There is no such version.
        """
        if alias not in ALIASES:
            raise HomeostatError(f"no alias {alias!r}: expected champion, challenger or previous")
        if version is not None:
            self._known(version)
            self._retag(None, share_tag(version, share) if share is not None else {})
        self._aliases = {name: at for name, at in {**self._aliases, alias: version}.items() if at is not None}

    def mover(self, alias: str, version: str | None) -> str | None:
        """Return who put an alias on a version, by the tags of the model."""
        return mover_in(self._model_tags, alias, version)

    def tag(self, version: str | None, tags: Mapping[str, str]) -> None:
        """Add or replace tags of a version, of the model itself with None."""
        self._retag(version, tags)

    def describe(self, version: str, text: str | None, pages: Mapping[str, str]) -> None:
        """Put a text, if one is given, and pages beside a version."""
        self._known(version)
        older = self.described.get(version, ("", {}))
        self.described[version] = (older[0] if text is None else text, {**older[1], **pages})

    def decisions(self) -> list[OperatorDecision]:
        """Return the open decisions, the model's own first, then by version."""
        return [found for version in (None, *self._packages) if (found := decision_in(version, self._tags(version)))]

    def decide(self, decision: OperatorDecision) -> None:
        """Open a decision, in place of an open one and of an older answer."""
        self._retag(decision.version, asking(decision))

    def answer(self, decision: OperatorDecision, text: str) -> None:
        """Close a decision with what became of it; one that is open no more, or says another word now, is left."""
        if any(d.version == decision.version and d.action == decision.action for d in self.decisions()):
            self._retag(decision.version, answering(text))

    def answered(self, version: str | None) -> str | None:
        """Return what became of the last decision on a version, None while it is open or if there never was one."""
        return answer_in(self._tags(version))

    def _tags(self, version: str | None) -> Mapping[str, str]:
        return self._model_tags if version is None else self._known(version).tags

    def _retag(self, version: str | None, changes: Mapping[str, str | None]) -> None:
        tags = {tag: text for tag, text in {**self._tags(version), **changes}.items() if text is not None}
        if version is None:
            self._model_tags = tags
        else:
            self._packages[version] = replace(self._known(version), tags=tags)

    def _known(self, version: str) -> ModelPackage:
        if version not in self._packages:
            raise ModelError(f"there is no model version {version!r}")
        return self._packages[version]


def _copied(package: ModelPackage) -> ModelPackage:
    return ModelPackage(dict(package.files), dict(package.metrics), dict(package.params), dict(package.tags))


class MemoryCases:
    """A case store that lives as long as the process."""

    def __init__(self) -> None:
        self._case = Case()
        self._lock = Lock()

    def load(self) -> Case:
        """Return the current case."""
        return self._case

    def save(self, case: Case) -> Case:
        """Store the case and return it with its new revision.

        Raises:
            StaleCaseError: The stored case has another revision.
        """
        with self._lock:
            if case.revision != self._case.revision:
                raise StaleCaseError(f"the case is at revision {self._case.revision}, not {case.revision}")
            self._case = replace(case, revision=case.revision + 1)
            return self._case


class MemoryLedger:
    """A ledger that lives as long as the process."""

    def __init__(self) -> None:
        self._entries: list[LedgerEntry] = []
        self._by_id: dict[str, LedgerEntry] = {}
        self._head = chain.EMPTY
        self._lock = Lock()

    def append(
        self, entry_id: str, at: datetime, kind: str, payload: Mapping[str, Any], actor: str = "homeostat"
    ) -> LedgerEntry:
        """Add an entry once by ``entry_id`` and return it."""
        with self._lock:
            if entry_id in self._by_id:
                return self._by_id[entry_id]
            entry = chain.link(self._head, entry_id, at, kind=kind, actor=actor, payload=payload)
            self._entries.append(entry)
            self._by_id[entry_id] = entry
            self._head = chain.Head(entry.seq, entry.hash)
            return entry

    def entries(self, after: int = 0) -> list[LedgerEntry]:
        """Return the entries behind a ``seq`` in order."""
        return self._entries[after:]

    def verify(self) -> int:
        """Return the number of entries when the chain is whole.

        Raises:
            LedgerError: An entry does not fit the chain; the message names it.
        """
        return chain.verify(self._entries, self._head)


class MemoryTelemetry:
    """Telemetry that keeps every number, so that a test can ask for it."""

    def __init__(self) -> None:
        self._families = {metric.name: metric for metric in METRICS}
        self._values: dict[tuple[str, Labels], float] = {}
        self._observations: dict[tuple[str, Labels], list[float]] = defaultdict(list)

    def count(self, name: str, value: float = 1.0, **labels: str) -> None:
        """Add to a counter."""
        if value < 0:
            raise HomeostatError(f"the counter {name} can't go down by {-value}")
        key = self._key(name, "counter", labels)
        self._values[key] = self._values.get(key, 0.0) + value

    def gauge(self, name: str, value: float | None, **labels: str) -> None:
        """Set a gauge; with None it is shown no more."""
        key = self._key(name, "gauge", labels)
        if value is None:
            self._values.pop(key, None)
        else:
            self._values[key] = value

    def timestamp(self, name: str, at: datetime | None, now: datetime, **labels: str) -> None:  # noqa: ARG002 - the port's shape
        """Set a gauge to a time by the caller's own clock."""
        self.gauge(name, at.timestamp() if at else inf, **labels)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add an observation to a histogram."""
        self._observations[self._key(name, "histogram", labels)].append(value)

    def value(self, name: str, **labels: str) -> float | None:
        """Return a counter's or gauge's value, None if it was never touched."""
        return self._values.get((name, tuple(sorted(labels.items()))))

    def observations(self, name: str, **labels: str) -> list[float]:
        """Return a histogram's observations in the order they came."""
        return list(self._observations.get((name, tuple(sorted(labels.items()))), ()))

    def _key(self, name: str, kind: str, labels: Mapping[str, str]) -> tuple[str, Labels]:
        family = self._families.get(name)
        if family is None or family.kind != kind or set(labels) != set(family.labels):
            raise HomeostatError(f"no {kind} {name} with labels {sorted(labels)} in homeostat.metric_names")
        return name, tuple(sorted(labels.items()))
