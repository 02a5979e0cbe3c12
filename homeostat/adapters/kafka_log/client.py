"""What the log needs of a Kafka client; a partition is a lane."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

LATEST: Final = -1  # Kafka's own numbers: they stand for a time in a look-up of offsets
EARLIEST: Final = -2


@dataclass(frozen=True, slots=True)
class Entry:
    """A message as Kafka has it."""

    topic: str
    lane: int
    value: bytes
    headers: Sequence[tuple[str, bytes]]
    time_ms: int
    offset: int = -1  # of a message not yet sent


class Client(Protocol):
    """One connection to a cluster; each of its methods may be called by any thread, one at a time for ``poll``.

    Every one raises what ``cluster.trouble`` says; reading and asking may be tried again.
    """

    def create(self, topics: Mapping[str, Mapping[str, str]]) -> None:
        """Create the topics with their lanes and configs where they are not there; brokers may see them later."""

    def lanes(self, topic: str) -> int:
        """Return how many partitions a topic has, 0 if it is not there."""

    def produce(self, entries: Sequence[Entry]) -> None:
        """Send in the order given and return when all are durable.

        Raises:
            TransientError: Some may have been stored; what can't be told apart was given up.
        """

    def offset(self, topic: str, lane: int, when: int) -> int:
        """Return the first offset at or after a time in ms, or EARLIEST or LATEST; -1 if there is none."""

    def committed(self, group: str) -> dict[tuple[str, int], int]:
        """Return all offsets of a group by (topic, lane)."""

    def commit(self, group: str, offsets: Mapping[tuple[str, int], int]) -> None:
        """Store offsets without being a member of the group."""

    def groups(self) -> list[str]:
        """Return the names of all groups."""

    def delete(self, topic: str, lane: int, before: int) -> None:
        """Delete the messages below an offset."""

    def seek(self, topic: str, lane: int, offset: int) -> None:
        """Read on from this offset; from then on ``poll`` gives messages of this partition too."""

    def pause(self, topic: str, lane: int, *, pause: bool) -> None:
        """Give no more messages of a partition for now, or again."""

    def poll(self, limit: int, wait_s: float) -> list[Entry]:
        """Return some of the messages that have come, of any partition sought."""

    def reached(self, topic: str, lane: int) -> int:
        """Return the offset up to which ``poll`` has given all there was; markers of transactions count."""

    def close(self) -> None:
        """Let go of the connection."""
