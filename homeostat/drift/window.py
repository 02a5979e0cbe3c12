"""Rows of a moving stretch of event time, kept as sums by bucket, each row counted once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from homeostat.records import Span

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Bucket(Generic[T]):
    """The sums of one stretch, the ids they hold, and the event times of its first and last row."""

    def __init__(self, sums: T, time: datetime) -> None:
        """Start empty; ``time`` is the event time of the row it is made for."""
        self.sums = sums
        self.ids: set[str] = set()
        self.first = self.last = time

    def admit(self, event_id: str, time: datetime) -> bool:
        """Return whether the row is new, and remember it."""
        if event_id in self.ids:
            return False
        self.ids.add(event_id)
        self.first, self.last = min(self.first, time), max(self.last, time)
        return True


class MovingWindow(Generic[T]):
    """Buckets of equal length in event time; a bucket leaves as soon as it may hold a row that is too old.

    So the sums depend on the rows of the window alone, not on how long this process has been up.

    >>> window = MovingWindow(timedelta(hours=1), list)
    >>> rows = [("a", _EPOCH), ("b", _EPOCH), ("a", _EPOCH)]
    >>> [(sums, new) for sums, new in window.admit(rows)]
    [([], [0, 1])]
    """

    def __init__(self, length: timedelta, empty: Callable[[], T]) -> None:
        """Make buckets of ``length`` that start from ``empty()``."""
        self._length = length
        self._empty = empty
        self._buckets: dict[int, Bucket[T]] = {}

    def admit(self, rows: Iterable[tuple[str, datetime]]) -> Iterator[tuple[T, list[int]]]:
        """Give the sums of each bucket concerned with the positions of the rows to be added to them.

        Args:
            rows: Event id and event time of each row; a row whose id its bucket holds is left out.
        """
        places: dict[int, list[int]] = {}
        for i, (event_id, time) in enumerate(rows):
            key = (time - _EPOCH) // self._length
            bucket = self._buckets.get(key)
            if bucket is None:
                bucket = self._buckets[key] = Bucket(self._empty(), time)
            if bucket.admit(event_id, time):
                places.setdefault(key, []).append(i)
        for key, positions in places.items():
            yield self._buckets[key].sums, positions

    def forget(self, before: datetime) -> None:
        """Drop the buckets that start earlier than ``before``."""
        oldest = -((_EPOCH - before) // self._length)  # rounded up
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if key >= oldest}

    def sums(self, outside: Sequence[Span] = ()) -> list[T]:
        """Return the sums of the buckets in order of time, without those that have rows in a span left out."""
        return [sums for _, sums in self.parts(outside)]

    def parts(self, outside: Sequence[Span] = ()) -> list[tuple[datetime, T]]:
        """Return the same, each with the event time of its first row."""
        buckets = [self._buckets[key] for key in sorted(self._buckets)]
        return [
            (b.first, b.sums) for b in buckets if not any(b.first <= s.until and b.last >= s.since for s in outside)
        ]

    def span(self) -> tuple[datetime, datetime] | None:
        """Return the event times of the first and the last row, None without rows."""
        if not self._buckets:
            return None
        return min(b.first for b in self._buckets.values()), max(b.last for b in self._buckets.values())
