"""A step that several processes offer to run: by Kafka one of them does, and another takes over when it goes."""

from collections.abc import Callable
from datetime import datetime
from socket import gethostname
from typing import Protocol

from homeostat.contract.model import Contract
from homeostat.flow import FLOW, Row, topic_name
from homeostat.settings import Settings
from homeostat.worker import Runner


class Membership(Protocol):
    """Says when this process's turn begins and ends."""

    def follow(self, wait_s: float = 0.0) -> None:
        """Take part; it is now that the hooks are called."""


class SharedWorker:
    """A worker while it is this process's turn, and nothing to do otherwise.

    Each turn begins with a worker made anew: what the other one committed is where this one goes on.
    """

    def __init__(self, row: Row, make: Callable[[], Runner]) -> None:
        """Take the row of the map, and how its worker is made."""
        self.row = row
        self._make = make
        self._worker: Runner | None = None
        self._membership: Membership | None = None
        self._done = (0.0, 0.0, 0)  # by workers of earlier turns: wall and CPU seconds, messages
        self._now: datetime | None = None

    def join(self, membership: Membership) -> None:
        """Take part from the next call on."""
        self._membership = membership

    @property
    def wall_s(self) -> float:
        """Wall seconds spent so far."""
        return self._done[0] + (self._worker.wall_s if self._worker else 0.0)

    @property
    def cpu_s(self) -> float:
        """CPU seconds spent so far."""
        return self._done[1] + (self._worker.cpu_s if self._worker else 0.0)

    @property
    def published(self) -> int:
        """Messages published so far."""
        return self._done[2] + (self._worker.published if self._worker else 0)

    def gain(self, _: int) -> None:
        """Begin a turn."""
        worker = self._make()
        if self._now is not None:
            worker.restore(self._now)
        self._worker = worker

    def lose(self, _: int) -> None:
        """End a turn; a batch is never cut, for both are done by the same thread."""
        self._done = (self.wall_s, self.cpu_s, self.published)
        self._worker = None

    def restore(self, now: datetime) -> None:
        """Need no memory before a turn."""
        self._now = now

    def run_once(self, now: datetime) -> int:
        """Take part, and handle what has come if it is this process's turn."""
        self._now = now
        if self._membership is not None:
            self._membership.follow()
        return self._worker.run_once(now) if self._worker else 0


def share(step: str, contract: Contract, settings: Settings, make: Callable[[], Runner]) -> Runner:
    """Return a worker that other processes on the same brokers may stand in for, where the map says so."""
    row = next(row for row in FLOW if row.step == step)
    if settings.kafka is None or not row.shared:
        return make()
    from homeostat.adapters.kafka_log import KafkaLanes, KafkaLog

    KafkaLog(settings.kafka, contract.product).create_topics()
    worker = SharedWorker(row, make)
    topic = topic_name(contract.product, row.consumes[0])
    group = f"{contract.product}.{step}"
    member = f"{gethostname()}-{settings.port}" if settings.port else None
    worker.join(KafkaLanes(settings.kafka, topic, group, member, on_gained=worker.gain, on_lost=worker.lose))
    return worker
