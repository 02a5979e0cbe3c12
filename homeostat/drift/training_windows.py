"""Training rows cut into windows as long as the live ones, to see how far calm windows lie apart."""

from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import polars as pl

from homeostat.drift.bins import Bins, coarse
from homeostat.drift.design import INDEPENDENT, Design, Distances, estimate
from homeostat.drift.draws import WIDTH
from homeostat.drift.embedding import ROWS_A_DIRECTION, EmbeddingReference, R, RowMap
from homeostat.drift.ks import MEAN_SQUARE, ks_test
from homeostat.drift.psi import psi_test

_MIN_WINDOWS = 4  # fewer say nothing about their spread
_PARTS = 7  # of a window, when there are too few windows: days of a week
_CHUNK = 16_384  # rows embedded at once


@dataclass(frozen=True, slots=True)
class TrainingWindows:
    """Which window each training row belongs to."""

    place: np.ndarray  # (n_rows,), -1 for rows left out
    weights: np.ndarray  # (n_rows,)
    parts: int  # how many of these make a live window

    @property
    def mass(self) -> np.ndarray:
        """The weight of each window."""
        return self.sums(self.weights)

    @property
    def squares(self) -> np.ndarray:
        """The sum of squared weights of each window."""
        return self.sums(self.weights**2)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of ``values``, shape (n_rows,), over each window."""
        kept = self.place >= 0
        return np.bincount(self.place[kept], weights=values[kept])

    def among(self, known: np.ndarray) -> "TrainingWindows | None":
        """Return the windows with some of their rows alone, (n_rows,) of bool; None if too few have any."""
        place = np.where(known, self.place, -1)
        found, again = np.unique(place[place >= 0], return_inverse=True)
        if found.size < _MIN_WINDOWS:
            return None
        place[place >= 0] = again
        return replace(self, place=place)

    def counts(self, codes: np.ndarray, size: int) -> np.ndarray:
        """Return the weight in each bin, shape (n_windows, size), from bin codes (n_rows,)."""
        kept = self.place >= 0
        flat = self.place[kept] * size + codes[kept]
        return np.bincount(flat, weights=self.weights[kept], minlength=self.mass.size * size).reshape(-1, size)


@dataclass(frozen=True, slots=True)
class Compared:
    """Training windows, each held against others: arrays of shape (n_windows,)."""

    mass: np.ndarray
    rows: np.ndarray  # effective
    parts: int  # how many of these make a live window
    breadth: np.ndarray | None = None  # as that of ``Distances``

    def points(self, own: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return where the windows lie; from where their season puts them, if they are held against that."""
        return own if self.breadth is None else own - others


def cut(times: pl.Series, weights: np.ndarray, span: timedelta) -> TrainingWindows | None:
    """Return windows of ``span`` that end with the last row, None where there are too few to compare.

    Fewer than four windows are cut into sevenths, which are then taken as independent of one another: what
    lasts longer than a seventh is underestimated. A window with less than half the usual rows is left out.

    Args:
        times: Event time of each row.
        weights: Training weight of each row, shape (n_rows,); rows without weight belong to no window.
        span: Of a live window.
    """
    for parts in (1, _PARTS):
        windows = TrainingWindows(_places(times, weights, span / parts), weights, parts)
        if int(windows.place.max(initial=-1)) + 1 >= _MIN_WINDOWS:
            return windows
    return None


def column_designs(windows: TrainingWindows, column: Bins, codes: np.ndarray) -> tuple[Design, Design]:
    """Return the designs of one column's index and of its Kolmogorov-Smirnov distance.

    Args:
        windows: Where the rows belong.
        column: Its bins.
        codes: Bin of each row, shape (n_rows,).
    """
    mass = windows.counts(codes, column.size)
    rows, rest = _effective(windows)
    live = mass * (rows / windows.mass)[:, None]
    others = (mass.sum(axis=0) - mass) * (rest / (windows.mass.sum() - windows.mass))[:, None]
    return compared_designs(Compared(windows.mass, rows, windows.parts), column, live, others)


def compared_designs(compared: Compared, column: Bins, live: np.ndarray, others: np.ndarray) -> tuple[Design, Design]:
    """Return the designs of one column's index and gap, from each window's counts and those it is held against.

    Args:
        compared: The windows.
        column: Its bins.
        live: Effective rows in each bin of each window, shape (n_windows, size).
        others: Of what each window is held against, same shape.
    """
    index = _index_design(compared, coarse(column, live), coarse(column, others))
    if column.categorical:
        return index, INDEPENDENT
    return index, _gap_design(compared, live[:, :-1], others[:, :-1])


def borne(
    windows: TrainingWindows, embedder: RowMap[R], codes: R, reference: EmbeddingReference
) -> tuple[EmbeddingReference, Design]:
    """Return the reference with the directions that the training windows bear, and the design of its distance.

    Args:
        windows: Where the rows belong.
        embedder: The map of ``reference``.
        codes: Bin codes of the features, shape (n_rows, n_features), or vectors of one.
        reference: Directions of unit variance within windows.
    """
    if not reference.whitener:
        return reference, INDEPENDENT
    mass, (rows, rest) = windows.mass, _effective(windows)
    totals = fourier_sums(windows, embedder, codes, reference.bandwidth) @ np.asarray(reference.whitener).T
    gaps = totals / mass[:, None] - (totals.sum(axis=0) - totals) / (mass.sum() - mass)[:, None]
    compared = Compared(mass, rows, windows.parts)
    kept, design = borne_directions(compared, totals / mass[:, None], gaps, 1 / rows + 1 / rest)
    return replace(reference, borne=kept), design


def borne_directions(
    compared: Compared, points: np.ndarray, gaps: np.ndarray, chance: np.ndarray
) -> tuple[int, Design]:
    """Return how many directions the training windows bear, and the design of the distance along them.

    Ten rows that are worth as much as independent ones bear a direction. Of more, the windows show too little: those
    in which they happen to differ less than new ones will decide. A cut changes what rows are worth, so it is
    repeated until nothing is left to cut.

    Args:
        compared: The windows.
        points: Where they lie along each direction, shape (n_windows, n_directions).
        gaps: How far from what each is held against, same shape.
        chance: 1 / rows of the window + 1 / rows of what it is held against, shape (n_windows,).
    """
    most = points.shape[1]
    while True:
        kept = most
        seen = Distances(
            squared=np.sum(gaps[:, :kept] ** 2, axis=1),
            degrees=np.full(compared.mass.size, float(kept)),
            chance=chance,
            rows=compared.rows,
            mass=compared.mass,
            points=points[:, :kept],
            breadth=compared.breadth,
        )
        design = estimate(seen, compared.parts, of_many=True)  # one whitener for all windows
        most = max(1, int(design.windows * design.rows / design.effect / ROWS_A_DIRECTION))
        if most >= kept:
            return kept, design


def fourier_sums(windows: TrainingWindows, embedder: RowMap[R], codes: R, bandwidth: float) -> np.ndarray:
    """Return the sum of the weighted Fourier features of each window's rows, shape (n_windows, WIDTH)."""
    sums = np.zeros((windows.mass.size, WIDTH))
    for start in range(0, len(codes), _CHUNK):
        part = slice(start, start + _CHUNK)
        place, mapped = windows.place[part], embedder.features(codes[part], bandwidth)
        kept = place >= 0
        np.add.at(sums, place[kept], mapped[kept] * windows.weights[part][kept, None])
    return sums


def _places(times: pl.Series, weights: np.ndarray, span: timedelta) -> np.ndarray:
    clock = times.dt.epoch("us").to_numpy()
    back = (clock.max() - clock) // max(int(span / timedelta(microseconds=1)), 1)
    place = np.full(back.size, -1)
    used = weights > 0
    found, place[used] = np.unique(back[used], return_inverse=True)
    whole = TrainingWindows(place, weights, 1)
    rows = whole.mass**2 / whole.squares
    keep = rows >= np.median(rows) / 2
    renumbered = np.where(keep, np.cumsum(keep) - 1, -1)
    return np.asarray(np.where(place >= 0, renumbered[place], -1)) if found.size else place


def _effective(windows: TrainingWindows) -> tuple[np.ndarray, np.ndarray]:
    """Return Kish's effective rows of each window, and of all the others together."""
    mass, squares = windows.mass, windows.squares
    return mass**2 / squares, (mass.sum() - mass) ** 2 / (squares.sum() - squares)


def _index_design(windows: Compared, live: np.ndarray, others: np.ndarray) -> Design:
    tests = [psi_test(reference, window) for reference, window in zip(others, live, strict=True)]
    rows = live.sum(axis=1)
    shares = live / rows[:, None]
    usual = windows.mass @ shares / windows.mass.sum()
    points = windows.points(shares, others / others.sum(axis=1, keepdims=True))
    seen = Distances(
        squared=np.asarray([test.index for test in tests]),
        degrees=np.asarray([float(test.degrees) for test in tests]),
        chance=np.asarray([test.scale for test in tests]),
        rows=rows,
        mass=windows.mass,
        points=points[:, usual > 0] / np.sqrt(usual[usual > 0]),
        breadth=windows.breadth,
    )
    return estimate(seen, windows.parts)


def _gap_design(windows: Compared, live: np.ndarray, others: np.ndarray) -> Design:
    rows, rest = live.sum(axis=1), others.sum(axis=1)
    known = (rows > 0) & (rest > 0)
    if np.count_nonzero(known) < _MIN_WINDOWS:
        return INDEPENDENT
    tests = [ks_test(reference, window) for reference, window in zip(others[known], live[known], strict=True)]
    steps = np.cumsum(live[known], axis=1) / rows[known, None]
    seen = Distances(
        squared=np.asarray([test.distance**2 / MEAN_SQUARE for test in tests]),
        degrees=np.ones(len(tests)),
        chance=1 / rows[known] + 1 / rest[known],
        rows=rows[known],
        mass=windows.mass[known] * rows[known] / windows.rows[known],
        points=windows.points(steps, np.cumsum(others[known], axis=1) / rest[known, None]),
        breadth=None if windows.breadth is None else windows.breadth[known],
    )
    return estimate(seen, windows.parts)
