from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from homeostat.contract.model import Contract

START = datetime(2026, 1, 1, tzinfo=UTC)
FEATURES = ("a", "b", "noise", "kind")
CATEGORICAL = frozenset({"kind"})
Frames = Callable[..., pl.DataFrame]


@pytest.fixture
def frames() -> Frames:
    """Return a maker of labelled frames; from day ``shift`` on, feature ``a`` works the other way round."""

    def make(
        rows: int = 1500, days: float = 30.0, shift: float = 1e9, intercept: float = 0.0, seed: int = 0
    ) -> pl.DataFrame:
        rng = np.random.default_rng(seed)
        day = np.sort(rng.uniform(0, days, rows))
        a, b, noise = rng.normal(size=(3, rows))
        kind = rng.choice(["p", "q", "r"], rows)
        sign = np.where(day < shift, 1.0, -1.0)
        margin = intercept + 2.0 * sign * a + 0.5 * (kind == "q")
        label = rng.uniform(size=rows) < 1 / (1 + np.exp(-margin))
        return pl.DataFrame(
            {
                "event_id": [f"e{i}" for i in range(rows)],
                "event_time": [START + timedelta(days=float(d)) for d in day],
                "label": label.astype(np.float64),
                "a": a,
                "b": pl.Series(np.where(rng.uniform(size=rows) < 0.1, np.nan, b)).fill_nan(None),
                "noise": noise,
                "kind": kind,
            }
        )

    return make


@pytest.fixture
def contract() -> Contract:
    return Contract.model_validate(
        {
            "product": "demo",
            "event": {
                "entity": "who",
                "fields": {"who": "string", "a": "number", "b": "number", "noise": "number", "kind": "string"},
            },
            "label": {"field": "yes", "delay": "1h", "maturity": "1d"},
            "features": {name: {"field": name} for name in FEATURES},
            "training": {"min_rows": 300, "trials": 3, "search_rows": 1000, "blocks": 3, "block": "3d"},
        }
    )
