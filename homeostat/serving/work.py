"""What callers hand in, and the bounded queue in which it waits."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition
from time import monotonic
from typing import Final

from homeostat.errors import InvalidRecordError, OverloadedError
from homeostat.features.query import Query
from homeostat.records import Prediction

Answer = Prediction | InvalidRecordError

_RESTART_S: Final = 5.0  # a process that ends is started again about that fast
_FORGET: Final = 0.8  # share of the past in the measured pace; the last five batches make two thirds of it
_GATHER_S: Final = 0.001  # a tenth of what an answer takes on a busy machine
_FEW_ROWS: Final = 64  # let in whatever the pace: batches of one row tell little of what many cost together


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


class Pace:
    """How long a row takes: the mean over the last batches, in which a batch counts by the square of its rows.

    What a batch costs whatever its size is so spread over the rows of the large ones, which come when many wait.
    """

    def __init__(self, row_s: float) -> None:
        """Take what a row is held to take before anything was seen."""
        self._spent, self._rows = row_s, 1.0  # both times rows, and forgotten bit by bit

    def note(self, rows: int, spent_s: float) -> None:
        """Learn what a batch took, all retries included."""
        self._spent = _FORGET * self._spent + rows * spent_s
        self._rows = _FORGET * self._rows + rows * rows

    def expected_s(self, rows: int) -> float:
        """Return how long so many rows will take.

        >>> pace = Pace(0.001)
        >>> pace.note(100, 0.1)
        >>> round(pace.expected_s(250), 6)
        0.25
        """
        return rows * self._spent / self._rows


class Waiting:
    """Work in the order it came, bounded by rows and by the wait; one thread takes it, any number put it in."""

    def __init__(self, most_rows: int, most_s: float, gather_s: float = _GATHER_S) -> None:
        """Take how many rows may wait and how long; one piece of any size is let in when nothing else waits.

        Args:
            most_rows: Who would make more of them wait is refused.
            most_s: Who would be done later than this is refused, beyond a few rows.
            gather_s: How long a crowd that asked at once before is given to do so again.
        """
        self._most_rows = most_rows
        self._most_s = most_s
        self._gather_s = gather_s
        self._queue: deque[Work] = deque()
        self._rows = 0
        self._taken_rows = 0  # and not done yet
        self._undone = 0  # pieces, in the queue or taken
        self._crowd = 0  # the most of them at once since work was taken last
        self._enough = 1  # pieces that are worth waking somebody for
        self._bell = Condition()
        self._rung = False
        self._closed: str | None = None
        self._pace = Pace(1.0 / most_rows)

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
            OverloadedError: Too much waits already, or the queue was closed.
        """
        with self._bell:
            self._admit(work.rows)
            self._queue.append(work)
            self._rows += work.rows
            self._undone += 1
            self._crowd = max(self._crowd, self._undone)
            if len(self._queue) >= self._enough:
                self._bell.notify_all()
        work.future.add_done_callback(self._note_done)

    def admit(self, rows: int) -> None:
        """Return where work of so many rows could be put in now; nothing is kept free for it.

        Raises:
            OverloadedError: Too much waits already, or the queue was closed.
        """
        with self._bell:
            self._admit(rows)

    def take(self, most_rows: int, wait_s: float) -> list[Work]:
        """Return the oldest work up to ``most_rows`` (one piece at least), or nothing after ``wait_s`` or a ring.

        What its caller has cancelled meanwhile is dropped; what is returned can't be cancelled any more.
        """
        with self._bell:
            crowd, self._crowd = self._crowd, self._undone
            self._bell.wait_for(lambda: self._queue or self._rung or self.closed, wait_s)
            if self._queue and self._rows < most_rows:
                self._gather(crowd)
            self._rung = False
            taken: list[Work] = []
            rows = 0
            while self._queue and (not taken or rows + self._queue[0].rows <= most_rows):
                work = self._queue.popleft()
                self._rows -= work.rows
                if work.future.set_running_or_notify_cancel():
                    taken.append(work)
                    rows += work.rows
            self._taken_rows = min(rows, most_rows)  # one large piece does not keep all others out
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
            self._pace.note(rows, spent_s)

    def _admit(self, rows: int) -> None:
        if self._closed is not None:
            raise OverloadedError(self._closed, _RESTART_S)
        if self._queue:
            self._refuse_beyond(self._rows + rows)

    def _gather(self, crowd: int) -> None:
        """Give a crowd that asked at once a moment to do so again: what a batch costs whatever its size is shared.

        One who asks alone, however much, waits for nobody.
        """
        self._enough = crowd
        self._bell.wait_for(lambda: len(self._queue) >= crowd or self._rung or self.closed, self._gather_s)
        self._enough = 1

    def _note_done(self, _: object) -> None:
        with self._bell:
            self._undone -= 1

    def _refuse_beyond(self, rows: int) -> None:
        """Refuse what would make so many rows wait, if that is more than may."""
        wait_s = self._pace.expected_s(self._taken_rows + rows)
        if rows <= self._most_rows and (rows <= _FEW_ROWS or wait_s <= self._most_s):
            return
        back_s = self._pace.expected_s(self._taken_rows + self._rows)
        raise OverloadedError(
            f"{self._rows:,} rows wait; with these it would be {wait_s:.2f} s for {rows:,}, and {self._most_s:.2f} s "
            f"and {self._most_rows:,} rows may: come back in {back_s:.1f} s",
            back_s,
        )
