"""Rows of a moving stretch of event time, kept as sums by bucket, each row counted once."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

import numpy as np
import polars as pl

from homeostat.records import Span

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


class Ids:
    """Which ids have come, as 64-bit hashes: 8 bytes each, 16 while two runs are joined.

    An event that a producer sends again gives its prediction again, however much later, so the ids of a batch or a
    day would not do. Of a billion ids in one memory about every 37th such memory takes one new id for an old one.

    Runs are sorted, each more than twice as long as the next, so an id is moved as often as the ids double.

    Source: O'Neil et al. (1996), "The log-structured merge-tree", doi:10.1007/s002360050048.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._runs: list[np.ndarray] = []

    @property
    def nbytes(self) -> int:
        """The memory of all hashes, in bytes."""
        return sum(run.nbytes for run in self._runs)

    def admit(self, keys: np.ndarray) -> np.ndarray:
        """Return the positions of the hashes that are new, in order, each where it stands first, and remember them.

        Args:
            keys: Hashes of ids, shape (n,) of uint64.
        """
        fresh, first = np.unique(keys, return_index=True)
        for run in self._runs:
            at = np.minimum(np.searchsorted(run, fresh), run.size - 1)
            new = run[at] != fresh
            fresh, first = fresh[new], first[new]
        self._put(fresh)
        return np.sort(first)

    def _put(self, run: np.ndarray) -> None:
        if not run.size:
            return
        while self._runs and self._runs[-1].size <= 2 * run.size:
            run = np.concatenate([self._runs.pop(), run])
            run.sort(kind="stable")  # which merges two runs that are in order
        self._runs.append(run)


class Bucket(Generic[T]):
    """The sums of one stretch, the ids they hold, and the event times of its first and last row."""

    def __init__(self, sums: T, time: datetime) -> None:
        """Start empty; ``time`` is the event time of a row it is made for."""
        self.sums = sums
        self.ids = Ids()
        self.first = self.last = time


class MovingWindow(Generic[T]):
    """Buckets of equal length in event time; a bucket leaves as soon as it may hold a row that is too old.

    So the sums depend on the rows of the window alone, not on how long this process has been up.

    >>> window = MovingWindow(timedelta(hours=1), list)
    >>> [(sums, new.tolist()) for sums, new in window.admit(["a", "b", "a"], [_EPOCH] * 3)]
    [([], [0, 1])]
    """

    def __init__(self, length: timedelta, empty: Callable[[], T]) -> None:
        """Make buckets of ``length`` that start from ``empty()``."""
        self._length = length
        self._empty = empty
        self._buckets: dict[int, Bucket[T]] = {}

    def admit(self, ids: Sequence[str], times: Sequence[datetime]) -> Iterator[tuple[T, np.ndarray]]:
        """Give the sums of each bucket concerned with the positions of the rows to be added to them.

        A row whose id its bucket holds is left out. Of an event that is sent again the time is the same, so its
        bucket is.

        Args:
            ids: Event id of each row.
            times: Its event time.
        """
        if not len(ids):
            return
        clock = np.rint(np.asarray([time.timestamp() for time in times]) * 1e6).astype(np.int64)
        hashes = pl.Series(ids, dtype=pl.String).hash(seed=0).to_numpy()
        keys, place = np.unique(clock // (self._length // _US), return_inverse=True)
        order = np.argsort(place, kind="stable")
        for key, rows in zip(keys.tolist(), np.split(order, np.cumsum(np.bincount(place))[:-1]), strict=True):
            bucket = self._buckets.get(key)
            if bucket is None:
                bucket = self._buckets[key] = Bucket(self._empty(), times[rows[0]])
            new = rows[bucket.ids.admit(hashes[rows])]
            if new.size:
                bucket.first = min(bucket.first, times[new[clock[new].argmin()]])
                bucket.last = max(bucket.last, times[new[clock[new].argmax()]])
                yield bucket.sums, new

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
