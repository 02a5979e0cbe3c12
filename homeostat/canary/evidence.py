"""What two models answered on the same rows, kept as sums by block of time and group of entities."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zlib import crc32

import numpy as np

from homeostat.canary.spread import Floats

GROUPS = 128
"""Entities are compared in groups of equal chance: as many as a spread needs, and memory does not grow with users."""

_MOST_BLOCKS = 1024  # compared at a look; more are joined, which costs nothing: each length of batches is looked at
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def group_of(entity_id: str) -> int:
    """Return the group of an entity, the same in every process."""
    return crc32(entity_id.encode()) % GROUPS


@dataclass(frozen=True, slots=True)
class Blocks:
    """Spans of event time within which rows are not counted as independent."""

    length: timedelta

    def index(self, time: datetime) -> int:
        """Return the number of the block a time lies in, counted from 1970."""
        return (time - _EPOCH) // self.length

    def first_after(self, time: datetime) -> int:
        """Return the number of the first block that begins at a time or later."""
        return -((_EPOCH - time) // self.length)


class CellSums:
    """Sums of several values of rows by block and group; grows with blocks and groups, not with rows."""

    def __init__(self, width: int) -> None:
        """Take the number of values a row has."""
        self._width = width
        self._cells: defaultdict[int, dict[int, Floats]] = defaultdict(dict)  # by block, by group

    def add(self, blocks: Sequence[int], groups: Sequence[int], values: Floats) -> None:
        """Fold rows in, in any order.

        Args:
            blocks: The block of each row, n of them.
            groups: The group of each row's entity, below ``GROUPS``.
            values: Shape (n, width).
        """
        keys = np.asarray(blocks, dtype=np.int64) * GROUPS + np.asarray(groups, dtype=np.int64)
        cells, place = np.unique(keys, return_inverse=True)
        at = [divmod(cell, GROUPS) for cell in cells.tolist()]
        empty = np.zeros(self._width)
        sums = np.array([self._cells[block].get(group, empty) for block, group in at]).reshape(-1, self._width)
        np.add.at(sums, place, values)  # row after row, so that rows dealt out otherwise give the very same sums
        for (block, group), total in zip(at, sums, strict=True):
            self._cells[block][group] = total

    def table(self, blocks: Sequence[int]) -> Floats:
        """Return the sums of some blocks in their order, shape (n_blocks, GROUPS, width); zero where no row was."""
        found = np.zeros((len(blocks), GROUPS, self._width))
        for place, block in enumerate(blocks):
            cells = self._cells.get(block)
            if cells:
                found[place, list(cells)] = list(cells.values())
        return found

    def total(self, blocks: Iterable[int]) -> Floats:
        """Return the sums of some blocks together, shape (width,)."""
        cells = [sums for block in blocks for sums in self._cells.get(block, {}).values()]
        return np.asarray(np.sum(cells, axis=0)) if cells else np.zeros(self._width)

    def forget(self, before: int) -> None:
        """Drop the blocks below a number."""
        for block in [block for block in self._cells if block < before]:
            del self._cells[block]


@dataclass(frozen=True, slots=True)
class Paired:
    """Rows that two models answered, as sums in complete blocks in time order, each of shape (n_blocks, n_groups)."""

    rows: Floats
    labels: Floats
    incumbent_loss: Floats
    rival_loss: Floats
    incumbent_score: Floats
    rival_score: Floats

    @property
    def blocks(self) -> int:
        """Blocks that hold rows."""
        return len(self.rows)

    @property
    def row_count(self) -> int:
        """Rows of all blocks."""
        return int(self.rows.sum())

    @property
    def difference(self) -> Floats:
        """Summed loss of the rival minus the incumbent's."""
        return self.rival_loss - self.incumbent_loss

    def mean(self, sums: Floats) -> float | None:
        """Return a sum by row, None without rows."""
        return float(sums.sum() / self.rows.sum()) if self.row_count else None


def paired(table: Floats) -> Paired:
    """Return a table of shape (n_blocks, n_groups, 6) by its columns, without blocks that hold no row.

    Beyond ``_MOST_BLOCKS`` blocks, neighbours are joined.
    """
    kept = table[table[:, :, 0].any(axis=1)] if table.size else table
    length = -(-len(kept) // _MOST_BLOCKS)
    if length > 1:
        kept = np.add.reduceat(kept, np.arange(0, len(kept), length), axis=0)
    return Paired(*np.moveaxis(kept, 2, 0))


def nothing() -> Paired:
    """Return the evidence before any row."""
    return paired(np.zeros((0, GROUPS, 6)))
