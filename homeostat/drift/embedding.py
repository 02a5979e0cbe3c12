"""Distance over the whole feature vector: drift no single column shows, such as a changed correlation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np
import polars as pl

from homeostat.drift.bins import Bins
from homeostat.drift.design import INDEPENDENT, Design
from homeostat.drift.draws import directions, phases, uniforms
from homeostat.drift.tails import fisher_limit, fisher_tail, normal_scores

R = TypeVar("R", np.ndarray, pl.Series)
R_contra = TypeVar("R_contra", np.ndarray, pl.Series, contravariant=True)
ROWS_A_DIRECTION = 10  # reference rows for each direction of the covariance that is used
_FLATTEST = 1e-4  # of the largest eigenvalue: flatter directions are rounding
_NO_SPREAD = 1e-9  # variance of a cosine: below it all rows are the same
_FURTHEST_SCORE = 3.0  # an empty end bin would lie at infinity
_PAIRS = 1000  # for the median distance


@dataclass(frozen=True, slots=True)
class EmbeddingReference:
    """The reference rows after the map: their mean, and directions of unit variance within windows."""

    seed: int
    bandwidth: float
    rows: float  # effective, behind the directions
    mean: tuple[float, ...]
    whitener: tuple[tuple[float, ...], ...]  # (n_directions, WIDTH), those of the largest variance first
    mean_rows: float | None = None  # effective, behind the mean, where it is not of the rows behind the directions
    borne: int | None = None  # directions that the training windows bear; None for all

    @property
    def directions(self) -> int:
        """How many directions are looked along."""
        return len(self.whitener) if self.borne is None else self.borne


@dataclass(frozen=True, slots=True)
class EmbeddingTest:
    """A squared Mahalanobis distance of two means with its null distribution, Hotelling's."""

    distance: float
    scale: float  # 1 / n_reference + 1 / n_live, and what windows differ by beyond that
    directions: int
    reference_rows: float
    design: Design = INDEPENDENT
    seen: float = 1.0  # of a shift that the directions see on average: a long vector has more numbers than they are

    @property
    def effect(self) -> float:
        """The distance less what calm windows give on average, of the whole shift; at most the joint chi-square one."""
        return (self.distance - self.directions * self.scale) / self.seen

    @property
    def p_value(self) -> float:
        """The chance of a distance this large without drift."""
        return self.tail(self.distance)

    def tail(self, distance: float) -> float:
        """Return the chance of a distance as large as that one without drift."""
        return fisher_tail(distance / self._unit, self._shape, self._rest)

    def limit(self, alpha: float) -> float:
        """Return the distance that chance alone exceeds with probability ``alpha``."""
        return fisher_limit(alpha, self._shape, self._rest) * self._unit

    def longer(self, times: float) -> "EmbeddingTest":
        """Return the test as so many times the training would have it, along as many directions."""
        less = (1 - 1 / times) * self.design.reference_scale(self.reference_rows)
        rows = self.reference_rows * times
        return replace(self, scale=self.scale - less, reference_rows=rows, design=self.design.longer(times))

    @property
    def _shape(self) -> float:
        return min(self.directions, self.design.shape) if self.design.windows else self.directions

    @property
    def _spare(self) -> float:
        return max(self.reference_rows - self.directions, 1.0)

    @property
    def _rest(self) -> float:
        # As for a column, the error of the estimated spread is averaged over its dimensions. On streams whose
        # memory is as long as a window this alarms up to three times as often as stated (15 to 21 % at 5 % in
        # simulation, 16 and 8 windows); with the windows alone as freedom a season never comes through.
        return min(self._spare, self._shape * self.design.rest) if self.design.windows else self._spare

    @property
    def _unit(self) -> float:
        return self.scale * self.directions * max(self.reference_rows - 1, 1.0) / self._spare


class Embedder:
    """Maps binned rows to random Fourier features of a Gaussian kernel.

    A number enters by the normal score of its bin's middle rank, so outliers have no leverage; each
    category and each missing value has a direction of its own.

    Source: Rahimi and Recht (2007), "Random features for large-scale kernel machines", NIPS 20.
    """

    def __init__(self, columns: Sequence[Bins], counts: Sequence[np.ndarray], seed: int) -> None:
        """Draw the map; the reference ``counts`` of each column, shape (n_bins,), fix the normal scores."""
        self._numbers = [j for j, column in enumerate(columns) if not column.categorical]
        self._texts = [j for j, column in enumerate(columns) if column.categorical]
        self._scores = [_bin_scores(counts[j]) for j in self._numbers]
        self._missing = np.asarray([columns[j].missing for j in self._numbers], dtype=np.int32)
        rows = [len(self._numbers), len(self._numbers), *(columns[j].size for j in self._texts)]
        drawn = directions(seed, sum(rows))
        self._slopes, self._absent, *self._tables = np.split(drawn, np.cumsum(rows)[:-1])
        self._phases = phases(seed + 1)

    def project(self, codes: np.ndarray) -> np.ndarray:
        """Return random projections of the rows, shape (n, WIDTH), from bin codes (n, n_columns)."""
        shape = (len(codes), len(self._numbers))
        scores = np.empty(shape, dtype=np.float32, order="F")  # single precision: cosines are five times as fast
        for k, (j, table) in enumerate(zip(self._numbers, self._scores, strict=True)):
            np.take(table, codes[:, j], out=scores[:, k], mode="clip")
        projected = scores @ self._slopes
        absent = codes[:, self._numbers] == self._missing
        if absent.any():
            projected += absent.astype(np.float32) @ self._absent
        for j, table in zip(self._texts, self._tables, strict=True):
            projected += table[codes[:, j]]
        return np.asarray(projected)

    def features(self, codes: np.ndarray, bandwidth: float) -> np.ndarray:
        """Return the Fourier features of the rows, shape (n, WIDTH)."""
        projected = self.project(codes)
        projected *= np.float32(1 / bandwidth)
        projected += self._phases
        return np.asarray(np.cos(projected, out=projected))


class RowMap(Protocol[R_contra]):
    """What an embedding distance needs to know of a kind of rows: bin codes of whole rows, or vectors."""

    def project(self, rows: R_contra, /) -> np.ndarray:
        """Return random projections of the rows, shape (n, WIDTH)."""

    def features(self, rows: R_contra, bandwidth: float, /) -> np.ndarray:
        """Return the Fourier features of the rows, shape (n, WIDTH)."""


def embedding_reference(
    embedder: RowMap[R], codes: R, weights: np.ndarray, seed: int, place: np.ndarray | None = None
) -> EmbeddingReference:
    """Return mean and directions of the reference rows after the map.

    The bandwidth is the median distance between two rows; directions are the leading eigenvectors of the
    covariance within windows, as many as the rows can bear. With where the windows lie in it, the covariance would
    fit those of the training, and a new one would look further away than they do.

    Args:
        embedder: The map drawn with ``seed``.
        codes: Bin codes, shape (n, n_columns), or vectors.
        weights: Row weights, shape (n,).
        seed: Kept, so that the same map can be drawn again.
        place: Window of each row, shape (n,), -1 for none; None where nothing is known of windows.
    """
    projected = embedder.project(codes)
    pairs = (uniforms(seed + 2, 2 * _PAIRS) * len(codes)).astype(np.int64).reshape(2, _PAIRS)
    gaps = np.mean((projected[pairs[0]] - projected[pairs[1]]) ** 2, axis=1)
    bandwidth = float(np.sqrt(np.median(gaps))) or 1.0
    mapped = embedder.features(codes, bandwidth).astype(np.float64)
    share = weights / weights.sum()
    rows = float(1 / np.sum(share**2))  # Kish: as many equal rows would scatter like this
    mean = share @ mapped
    covariance, bearing = _within(mapped, share, np.zeros(len(share), dtype=np.int64) if place is None else place)
    values, vectors = np.linalg.eigh(covariance)
    usable = int(np.count_nonzero(values > _FLATTEST * values[-1])) if values[-1] > _NO_SPREAD else 0
    kept = min(usable, max(1, int(bearing / ROWS_A_DIRECTION)))
    whitener = tuple(map(tuple, (vectors[:, ::-1][:, :kept] / np.sqrt(values[::-1][:kept])).T.tolist()))
    return EmbeddingReference(seed, bandwidth, bearing, tuple(mean.tolist()), whitener, mean_rows=rows)


def _within(mapped: np.ndarray, share: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the covariance of rows about the mean of their window, and of how many rows about one mean it is worth."""
    used = place >= 0
    mapped, share = mapped[used], share[used]
    _, place = np.unique(place[used], return_inverse=True)
    mass = np.bincount(place, share)
    sums = np.zeros((mass.size, mapped.shape[1]))
    np.add.at(sums, place, mapped * share[:, None])
    centred = mapped - (sums / mass[:, None])[place]
    squares = np.bincount(place, share**2)
    free = max(float(mass.sum() - np.sum(squares / mass)), float(squares.sum() / mass.sum()))
    return (centred * share[:, None]).T @ centred / free, 1 + free * float(mass.sum() / squares.sum())


def embedding_test(
    reference: EmbeddingReference, total: np.ndarray, rows: int, design: Design = INDEPENDENT
) -> EmbeddingTest | None:
    """Return how far the window's mean has moved, None without rows or without any spread in the reference.

    Args:
        reference: From training time.
        total: Sum of the window's Fourier features, shape (WIDTH,).
        rows: Rows in the window.
        design: How far calm windows lie apart.

    Source: Gretton et al. (2012), "A kernel two-sample test", JMLR 13; the null is Hotelling's (1931),
    doi:10.1214/aoms/1177732979.
    """
    if rows == 0 or not reference.whitener:
        return None
    kept = reference.directions
    shift = np.asarray(reference.whitener[:kept]) @ (total / rows - np.asarray(reference.mean))
    scale = design.scale(reference.rows if reference.mean_rows is None else reference.mean_rows, rows)
    return EmbeddingTest(float(shift @ shift), scale, kept, reference.rows, design)


def _bin_scores(counts: np.ndarray) -> np.ndarray:
    """Return the normal score of each bin's middle rank, 0 for missing (the last bin)."""
    known = counts[:-1]
    middle = (np.cumsum(known) - known / 2) / max(float(known.sum()), 1.0)
    middle = np.clip(middle, 0.0, 1.0)  # weights don't add up to the last digit
    with np.errstate(divide="ignore"):
        scores = np.clip(normal_scores(middle), -_FURTHEST_SCORE, _FURTHEST_SCORE)
    return np.append(scores, 0.0).astype(np.float32)
