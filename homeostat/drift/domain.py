"""A domain classifier: how well trees tell a window's rows from the reference's, however columns go together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from statistics import NormalDist

import numpy as np
import polars as pl

from homeostat.drift.bins import Bins
from homeostat.drift.cells import CellCoder
from homeostat.drift.design import Design, Distances, estimate
from homeostat.drift.training_windows import cut

ROWS = 2000  # of either side at most: a look costs the same whatever the traffic
_BLOCKS = 7  # in a window; rows of one block are scored by trees that saw none of it
_FOLDS = 3  # no divisor of 7, so that every fold has every day of the week
_ROUNDS = 30
_MOST_WINDOWS = 16  # of the training rows: more hardly sharpen what is calm
_PARAMETERS = {
    "objective": "binary", "learning_rate": 0.1, "num_leaves": 15, "min_data_in_leaf": 50, "lambda_l2": 10.0,
    "cat_smooth": 50.0, "num_threads": 1, "deterministic": True, "force_row_wise": True, "verbosity": -1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DomainReference:
    """Some of the reference's rows on bins, and how well training windows are told from the other ones."""

    rows: bytes  # (n_rows, n_features + 1) of uint8: the bin of each feature, then the fold
    design: Design


@dataclass(frozen=True, slots=True)
class DomainTest:
    """An area under the curve with its null distribution.

    The area is read as the shift of one normal column, in deviations, that would be told apart as well; its square
    is held against the training windows' own as the other distances are.

    Source: Lopez-Paz and Oquab (2017), "Revisiting classifier two-sample tests", ICLR.
    """

    auc: float  # out of fold
    scale: float
    design: Design
    carried: dict[str, float]  # share of the trees' gain by feature, the largest first

    @property
    def distance(self) -> float:
        """The squared shift: in units of the symmetric divergence, as the index is."""
        return _squared_shift(max(self.auc, 0.5))

    @property
    def effect(self) -> float:
        """The distance less what calm windows give on average."""
        return self.distance - self.scale

    @property
    def p_value(self) -> float:
        """The chance of an area this large without drift."""
        return self.design.tail(self.distance / self.scale, self.design.shape)

    def limit(self, alpha: float) -> float:
        """Return the area that chance alone exceeds with probability ``alpha``."""
        squared = self.design.limit(alpha, self.design.shape) * self.scale
        return NormalDist().cdf((squared / 2) ** 0.5)


def domain_reference(
    columns: Sequence[Bins], frame: pl.DataFrame, weights: np.ndarray | None, window: timedelta, seed: int
) -> DomainReference | None:
    """Return what live windows are told from, and how well training windows are told from all but their neighbours.

    Args:
        columns: Bins of the features.
        frame: The training rows: the features and ``event_time``.
        weights: Training weight of each row, shape (n_rows,); None for equal weights.
        window: Span of a live window.
        seed: Draws the rows, in proportion to their weights.

    Returns:
        None where there are too few training windows to know what is calm.
    """
    windows = cut(frame["event_time"], np.ones(frame.height) if weights is None else weights, window)
    if windows is None:
        return None
    coder, rng = CellCoder(columns), np.random.default_rng(seed)
    cells = [column.cells(frame) for column in columns]
    binned = _binned(coder, coder.matrix(cells, frame["event_time"].dt.epoch("us").to_numpy() / 1e6), window)
    kept = _drawn(rng, np.where(windows.place >= 0, windows.weights, 0.0))
    reference, place, mass = binned[kept], windows.place[kept], windows.mass
    told: list[tuple[float, float, float, float]] = []
    for k in np.unique(np.linspace(0, mass.size - 1, _MOST_WINDOWS).astype(int)):
        own = binned[_drawn(rng, np.where(windows.place == k, windows.weights, 0.0))]
        rest = reference[np.abs(place - k) > 1]  # neighbours share its weather: most live windows have none
        if (apart := _told_apart(coder, rest, own)) is not None:
            told.append((_squared_shift(_bounded(apart[0], len(own))), 1 / len(own) + 1 / len(rest), len(own), mass[k]))
    if len(told) < 2:  # nothing is known of calm windows
        return None
    squared, chance, rows, share = np.asarray(told).T
    seen = Distances(squared, np.ones(len(told)), chance, rows, share, np.zeros((len(told), 1)))
    design = replace(estimate(seen, windows.parts), shape=_shape(squared))
    return DomainReference(reference.tobytes(), design)


def domain_test(
    reference: DomainReference, coder: CellCoder, matrix: np.ndarray, window: timedelta
) -> DomainTest | None:
    """Return how well the window's rows are told from the reference's, None where a fold has no rows of both.

    Args:
        reference: From training time.
        coder: Of the same features.
        matrix: Its matrix of the window's rows, shape (n_rows, n_features + 1), ``ROWS`` of them at most.
        window: As at training time.
    """
    before = np.frombuffer(reference.rows, dtype=np.uint8).reshape(-1, matrix.shape[1])
    apart = _told_apart(coder, before, _binned(coder, matrix, window))
    if apart is None:
        return None
    auc, gains = apart
    names = [column.name for column in coder.columns]
    carried = {names[j]: float(gains[j]) for j in np.argsort(-gains, kind="stable") if gains[j] > 0}
    scale = reference.design.scale(len(before), len(matrix))
    return DomainTest(_bounded(auc, len(matrix)), scale, reference.design, carried)


def _told_apart(coder: CellCoder, before: np.ndarray, now: np.ndarray) -> tuple[float, np.ndarray] | None:
    """Return the mean area under the curve of rows out of fold, and each feature's share of the gain."""
    import lightgbm as lgb  # noqa: PLC0415 - a second and 60 MB: only for who asks for the classifier

    texts = [j for j, column in enumerate(coder.columns) if column.categorical]
    x, y = np.concatenate([before, now]), np.repeat([0.0, 1.0], [len(before), len(now)])
    areas, gains = [], np.zeros(len(coder.columns))
    for fold in range(_FOLDS):
        held = x[:, -1] == fold
        if any(np.unique(y[side]).size < 2 for side in (held, ~held)):
            continue
        rows = lgb.Dataset(x[~held, :-1].astype(np.float32), y[~held], categorical_feature=texts, params=_PARAMETERS)
        trees = lgb.train(_PARAMETERS, rows, num_boost_round=_ROUNDS)
        areas.append(_area(np.asarray(trees.predict(x[held, :-1], num_threads=1)), y[held] > 0))
        gains += trees.feature_importance("gain")
    return (float(np.mean(areas)), gains / max(float(gains.sum()), 1e-300)) if areas else None


def _binned(coder: CellCoder, matrix: np.ndarray, window: timedelta) -> np.ndarray:
    """Return the bin of each cell and the fold of each row, shape (n_rows, n_features + 1)."""
    out = np.empty(matrix.shape, dtype=np.uint8)
    for j, column in enumerate(coder.columns):
        known = ~np.isnan(matrix[:, j])
        values = coder.places(j, matrix[known, j])
        out[~known, j] = column.missing
        out[known, j] = values if column.categorical else np.searchsorted(column.edges, values, side="left")
    out[:, -1] = matrix[:, -1] // (window.total_seconds() / _BLOCKS) % _FOLDS
    return out


def _drawn(rng: np.random.Generator, weights: np.ndarray) -> np.ndarray:
    """Return places of rows drawn by weight without putting back, in order."""
    some = min(ROWS, int(np.count_nonzero(weights)))
    return np.sort(rng.choice(weights.size, some, replace=False, p=weights / weights.sum()))


def _area(scores: np.ndarray, positive: np.ndarray) -> float:
    """Return the chance that a positive row has the higher score, ties counting half.

    Source: Mann and Whitney (1947), doi:10.1214/aoms/1177730491.

    >>> _area(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True]))
    0.875
    """
    _, inverse, ties = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(ties) - (ties - 1) / 2)[inverse]
    n, m = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))


def _bounded(auc: float, rows: int) -> float:
    """Return an area that has a normal score, however well the rows are told apart."""
    return min(max(auc, 0.5 / rows), 1 - 0.5 / rows)


def _squared_shift(auc: float) -> float:
    return 2 * NormalDist().inv_cdf(auc) ** 2


def _shape(squared: np.ndarray) -> float:
    """Return degrees of freedom of the squared shifts: half of Satterthwaite's, by their moments.

    Few windows show too many of them. In simulation (4 to 16 windows that differ in 1 to 40 ways, levels 5 % to
    0.05 %) half of them alarms at most 2.3 times as often as stated, mostly less often; all of them 12 times.
    """
    spread = float(np.var(squared, ddof=1))
    most = max(1.0, (squared.size - 1) / 2)
    return float(np.clip(np.mean(squared) ** 2 / spread, 1.0, most)) if spread > 0 else 1.0
