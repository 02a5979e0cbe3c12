"""A step that several processes offer to run: by Kafka one of them does, and another takes over when it goes."""

import logging
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from socket import gethostname
from threading import Event, Lock, Thread
from typing import Final, Protocol

from homeostat.contract.model import Contract
from homeostat.errors import HomeostatError
from homeostat.flow import FLOW, Row, topic_name
from homeostat.settings import Settings
from homeostat.worker import Runner

_FOLLOW_S: Final = 0.5  # one look at whose turn it is

_log = logging.getLogger(__name__)


class Membership(Protocol):
    """Says when this process's turn begins and ends."""

    def follow(self, wait_s: float = 0.0) -> None:
        """Take part; it is now that the hooks are called."""


class SharedWorker:
    """A worker while it is this process's turn, and nothing to do otherwise.

    Each turn begins with a worker made anew: what the other one committed is where this one goes on. A thread takes
    part in the handing out, so that nobody who asks for a score waits for it; a turn never ends within a batch.
    """

    def __init__(self, row: Row, make: Callable[[], Runner]) -> None:
        """Take the row of the map, and how its worker is made."""
        self.row = row
        self._make = make
        self._worker: Runner | None = None
        self._is_turn = False
        self._batch = Lock()
        self._done = (0.0, 0.0, 0)  # by workers of earlier turns: wall and CPU seconds, messages

    def join(self, membership: Membership) -> None:
        """Take part from now on."""
        Thread(target=self._follow, args=(membership,), name=f"turns-{self.row.step}", daemon=True).start()

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
        self._is_turn = True

    def lose(self, _: int) -> None:
        """End a turn, after the batch in hand."""
        with self._batch:
            self._done = (self.wall_s, self.cpu_s, self.published)
            self._is_turn, self._worker = False, None

    def restore(self, now: datetime) -> None:
        """Need no memory before a turn."""

    def run_once(self, now: datetime) -> int:
        """Handle what has come if it is this process's turn."""
        with self._batch:
            if not self._is_turn:
                return 0
            if self._worker is None:
                worker = self._make()
                worker.restore(now)
                self._worker = worker
            return self._worker.run_once(now)

    def _follow(self, membership: Membership) -> None:
        pause = Event()  # never set
        while True:
            try:
                membership.follow(_FOLLOW_S)
            except HomeostatError as error:
                _log.warning("%s: whose turn it is can't be asked now: %s", self.row.step, error)
                pause.wait(_FOLLOW_S)


def share(step: str, contract: Contract, settings: Settings, make: Callable[[], Runner]) -> Runner:
    """Return a worker that other processes on the same brokers may stand in for, where the map says so."""
    row = next(row for row in FLOW if row.step == step)
    if settings.kafka is None or not row.shared:
        return make()
    from homeostat.adapters.kafka_log import KafkaLanes, KafkaLog

    with closing(KafkaLog(settings.kafka, contract.product)) as log:
        log.create_topics()
    worker = SharedWorker(row, make)
    topic = topic_name(contract.product, row.consumes[0])
    group = f"{contract.product}.{step}"
    member = f"{gethostname()}-{settings.port}" if settings.port else None
    worker.join(KafkaLanes(settings.kafka, topic, group, member, on_gained=worker.gain, on_lost=worker.lose))
    return worker
