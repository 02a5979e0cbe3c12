"""Windowed aggregates over what was known about a key strictly before a moment.

Facts of one kind are kept sorted by (key, time known), so a window is a slice found by two binary
searches. A micro-batch costs one merge of the batch into the history, which is a copy of the
history, and work in proportion to the rows times the facts in their windows.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Values = NDArray[Any]

_CHUNK_FACTS: Final = 1 << 20  # facts gathered at a time: 8 MiB for each temporary array
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(time: datetime) -> int:
    """Return the microseconds from 1970 to an aware time, exactly (``timestamp()`` rounds).

    >>> microseconds(datetime(1970, 1, 2, tzinfo=UTC))
    86400000000
    """
    past = time - EPOCH
    return (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds


class History:
    """The facts of one kind: a key, the time each became known, and a value that is never missing."""

    def __init__(self, *, text: bool = False) -> None:
        """Start empty; ``text`` says that values are texts, not numbers."""
        self._codes: defaultdict[Hashable, int] = defaultdict(count().__next__)
        # NumPy sorts complex numbers by real part, then by imaginary part: here by key, then by time.
        # Microseconds since 1970 are exact in a float from 1684 to 2255.
        self._order = np.empty(0, np.complex128)
        self.values: Values = np.empty(0, object if text else np.float64)

    def __len__(self) -> int:
        return len(self.values)

    def insert(
        self, keys: Sequence[Hashable], known_us: Integers | Sequence[int], values: Values | Sequence[object]
    ) -> None:
        """Add facts; of two known at the same time the one inserted later stands later.

        Args:
            keys: One key per fact.
            known_us: When each fact became known, microseconds since 1970.
            values: One value per fact, None nowhere.
        """
        if not keys:
            return
        order = np.empty(len(keys), np.complex128)
        order.real = [self._codes[key] for key in keys]
        order.imag = known_us
        rank = np.argsort(order, kind="stable")
        order = order[rank]
        places = np.searchsorted(self._order, order, side="right")
        self._order = np.insert(self._order, places, order)
        self.values = np.insert(self.values, places, np.asarray(values, self.values.dtype)[rank])

    def codes(self, keys: Sequence[Hashable]) -> Values:
        """Return what stands for each key in ``before``; None, or a key without facts, stands before all."""
        return np.array([self._codes.get(key, -1) for key in keys], np.float64)

    def before(self, codes: Values, times_us: Integers) -> Integers:
        """Return where in ``values`` each key's facts known at or after a time begin.

        Args:
            codes: One code per row, see ``codes``.
            times_us: The time of each row, microseconds since 1970.
        """
        bounds = np.empty(len(codes), np.complex128)
        bounds.real, bounds.imag = codes, times_us
        return np.searchsorted(self._order, bounds, side="left")

    def trim(self, before_us: int) -> None:
        """Forget the facts known before a moment, and the keys that have none left."""
        keep = self._order.imag >= before_us
        if keep.all():
            return
        self._order, self.values = self._order[keep], self.values[keep]
        alive = set(np.unique(self._order.real).astype(np.int64).tolist())
        for key in [key for key, code in self._codes.items() if code not in alive]:
            del self._codes[key]


def aggregate(kind: str, values: Values, first: Integers, last: Integers) -> pl.Series:
    """Return one aggregate per window ``values[first:last]``.

    Args:
        kind: count, mean, sum, std (of a sample, so two facts at least) or last.
        values: The facts, shape (n_facts,).
        first: Start of each window, shape (n_rows,).
        last: Behind the end of each window, same shape.

    Returns:
        Floats, or texts for ``last`` over texts; null where there are too few facts, except for the
        count and the sum of none, which are 0.0.
    """
    sizes = last - first
    if kind == "count":
        return pl.Series(sizes.astype(np.float64))
    if kind == "last":
        return _last(values, last, sizes)
    summary, fewest = _SUMMARIES[kind]
    numbers = np.where(sizes >= fewest, 0.0, np.nan)
    rows = np.flatnonzero(sizes >= max(fewest, 1))
    for chunk in _chunks(sizes[rows]):
        part = rows[chunk]
        starts, facts = _gather(values, first[part], sizes[part])
        with np.errstate(over="ignore", invalid="ignore"):
            numbers[part] = summary(facts, starts, sizes[part])
    numbers[np.isinf(numbers)] = np.nan  # what is not finite is missing
    return pl.Series(numbers, nan_to_null=True)


def _last(values: Values, last: Integers, sizes: Integers) -> pl.Series:
    text = values.dtype == object
    cells = np.full(len(sizes), None if text else np.nan, values.dtype)
    rows = np.flatnonzero(sizes)
    cells[rows] = values[last[rows] - 1]
    return pl.Series(cells.tolist(), dtype=pl.String) if text else pl.Series(cells, nan_to_null=True)


def _chunks(sizes: Integers) -> Iterator[slice]:
    """Yield runs of windows that together hold at most ``_CHUNK_FACTS``, a larger window alone."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        done = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _CHUNK_FACTS, side="right")))
        yield slice(start, stop)
        start = stop


def _gather(values: Values, first: Integers, sizes: Integers) -> tuple[Integers, Values]:
    """Return where each window starts in the facts of all windows, laid end to end."""
    starts = np.cumsum(sizes) - sizes
    return starts, values[np.arange(sizes.sum()) + np.repeat(first - starts, sizes)]


def _sum(facts: Values, starts: Integers, _sizes: Integers) -> Values:
    # Each window is added up by itself: a difference of running totals would carry the rounding of all
    # that came before, so that a large value under one key would blur the small ones under another.
    return np.add.reduceat(facts, starts)


def _mean(facts: Values, starts: Integers, sizes: Integers) -> Values:
    return _sum(facts, starts, sizes) / sizes


def _std(facts: Values, starts: Integers, sizes: Integers) -> Values:
    """Return the deviation about the mean by two passes, which can't come out negative."""
    deviations = facts - np.repeat(_mean(facts, starts, sizes), sizes)
    return np.sqrt(_sum(deviations**2, starts, sizes) / (sizes - 1))


_SUMMARIES: Final[dict[str, tuple[Callable[[Values, Integers, Integers], Values], int]]] = {
    "sum": (_sum, 0),
    "mean": (_mean, 1),
    "std": (_std, 2),
}
"""How a window is summed up, and the fewest facts that takes."""
