"""How much each past row counts: by its age, or by how much it looks like today."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import lightgbm as lgb
import numpy as np

from homeostat.errors import ModelError, NotEnoughDataError
from homeostat.training.rows import Rows, thin

Kind = Literal["uniform", "recent", "decay", "adversarial"]

ODDS_LIMIT = 5.0  # a row counts at most this many times, and at least 1/5: bounds the variance the weights add
_NEGLIGIBLE = 1e-3  # of the largest weight: such rows cost time and teach nothing
_DOMAIN_ROWS = 20_000  # the domain classifier's sample; its odds are smooth, more rows change nothing


@dataclass(frozen=True, slots=True)
class Resampling:
    """A rule for the weight of a row.

    ``uniform``: all rows alike. ``recent``: the last ``days`` alone. ``decay``: half the weight for every
    ``days`` of age. ``adversarial``: odds that a row is from the last ``days``, judged by its features.
    """

    kind: Kind = "uniform"
    days: float | None = None

    def to_dict(self) -> dict[str, str | float | None]:
        """Return the rule as JSON-able data."""
        return {"kind": self.kind, "days": self.days}

    @staticmethod
    def from_dict(data: Mapping[str, object]) -> "Resampling":
        """Return the rule stored by ``to_dict``.

        Raises:
            ModelError: The kind is unknown, or it needs days and has none.
        """
        days = data.get("days")
        for kind in get_args(Kind):
            if data.get("kind") == kind and (kind == "uniform" or (isinstance(days, int | float) and days > 0)):
                return Resampling(kind, float(days) if isinstance(days, int | float) else None)
        raise ModelError(f"no resampling {dict(data)!r}: expected uniform, or recent, decay, adversarial with days > 0")


def weights_for(resampling: Resampling, rows: Rows, until: float, seed: int) -> np.ndarray:
    """Return the weight of each row, shape (n,), mean 1 over the rows that count; 0 leaves a row out.

    Args:
        resampling: The rule.
        rows: The rows to be learnt from.
        until: The day from which age is measured, in days since 1970.
        seed: Draws the domain classifier.

    Raises:
        NotEnoughDataError: No row counts.
    """
    days = resampling.days or 1.0
    age = until - rows.day
    if resampling.kind == "uniform":
        raw = np.ones(len(rows))
    elif resampling.kind == "recent":
        raw = (age <= days).astype(np.float64)
    elif resampling.kind == "decay":
        raw = np.exp2(-np.maximum(age, 0.0) / days)
        raw[raw < _NEGLIGIBLE * raw.max(initial=0.0)] = 0.0
    else:
        raw = _domain_odds(rows, age <= days, seed)
    counted = raw > 0
    if not counted.any():
        raise NotEnoughDataError(f"no row is left by {resampling.kind} {days:g} days")
    return np.asarray(raw / raw[counted].mean())


def effective_rows(weights: np.ndarray) -> float:
    """Return how many equally weighted rows carry as much information.

    Source: Kish (1965), Survey Sampling.

    >>> effective_rows(np.array([1.0, 1.0, 0.0, 0.0]))
    2.0
    """
    return float(weights.sum() ** 2 / np.sum(weights**2))


def _domain_odds(rows: Rows, recent: np.ndarray, seed: int) -> np.ndarray:
    """Return the clipped odds that a row is a recent one, 1 for every row where there is nothing to tell apart.

    Source: Bickel, Brueckner, Scheffer (2009), Discriminative learning under covariate shift, JMLR 10.
    """
    if recent.all() or not recent.any():
        return np.ones(len(rows))
    sample = thin(len(rows), _DOMAIN_ROWS)
    data = lgb.Dataset(rows.x[sample], recent[sample].astype(np.float64), categorical_feature=rows.encoder.categorical)
    params = {
        "objective": "binary", "num_leaves": 8, "learning_rate": 0.1, "min_data_in_leaf": 50, "lambda_l2": 10.0,
        "cat_smooth": 100.0, "seed": seed, "num_threads": 1, "deterministic": True, "force_row_wise": True,
        "verbosity": -1, "feature_pre_filter": False,
    }  # fmt: skip
    booster = lgb.train(params, data, num_boost_round=30)
    margins = np.asarray(booster.predict(rows.x, raw_score=True, num_threads=1), dtype=np.float64)
    prior = np.log(recent.sum() / (len(recent) - recent.sum()))
    return np.asarray(np.clip(np.exp(np.clip(margins - prior, -20, 20)), 1 / ODDS_LIMIT, ODDS_LIMIT))
