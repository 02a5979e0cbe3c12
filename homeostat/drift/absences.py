"""Missing cells by how they lie: in silences of a source, or with the rows that have another value in common."""

from collections.abc import Sequence

import numpy as np

_SILENT_ROWS = 8  # without a value in a row: where one in ten lacks it, chance alone makes no such silence
_WHOLE = 0.25  # share of rows at most whose cell is missing while most of their like have one, or the reverse
_COMPANIONS = 2  # that have to agree: one may be broken itself, or look like one by chance
_CHANCE = 0.5  # times as torn as by chance, on average, at most
_GROUPED = 3  # rows that have a value in common, at least on average: single rows are always whole
_MIXED = 0.1  # share of missing cells, and of known ones, in pieces that say something about it, of which there are
_MIXED_PIECES = 3  # at least


def silences(gone: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and seconds of each stretch of many rows in which none has a value.

    Args:
        gone: Whether each row lacks the value, in order of time, shape (n,).
        times: Event times in seconds, shape (n,).

    >>> rows, seconds = silences(np.repeat([False, True, False, True], [5, 9, 1, 3]), np.arange(18.0))
    >>> rows.tolist(), seconds.tolist()
    ([9], [8.0])
    """
    ends = np.flatnonzero(np.diff(np.concatenate([[0], gone.astype(np.int8), [0]])))
    starts, stops = ends[::2], ends[1::2]
    long = stops - starts >= _SILENT_ROWS
    starts, stops = starts[long], stops[long]
    return stops - starts, times[stops - 1] - times[starts]


def torn(gone: np.ndarray, keys: np.ndarray) -> float:
    """Return the share of rows that lack a value while most rows of their key have one, or the reverse.

    Args:
        gone: Whether each row lacks the value, shape (n,).
        keys: What rows may have in common, shape (n,); those without a key are alike.

    >>> torn(np.array([True, True, False, False]), np.array([1.0, 1.0, 2.0, np.nan]))
    0.0
    >>> torn(np.array([True, False, True, False]), np.array([1.0, 1.0, 2.0, 2.0]))
    0.5
    """
    groups = np.unique(keys, return_inverse=True)[1]
    return float(_minorities(gone, groups).sum() / gone.size)


class Likeness:
    """Which rows of calm pieces have a value in common, column by column."""

    def __init__(self, pieces: Sequence[np.ndarray]) -> None:
        """Take cell matrices, the last column the event time."""
        self._rows = np.concatenate(pieces)
        self._sizes = np.asarray([len(piece) for piece in pieces])
        self._of = np.repeat(np.arange(len(pieces)), self._sizes)
        self._groups: dict[int, np.ndarray] = {}

    def companions(self, j: int) -> tuple[tuple[int, float], ...]:
        """Return columns whose equal values go with missing cells of column ``j``, and the most that a piece is torn.

        Cells that are joined from another source are missing together with their like, as all trips of an hour lack
        its weather. A fault leaves nulls here and there in between, and so does chance.

        Args:
            j: A column that is missing now and then.
        """
        gone = np.isnan(self._rows[:, j])
        share = np.bincount(self._of, weights=gone) / self._sizes
        mixed = (share >= _MIXED) & (share <= 1 - _MIXED)
        if mixed.sum() < _MIXED_PIECES:
            return ()
        told = sorted((self._torn(k, gone, mixed), k) for k in range(self._rows.shape[1] - 1) if k != j)
        found = [(k, lost) for lost, k in told[:_COMPANIONS] if lost <= _WHOLE and self._is_no_chance(k, gone, mixed)]
        return tuple(found) if len(found) == _COMPANIONS else ()

    def _torn(self, k: int, gone: np.ndarray, mixed: np.ndarray) -> float:
        """Return the most that any mixed piece is torn; all of it where hardly any rows have a value in common."""
        groups = self._grouped(k)
        return float(self._lost(groups, gone)[mixed].max()) if groups.size else 1.0

    def _is_no_chance(self, k: int, gone: np.ndarray, mixed: np.ndarray) -> bool:
        """Return whether mixed pieces are torn far less than where just as many cells are missing anywhere in them."""
        groups = self._grouped(k)
        drawn = np.lexsort((np.random.default_rng(k).random(gone.size), self._of))
        by_chance = self._lost(groups, gone[drawn])[mixed].mean()
        return bool(self._lost(groups, gone)[mixed].mean() <= _CHANCE * by_chance)

    def _lost(self, groups: np.ndarray, gone: np.ndarray) -> np.ndarray:
        lost = _minorities(gone, groups)
        piece = np.empty(lost.size, dtype=np.int64)
        piece[groups] = self._of
        return np.asarray(np.bincount(piece, weights=lost, minlength=self._sizes.size) / self._sizes)

    def _grouped(self, k: int) -> np.ndarray:
        """Return which rows of a piece have a value of column ``k`` in common, none where hardly any have."""
        if k not in self._groups:
            alike = np.unique(self._rows[:, k], return_inverse=True)[1]
            found, groups = np.unique(alike * self._sizes.size + self._of, return_inverse=True)
            self._groups[k] = groups if found.size * _GROUPED <= self._of.size else groups[:0]
        return self._groups[k]


def _minorities(gone: np.ndarray, groups: np.ndarray) -> np.ndarray:
    missing = np.bincount(groups, weights=gone)
    return np.asarray(np.minimum(missing, np.bincount(groups) - missing))
