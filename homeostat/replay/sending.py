"""What a replay sends, in which portions, and what came of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import numpy as np

from homeostat.contract.model import Contract
from homeostat.replay.client import Delivery, InstanceClient, Kind
from homeostat.replay.recording import Recording, Track
from homeostat.replay.refusals import Refusals

PREDICTED_AT_ONCE: Final = 20  # rows in a request for predictions
_NICE_BATCHES: Final = tuple(timedelta(minutes=m) for m in (120, 60, 30, 15, 10, 5, 1))
_BATCHES_A_DELAY: Final = 4  # an event is predicted well before half of its labels can come


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a replay is.

    Args:
        clock: The recording's time.
        rows: Events and labels sent or refused.
        total_rows: Of all there are to send.
        waited_s: How long the instance has been at work on the last batch; a training takes minutes.
    """

    clock: datetime
    rows: int
    total_rows: int
    waited_s: float = 0.0


@dataclass(slots=True)
class Sent:
    """What came of a replay so far."""

    events: int = 0  # accepted
    labels: int = 0
    predictions: int = 0  # answered
    unscored: int = 0  # of them without a model
    refused: Refusals = field(default_factory=Refusals)
    latencies_s: list[float] = field(default_factory=list)  # of requests for predictions
    clock: datetime | None = None  # the instance's, at the end
    wall_s: float = 0.0

    @property
    def rows(self) -> int:
        """Events and labels sent or refused."""
        return self.events + self.labels + self.refused.rows

    def latency_ms(self, share: float) -> float | None:
        """Return the latency that this share of requests stayed within, None without any."""
        return float(np.quantile(self.latencies_s, share)) * 1000 if self.latencies_s else None


Change = Callable[[Kind, bytes], bytes]


def unchanged(kind: Kind, row: bytes) -> bytes:  # noqa: ARG001 - the shape of a change
    """Return a row as it was recorded."""
    return row


class Feed:
    """Goes through a recording, portion by portion, and delivers each in the order of life."""

    def __init__(self, contract: Contract, recording: Recording, client: InstanceClient, *, predict: bool) -> None:
        """Take what to send and where to.

        Args:
            contract: Says where the ids are.
            recording: What to send.
            client: The instance.
            predict: Ask for predictions of events instead of sending them.
        """
        self._recording = recording
        self._client = client
        self._predict = predict
        self._id_of: Mapping[Kind, Callable[[bytes], str | None]] = {
            "events": _id_reader(contract.event.id),
            "labels": _id_reader(contract.label.id),
        }
        self._at = (0, 0)
        self.sent = Sent()
        self.total_rows = len(recording.events) + len(recording.labels)

    def next_time(self) -> int | None:
        """Return when the next message became known, in microseconds since 1970; None at the end."""
        tracks = (self._recording.events, self._recording.labels)
        left = [int(track.times[at]) for track, at in zip(tracks, self._at, strict=True) if at < len(track)]
        return min(left, default=None)

    def deliver(self, until: datetime, change: Change = unchanged) -> None:
        """Send what became known before ``until``, so that each event is predicted before its own label comes.

        Labels of earlier events go first: an event may rest on them. A label of an event of this portion goes behind
        that and before the events that are later than the label.
        """
        tracks = (self._recording.events, self._recording.labels)
        ends = (tracks[0].index_at(until), tracks[1].index_at(until))
        events, labels = (t.take(at, end) for t, at, end in zip(tracks, self._at, ends, strict=True))
        event_times, label_times = (t.times[at:end] for t, at, end in zip(tracks, self._at, ends, strict=True))
        self._at = ends
        new = {self._id_of["events"](event) for event in events} - {None} if labels else set()
        own = [i for i, label in enumerate(labels) if self._id_of["labels"](label) in new]
        due = sorted(set(range(len(labels))) - set(own))
        sent = 0
        for i in own:
            stop = int(np.searchsorted(event_times, label_times[i], side="right"))
            if stop > sent:
                self._labels([labels[j] for j in due], change)
                self._events(events[sent:stop], change)
                sent, due = stop, []
            due.append(i)
        self._labels([labels[j] for j in due], change)
        self._events(events[sent:], change)

    def _labels(self, labels: Sequence[bytes], change: Change) -> None:
        if labels:
            rows = [change("labels", label) for label in labels]
            self.sent.labels += self._noted("labels", rows, self._client.send("labels", rows))

    def _events(self, events: Sequence[bytes], change: Change) -> None:
        if not events:
            return
        rows = [change("events", event) for event in events]
        if not self._predict:
            self.sent.events += self._noted("events", rows, self._client.send("events", rows))
            return
        delivery = self._client.predict(rows, PREDICTED_AT_ONCE)
        self.sent.events += self._noted("events", rows, delivery)
        self.sent.predictions += len(delivery.answers)
        self.sent.unscored += sum(answer.get("score") is None for answer in delivery.answers)
        self.sent.latencies_s += delivery.latencies_s

    def _noted(self, kind: Kind, rows: Sequence[bytes], delivery: Delivery) -> int:
        """Note what was refused and return how many rows were not."""
        for i, reason in delivery.refused.items():
            row_id = self._id_of[kind](rows[i])
            self.sent.refused.add(reason, f"{kind[:-1]} {row_id}" if row_id else kind[:-1])
        return len(rows) - len(delivery.refused)


def usual_batch(contract: Contract) -> timedelta:
    """Return how much of a stream to send at once: a quarter of a label's delay, and no more than a look apart.

    An event counts as predicted at the end of its batch, so a batch has to be short beside the time to the label.
    """
    most = min(contract.drift.every, contract.label.delay / _BATCHES_A_DELAY)
    return next((nice for nice in _NICE_BATCHES if nice <= most), min(most, _NICE_BATCHES[-1]))


def cut(recording: Recording, since: datetime | None, until: datetime | None) -> Recording:
    """Return what became known at or after ``since`` and before ``until``."""
    return Recording(_cut(recording.events, since, until), _cut(recording.labels, since, until))


def first_events(recording: Recording, contract: Contract, count: int) -> Recording:
    """Return the first ``count`` events, and of the labels those that are not of later events."""
    if count >= len(recording.events):
        return recording
    id_of_event, id_of_label = _id_reader(contract.event.id), _id_reader(contract.label.id)
    later = {id_of_event(event) for event in recording.events.take(count, len(recording.events))}
    kept = np.array([id_of_label(label) not in later for label in recording.labels.values], dtype=bool)
    labels = Track(recording.labels.times[kept], recording.labels.values.gather(np.flatnonzero(kept)))
    return Recording(Track(recording.events.times[:count], recording.events.values.slice(0, count)), labels)


def _cut(track: Track, since: datetime | None, until: datetime | None) -> Track:
    start = track.index_at(since) if since else 0
    stop = max(start, track.index_at(until)) if until else len(track)
    return Track(track.times[start:stop], track.values.slice(start, stop - start))


def _id_reader(name: str) -> Callable[[bytes], str | None]:
    """Return what finds the id of a message, None where it has none that is a text."""
    struct = msgspec.defstruct("Named", [("id", Any, None)], rename={"id": name}, gc=False)
    decode = msgspec.json.Decoder(struct).decode

    def read(message: bytes) -> str | None:
        found: Any = decode(message)
        return found.id if isinstance(found.id, str) else None

    return read
