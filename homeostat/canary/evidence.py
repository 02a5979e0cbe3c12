"""Paired losses of two models on the same rows, kept as sums by time block."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class BlockSums:
    """Row counts and summed losses of complete blocks in time order, each of shape (n_blocks,)."""

    rows: NDArray[np.int64]
    incumbent: NDArray[np.float64]
    rival: NDArray[np.float64]

    @property
    def differences(self) -> NDArray[np.float64]:
        """Summed loss of the rival minus the incumbent's, by block."""
        return self.rival - self.incumbent

    def flipped(self) -> "BlockSums":
        """The same rows with the two models' parts exchanged."""
        return BlockSums(self.rows, self.rival, self.incumbent)


class PairedEvidence:
    """A fold over rows that both models scored; it grows with the number of blocks, not of rows."""

    def __init__(self, block: timedelta) -> None:
        """Take the span of event time within which rows are not counted as independent."""
        self._block = block
        self._sums: dict[int, NDArray[np.float64]] = {}  # block index -> rows, incumbent's loss, rival's loss

    def add(self, event_times: Sequence[datetime], incumbent: NDArray[np.float64], rival: NDArray[np.float64]) -> None:
        """Fold rows in, in any order.

        Args:
            event_times: When each row happened, aware, n of them.
            incumbent: Losses of the model that serves, shape (n,).
            rival: Losses of the other model on the same rows, same shape.
        """
        for time, old, new in zip(event_times, incumbent, rival, strict=True):
            index = self.index(time)
            self._sums[index] = self._sums.get(index, np.zeros(3)) + np.array([1.0, old, new])

    def merge(self, other: "PairedEvidence") -> None:
        """Fold in what another process has seen of the same pair."""
        for index, sums in other._sums.items():
            self._sums[index] = self._sums.get(index, np.zeros(3)) + sums

    def index(self, time: datetime) -> int:
        """Return the number of the block a time lies in, counted from 1970."""
        return (time - _EPOCH) // self._block

    def first_after(self, time: datetime) -> int:
        """Return the number of the first block that begins at a time or later."""
        return -((_EPOCH - time) // self._block)

    def complete(self, since: datetime | None = None) -> BlockSums:
        """Return the blocks that no longer grow and began at ``since`` or later.

        Rows come in event-time order, so every block but the newest is complete. A look at half a block
        would be one more look at dependent rows.
        """
        indices = sorted(self._sums)[:-1]
        kept = [self._sums[i] for i in indices if since is None or i >= self.first_after(since)]
        table = np.array(kept).reshape(-1, 3)
        return BlockSums(table[:, 0].astype(np.int64), table[:, 1], table[:, 2])

    def forget(self, before: datetime) -> None:
        """Drop the blocks that ended before a time."""
        limit = self.index(before)
        self._sums = {index: sums for index, sums in self._sums.items() if index >= limit}
