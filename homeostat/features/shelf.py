"""Rows by the number under which they came, as columns; the oldest can be forgotten."""

from typing import Any, Final

import numpy as np
import polars as pl

from homeostat.features.windows import Integers

_LARGEST: Final = 1 << 17  # rows of a piece: forgetting gives memory back piece by piece
_TOGETHER: Final = 16  # pieces of like size become one: joining two by two would cost a row alone more than all else


class Shelf:
    """A table that grows at its end and shrinks at its beginning."""

    def __init__(self) -> None:
        self._pieces: list[pl.DataFrame] = []
        self.first = 0
        self.end = 0

    def __len__(self) -> int:
        return self.end - self.first

    def append(self, rows: pl.DataFrame) -> None:
        """Add rows at the end; pieces of like size become one, so that there are few."""
        if rows.is_empty():
            return
        self.end += rows.height
        self._pieces.append(rows)
        while len(last := self._pieces[-_TOGETHER:]) == _TOGETHER and last[0].height <= 2 * last[-1].height:
            if sum(piece.height for piece in last) > _LARGEST:
                break
            self._pieces[-_TOGETHER:] = [pl.concat(last, rechunk=True)]

    def take(self, numbers: Integers) -> pl.DataFrame:
        """Return the rows of these numbers, at least one, in this order."""
        ends = self.first + np.cumsum([piece.height for piece in self._pieces])
        at = np.searchsorted(ends, numbers, side="right")
        found: list[pl.DataFrame] = []
        order: list[Integers] = []
        for i in np.unique(at).tolist():
            mine = np.flatnonzero(at == i)
            piece = self._pieces[i]
            found.append(piece[numbers[mine] - (int(ends[i]) - piece.height)])
            order.append(mine)
        return pl.concat(found)[np.argsort(np.concatenate(order))] if len(found) > 1 else found[0]

    def older(self, time: str, than_us: int, column: str) -> list[Any]:
        """Return a column's cells at the beginning, up to the first row whose time, in microseconds, is not before."""
        old: list[Any] = []
        for piece in self._pieces:
            rows = _leading(piece.get_column(time).cast(pl.Int64).to_numpy(), than_us)
            old += piece.get_column(column)[:rows].to_list() if rows else ()
            if rows < piece.height:
                break
        return old

    def forget(self, rows: int) -> None:
        """Drop so many rows at the beginning."""
        self.first += rows
        while rows:
            piece = self._pieces.pop(0)
            if piece.height > rows:
                self._pieces.insert(0, piece[rows:])
            rows = max(0, rows - piece.height)


def _leading(times_us: Integers, than_us: int) -> int:
    """Return how many times at the beginning lie before another; few as a rule, so that the rest is not looked at."""
    look = 64
    while not (begun := np.flatnonzero(times_us[:look] >= than_us)).size and look < len(times_us):
        look *= 8
    return int(begun[0]) if begun.size else len(times_us)
