"""A recorded stream: what producers sent, in the order it became known, ready to be played again."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import polars.selectors as cs

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Track:
    """One topic's messages by the time they became known.

    Args:
        times: Microseconds since 1970 in UTC, int64, ascending, shape (n,).
        values: The messages as bytes, a polars Binary column: a tenth of the memory of Python objects.

    Raises:
        ValueError: The two differ in length, or the times do not ascend.
    """

    times: np.ndarray
    values: pl.Series

    def __post_init__(self) -> None:
        if len(self.times) != len(self.values):
            raise ValueError(f"{len(self.times)} times for {len(self.values)} messages")
        if np.any(np.diff(self.times) < 0):
            raise ValueError("the times of a track must ascend")

    def __len__(self) -> int:
        return len(self.times)

    def index_at(self, time: datetime) -> int:
        """Return how many messages were known strictly before ``time``."""
        return int(np.searchsorted(self.times, to_us(time), side="left"))

    def take(self, start: int, stop: int) -> list[bytes]:
        """Return the messages of positions ``start`` (in) to ``stop`` (out) in order."""
        return list(self.values.slice(start, max(0, stop - start)))


@dataclass(frozen=True, slots=True)
class Recording:
    """A finite stream of events and of the labels that came later."""

    events: Track
    labels: Track

    @property
    def first(self) -> datetime:
        """When the first message became known."""
        return from_us(int(min(t.times[0] for t in (self.events, self.labels) if len(t))))

    @property
    def last(self) -> datetime:
        """When the last message became known."""
        return from_us(int(max(t.times[-1] for t in (self.events, self.labels) if len(t))))


def to_us(time: datetime) -> int:
    """Return whole microseconds since 1970 in UTC of an aware time.

    >>> to_us(datetime(1970, 1, 2, tzinfo=UTC))
    86400000000
    """
    return (time - _EPOCH) // timedelta(microseconds=1)


def from_us(time: int) -> datetime:
    """Return the aware UTC time of microseconds since 1970.

    >>> from_us(86400000000).isoformat()
    '1970-01-02T00:00:00+00:00'
    """
    return _EPOCH + timedelta(microseconds=time)


def encode(rows: pl.DataFrame, time: str) -> Track:
    """Return a track of one JSON object a row, its times written as ISO-8601 in UTC.

    Args:
        rows: One message a row; datetimes must be aware.
        time: The column that says when a message became known; ties keep the order of the rows.
    """
    ordered = rows.sort(time, maintain_order=True)
    texts = ordered.with_columns(cs.datetime().dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    values = texts.select(pl.struct(pl.all()).struct.json_encode().cast(pl.Binary)).to_series()
    return Track(ordered[time].dt.epoch("us").to_numpy(), values)
