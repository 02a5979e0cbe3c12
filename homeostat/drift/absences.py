"""Missing cells by how they lie: in silences of a source, or with the rows that have another value in common."""

from collections.abc import Sequence

import numpy as np

_SILENT_ROWS = 8  # without a value in a row: where one in ten lacks it, chance alone makes no such silence
_WHOLE = 0.25  # share of rows at most whose cell is missing while most of their like have one, or the reverse
_COMPANIONS = 2  # that have to agree: one may be broken itself, or look like one by chance
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


def companions(j: int, pieces: Sequence[np.ndarray]) -> tuple[tuple[int, float], ...]:
    """Return columns whose equal values go with missing cells of column ``j``, and the most that a piece is torn.

    Cells that are joined from another source are missing together with their like, as all trips of an hour lack
    its weather. A fault leaves nulls here and there in between.

    Args:
        j: A column that is missing now and then.
        pieces: Calm cell matrices, the last column the event time.
    """
    some = [piece for piece in pieces if _MIXED <= np.isnan(piece[:, j]).mean() <= 1 - _MIXED]
    if len(some) < _MIXED_PIECES:
        return ()
    rows, gone = np.concatenate(some), np.concatenate([np.isnan(piece[:, j]) for piece in some])
    of = np.repeat(np.arange(len(some)), [len(piece) for piece in some])
    found = sorted((_most_torn(gone, rows[:, k], of), k) for k in range(rows.shape[1] - 1) if k != j)[:_COMPANIONS]
    return tuple((k, lost) for lost, k in found) if all(lost <= _WHOLE for lost, _ in found) else ()


def _most_torn(gone: np.ndarray, keys: np.ndarray, of: np.ndarray) -> float:
    """Return the most that any piece is torn; all of it where hardly any rows have a value in common."""
    alike = np.unique(keys, return_inverse=True)[1]
    found, groups = np.unique(alike * (of[-1] + 1) + of, return_inverse=True)
    if found.size * _GROUPED > gone.size:
        return 1.0
    lost = np.bincount(found % (of[-1] + 1), weights=_minorities(gone, groups))
    return float((lost / np.bincount(of)).max())


def _minorities(gone: np.ndarray, groups: np.ndarray) -> np.ndarray:
    missing = np.bincount(groups, weights=gone)
    return np.asarray(np.minimum(missing, np.bincount(groups) - missing))
