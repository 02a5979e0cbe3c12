"""What callers hand in, and the bounded queue in which it waits."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition
from time import monotonic

from homeostat.errors import InvalidRecordError, OverloadedError
from homeostat.features.query import Query
from homeostat.records import Prediction

Answer = Prediction | InvalidRecordError

_RESTART_S = 5.0  # a process that ends is started again about that fast
_FORGET = 0.8  # share of the past in the measured pace; the last five batches make two thirds of it


@dataclass(frozen=True, slots=True)
class Sending:
    """Raw events and labels to be made durable."""

    events: Sequence[bytes]
    labels: Sequence[bytes]
    future: Future[None] = field(default_factory=Future)

    @property
    def rows(self) -> int:
        """How many records there are."""
        return len(self.events) + len(self.labels)


@dataclass(frozen=True, slots=True)
class Asking:
    """Rows to be predicted: whole events as bytes, or queries; ``ids`` has the id of each event, None for a query."""

    asked: Sequence[bytes | Query]
    ids: Sequence[str | None]
    future: Future[list[Answer]] = field(default_factory=Future)
    since: float = field(default_factory=monotonic)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.asked)

    @property
    def events(self) -> list[bytes]:
        """The rows that are events, in order."""
        return [row for row in self.asked if isinstance(row, bytes)]


Work = Sending | Asking


class Waiting:
    """Work in the order it came, bounded by rows; one thread takes it, any number put it in."""

    def __init__(self, most_rows: int) -> None:
        """Take how many rows may wait; a single larger piece of work is let in when nothing else waits."""
        self._most_rows = most_rows
        self._queue: deque[Work] = deque()
        self._rows = 0
        self._bell = Condition()
        self._rung = False
        self._closed: str | None = None
        self._spent_s = 0.0
        self._done_rows = 0.0

    @property
    def rows(self) -> int:
        """How many rows wait."""
        return self._rows

    @property
    def empty(self) -> bool:
        """Whether nothing waits, not even a request without rows."""
        return not self._queue

    @property
    def closed(self) -> bool:
        """Whether new work is refused for good."""
        return self._closed is not None

    def put(self, work: Work) -> None:
        """Add work at the end.

        Raises:
            OverloadedError: Too many rows wait already, or the queue was closed.
        """
        with self._bell:
            if self._closed is not None:
                raise OverloadedError(self._closed, _RESTART_S)
            if self._queue and self._rows + work.rows > self._most_rows:
                wait_s = self._rows * self._row_s()
                raise OverloadedError(
                    f"{self._rows:,} rows wait, {self._most_rows:,} may: come back in {wait_s:.1f} s", wait_s
                )
            self._queue.append(work)
            self._rows += work.rows
            self._bell.notify_all()

    def take(self, most_rows: int, wait_s: float) -> list[Work]:
        """Return the oldest work up to ``most_rows`` (one piece at least), or nothing after ``wait_s`` or a ring.

        What its caller has cancelled meanwhile is dropped; what is returned can't be cancelled any more.
        """
        with self._bell:
            self._bell.wait_for(lambda: self._queue or self._rung or self.closed, wait_s)
            self._rung = False
            taken: list[Work] = []
            rows = 0
            while self._queue and (not taken or rows + self._queue[0].rows <= most_rows):
                work = self._queue.popleft()
                self._rows -= work.rows
                if work.future.set_running_or_notify_cancel():
                    taken.append(work)
                    rows += work.rows
            return taken

    def ring(self) -> None:
        """Wake the thread that takes, though nothing has come."""
        with self._bell:
            self._rung = True
            self._bell.notify_all()

    def close(self, why: str) -> None:
        """Refuse new work from now on, with the reason; what waits can still be taken. The first reason stays."""
        with self._bell:
            self._closed = self._closed or why
            self._bell.notify_all()

    def note_pace(self, rows: int, spent_s: float) -> None:
        """Learn how long work takes, as what is refused is told when to come back.

        Args:
            rows: Done in one batch.
            spent_s: On it, all retries included.
        """
        with self._bell:
            self._done_rows = _FORGET * self._done_rows + rows
            self._spent_s = _FORGET * self._spent_s + spent_s

    def _row_s(self) -> float:
        return self._spent_s / self._done_rows if self._done_rows else 1.0 / self._most_rows
