"""Gradient-boosted trees (LightGBM) as a learner: log-odds out of a matrix."""

from collections.abc import Mapping

import lightgbm as lgb
import numpy as np

from homeostat.errors import ModelError
from homeostat.training.rows import Rows

DEFAULTS: dict[str, float] = {
    "learning_rate": 0.08, "num_leaves": 31, "min_data_in_leaf": 100, "lambda_l2": 50.0, "feature_fraction": 0.7,
    "bagging_fraction": 0.6, "cat_smooth": 200.0,
}  # fmt: skip
"""Strong on noisy tabular streams: slow steps, and leaves and categories shrunk hard towards their parents."""

_WHOLE = frozenset({"num_leaves", "min_data_in_leaf"})


class LightGbmCore:
    """A fitted booster."""

    def __init__(self, text: str) -> None:
        """Read a booster from LightGBM's text format.

        Raises:
            ModelError: The text is no LightGBM model.
        """
        try:
            self._booster = lgb.Booster(model_str=text)
        except lgb.basic.LightGBMError as error:
            raise ModelError(f"model.txt can't be read by LightGBM: {error}") from error
        self.text = text

    def margins(self, x: np.ndarray) -> np.ndarray:
        """Return the log-odds of each row, shape (n,).

        Raises:
            ModelError: The matrix does not fit the model.
        """
        try:
            out = self._booster.predict(x, raw_score=True, num_threads=1)
        except lgb.basic.LightGBMError as error:
            raise ModelError(f"LightGBM can't score these rows: {error}") from error
        return np.asarray(out, dtype=np.float64)

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return what each cell adds to its row's log-odds (SHAP values), shape (n, features)."""
        out = self._booster.predict(x, pred_contrib=True, num_threads=1)
        return np.asarray(out, dtype=np.float64)[:, :-1]  # the last is the mean over all rows


def fit_trees(
    params: Mapping[str, float], rounds: int, rows: Rows, weights: np.ndarray, *, seed: int, threads: int
) -> LightGbmCore:
    """Return trees fitted to weighted rows; the same seed gives the same bytes.

    Args:
        params: LightGBM parameters that differ from ``DEFAULTS``.
        rounds: Number of trees.
        rows: What to learn from.
        weights: Weight of each row, shape (n,), all positive.
        seed: Draws bags and feature subsets.
        threads: Cores to use; more threads than idle cores makes libgomp spin for minutes.
    """
    chosen = {name: int(value) if name in _WHOLE else float(value) for name, value in {**DEFAULTS, **params}.items()}
    fixed = {
        "objective": "binary", "bagging_freq": 5, "seed": seed, "num_threads": threads, "deterministic": True,
        "force_row_wise": True, "verbosity": -1, "feature_pre_filter": False,
    }  # fmt: skip
    weight = None if np.ptp(weights) == 0 else weights
    data = lgb.Dataset(rows.x, rows.y, weight=weight, categorical_feature=rows.encoder.categorical)
    return LightGbmCore(lgb.train({**chosen, **fixed}, data, num_boost_round=rounds).model_to_string(num_iteration=-1))
