"""Rows by the number under which they came, as columns; the oldest can be forgotten."""

from typing import Final

import numpy as np
import polars as pl

from homeostat.features.windows import Integers

_LARGEST: Final = 1 << 17  # rows of a piece: forgetting gives memory back piece by piece


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
        while self._pieces and self._pieces[-1].height <= min(2 * rows.height, _LARGEST - rows.height):
            rows = pl.concat([self._pieces.pop(), rows], rechunk=True)
        self._pieces.append(rows)

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

    def older(self, column: str, than_us: int) -> pl.DataFrame:
        """Return the rows at the beginning, up to the first one whose time, in microseconds, is not before another."""
        old: list[pl.DataFrame] = []
        for piece in self._pieces:
            begun = np.flatnonzero(piece.get_column(column).cast(pl.Int64).to_numpy() >= than_us)
            old.append(piece[: begun[0]] if len(begun) else piece)
            if len(begun):
                break
        return pl.concat(old) if old else pl.DataFrame()

    def forget(self, rows: int) -> None:
        """Drop so many rows at the beginning."""
        self.first += rows
        while rows:
            piece = self._pieces.pop(0)
            if piece.height > rows:
                self._pieces.insert(0, piece[rows:])
            rows = max(0, rows - piece.height)
