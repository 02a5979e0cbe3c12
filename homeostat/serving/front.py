"""The front door of one product: what comes in is made durable, ingested, and answered, in micro-batches."""

import logging
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event, Thread
from time import monotonic, perf_counter
from typing import Protocol

from homeostat.contract.model import Contract
from homeostat.errors import OverloadedError, TransientError
from homeostat.features.query import Query
from homeostat.flow import EXTERNAL, topic_name
from homeostat.ports import Clock, EventLog, NewMessage
from homeostat.serving.desk import Desk
from homeostat.serving.work import Answer, Asking, Sending, Waiting, Work

_READINESS_S = 1.0  # between looks at what a cold start waits for
_MOST_BACK_OFF_S = 5.0
_UNSEEN_S = 0.01  # before another look for an event that the steps have not come to
_STOP_WITHIN_S = 20.0  # for a store that does not answer while the front shall end

_log = logging.getLogger("homeostat.front")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is done at once, and how much may wait."""

    waiting_s: float = 0.25  # by the measured pace; who would wait longer is refused
    waiting_rows: int = 10_000  # the same whatever the pace
    batch_rows: int = 500  # what a single row has to wait for behind others: some 0.1 s
    idle_s: float = 0.5  # between looks at the log while nobody sends anything


class Moving(Protocol):
    """What moves records on when it is driven: a worker, or what stands beside one."""

    def restore(self, now: datetime) -> None:
        """Give it its memory back."""

    def run_once(self, now: datetime) -> int:
        """Handle what has come and return how many messages that was."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a front drives: the log, the workers in flow order, and what answers with their results."""

    log: EventLog
    workers: Sequence[Moving]
    desk: Desk
    missing: Callable[[datetime], str | None]  # what it takes until a champion serves


class Front:
    """One product's door: thread-safe, with one thread behind it that does all the work.

    A pass appends what has come to the log in one call, which acknowledges events and labels, lets the
    workers handle what is new there, and answers. What fails for a while is tried again
    without loss; whatever else fails ends the front, and what was acknowledged is handled by the next process.
    """

    def __init__(
        self, contract: Contract, clock: Clock, machine: Machine, limits: Limits, *, queries: "Front | None" = None
    ) -> None:
        """Take the parts, and who answers requests without events; nothing happens before ``start``."""
        self.contract = contract
        self._clock = clock
        self._machine = machine
        self._limits = limits
        self._queries = queries
        self._waiting = Waiting(limits.waiting_rows, limits.waiting_s)
        self._new: list[Work] = []  # taken, and not in the log yet
        self._asked: list[Asking] = []  # in the log, and not answered yet
        self._now = datetime.min.replace(tzinfo=UTC)
        self._passed: datetime | None = None
        self._failure: BaseException | None = None
        self._stop_by: float | None = None
        self._pause = Event()  # never set
        self._looked_at = -_READINESS_S
        self._began_at, self._rows = 0.0, 0  # of the batch in hand
        self._raw_events, self._raw_labels = (topic_name(contract.product, topic) for topic in EXTERNAL)
        self._waits: str | None = None
        self._why_not: str | None = "starting: folding the log's tail into memory"
        self._thread = Thread(target=self._live, name=f"front-{contract.product}", daemon=True)

    @property
    def failure(self) -> BaseException | None:
        """What ended the front, None while it works or after an orderly stop."""
        return self._failure or (self._queries.failure if self._queries else None)

    @property
    def passed(self) -> datetime | None:
        """The clock's time at the start of the last pass that went through; the log says whether anything is unread."""
        return self._passed

    @property
    def waits(self) -> str | None:
        """Which server or disk that is away keeps it from its work, None while none does."""
        return self._waits or (self._queries.waits if self._queries else None)

    @property
    def waiting_rows(self) -> int:
        """How many rows wait to be taken."""
        return self._waiting.rows + (self._queries.waiting_rows if self._queries else 0)

    def ready(self) -> str | None:
        """Return None when predictions come from a model, else what they wait for; events are taken all the same."""
        if (failure := self.failure) is not None:
            return f"failed: {failure!r}"
        if self._waiting.closed:
            return "stopping"
        return self._why_not or (self._queries.ready() if self._queries else None)

    def admit(self, rows: int, *, stored: bool) -> None:
        """Return where so many rows would be taken now, records for the log or questions about what is stored.

        Raises:
            OverloadedError: Too much waits already, or the front is stopping.
        """
        if self._queries and not stored:
            self._queries.admit(rows, stored=False)
        else:
            self._waiting.admit(rows)

    def send(self, events: Sequence[bytes], labels: Sequence[bytes]) -> Future[None]:
        """Return a future that is done when all records are durable in the log.

        Raises:
            OverloadedError: Too much waits already, or the front is stopping.
        """
        sending = Sending(tuple(events), tuple(labels))
        self._waiting.put(sending)
        return sending.future

    def predict(self, rows: Sequence[bytes | Query]) -> Future[list[Answer]]:
        """Return a future with one answer for each row, in order; predictions are in the log before it is done.

        Args:
            rows: Whole events as their producer sends them, or queries about entities.

        Raises:
            OverloadedError: Too much waits already, or the front is stopping.
        """
        if self._queries and not any(isinstance(row, bytes) for row in rows):
            return self._queries.predict(rows)
        asking = Asking(tuple(rows), tuple(map(self._machine.desk.id_of, rows)))
        self._waiting.put(asking)
        return asking.future

    def wake(self) -> None:
        """Look at the clock and the log now, though nothing was sent."""
        self._waiting.ring()

    def start(self) -> None:
        """Begin to work; what was acknowledged before and not handled is handled first."""
        self._thread.start()
        if self._queries:
            self._queries.start()

    def stop(self) -> None:
        """Refuse new work, finish what waits, and return when that is done."""
        if self._queries:
            self._queries.stop()
        self._stop_by = monotonic() + _STOP_WITHIN_S
        self._waiting.close(f"{self.contract.product}: the server is stopping")
        if self._thread.ident is None:  # never started
            self._end(None)
        else:
            self._thread.join()

    def _live(self) -> None:
        try:
            self._work()
        finally:
            self._end(sys.exception())  # whatever it is: who waits has to hear of it

    def _work(self) -> None:
        while not self._tried(self._restore):
            pass
        while True:
            self._take()
            self._tried(self._pass)
            if self._waiting.closed and self._waiting.empty and not self._new and not self._asked:
                return

    def _take(self) -> None:
        """Take new work when what was taken before is done: so all is done in the order it came."""
        if self._asked:
            self._pause.wait(_UNSEEN_S)
        elif not self._new:
            self._new = self._waiting.take(self._limits.batch_rows, self._limits.idle_s)
            self._began_at, self._rows = perf_counter(), sum(work.rows for work in self._new)

    def _tried(self, act: Callable[[], None]) -> bool:
        """Do something that may fail for a while, and return whether it was done."""
        self._now = max(self._now, self._clock.now())
        try:
            act()
        except TransientError as error:
            if self._stop_by is not None and monotonic() > self._stop_by:
                raise
            wait_s = min(error.retry_after_s, _MOST_BACK_OFF_S)
            _log.warning("%s: trying again in %.1f s: %s", self.contract.product, wait_s, error)
            self._why_not = f"trying again in {wait_s:.1f} s: {error}"
            self._looked_at = -_READINESS_S
            self._waits = str(error)
            self._pause.wait(wait_s)
            return False
        self._waits = None
        return True

    def _restore(self) -> None:
        for worker in self._machine.workers:
            worker.restore(self._now)

    def _pass(self) -> None:
        now, machine = self._now, self._machine
        self._store(now)
        machine.desk.expect(self._asked)
        for worker in machine.workers:
            worker.run_once(now)
        self._asked = machine.desk.answer(self._asked, now)
        if self._rows and not self._asked:
            self._waiting.note_pace(self._rows, perf_counter() - self._began_at)
            self._rows = 0
        self._passed = now
        if monotonic() - self._looked_at >= _READINESS_S:
            self._why_not = machine.missing(now)
            self._looked_at = monotonic()

    def _store(self, now: datetime) -> None:
        """Append what is new in one transaction: events and labels are acknowledged by that."""
        messages = [message for work in self._new for message in self._messages(work)]
        if messages:
            self._machine.log.append(messages, now)
        stored, self._new = self._new, []
        for work in stored:
            if isinstance(work, Asking):
                self._asked.append(work)
            else:
                work.future.set_result(None)

    def _messages(self, work: Work) -> list[NewMessage]:
        events, labels = (work.events, work.labels) if isinstance(work, Sending) else (work.events, ())
        return [
            *(NewMessage(self._raw_events, value) for value in events),
            *(NewMessage(self._raw_labels, value) for value in labels),
        ]

    def _end(self, error: BaseException | None) -> None:
        """Tell everybody who still waits that nothing comes any more."""
        self._failure = error
        self._waiting.close(f"{self.contract.product}: the server has failed and is starting again")
        left: list[Work] = [*self._new, *self._asked]
        while more := self._waiting.take(self._limits.waiting_rows, 0.0):
            left += more
        for work in (work for work in left if not work.future.done()):
            work.future.set_exception(error or OverloadedError(f"{self.contract.product}: the server has stopped"))
