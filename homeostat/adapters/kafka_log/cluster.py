"""What an adapter has to know of a Kafka cluster, and what its troubles mean."""

from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, Protocol

from pydantic import SecretStr

from homeostat.errors import HomeostatError, InvalidRecordError, TransientError
from homeostat.flow import EXTERNAL

RAW_BYTES: Final = 8 << 20  # the largest message of a producer outside
MESSAGE_BYTES: Final = 16 << 20  # the largest of ours: a dead letter holds a raw message in base64, 4/3 of its size
FETCH_BYTES: Final = 2 << 20  # of one partition at a time; a larger message comes all the same
FETCH_MS: Final = 50  # a broker waits for news this long; a partition sought meanwhile waits as well
_FRAME_BYTES: Final = 1 << 16  # room for what a record batch adds to its one message
_AHEAD_MS: Final = 60_000  # a message from further ahead would hold up its lane: the broker refuses it at once
_ANY_MS: Final = (1 << 63) - 1


class Cluster(Protocol):
    """Where the brokers are and who asks; ``homeostat.settings.KafkaSettings`` is one."""

    brokers: str
    client: Literal["kafka-python", "librdkafka"]
    protocol: Literal["PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL", "SSL"]
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
    username: str | None
    password: SecretStr | None
    ca: Path | None
    certificate: Path | None
    key: Path | None
    lanes: int
    replication: int
    timeout_s: float


_LOGIN: Final = "check HOMEOSTAT_KAFKA__USERNAME, __PASSWORD and __MECHANISM"


class UnknownTopicError(HomeostatError):
    """The topic, or this partition of it, is not there."""


class OffsetGoneError(HomeostatError):
    """The offset asked for is not there any more."""


_KINDS: Final[dict[int | None, type[HomeostatError]]] = {1: OffsetGoneError, 3: UnknownTopicError}
_CONTENT: Final = {
    10: "it is larger than the topic's max.message.bytes",
    18: "it is larger than the topic's segment.bytes",
    32: "its time is too far from the broker's clock: see the topic's message.timestamp.after.max.ms",
    87: "the broker refuses it",
}
_PASSING: Final = {-1, 5, 6, 7, 8, 9, 13, 14, 15, 16, 19, 20, 27, 41, 45, 47, 56, 59, 72, 74, 75, 78, 89, 100}
"""Unknown, no leader, not the leader, timed out, brokers or replicas missing, coordinators moving, a producer that
has to begin anew, and their like."""

_FORBIDDEN: Final = {29, 30, 31, 53, 65}  # topic, group, cluster, transactional id, delegation token
_STRANGER: Final = {33, 34, 58}  # unsupported mechanism, illegal SASL state, authentication failed


def trouble(cluster: Cluster, code: int | None, text: str, *, retriable: bool) -> HomeostatError:
    """Return the error that says what one of Kafka's means here.

    Args:
        cluster: Whom it came from.
        code: Kafka's number of it, the same for every client; None where the client made it up by itself.
        text: The client's words.
        retriable: Whether one without a number may pass.
    """
    where = f"Kafka at {cluster.brokers}"
    if code in _STRANGER:
        return stranger(cluster, text)
    if code in _CONTENT:
        return InvalidRecordError(f"{where} refuses a message: {_CONTENT[code]} ({text})")
    if code in _FORBIDDEN:
        return HomeostatError(f"{where}: {_who(cluster)} may not do this, grant it by an ACL: {text}")
    if code in _PASSING or (retriable and code not in _KINDS):
        return TransientError(f"{where} does not answer as it should: {text}")
    return _KINDS.get(code, HomeostatError)(f"{where}: {text}")


def stranger(cluster: Cluster, text: str) -> HomeostatError:
    """Return the error of a login that was refused."""
    return HomeostatError(f"Kafka at {cluster.brokers} refuses {_who(cluster)}: {text}; {_LOGIN}")


def hung_up(cluster: Cluster, text: str) -> HomeostatError:
    """Return the error of connections that end without a word: brokers that go down do so, and at a wrong login."""
    hint = f"; if it stays so, {_LOGIN}" if cluster.protocol.startswith("SASL") else ""
    return TransientError(f"Kafka at {cluster.brokers} closes connections: {text}{hint}")


def insecure(cluster: Cluster, text: str) -> HomeostatError:
    """Return the error of a connection whose other side proves nothing."""
    advice = "check HOMEOSTAT_KAFKA__CA and __PROTOCOL; the certificate has to name the host in __BROKERS"
    return HomeostatError(f"Kafka at {cluster.brokers}: TLS fails: {text}; {advice}")


def _who(cluster: Cluster) -> str:
    return f"the user {cluster.username!r}" if cluster.username else "a client without a username"


@lru_cache(maxsize=1_024)  # asked for every message
def is_raw(topic: str) -> bool:
    """Return whether producers outside write a topic."""
    return topic.split(".")[-2:-1] in [[name] for name in EXTERNAL]


def lanes_of(cluster: Cluster, topic: str) -> int:
    """Return how many partitions a topic has to have: what producers send is cut into lanes, what is made of it not."""
    return cluster.lanes if is_raw(topic) else 1


def topic_config(topic: str) -> dict[str, str]:
    """Return how a topic is kept: until it is trimmed, since the loop alone knows what was read."""
    external = is_raw(topic)
    largest = RAW_BYTES if external else MESSAGE_BYTES
    config = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
    config["max.message.bytes"] = str(largest + _FRAME_BYTES)
    config["message.timestamp.after.max.ms"] = str(_AHEAD_MS if external else _ANY_MS)
    return config


def unsent(error: HomeostatError) -> HomeostatError:
    """Return the error of an append that failed: it may be tried again, unless it was refused for what it is."""
    if isinstance(error, UnknownTopicError | OffsetGoneError):  # the topic was deleted since it was looked up
        return TransientError(str(error))
    return error
