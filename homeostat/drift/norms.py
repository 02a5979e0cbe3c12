"""What calm pieces of training rows look like, column by column: the yardstick that faults are named by."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from homeostat.drift.absences import Likeness, silences
from homeostat.drift.bins import Bins
from homeostat.drift.cells import CellCoder
from homeostat.drift.numerals import Numerals, last_digits, numerals

CLOCK = "event_time"
"""The column of event times, after the features."""

SCALES = (96, 7)  # pieces of a window: what is no fault in an hour may be one in a day
PIECE_ROWS = 200  # fewer can't tell a fault from luck
_TYPICAL = 0.35  # distance of a piece up to which it looks like the whole
_FAR = 1.5  # times the range of the reference
_MOST_PIECES = 200  # of the training rows; more of them hardly widen what is calm
_MANY_PIECES = 14  # from which the least share of a category says something about the next piece
VARIED = 0.8  # a column that had so much of one value in a calm piece may well have nothing else in the next one
_ONCE = 0.05  # share of such pieces whose value no other one has: about the chance that the next one's is new
_OFTEN_MISSING = 0.25  # in some piece: where in the piece they are then says more than how many they are
_WRITTEN_ROWS = 50_000  # of all pieces: more of them hardly change how numbers are written


@dataclass(frozen=True, slots=True)
class Norm:
    """The most that one column did in any calm piece of the reference, and the range of its values.

    Rows of an hour have their weather in common, so a column may well be constant within a piece, or far from
    its distribution over months, without being broken.
    """

    name: str
    gap: float = 0.0  # Kolmogorov-Smirnov distance to the reference, of categories the total variation
    dominance: float = 0.0  # share of one value among the known ones
    dominant: float | None = None  # that value
    missing: float = 0.0  # share of rows without a value
    unknown: float = 0.0  # share of categories outside of the reference's
    zeros: float = 0.0  # share of zeros among all rows
    least: float = 0.0  # size of a number other than zero
    most: float = 0.0
    silence_s: float = 0.0  # longest silence: rows one after the other without a value
    least_shares: tuple[float, ...] = ()  # of each category in any piece, among known cells; none of few pieces
    constants: tuple[float, ...] = ()  # values that whole pieces have, if those are always the same few
    off: float = 1.0  # distance of the places of last digits to the training's
    # columns of whose equal values most rows or hardly any lack a value of this one, and share of rows that don't
    companions: tuple[tuple[int, float], ...] = ()

    @property
    def is_typical(self) -> bool:
        """Whether a piece looks like the whole, so that its distribution says something: not so with the weather."""
        return self.gap <= _TYPICAL

    def outside(self, values: np.ndarray) -> float:
        """Return the share of numbers other than zero whose size is far from any in the reference."""
        sizes = np.abs(values[values != 0])
        return float(np.mean((sizes < self.least / _FAR) | (sizes > self.most * _FAR))) if sizes.size else 0.0


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


def dominant(values: np.ndarray) -> tuple[float, float]:
    """Return the most frequent value and its share; 0 and 0 for none."""
    if not values.size:
        return 0.0, 0.0
    found, counts = np.unique(values, return_counts=True)
    most = int(np.argmax(counts))
    return float(found[most]), float(counts[most] / values.size)


def dominance(values: np.ndarray) -> float:
    """Return the share of the most frequent value, 0 for none."""
    return dominant(values)[1]


def written_numbers(coder: CellCoder, rows: np.ndarray, stretch_s: float) -> dict[int, Numerals]:
    """Return how the numbers of each column are written, by its place; none of texts, vectors and single pieces.

    Args:
        coder: Of the features.
        rows: The coder's matrix of the training rows, in order of time.
        stretch_s: Span of a live piece in seconds, where it has rows enough.
    """
    parts = cut(rows[:, -1], stretch_s)
    if len(parts) < 2:  # no value comes back in one piece
        return {}
    some = _some(parts)
    chosen = [thinned(rows[part], max(PIECE_ROWS, _WRITTEN_ROWS // len(some))) for part in some]
    of, cells = np.repeat(np.arange(len(chosen)), [len(piece) for piece in chosen]), np.concatenate(chosen)
    plain = [j for j, column in enumerate(coder.columns) if not column.categorical and column.vector is None]
    found = {j: numerals(cells[:, j], of) for j in plain}
    return {j: one for j, one in found.items() if one is not None}


def cut(times: np.ndarray, stretch_s: float) -> list[slice]:
    """Return the pieces that rows make whose event times, in order, are these; see ``pieces``."""
    _, starts = np.unique(times // stretch_s, return_index=True)
    bounds = np.append(starts, times.size)
    return [slice(int(bounds[p.start]), int(bounds[p.stop])) for p in pieces(np.diff(bounds).tolist())]


def _some(parts: Sequence[slice]) -> list[slice]:
    return [parts[i] for i in np.unique(_spaced(len(parts), _MOST_PIECES))] if parts else []


def norms(
    coder: CellCoder,
    counts: Sequence[np.ndarray],
    rows: np.ndarray,
    stretch_s: float,
    written: Mapping[int, Numerals] | None = None,
) -> tuple[Norm, ...]:
    """Return the norm of every feature and of the event time.

    Args:
        coder: Of the features.
        counts: Row counts of each feature's bins in the reference.
        rows: The coder's matrix of the training rows, in order of time.
        stretch_s: Span of a live piece in seconds, where it has rows enough.
        written: How the numbers are written, by place of the feature.
    """
    parts = cut(rows[:, -1], stretch_s)
    chosen = [thinned(rows[part]) for part in _some(parts)]
    told, likeness = [], Likeness(chosen) if chosen else None
    for j, count in enumerate(counts):
        known = [piece[np.isfinite(piece[:, j]), j] for piece in chosen]
        norm = _norm(coder, j, np.asarray(count), known, rows[:, j])
        if numbers := (written or {}).get(j):
            norm = replace(norm, off=max((numbers.off(last_digits(values)) for values in known), default=1.0))
        norm = _with_whole_pieces(norm, coder, j, rows, parts) if parts else norm
        if likeness and norm.missing >= _OFTEN_MISSING:
            norm = replace(norm, companions=likeness.companions(j))
        told.append(norm)
    return *told, Norm(CLOCK, dominance=max((dominance(piece[:, -1]) for piece in chosen), default=1.0))


def _spaced(of: int, wanted: int) -> np.ndarray:
    return np.linspace(0, of - 1, wanted).astype(int)


def thinned(piece: np.ndarray, most: int = PIECE_ROWS) -> np.ndarray:
    """Return so many rows of a piece at most, evenly spaced."""
    return np.asarray(piece[np.unique(_spaced(len(piece), most))])


def _norm(coder: CellCoder, j: int, count: np.ndarray, known: Sequence[np.ndarray], values: np.ndarray) -> Norm:
    column = coder.columns[j]
    if not known:  # nothing is known of calm pieces: everything is calm
        return Norm(column.name, gap=1.0, dominance=1.0, missing=1.0, unknown=1.0)
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    placed = [coder.places(j, piece) for piece in known]
    most = [(share, coder.places(j, np.asarray([value])).item()) for value, share in map(dominant, known)]
    return Norm(
        column.name,
        gap=max(column_gap(column, count, piece) for piece in placed),
        dominance=max(most)[0],
        dominant=max(most)[1],
        unknown=max(unknown_share(column, piece) for piece in placed),
        zeros=float(np.mean(values == 0)),
        least=float(sizes.min()) if sizes.size else 0.0,
        most=float(sizes.max()) if sizes.size else 0.0,
        # a category may well give way to another: a release to the next
        constants=() if column.categorical else _constants([value for share, value in most if share > VARIED]),
    )


def _constants(values: Sequence[float]) -> tuple[float, ...]:
    """Return the values that pieces are constant at, none where the next such piece may well have a new one.

    Source: the chance of a new kind is the share of kinds seen once; Good (1953), doi:10.1093/biomet/40.3-4.237.
    """
    found, times = np.unique(values, return_counts=True)
    return tuple(found.tolist()) if np.sum(times == 1) <= _ONCE * len(values) else ()


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


def unknown_share(column: Bins, values: np.ndarray) -> float:
    """Return the share of known cells that are categories outside of the bins', 0 for numbers."""
    if not column.categorical or values.size == 0:
        return 0.0
    return float(np.mean(values == len(column.categories)))
