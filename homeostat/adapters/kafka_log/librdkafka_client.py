"""The client in C: confluent-kafka, which is librdkafka."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final, TypeVar

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec  # type: ignore[attr-defined]

from homeostat.adapters.kafka_log.client import EARLIEST, LATEST, Entry
from homeostat.adapters.kafka_log.cluster import (
    FETCH_BYTES,
    FETCH_MS,
    MESSAGE_BYTES,
    Cluster,
    insecure,
    lanes_of,
    stranger,
    trouble,
    unsent,
)
from homeostat.errors import HomeostatError

Made = TypeVar("Made")

_AHEAD_KB: Final = 8 << 10  # of each partition, fetched ahead of what was asked for
_AHEAD_MS: Final = 20  # between two looks whether that much has been read
_ONE_LOOK: Final = 1000  # messages; more would be waited for
_FINAL: Final = {
    KafkaError._CONFLICT,
    KafkaError._INVALID_ARG,
    KafkaError._NOT_IMPLEMENTED,
    KafkaError._UNSUPPORTED_FEATURE,
}
_STALE: Final = {KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.FENCED_LEADER_EPOCH, KafkaError.UNKNOWN_LEADER_EPOCH}
_TIME_IS_UP: Final = {KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._MSG_TIMED_OUT}
_EDGES: Final[Mapping[int, Callable[[], OffsetSpec]]] = {EARLIEST: OffsetSpec.earliest, LATEST: OffsetSpec.latest}


class LibrdkafkaClient:
    """Talks to a cluster by librdkafka."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._lock = Lock()  # of who connects
        self._turn = Lock()  # of who sends: the messages of one call stay together
        self._heard: KafkaError | None = None  # why connections fail: calls say only that time is up
        self._made: dict[object, Any] = {}
        self._reached: dict[tuple[str, int], int] = {}

    def create(self, topics: Mapping[str, Mapping[str, str]]) -> None:
        """Create the topics that are not there."""
        new = [
            NewTopic(topic, lanes_of(self._cluster, topic), self._cluster.replication, config=dict(config))
            for topic, config in topics.items()
        ]
        with self._explained():
            for answer in self._admin.create_topics(new, **self._patience).values():
                try:
                    answer.result()
                except KafkaException as error:
                    if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                        raise

    def lanes(self, topic: str) -> int:
        """Return how many partitions a topic has, 0 if it is not there."""
        with self._explained():
            found = self._admin.list_topics(topic, timeout=self._cluster.timeout_s).topics[topic]
            if found.error is not None and found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return 0
            if found.error is not None:
                raise KafkaException(found.error)
            return len(found.partitions)

    def produce(self, entries: Sequence[Entry]) -> None:
        """Send in order and wait for every replica in sync; a producer that failed is thrown away."""
        failures: list[KafkaError] = []
        stored = 0

        def note(error: KafkaError | None, _: object) -> None:
            nonlocal stored
            if error is None:
                stored += 1
            else:
                failures.append(error)

        with self._explained():
            with self._turn:
                producer = self._client(Producer, self._producing)
                try:
                    for e in entries:
                        producer.produce(
                            e.topic, e.value, None, e.lane, note, timestamp=e.time_ms, headers=list(e.headers)
                        )
                except KafkaException:
                    self._throw_away(producer)
                    raise
            producer.flush(2 * self._cluster.timeout_s)  # the library gives up by itself at half of it
            if stored == len(entries):
                return
            self._throw_away(producer)
        failure = failures[0] if failures else KafkaError(KafkaError._MSG_TIMED_OUT)
        raise unsent(self._told(failure))

    def offset(self, topic: str, lane: int, when: int) -> int:
        """Return the first offset at or after a time, -1 if there is none."""
        spec = _EDGES[when]() if when in _EDGES else OffsetSpec.for_timestamp(when)
        partition = TopicPartition(topic, lane)
        with self._explained():
            asked = self._admin.list_offsets(
                {partition: spec}, isolation_level=IsolationLevel.READ_COMMITTED, **self._patience
            )
            return int(_only(asked).offset)

    def committed(self, group: str) -> dict[tuple[str, int], int]:
        """Return all offsets of a group."""
        with self._explained():
            asked = self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)], **self._patience)
            return {(at.topic, at.partition): at.offset for at in _only(asked).topic_partitions if at.offset >= 0}

    def commit(self, group: str, offsets: Mapping[tuple[str, int], int]) -> None:
        """Store offsets of a group that has no members."""
        wanted = [TopicPartition(topic, lane, offset) for (topic, lane), offset in offsets.items()]
        with self._explained():
            asked = self._admin.alter_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(group, wanted)], **self._patience
            )
            for at in _only(asked).topic_partitions:
                if at.error is not None:
                    raise KafkaException(at.error)

    def groups(self) -> list[str]:
        """Return the names of all groups."""
        with self._explained():
            found = self._admin.list_consumer_groups(**self._patience).result()
            for error in found.errors:
                raise error
            return [group.group_id for group in found.valid]

    def delete(self, topic: str, lane: int, before: int) -> None:
        """Delete the messages below an offset."""
        with self._explained():
            _only(self._admin.delete_records([TopicPartition(topic, lane, before)], **self._patience))

    def seek(self, topic: str, lane: int, offset: int) -> None:
        """Read on from this offset."""
        with self._explained():
            consumer = self._consumer
            if (topic, lane) in self._reached:
                consumer.resume([TopicPartition(topic, lane)])  # a pause outlives what follows
                consumer.incremental_unassign([TopicPartition(topic, lane)])
            consumer.incremental_assign([TopicPartition(topic, lane, offset)])
            self._reached[topic, lane] = offset

    def pause(self, topic: str, lane: int, *, pause: bool) -> None:
        """Give no more messages of a partition for now, or again."""
        consumer = self._consumer
        (consumer.pause if pause else consumer.resume)([TopicPartition(topic, lane)])

    def poll(self, limit: int, wait_s: float) -> list[Entry]:
        """Return some of the messages that have come."""
        entries = []
        with self._explained():
            for message in self._consumer.consume(min(limit, _ONE_LOOK), wait_s):
                topic, lane, offset = message.topic() or "", message.partition() or 0, message.offset() or 0
                error = message.error()
                if error is None:
                    _, time_ms = message.timestamp()
                    headers: Any = message.headers() or ()  # bytes, in pairs: the declared type is that of a sender
                    entries.append(Entry(topic, lane, message.value() or b"", headers, time_ms, offset))
                    self._reached[topic, lane] = offset + 1
                elif error.code() == KafkaError._PARTITION_EOF:  # behind the last message and the markers after it
                    self._reached[topic, lane] = offset
                else:
                    raise KafkaException(error)
        return entries

    def reached(self, topic: str, lane: int) -> int:
        """Return the offset behind the last message given and the markers after it."""
        return self._reached[topic, lane]

    def close(self) -> None:
        """Close all connections; they are made again when they are needed."""
        with self._lock:
            made, self._made, self._reached = self._made, {}, {}
        if Consumer in made:
            made[Consumer].close()

    @property
    def _patience(self) -> dict[str, float]:
        return {"request_timeout": self._cluster.timeout_s / 4}  # so that a try with another client is left

    @property
    def _producing(self) -> dict[str, Any]:
        return {
            "enable.idempotence": True,  # a retry of the library stores nothing twice and changes no order
            "message.timeout.ms": int(self._cluster.timeout_s * 1000),
            "message.max.bytes": 2 * MESSAGE_BYTES,
            "queue.buffering.max.messages": 0,  # no bound beside that of memory, 1 GiB
        }

    @property
    def _admin(self) -> AdminClient:
        return self._client(AdminClient, {})

    @property
    def _consumer(self) -> Consumer:
        return self._client(
            Consumer,
            {
                "group.id": "homeostat",  # never joined: partitions are assigned by hand
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "fetch.message.max.bytes": FETCH_BYTES,
                "queued.max.messages.kbytes": _AHEAD_KB,
                "fetch.queue.backoff.ms": _AHEAD_MS,
                "fetch.wait.max.ms": FETCH_MS,
            },
        )

    def _client(self, kind: Callable[..., Made], more: dict[str, Any]) -> Made:
        with self._lock:
            if kind not in self._made:
                told = _options(self._cluster) | more | {"error_cb": self._hear}
                self._made[kind] = kind(told, logger=logging.getLogger("librdkafka"))
            made: Made = self._made[kind]
            return made

    def _hear(self, error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._heard = error

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            raise self._told(error.args[0]) from error

    def _told(self, error: KafkaError) -> HomeostatError:
        for client in (self._made.get(AdminClient), self._made.get(Producer)):
            if client is not None:
                client.poll(0)  # tells `_hear` what it has heard
        code, text = error.code(), error.str()
        if code in _TIME_IS_UP | _STALE:
            with self._lock:  # one that has seen a leader or a coordinator restart may never look for it again
                self._made.pop(AdminClient, None)
        if code in _TIME_IS_UP and self._heard is not None:
            code, text, self._heard = self._heard.code(), f"{text}: {self._heard.str()}", None
        if code == KafkaError._SSL or "SSL" in text:
            return insecure(self._cluster, text)
        if code == KafkaError._AUTHENTICATION:
            return stranger(self._cluster, text)
        if code == KafkaError._AUTO_OFFSET_RESET:
            code = KafkaError.OFFSET_OUT_OF_RANGE
        return trouble(self._cluster, code, text, retriable=code < 0 and code not in _FINAL)

    def _throw_away(self, producer: Producer) -> None:
        """Empty a producer: what it still holds must not be stored behind the caller's next try."""
        with self._lock:
            if self._made.get(Producer) is producer:
                del self._made[Producer]
        producer.purge()
        producer.flush(1)


def _options(cluster: Cluster) -> dict[str, Any]:
    told: dict[str, Any] = {
        "bootstrap.servers": cluster.brokers,
        "client.id": "homeostat",
        "log_level": 2,  # each try to connect is an error in its eyes; the one that matters is raised
        "security.protocol": cluster.protocol,
        "socket.timeout.ms": int(cluster.timeout_s * 500),  # twice in the time that a call may take
        "reconnect.backoff.max.ms": 1000,  # a broker that restarts is back within seconds
    }
    if cluster.protocol.startswith("SASL"):
        told["sasl.mechanisms"] = cluster.mechanism
        told["sasl.username"] = cluster.username
        told["sasl.password"] = cluster.password.get_secret_value() if cluster.password else None
    files = {"ca": cluster.ca, "certificate": cluster.certificate, "key": cluster.key}
    return told | {f"ssl.{name}.location": str(path) for name, path in files.items() if path}


def _only(answers: Mapping[Any, "Future[Any]"]) -> Any:  # noqa: ANN401 - each question has an answer of its own kind
    (answer,) = answers.values()
    return answer.result()
