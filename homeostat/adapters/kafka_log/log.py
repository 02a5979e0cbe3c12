"""The event log on Apache Kafka: one lane is one partition of each raw topic of a product."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from time import monotonic, sleep
from types import MappingProxyType
from typing import Any, Final, Self, TypeVar

import msgspec

from homeostat.adapters.kafka_log.client import EARLIEST, LATEST, Client, Entry
from homeostat.adapters.kafka_log.cluster import (
    MESSAGE_BYTES,
    Cluster,
    UnknownTopicError,
    is_raw,
    lanes_of,
    topic_config,
)
from homeostat.adapters.kafka_log.lanes import lane_of
from homeostat.adapters.kafka_log.python_client import PythonClient
from homeostat.adapters.kafka_log.reader import Reader
from homeostat.errors import HomeostatError, InvalidRecordError, TransientError
from homeostat.flow import EXTERNAL, FLOW, dead_letters, topic_name
from homeostat.ports import Message, NewMessage

Answer = TypeVar("Answer")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_PAUSE_S: Final = 0.1  # between two tries
_OVERHEAD: Final = 64  # bytes that a record and one of its headers add, at most


def open_client(cluster: Cluster) -> Client:
    """Return the client that the settings name; it connects when it is first used.

    Raises:
        HomeostatError: It is librdkafka's and not installed.
    """
    if cluster.client == "kafka-python":
        return PythonClient(cluster)
    try:
        from homeostat.adapters.kafka_log.librdkafka_client import LibrdkafkaClient  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise HomeostatError("HOMEOSTAT_KAFKA__CLIENT=librdkafka needs `pip install homeostat[librdkafka]`") from error
    return LibrdkafkaClient(cluster)


class _Connection:
    """What the lanes of a process share."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.client = open_client(cluster)
        self.reader = Reader(self.client, cluster.timeout_s)
        self.known: set[str] = set()  # topics that were seen to be there


class KafkaLog:
    """An event log on a product's topics, or on one lane of its raw ones; the others have a single one.

    Of the whole raw topics it appends each message to the lane of its entity, and counts: an offset is then a number of
    messages. It reads them lane by lane, for order is within a lane alone.

    An acknowledged append is on every replica in sync. An append that fails on the way may have stored
    some of its messages; who repeats it stores them again, and readers tell repeats by record id. Times
    are kept to the millisecond. They may step back where several processes append to a topic.

    Raises:
        TransientError: The brokers don't answer; the message names them.
        HomeostatError: They refuse who asks, or what is asked for.
    """

    def __init__(
        self,
        cluster: Cluster,
        product: str,
        lane: int | None = None,
        *,
        entity: str = "",
        connection: _Connection | None = None,
    ) -> None:
        """Take where the brokers are and whose topics these are; nothing is connected yet.

        Args:
            cluster: Where the brokers are.
            product: Whose topics these are.
            lane: The one lane of the raw topics that is read and written, None for all of them.
            entity: The field of a raw message that names its entity.
            connection: Of another lane's log.
        """
        if lane is not None and not 0 <= lane < cluster.lanes:
            raise HomeostatError(f"there is no lane {lane}: HOMEOSTAT_KAFKA__LANES is {cluster.lanes}")
        self._shared = connection or _Connection(cluster)
        self._client = self._shared.client
        self._cluster = cluster
        self._product = product
        self._lane = lane
        keyed = msgspec.defstruct("Keyed", [("entity", str, "")], rename={"entity": entity or "entity"})
        self._decode_keyed: Callable[[bytes], Any] = msgspec.json.Decoder(keyed).decode

    def lane(self, lane: int) -> Self:
        """Return the log with one lane of the raw topics, by the same connection."""
        return type(self)(self._cluster, self._product, lane, connection=self._shared)

    def holds(self, key: str) -> bool:
        """Return whether what a producer sends with this key comes by this log."""
        return self._lane is None or lane_of(key, self._cluster.lanes) == self._lane

    def close(self) -> None:
        """Let go of the connection, for all lanes."""
        self._client.close()

    def create_topics(self) -> None:
        """Create every topic of the product that is not there."""
        steps = {t for row in FLOW for t in (*row.consumes, *row.produces, dead_letters(row.step))}
        self._make_sure({topic_name(self._product, topic) for topic in steps | set(EXTERNAL)})

    def append(self, messages: Sequence[NewMessage], at: datetime) -> None:
        """Append in the order given; a raw message without its entity goes to the first lane.

        Raises:
            InvalidRecordError: A message is too large; nothing of this call was stored.
            TransientError: Not all could be stored.
        """
        time_ms = _to_ms(at)
        entries = [_entry(message, self._lane_for(message), time_ms) for message in messages]
        if not entries:
            return
        self._make_sure({entry.topic for entry in entries})
        self._client.produce(entries)

    def read(self, topic: str, offset: int, limit: int) -> list[Message]:
        """Return up to ``limit`` messages from ``offset`` on, in order.

        Raises:
            HomeostatError: The offset was trimmed; going on at the first one kept would skip messages. Or these are
                several lanes.
        """
        lane = self._only_lane(topic)
        if not self._is_there(topic):
            return []
        entries = self._patiently(lambda: self._shared.reader.read(topic, lane, offset, limit))
        return [
            Message(topic, entry.offset, entry.value, _headers(tuple(entry.headers)), _from_ms(entry.time_ms), lane)
            for entry in entries
        ]

    def end(self, topic: str) -> int:
        """Return the offset the next message will get."""
        return sum(self._offset(topic, lane, LATEST) for lane in self._lanes(topic))

    def offset_at(self, topic: str, time: datetime) -> int:
        """Return the first offset kept whose message was appended at or after ``time``, to the ms (``end`` if none)."""
        return self._offset_at(topic, self._only_lane(topic), time)

    def committed(self, group: str, topic: str) -> int:
        """Return the offset the group reads next; 0 if it never committed."""
        offsets = self._patiently(lambda: self._client.committed(self._group(group)))
        return sum(offsets.get((topic, lane), 0) for lane in self._lanes(topic))

    def commit(self, group: str, offsets: Mapping[str, int]) -> None:
        """Store the group's next offsets, all in one request."""
        by_lane = {(topic, self._only_lane(topic)): offset for topic, offset in offsets.items()}
        self._make_sure(offsets)
        self._patiently(lambda: self._client.commit(self._group(group), by_lane))

    def trim(self, topic: str, before: datetime) -> int:
        """Delete messages older than ``before`` that every group of the product has read, and return how many."""
        return sum(self._trim(topic, lane, before) for lane in self._lanes(topic))

    def _trim(self, topic: str, lane: int, before: datetime) -> int:
        unread = [*self._unread(topic, lane)]
        if not unread and lanes_of(self._cluster, topic) > 1:  # some lane was read, this one never
            return 0
        first = self._offset(topic, lane, EARLIEST)
        keep = min([self._offset_at(topic, lane, before), *unread])
        if keep > first:
            self._patiently(lambda: self._client.delete(topic, lane, keep))
        return max(0, keep - first)

    def _unread(self, topic: str, lane: int) -> Iterable[int]:
        """Return where each group stands that ever committed on a lane of the topic."""
        groups = [name for name in self._patiently(self._client.groups) if name.startswith(self._group(""))]
        for group in groups:
            offsets = self._patiently(partial(self._client.committed, group))
            if (topic, lane) in offsets:
                yield offsets[topic, lane]

    def _lanes(self, topic: str) -> Sequence[int]:
        """Return the lanes of a topic that are this log's."""
        own = self._lane is not None and is_raw(topic)
        return (self._lane or 0,) if own else range(lanes_of(self._cluster, topic))

    def _only_lane(self, topic: str) -> int:
        lanes = self._lanes(topic)
        if len(lanes) > 1:
            raise HomeostatError(
                f"{topic} has {len(lanes)} lanes, which only `python -m services.ingestor` reads, each by itself: "
                "for anything else that reads raw topics set HOMEOSTAT_KAFKA__LANES to 1 and begin with new topics"
            )
        return lanes[0]

    def _lane_for(self, message: NewMessage) -> int:
        lanes = self._lanes(message.topic)
        if len(lanes) == 1:
            return lanes[0]
        try:
            return lane_of(self._decode_keyed(message.value).entity, len(lanes))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # ingestion will say what is wrong with it
            return 0

    def _offset_at(self, topic: str, lane: int, time: datetime) -> int:
        if time <= _EPOCH:
            return self._offset(topic, lane, EARLIEST)
        found = self._offset(topic, lane, _to_ms(time))
        return self._offset(topic, lane, LATEST) if found < 0 else found

    def _offset(self, topic: str, lane: int, when: int) -> int:
        if not self._is_there(topic):
            return 0
        try:
            return self._patiently(lambda: self._client.offset(topic, lane, when))
        except UnknownTopicError:  # deleted meanwhile
            return 0

    def _group(self, name: str) -> str:
        return f"homeostat.{self._product}.{name}"

    def _is_there(self, topic: str) -> bool:
        if topic not in self._shared.known:
            lanes = self._patiently(lambda: self._client.lanes(topic))
            if lanes not in (0, expected := lanes_of(self._cluster, topic)):
                raise HomeostatError(
                    f"{topic} has {lanes} partitions, expected {expected}: raw topics have HOMEOSTAT_KAFKA__LANES, the "
                    "others one. Set it to what there is, or begin with new topics, since keys would change lanes"
                )
            if lanes:
                self._shared.known.add(topic)
        return topic in self._shared.known

    def _make_sure(self, topics: Iterable[str]) -> None:
        missing = [topic for topic in topics if not self._is_there(topic)]
        if missing:
            self._patiently(lambda: self._client.create({topic: topic_config(topic) for topic in missing}))
        for topic in missing:
            self._patiently(partial(self._expect, topic))

    def _expect(self, topic: str) -> None:
        if not self._is_there(topic):
            raise TransientError(f"Kafka at {self._cluster.brokers} has made {topic} and does not show it yet")

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        """Try again what does no harm twice: a leader may just be moving, a broker not yet know of a new topic."""
        deadline = monotonic() + self._cluster.timeout_s
        while True:
            try:
                return ask()
            except (TransientError, UnknownTopicError):
                if monotonic() > deadline:
                    raise
            sleep(_PAUSE_S)


def _entry(message: NewMessage, lane: int, time_ms: int) -> Entry:
    headers = [(name, text.encode()) for name, text in dict(message.headers).items()]
    size = len(message.value) + sum(len(name) * 4 + len(text) + _OVERHEAD for name, text in headers) + _OVERHEAD
    if size > MESSAGE_BYTES:
        raise InvalidRecordError(f"{message.topic}: a message of {size} bytes, at most {MESSAGE_BYTES} are taken")
    return Entry(message.topic, lane, bytes(message.value), headers, time_ms)


@lru_cache(maxsize=1024)
def _headers(headers: tuple[tuple[str, bytes], ...]) -> Mapping[str, str]:
    """Return the headers as text; most messages carry the same few, so one is shared, read-only."""
    return MappingProxyType({name: (text or b"").decode(errors="replace") for name, text in headers})


@lru_cache(maxsize=1024)
def _from_ms(time_ms: int) -> datetime:
    return _EPOCH + time_ms * _MS


def _to_ms(time: datetime) -> int:
    return (time - _EPOCH) // _MS
