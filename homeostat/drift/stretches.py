"""Training windows cut by hour of the season, each held against the same hours of the others."""

from dataclasses import dataclass

import numpy as np

from homeostat.drift.design import INDEPENDENT, Design
from homeostat.drift.embedding import EmbeddingReference, R, RowMap
from homeostat.drift.training_windows import Compared, TrainingWindows, borne_directions, fourier_sums

_MIN_SEASONS = 4  # fewer say nothing about how far one lies from another


@dataclass(frozen=True, slots=True)
class Stretches:
    """Parts of windows that lie in one hour of the season: arrays of shape (n_stretches,)."""

    rows: TrainingWindows  # which stretch each row belongs to
    window: np.ndarray
    hour: np.ndarray

    @property
    def share(self) -> np.ndarray:
        """The part that each stretch is of its window."""
        mass = self.rows.mass
        return np.asarray(mass / self.by_window(mass)[self.window])

    def by_window(self, sums: np.ndarray) -> np.ndarray:
        """Return sums of stretches, shape (n_stretches, ...), added up by window."""
        return _added(sums, self.window)

    def usual(self, sums: np.ndarray) -> np.ndarray:
        """Return what the others' sums make of each window, shape (n_windows, n): means, mixed as its hours are."""
        return self.by_window(self._others(sums) * (self.share / self._others(self.rows.mass))[:, None])

    def compared(self) -> tuple[Compared, np.ndarray]:
        """Return the windows, and the effective rows that each one is held against."""
        mass, squares = self.rows.mass, self.rows.squares
        whole, rest = self.by_window(mass), self._others(mass) ** 2
        # at most this, and just this where windows cover the same hours or none in common
        breadth = self.by_window(self.share * self._others(mass**2) / rest)
        held = 1 / self.by_window(self.share**2 * self._others(squares) / rest)
        return Compared(whole, whole**2 / self.by_window(squares), 1, breadth), held

    def _others(self, sums: np.ndarray) -> np.ndarray:
        """Return for each stretch the sums of its hour in the other windows, same shape."""
        return np.asarray(_added(sums, self.hour)[self.hour] - sums)


def stretches(windows: TrainingWindows, hours: np.ndarray, size: int) -> Stretches | None:
    """Return the windows by hour, without those that have an hour no other window has; None for under four seasons.

    Args:
        windows: Where the rows belong.
        hours: Hour of the season of each row, shape (n_rows,).
        size: Hours in a season.
    """
    key = np.where(windows.place >= 0, windows.place * size + hours, -1)
    found = np.unique(key[key >= 0])
    while (alone := np.bincount(found % size, minlength=size)[found % size] == 1).any():
        found = found[~np.isin(found // size, found[alone] // size)]
    if not found.size:
        return None
    place = np.where(np.isin(key, found), np.searchsorted(found, key), -1)
    cut = Stretches(TrainingWindows(place, windows.weights, 1), np.unique_inverse(found // size)[1], found % size)
    compared, _ = cut.compared()
    seasons = 1 + 1 / np.average(compared.breadth, weights=compared.mass)  # type: ignore[arg-type]
    return cut if round(seasons) >= _MIN_SEASONS else None


def by_hour(hours: np.ndarray, weights: np.ndarray, used: np.ndarray) -> tuple[np.ndarray, TrainingWindows]:
    """Return the hours that have rows in use, and the rows by their place among them; arrays of shape (n_rows,)."""
    place = np.full(hours.size, -1)
    found, place[used] = np.unique(hours[used], return_inverse=True)
    return found, TrainingWindows(place, weights, 1)


def borne_by_hour(
    parted: Stretches, embedder: RowMap[R], codes: R, reference: EmbeddingReference
) -> tuple[int, Design]:
    """Return the directions that windows bear when each is held against its hours, and the design of their distance.

    Args:
        parted: Where the rows belong.
        embedder: The map of ``reference``.
        codes: Bin codes of the features, shape (n_rows, n_features), or vectors of one.
        reference: Directions of unit variance within windows.
    """
    if not reference.whitener:
        return 0, INDEPENDENT
    compared, held = parted.compared()
    sums = fourier_sums(parted.rows, embedder, codes, reference.bandwidth) @ np.asarray(reference.whitener).T
    gaps = parted.by_window(sums) / compared.mass[:, None] - parted.usual(sums)
    return borne_directions(compared, gaps, gaps, 1 / compared.rows + 1 / held)


def _added(sums: np.ndarray, place: np.ndarray) -> np.ndarray:
    total = np.zeros((int(place.max()) + 1, *sums.shape[1:]))
    np.add.at(total, place, sums)
    return total
