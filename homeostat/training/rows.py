"""The labelled rows as arrays: what every part of the search slices."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from homeostat.records import Span
from homeostat.training.encoding import Encoder, fit_encoder

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


_DAY_US = DAY // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Rows:
    """Encoded labelled rows in event-time order.

    Args:
        encoder: How the matrix was made.
        x: float32, shape (n, features).
        y: Labels 0 or 1, float64, shape (n,).
        day: Event time in days since 1970, float64, shape (n,), not decreasing.
    """

    encoder: Encoder
    x: np.ndarray
    y: np.ndarray
    day: np.ndarray

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.y)

    def take(self, index: np.ndarray | slice) -> "Rows":
        """Return some of the rows; an index keeps its own order."""
        return Rows(self.encoder, self.x[index], self.y[index], self.day[index])

    def before(self, day: float) -> "Rows":
        """Return the rows with an event time before ``day``, without copying."""
        return self.take(slice(0, int(np.searchsorted(self.day, day, side="left"))))

    def between(self, start: float, end: float) -> "Rows":
        """Return the rows with ``start <= event time < end``, without copying."""
        low, high = np.searchsorted(self.day, [start, end], side="left")
        return self.take(slice(int(low), int(high)))


def day_of(time: datetime) -> float:
    """Return a time in days since 1970, the very number that ``Rows.day`` has for it.

    >>> day_of(datetime(1970, 1, 2, 12, tzinfo=UTC))
    1.5
    """
    return ((time - EPOCH) // timedelta(microseconds=1)) / _DAY_US


def encode_rows(frame: pl.DataFrame, features: Sequence[str], categorical: frozenset[str]) -> Rows:
    """Return the rows of a training frame (``event_time``, ``label``, features) as arrays.

    The category codes come from all rows. They say nothing about labels, and a model fitted on earlier
    rows treats a code it has not met like any unknown category.
    """
    ordered = frame.sort("event_time", maintain_order=True)
    encoder = fit_encoder(ordered, features, categorical)
    day = ordered["event_time"].dt.epoch("us").to_numpy() / _DAY_US
    return Rows(encoder, encoder.matrix(ordered), ordered["label"].cast(pl.Float64).to_numpy(), day)


def without_spans(frame: pl.DataFrame, spans: Sequence[Span]) -> pl.DataFrame:
    """Return the rows of a frame whose ``event_time`` lies in none of the spans."""
    inside = [pl.col("event_time").is_between(span.since, span.until) for span in spans]
    return frame.filter(~pl.any_horizontal(inside)) if inside else frame


def thin(count: int, most: int) -> np.ndarray:
    """Return up to ``most`` evenly spaced positions out of ``count``, the last one always among them.

    Even thinning keeps the mix of times as it is, so that resampling by time means the same on the sample.

    >>> thin(10, 3).tolist()
    [3, 6, 9]
    """
    if count <= most:
        return np.arange(count)
    return (np.arange(1, most + 1) * count + most - 1) // most - 1  # whole numbers: rounding must not pass the end
