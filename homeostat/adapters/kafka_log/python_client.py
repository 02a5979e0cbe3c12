"""The client in pure Python: kafka-python."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any, Final

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition  # type: ignore[import-untyped]
from kafka import errors as failures
from kafka.protocol.consumer import IsolationLevel  # type: ignore[import-untyped]
from kafka.structs import OffsetAndMetadata  # type: ignore[import-untyped]

from homeostat.adapters.kafka_log.client import Entry
from homeostat.adapters.kafka_log.cluster import (
    FETCH_BYTES,
    FETCH_MS,
    MESSAGE_BYTES,
    Cluster,
    hung_up,
    insecure,
    lanes_of,
    trouble,
    unsent,
)
from homeostat.errors import HomeostatError

_BATCH_BYTES: Final = 1 << 18  # of one partition in one request: several hundred events
_EXISTS: Final = 36  # Kafka's number for a topic that is there already


def options(cluster: Cluster) -> dict[str, Any]:
    """Return what every kind of kafka-python's clients is told."""
    seconds = cluster.timeout_s
    told: dict[str, Any] = {
        "bootstrap_servers": cluster.brokers.split(","),
        "client_id": "homeostat",
        "security_protocol": cluster.protocol,
        "bootstrap_timeout_ms": int(seconds * 1000),
        "request_timeout_ms": int(seconds * 500),  # twice in the time that a call may take
        "reconnect_backoff_max_ms": 1000,  # a broker that restarts is back within seconds
    }
    if cluster.protocol.startswith("SASL"):
        told["sasl_mechanism"] = cluster.mechanism
        told["sasl_plain_username"] = cluster.username
        told["sasl_plain_password"] = cluster.password.get_secret_value() if cluster.password else None
    files = {"ssl_cafile": cluster.ca, "ssl_certfile": cluster.certificate, "ssl_keyfile": cluster.key}
    return told | {option: str(path) for option, path in files.items() if path}


@contextmanager
def explained(cluster: Cluster) -> Iterator[None]:
    """Raise what the library's errors mean here; one that it only logs is heard as well."""
    heard = _Heard()
    logger = logging.getLogger("kafka.net")
    logger.addHandler(heard)
    try:
        yield
    except failures.KafkaError as error:
        raise _told(cluster, heard.reason if isinstance(error, failures.KafkaTimeoutError) else None, error) from error
    except OSError as error:  # a certificate's file, for one
        raise HomeostatError(f"Kafka at {cluster.brokers}: {error}") from error
    finally:
        logger.removeHandler(heard)


def _told(cluster: Cluster, heard: Exception | None, error: Exception) -> HomeostatError:
    reason = heard or error
    if "SSL" in str(reason):
        return insecure(cluster, str(reason))
    if "socket disconnected" in str(reason):  # the library may drop a broker's last word, why it refused a login
        return hung_up(cluster, str(error))
    passing = getattr(error, "retriable", False) or isinstance(error, failures.UnknownBrokerIdError)  # a leader is away
    return trouble(cluster, getattr(reason, "errno", None), str(reason), retriable=passing)


class _Heard(logging.Handler):
    """Keeps why connections fail: the library goes on trying and says at last that time is up."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.reason: Exception | None = None

    def emit(self, record: logging.LogRecord) -> None:
        for error in record.args if isinstance(record.args, tuple) else ():
            if isinstance(error, failures.KafkaTimeoutError) or _is_telling(self.reason):
                continue
            if isinstance(error, Exception):
                self.reason = error


def _is_telling(reason: Exception | None) -> bool:
    """Whether it says more than that a connection was closed."""
    return "SSL" in str(reason) or "Sasl" in type(reason).__name__


class PythonClient:
    """Talks to a cluster by kafka-python."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._lock = Lock()  # of who connects
        self._turn = Lock()  # of who sends: the messages of one call stay together
        self._connected: dict[type, Any] = {}

    def create(self, topics: Mapping[str, Mapping[str, str]]) -> None:
        """Create the topics that are not there."""
        new = {
            topic: {
                "num_partitions": lanes_of(self._cluster, topic),
                "replication_factor": self._cluster.replication,
                "configs": dict(config),
            }
            for topic, config in topics.items()
        }
        with explained(self._cluster):
            answer = self._admin.create_topics(new, raise_errors=False)
            for topic in answer["topics"]:
                if topic["error_code"] not in (0, _EXISTS):
                    raise failures.for_code(topic["error_code"])(f"{topic['name']}: {topic['error_message']}")

    def lanes(self, topic: str) -> int:
        """Return how many partitions a topic has, 0 if it is not there."""
        with explained(self._cluster):
            (found,) = self._admin.describe_topics([topic])
            if found["error_code"] == failures.UnknownTopicOrPartitionError.errno:
                return 0
            if found["error_code"]:
                raise failures.for_code(found["error_code"])(topic)
            return len(found["partitions"])

    def produce(self, entries: Sequence[Entry]) -> None:
        """Send in order and wait for every replica in sync; a producer that failed is thrown away."""
        with explained(self._cluster):
            with self._turn:
                producer = self._client(KafkaProducer, **self._producing)
                try:
                    sent = [producer.send(e.topic, e.value, None, e.headers, e.lane, e.time_ms) for e in entries]
                    failure = None
                except failures.KafkaError as error:
                    sent, failure = [], error
            if failure is None:
                failure = self._wait(producer, sent)
            if failure is None:
                return
            self._throw_away(producer)
        raise unsent(_told(self._cluster, None, failure)) from failure

    def offset(self, topic: str, lane: int, when: int) -> int:
        """Return the first offset at or after a time, -1 if there is none."""
        partition = TopicPartition(topic, lane)
        with explained(self._cluster):
            found = self._admin.list_partition_offsets({partition: when}, IsolationLevel.READ_COMMITTED)
            return int(found[partition].offset)

    def committed(self, group: str) -> dict[tuple[str, int], int]:
        """Return all offsets of a group."""
        with explained(self._cluster):
            found = self._admin.list_group_offsets({group: None})[group]
            return {(at.topic, at.partition): kept.offset for at, kept in found.items() if kept.offset >= 0}

    def commit(self, group: str, offsets: Mapping[tuple[str, int], int]) -> None:
        """Store offsets of a group that has no members."""
        wanted = {TopicPartition(*at): OffsetAndMetadata(offset, "", -1) for at, offset in offsets.items()}
        with explained(self._cluster):
            for at, error in self._admin.alter_group_offsets(group, wanted).items():
                if error is not failures.NoError:
                    raise error(f"committing {at.topic} for {group}")

    def groups(self) -> list[str]:
        """Return the names of all groups."""
        with explained(self._cluster):
            return [group["group_id"] for group in self._admin.list_groups()]

    def delete(self, topic: str, lane: int, before: int) -> None:
        """Delete the messages below an offset."""
        with explained(self._cluster):
            self._admin.delete_records({TopicPartition(topic, lane): before})

    def seek(self, topic: str, lane: int, offset: int) -> None:
        """Read on from this offset."""
        partition = TopicPartition(topic, lane)
        with explained(self._cluster):
            consumer = self._consumer
            if partition not in consumer.assignment():
                consumer.assign([*consumer.assignment(), partition])
            consumer.seek(partition, offset)
            consumer.resume(partition)

    def pause(self, topic: str, lane: int, *, pause: bool) -> None:
        """Give no more messages of a partition for now, or again."""
        consumer = self._consumer
        (consumer.pause if pause else consumer.resume)(TopicPartition(topic, lane))

    def poll(self, limit: int, wait_s: float) -> list[Entry]:
        """Return some of the messages that have come."""
        with explained(self._cluster):
            by_partition = self._consumer.poll(int(wait_s * 1000), max_records=limit)
        return [
            Entry(r.topic, r.partition, r.value or b"", r.headers, r.timestamp, r.offset)
            for records in by_partition.values()
            for r in records
        ]

    def reached(self, topic: str, lane: int) -> int:
        """Return the offset behind the last message given and the markers after it."""
        with explained(self._cluster):
            return int(self._consumer.position(TopicPartition(topic, lane), timeout_ms=1000) or 0)

    def close(self) -> None:
        """Close all connections; they are made again when they are needed."""
        with self._lock:
            connected, self._connected = self._connected, {}
        for client in connected.values():
            with suppress(failures.KafkaError):
                client.close()

    @property
    def _producing(self) -> dict[str, Any]:
        ms = int(self._cluster.timeout_s * 1000)
        return {
            "enable_idempotence": True,  # a retry of the library stores nothing twice and changes no order
            "acks": "all",
            "max_block_ms": ms,
            "delivery_timeout_ms": ms,
            "max_request_size": 2 * MESSAGE_BYTES,
            "batch_size": _BATCH_BYTES,
            "allow_auto_create_topics": False,
        }

    @property
    def _admin(self) -> Any:  # noqa: ANN401 - the library has no types
        return self._client(KafkaAdminClient)

    @property
    def _consumer(self) -> Any:  # noqa: ANN401 - the library has no types
        return self._client(
            KafkaConsumer,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            allow_auto_create_topics=False,
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_wait_ms=FETCH_MS,
        )

    def _client(self, kind: type, **more: object) -> Any:  # noqa: ANN401 - the library has no types
        with self._lock:
            if kind not in self._connected:
                self._connected[kind] = kind(**options(self._cluster), **more)
            return self._connected[kind]

    def _wait(self, producer: Any, sent: list[Any]) -> Exception | None:  # noqa: ANN401 - the library has no types
        """Return the first failure among what was sent, None where all is stored."""
        try:
            producer.flush(2 * self._cluster.timeout_s)  # the library gives up by itself at half of it
        except failures.KafkaError as error:
            late: Exception = error
            return late
        failed: Iterator[Exception] = (future.exception for future in sent if future.exception is not None)
        return next(failed, None)

    def _throw_away(self, producer: Any) -> None:  # noqa: ANN401 - the library has no types
        """Close a producer at once: what it still holds must not be stored behind the caller's next try."""
        with self._lock:
            if self._connected.get(KafkaProducer) is producer:
                del self._connected[KafkaProducer]
        producer.close(timeout=0)
