"""A step that several processes offer to run: by Kafka each runs its lanes, and another takes over when it goes."""

import logging
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from socket import gethostname
from threading import Event, Lock, Thread
from typing import Final, Protocol

from homeostat.bootstrap.workers import Lane
from homeostat.contract.model import AggregateFeature, Contract
from homeostat.errors import HomeostatError
from homeostat.flow import FLOW, Row, topic_name
from homeostat.settings import Settings
from homeostat.worker import Runner

_FOLLOW_S: Final = 0.5  # one look at whose turn it is

_log = logging.getLogger(__name__)


class Membership(Protocol):
    """Says when this process's turns begin and end."""

    def follow(self, wait_s: float = 0.0) -> None:
        """Take part; it is now that the hooks are called."""


class Turn(Runner, Protocol):
    """A worker that may have to end while its process goes on."""

    def leave(self) -> None:
        """Make an end: another process goes on."""


class SharedWorker:
    """A worker for each lane while it is this process's turn there, and nothing to do otherwise.

    Each turn begins with a worker made anew: what the other one committed is where this one goes on. A thread takes
    part in the handing out, so that nobody who asks for a score waits for it; a turn never ends within a batch.
    """

    def __init__(self, row: Row, make: Callable[[int], Turn]) -> None:
        """Take the row of the map, and how the worker of a lane is made."""
        self.row = row
        self._make = make
        self._turns: set[int] = set()  # lanes; replaced by the thread that takes part, never changed
        self._workers: dict[int, Turn] = {}
        self._batch = Lock()
        self._done = (0.0, 0.0, 0)  # by workers of earlier turns: wall and CPU seconds, messages
        self._follower: Thread | None = None

    def join(self, membership: Membership) -> None:
        """Take part from now on."""
        self._follower = Thread(target=self._follow, args=(membership,), name=f"turns-{self.row.step}", daemon=True)
        self._follower.start()

    @property
    def wall_s(self) -> float:
        """Wall seconds spent so far."""
        return self._done[0] + sum(worker.wall_s for worker in tuple(self._workers.values()))

    @property
    def cpu_s(self) -> float:
        """CPU seconds spent so far."""
        return self._done[1] + sum(worker.cpu_s for worker in tuple(self._workers.values()))

    @property
    def published(self) -> int:
        """Messages published so far."""
        return self._done[2] + sum(worker.published for worker in tuple(self._workers.values()))

    def gain(self, lane: int) -> None:
        """Begin a turn."""
        self._turns = self._turns | {lane}

    def lose(self, lane: int) -> None:
        """End a turn, after the batch in hand."""
        self._turns = self._turns - {lane}
        with self._batch:
            worker = self._workers.pop(lane, None)
            if worker is not None:
                wall_s, cpu_s, published = self._done
                self._done = (wall_s + worker.wall_s, cpu_s + worker.cpu_s, published + worker.published)
                worker.leave()

    def restore(self, now: datetime) -> None:
        """Need no memory before a turn."""

    def run_once(self, now: datetime) -> int:
        """Handle what has come by the lanes where it is this process's turn.

        Raises:
            HomeostatError: Nobody looks any more whose turn it is: the process has to begin anew.
        """
        if self._follower is not None and not self._follower.is_alive():
            raise HomeostatError(f"{self.row.step}: the thread that asks whose turn it is has ended, see its traceback")
        return sum(self._run(lane, now) for lane in sorted(self._turns))

    def _run(self, lane: int, now: datetime) -> int:
        with self._batch:
            if lane not in self._turns:  # it ended just now
                return 0
            if lane not in self._workers:
                worker = self._make(lane)
                worker.restore(now)
                self._workers[lane] = worker
            return self._workers[lane].run_once(now)

    def _follow(self, membership: Membership) -> None:
        pause = Event()  # never set
        while True:
            try:
                membership.follow(_FOLLOW_S)
            except HomeostatError as error:
                _log.warning("%s: whose turn it is can't be asked now: %s", self.row.step, error)
                pause.wait(_FOLLOW_S)


def share(
    step: str,
    contract: Contract,
    settings: Settings,
    make: Callable[[], Turn],
    in_lane: Callable[[int, Lane], Turn] | None = None,
) -> Runner:
    """Return a worker that other processes on the same brokers share the work with, where the map says so.

    Args:
        step: Of the map.
        contract: The product.
        settings: Where the brokers are, and how many lanes the raw topics have.
        make: Makes the worker of the whole step: one process runs it at a time.
        in_lane: Makes the worker of one lane of the raw topics, by its number and its log.

    Raises:
        HomeostatError: A feature counts events that come by several lanes.
    """
    row = next(row for row in FLOW if row.step == step)
    if settings.kafka is None or not row.shared:
        return make()
    from homeostat.adapters.kafka_log import KafkaLanes, KafkaLog

    with closing(KafkaLog(settings.kafka, contract.product)) as made:
        made.create_topics()
    if in_lane is None or settings.kafka.lanes == 1:
        worker = SharedWorker(row, lambda _: make())
    else:
        check_keys(contract, settings.kafka.lanes)
        log = KafkaLog(settings.kafka, contract.product)
        worker = SharedWorker(row, lambda lane: in_lane(lane, log.lane(lane)))
    topic = topic_name(contract.product, row.consumes[0])
    group = f"{contract.product}.{step}"
    member = f"{gethostname()}-{settings.port}" if settings.port else None
    worker.join(KafkaLanes(settings.kafka, topic, group, member, on_gained=worker.gain, on_lost=worker.lose))
    return worker


def check_keys(contract: Contract, lanes: int) -> None:
    """Refuse features that no lane could count: the entity decides the lane, so a key without it is in several."""
    entity = contract.event.entity
    for name, feature in contract.features.items():
        if isinstance(feature, AggregateFeature) and entity not in feature.by:
            raise HomeostatError(
                f"HOMEOSTAT_KAFKA__LANES is {lanes}, and features.{name}.by is {feature.by}: events of one such key "
                f"come by several lanes. Name the entity '{entity}' in it too, or work in one lane"
            )
