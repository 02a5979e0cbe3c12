"""Shares the lanes of a product among the processes that run the same steps: a consumer group that reads nothing."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final

from kafka import ConsumerRebalanceListener, KafkaConsumer  # type: ignore[import-untyped]
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor  # type: ignore[import-untyped]
from kafka.partitioner.default import murmur2  # type: ignore[import-untyped]

from homeostat.adapters.kafka_log.cluster import Cluster
from homeostat.adapters.kafka_log.python_client import explained, options
from homeostat.errors import HomeostatError

_SESSION_S: Final = 15.0  # after this long without a sign of life a process counts as dead
_BATCH_S: Final = 600.0  # after this long without a call a process counts as stuck
_LOOK_S: Final = 10.0  # between looks whether the topic is there, or has more partitions
LaneHook = Callable[[int], None]


@lru_cache(maxsize=1 << 17)
def lane_of(key: str, lanes: int) -> int:
    """Return the lane of a key: the partition that Kafka's own producers choose for it.

    >>> lane_of("N14228", 4)
    0
    """
    return int((murmur2(key.encode()) & 0x7FFFFFFF) % lanes)


class KafkaLanes:
    """Says which lanes are this process's own, while others come, go and die.

    A lane has one owner at a time. A process that hangs longer than its session, 15 s, may not know yet
    that its lanes went to another: both then do the same work for a moment, and by record id it is done once.
    """

    def __init__(
        self,
        cluster: Cluster,
        topic: str,
        group: str,
        member: str | None = None,
        *,
        on_gained: LaneHook,
        on_lost: LaneHook,
    ) -> None:
        """Take part from the first ``follow`` on.

        Args:
            cluster: Where the brokers are.
            topic: The first topic that the process reads: its partitions are what is handed out.
            group: The name that all processes of this kind share, as ``<product>.<process>``.
            member: What this process is called, also when it comes back: killed and started again within the
                session it has its lanes at once. Nobody else may have the name. None: it is drawn at each start.
            on_gained: Told of each new lane, inside ``follow``; if it fails it is told again.
            on_lost: Told of each lane before another process may have it. It runs in the client's thread
                while ``follow`` waits, so it must not call this object; what it raises comes out of ``follow``.
        """
        self._cluster = cluster
        self._on_gained = on_gained
        self._on_lost = on_lost
        self._assigned: set[int] = set()
        self._owned: set[int] = set()
        self._failure: HomeostatError | None = None
        with explained(cluster):
            self._consumer = KafkaConsumer(
                **options(cluster),
                group_id=f"homeostat.{group}.members",  # a step's own group commits, and must have no members
                group_instance_id=member,
                partition_assignment_strategy=[CooperativeStickyAssignor],
                session_timeout_ms=int(_SESSION_S * 1000),
                max_poll_interval_ms=int(_BATCH_S * 1000),
                metadata_max_age_ms=int(_LOOK_S * 1000),
                enable_auto_commit=False,
                auto_offset_reset="latest",
                allow_auto_create_topics=False,
            )
            _finish_joins(self._consumer)
            self._consumer.subscribe([topic], listener=_Listener(self))

    @property
    def owned(self) -> frozenset[int]:
        """The lanes that ``on_gained`` has taken."""
        return frozenset(self._owned)

    def follow(self, wait_s: float = 0.0) -> None:
        """Take part in handing out lanes; call it between batches, at least every few seconds.

        Raises:
            TransientError: The brokers don't answer; lanes that were owned still are.
        """
        with explained(self._cluster):
            self._consumer.poll(int(wait_s * 1000))
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        for lane in sorted(self._assigned - self._owned):
            self._on_gained(lane)
            self._owned.add(lane)

    def close(self) -> None:
        """Give all lanes back, so that others have them at once."""
        with explained(self._cluster):
            self._consumer.close()

    def assigned(self, partitions: Iterable[Any]) -> None:
        """Note lanes that came; nothing is read from them here."""
        self._consumer.pause(*partitions)
        self._assigned.update(partition.partition for partition in partitions)

    def revoked(self, partitions: Iterable[Any]) -> None:
        """Tell of lanes that go."""
        for lane in sorted(partition.partition for partition in partitions):
            self._assigned.discard(lane)
            if lane in self._owned:
                self._owned.discard(lane)
                try:
                    self._on_lost(lane)
                except HomeostatError as error:  # raised by `follow`: the library would only log it
                    self._failure = error


def _finish_joins(consumer: Any) -> None:  # noqa: ANN401 - the library has no types
    """Keep a join that was begun from being left half done.

    kafka-python 3.0.12 forgets one that began because the topic's partitions changed and that outlasts the call of
    ``poll`` it began in: the answer is never taken, heartbeats stay off, and the process is a stranger to its group
    for good.
    """
    coordinator = consumer._coordinator
    has_to = coordinator.need_rejoin
    coordinator.need_rejoin = lambda: coordinator.rejoining or has_to()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Passes on what the library tells."""

    def __init__(self, lanes: KafkaLanes) -> None:
        self._lanes = lanes

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        self._lanes.assigned(assigned)

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        self._lanes.revoked(revoked)
