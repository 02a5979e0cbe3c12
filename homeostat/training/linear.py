"""Regularised logistic regression as a learner: the model that few rows can carry."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, hstack  # type: ignore[import-untyped]
from sklearn.exceptions import ConvergenceWarning  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from homeostat.errors import ModelError
from homeostat.training.rows import Rows

DEFAULTS: dict[str, float] = {"l2": 30.0}
"""Penalty on standardised weights, in rows: thirty rows' worth of doubt."""

_LIMIT = 5.0  # standard deviations; a straight line must not follow an outlier further
_ITERATIONS = 200


@dataclass(frozen=True, slots=True)
class LinearCore:
    """Weights on standardised numbers, on the fact that a number is missing, and on each category.

    Args:
        numbers: Matrix columns that hold numbers; ``mean``, ``scale``, ``slopes``, ``missing`` are by number.
        categories: Matrix columns that hold codes; ``effects`` has one array for each, its last place for unknown.
        intercept: Log-odds where everything else is zero.
    """

    numbers: tuple[int, ...]
    mean: np.ndarray
    scale: np.ndarray
    slopes: np.ndarray
    missing: np.ndarray
    categories: tuple[int, ...]
    effects: tuple[np.ndarray, ...]
    intercept: float

    def margins(self, x: np.ndarray) -> np.ndarray:
        """Return the log-odds of each row, shape (n,)."""
        values, absent = _standardised(x[:, self.numbers], self.mean, self.scale)
        out = self.intercept + values @ self.slopes + absent @ self.missing
        for column, effect in zip(self.categories, self.effects, strict=True):
            out += effect[_codes(x[:, column], len(effect) - 1)]
        return np.asarray(out)

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return what each cell adds to its row's log-odds, about the mean of the rows, shape (n, features)."""
        out = np.zeros(x.shape)
        values, absent = _standardised(x[:, self.numbers], self.mean, self.scale)
        out[:, self.numbers] = values * self.slopes + absent * self.missing
        for column, effect in zip(self.categories, self.effects, strict=True):
            out[:, column] = effect[_codes(x[:, column], len(effect) - 1)]
        return np.asarray(out - out.mean(axis=0))

    def to_dict(self) -> dict[str, object]:
        """Return the model as JSON-able data."""
        return {
            "numbers": list(self.numbers),
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "slopes": self.slopes.tolist(),
            "missing": self.missing.tolist(),
            "categories": list(self.categories),
            "effects": [effect.tolist() for effect in self.effects],
            "intercept": self.intercept,
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "LinearCore":
        """Return the model stored by ``to_dict``.

        Raises:
            ModelError: The data has another shape.
        """
        try:
            arrays = {name: np.array(data[name], dtype=np.float64) for name in ("mean", "scale", "slopes", "missing")}
            effects = tuple(np.array(effect, dtype=np.float64) for effect in data["effects"])
            numbers, categories = tuple(map(int, data["numbers"])), tuple(map(int, data["categories"]))
            intercept = float(data["intercept"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"the linear model can't be read: {error!r}") from error
        if {len(array) for array in arrays.values()} != {len(numbers)} or len(effects) != len(categories):
            raise ModelError("the linear model has not one weight for each of its columns")
        return LinearCore(**arrays, numbers=numbers, categories=categories, effects=effects, intercept=intercept)


def fit_linear(params: Mapping[str, float], rows: Rows, weights: np.ndarray) -> LinearCore:
    """Return a logistic regression fitted to weighted rows.

    Args:
        params: Parameters that differ from ``DEFAULTS``.
        rows: What to learn from.
        weights: Weight of each row, shape (n,), all positive.
    """
    categories = tuple(rows.encoder.categorical)
    numbers = tuple(i for i in range(rows.x.shape[1]) if i not in categories)
    known = np.ma.masked_invalid(rows.x[:, numbers].astype(np.float64))
    mean = known.mean(axis=0).filled(0.0)
    scale = known.std(axis=0).filled(1.0)
    scale = np.where(scale > 0, scale, 1.0)
    values, absent = _standardised(rows.x[:, numbers], mean, scale)
    sizes = [len(rows.encoder.codes[rows.encoder.owners[column]]) for column in categories]
    blocks = [csr_matrix(values), csr_matrix(absent)]
    blocks += [_one_hot(_codes(rows.x[:, c], size), size) for c, size in zip(categories, sizes, strict=True)]
    model = LogisticRegression(C=1.0 / {**DEFAULTS, **params}["l2"], max_iter=_ITERATIONS, tol=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopped early is shrunk a little more, and still judged
        model.fit(hstack(blocks, format="csr"), rows.y, sample_weight=weights)
    width = len(numbers)
    parts = np.split(model.coef_[0], np.cumsum([width, width, *(size + 1 for size in sizes)])[:-1])
    intercept = float(model.intercept_[0])
    return LinearCore(numbers, mean, scale, parts[0], parts[1], categories, tuple(parts[2:]), intercept)


def _standardised(x: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    absent = ~np.isfinite(x)
    values = np.where(absent, 0.0, (x - mean) / scale)
    return np.clip(values, -_LIMIT, _LIMIT), absent.astype(np.float64)


def _codes(column: np.ndarray, unknown: int) -> np.ndarray:
    return np.where(np.isfinite(column), column, unknown).astype(np.int64)


def _one_hot(codes: np.ndarray, size: int) -> csr_matrix:
    rows = np.arange(len(codes))
    return csr_matrix((np.ones(len(codes)), (rows, codes)), shape=(len(codes), size + 1))
