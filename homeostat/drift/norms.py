"""What calm pieces of training rows look like, column by column: the yardstick that faults are named by."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from homeostat.drift.bins import Bins, Cells

CLOCK = "event_time"
"""The column of event times, after the features."""

SCALES = (96, 7)  # pieces of a window: what is no fault in an hour may be one in a day
PIECE_ROWS = 200  # fewer can't tell a fault from luck
_TYPICAL = 0.35  # distance of a piece up to which it looks like the whole
_FAR = 1.5  # times the range of the reference
_MOST_PIECES = 200  # of the training rows; more of them hardly widen what is calm


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
    cuts = [ordered[bounds[part.start] : bounds[part.stop]] for part in pieces(np.diff(bounds).tolist())]
    chosen = [_thinned(cuts[i]) for i in np.unique(np.linspace(0, len(cuts) - 1, _MOST_PIECES).astype(int)) if cuts]
    told = []
    for j, (column, count) in enumerate(zip(coder.columns, counts, strict=True)):
        known = [coder.places(j, piece[np.isfinite(piece[:, j]), j]) for piece in chosen]
        told.append(_norm(column, np.asarray(count), known, rows[:, j]))
    return *told, Norm(CLOCK, dominance=max((dominance(piece[:, -1]) for piece in chosen), default=1.0))


def _thinned(piece: np.ndarray) -> np.ndarray:
    return np.asarray(piece[np.linspace(0, len(piece) - 1, PIECE_ROWS).astype(int)])


def _norm(column: Bins, count: np.ndarray, known: Sequence[np.ndarray], values: np.ndarray) -> Norm:
    if not known:  # nothing is known of calm pieces: everything is calm
        return Norm(column.name, 1.0, 1.0, 1.0, 1.0)
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    return Norm(
        column.name,
        gap=max(column_gap(column, count, piece) for piece in known),
        dominance=max(dominance(piece) for piece in known),
        missing=max(1 - piece.size / PIECE_ROWS for piece in known),
        unknown=max(unknown_share(column, piece) for piece in known),
        zeros=float(np.mean(values == 0)),
        least=float(sizes.min()) if sizes.size else 0.0,
        most=float(sizes.max()) if sizes.size else 0.0,
    )


def unknown_share(column: Bins, values: np.ndarray) -> float:
    """Return the share of known cells that are categories outside of the bins', 0 for numbers."""
    if not column.categorical or values.size == 0:
        return 0.0
    return float(np.mean(values == len(column.categories)))
