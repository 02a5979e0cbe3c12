"""What calm pieces of training rows look like, column by column: the yardstick that faults are named by."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from homeostat.drift.bins import Bins, Cells

CLOCK = "event_time"
"""The column of event times, after the features."""

SCALES = (96, 7)  # pieces of a window: what is no fault in an hour may be one in a day
PIECE_ROWS = 200  # fewer can't tell a fault from luck
_TYPICAL = 0.35  # distance of a piece up to which it looks like the whole
_FAR = 1.5  # times the range of the reference
_MOST_PIECES = 200  # of the training rows; more of them hardly widen what is calm
_SILENT_ROWS = 8  # without a value in a row: where one in ten lacks it, chance alone makes no such silence
_MANY_PIECES = 14  # from which the least share of a category says something about the next piece
_UNCLIPPED = 1e9  # deviations of a vector's numbers, in which another unit must still be seen


@dataclass(frozen=True, slots=True)
class Norm:
    """The most that one column did in any calm piece of the reference, and the range of its values.

    Rows of an hour have their weather in common, so a column may well be constant within a piece, or far from
    its distribution over months, without being broken.
    """

    name: str
    gap: float = 0.0  # Kolmogorov-Smirnov distance to the reference, of categories the total variation
    dominance: float = 0.0  # share of one value among the known ones
    missing: float = 0.0  # share of rows without a value
    unknown: float = 0.0  # share of categories outside of the reference's
    zeros: float = 0.0  # share of zeros among all rows
    least: float = 0.0  # size of a number other than zero
    most: float = 0.0
    silence_s: float = 0.0  # longest silence: rows one after the other without a value
    least_shares: tuple[float, ...] = ()  # of each category in any piece, among known cells; none of few pieces

    @property
    def is_typical(self) -> bool:
        """Whether a piece looks like the whole, so that its distribution says something: not so with the weather."""
        return self.gap <= _TYPICAL

    def outside(self, values: np.ndarray) -> float:
        """Return the share of numbers other than zero whose size is far from any in the reference."""
        sizes = np.abs(values[values != 0])
        return float(np.mean((sizes < self.least / _FAR) | (sizes > self.most * _FAR))) if sizes.size else 0.0


class CellCoder:
    """Turns cells into numbers that keep what a fault shows by: values as they are, texts by one vocabulary."""

    def __init__(self, columns: Sequence[Bins]) -> None:
        """Join the vocabularies of all columns, so that a text is known in another's place too."""
        texts = dict.fromkeys(text for column in columns for text in column.categories)
        self.columns = tuple(columns)
        self._codes: dict[object, float] = {text: float(i) for i, text in enumerate(texts)}
        self._codes[None], self._other = np.nan, float(len(texts))
        self._places = [self._of(column, list(texts)) for column in columns]

    def matrix(self, cells: Sequence[Cells], times: np.ndarray) -> np.ndarray:
        """Return rows as float64, shape (n_rows, n_columns + 1), NaN where missing, the last column the event time.

        Args:
            cells: The cells of each feature.
            times: Event time of each row in seconds, shape (n_rows,).
        """
        out = np.empty((len(times), len(self.columns) + 1))
        for j, (column, each) in enumerate(zip(self.columns, cells, strict=True)):
            if column.categorical:
                out[:, j] = [self._codes.get(cell, self._other) for cell in each]
            elif column.vector is not None:
                out[:, j] = column.vector.along(each, _UNCLIPPED)  # type: ignore[arg-type] # by the contract
            else:
                out[:, j] = column.numbers(each)
        out[:, -1] = times
        return out

    def places(self, j: int, values: np.ndarray) -> np.ndarray:
        """Return known values of a matrix as column ``j`` reads them: a category as its bin, a number as it is."""
        return self._places[j][values.astype(np.int64)] if self.columns[j].categorical else values

    @staticmethod
    def _of(column: Bins, texts: Sequence[str]) -> np.ndarray:
        own = {text: float(i) for i, text in enumerate(column.categories)}
        return np.asarray([own.get(text, float(len(own))) for text in [*texts, ""]])


def pieces(sizes: Sequence[int]) -> Iterator[slice]:
    """Give consecutive stretches joined until they have rows enough; a rest that has too few is left out.

    Args:
        sizes: Rows of each stretch, in order of time.

    >>> list(pieces([300, 150, 150, 20]))
    [slice(0, 1, None), slice(1, 3, None)]
    """
    start, rows = 0, 0
    for i, size in enumerate(sizes):
        rows += size
        if rows >= PIECE_ROWS:
            yield slice(start, i + 1)
            start, rows = i + 1, 0


def column_gap(column: Bins, reference: np.ndarray, values: np.ndarray) -> float:
    """Return how far known values lie from the reference: 0 for alike, 1 for nothing in common.

    Args:
        column: The bins.
        reference: Row counts in the reference, shape (n_bins,), the last for missing values.
        values: As ``CellCoder.places`` has them, without missing ones, shape (n,).
    """
    known = reference[:-1].sum()
    if known == 0 or values.size == 0:
        return 0.0
    if column.categorical:
        live = np.bincount(values.astype(np.int64), minlength=column.missing)
        return float(np.abs(live / values.size - reference[:-1] / known).sum() / 2)
    below = np.searchsorted(np.sort(values), column.edges, side="right") / values.size
    return float(np.max(np.abs(below - np.cumsum(reference[:-2]) / known), initial=0.0))


def dominance(values: np.ndarray) -> float:
    """Return the share of the most frequent value, 0 for none."""
    return float(np.unique(values, return_counts=True)[1].max() / values.size) if values.size else 0.0


def norms(coder: CellCoder, counts: Sequence[np.ndarray], rows: np.ndarray, stretch_s: float) -> tuple[Norm, ...]:
    """Return the norm of every feature and of the event time, from training rows in any order.

    Args:
        coder: Of the features.
        counts: Row counts of each feature's bins in the reference.
        rows: The coder's matrix of the training rows.
        stretch_s: Span of a live piece in seconds, where it has rows enough.
    """
    ordered = rows[np.argsort(rows[:, -1], kind="stable")]
    _, starts = np.unique(ordered[:, -1] // stretch_s, return_index=True)
    bounds = np.append(starts, len(ordered))
    parts = [slice(int(bounds[p.start]), int(bounds[p.stop])) for p in pieces(np.diff(bounds).tolist())]
    chosen = [_thinned(ordered[parts[i]]) for i in np.unique(_spaced(len(parts), _MOST_PIECES)) if parts]
    told = []
    for j, (column, count) in enumerate(zip(coder.columns, counts, strict=True)):
        known = [coder.places(j, piece[np.isfinite(piece[:, j]), j]) for piece in chosen]
        norm = _norm(column, np.asarray(count), known, ordered[:, j])
        told.append(_with_whole_pieces(norm, coder, j, ordered, parts) if parts else norm)
    return *told, Norm(CLOCK, dominance=max((dominance(piece[:, -1]) for piece in chosen), default=1.0))


def _spaced(of: int, wanted: int) -> np.ndarray:
    return np.linspace(0, of - 1, wanted).astype(int)


def _thinned(piece: np.ndarray) -> np.ndarray:
    return np.asarray(piece[_spaced(len(piece), PIECE_ROWS)])


def _norm(column: Bins, count: np.ndarray, known: Sequence[np.ndarray], values: np.ndarray) -> Norm:
    if not known:  # nothing is known of calm pieces: everything is calm
        return Norm(column.name, 1.0, 1.0, 1.0, 1.0)
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    return Norm(
        column.name,
        gap=max(column_gap(column, count, piece) for piece in known),
        dominance=max(dominance(piece) for piece in known),
        unknown=max(unknown_share(column, piece) for piece in known),
        zeros=float(np.mean(values == 0)),
        least=float(sizes.min()) if sizes.size else 0.0,
        most=float(sizes.max()) if sizes.size else 0.0,
    )


def _with_whole_pieces(norm: Norm, coder: CellCoder, j: int, ordered: np.ndarray, parts: Sequence[slice]) -> Norm:
    """Return the norm with what is counted in every row of every piece: a silence or a rare absence is easily missed.

    Args:
        norm: Of column ``j``.
        coder: Of the features.
        j: The column.
        ordered: All training rows in order of time.
        parts: The pieces, one after the other from the first row on.
    """
    gone, column = ~np.isfinite(ordered[:, j]), coder.columns[j]
    sizes = np.asarray([part.stop - part.start for part in parts])
    missing = np.add.reduceat(gone[: parts[-1].stop].astype(np.int64), [part.start for part in parts])
    lasted = silences(gone, ordered[:, -1])[1]
    shares: tuple[float, ...] = ()
    if column.categorical and len(parts) >= _MANY_PIECES and (missing < sizes).any():
        there = np.flatnonzero(~gone[: parts[-1].stop])
        places = coder.places(j, ordered[there, j]).astype(np.int64)
        flat = np.repeat(np.arange(len(parts)), sizes)[there] * column.missing + places
        counted = np.bincount(flat, minlength=len(parts) * column.missing).reshape(len(parts), -1)
        known = sizes - missing
        shares = tuple((counted[known > 0, :-1] / known[known > 0, None]).min(axis=0).tolist())
    return replace(
        norm,
        missing=float((missing / sizes).max()),
        silence_s=float(lasted.max(initial=0.0)),
        least_shares=shares,
    )


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


def unknown_share(column: Bins, values: np.ndarray) -> float:
    """Return the share of known cells that are categories outside of the bins', 0 for numbers."""
    if not column.categorical or values.size == 0:
        return 0.0
    return float(np.mean(values == len(column.categories)))
