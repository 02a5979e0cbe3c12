"""Parcels whose weight or kind breaks for some days, and the champion that was trained on sound ones."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from homeostat.contract.model import Contract
from homeostat.drift.profile import FILE, build_profile
from homeostat.ports import Aliases, ModelPackage
from homeostat.records import Arm, Prediction

START = datetime(2030, 1, 7, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ROWS_A_DAY = 1200
CONTRACT = Contract.model_validate(
    {
        "product": "parcels",
        "event": {"entity": "depot", "fields": {"depot": "string", "weight": "number", "kind": "string"}},
        "label": {"field": "late", "delay": "1h", "maturity": "1d"},
        "features": {"weight": {"field": "weight"}, "kind": {"field": "kind"}},
        "drift": {"every": "1h", "window": "7d", "min_rows": 500},
    }
)


def stream(days, *, since=START, seed=0, broken=(9.0, 9.0), spoil=lambda values: (values[0] * 1000, values[1])):
    """Predictions evenly over some days; those of the days ``broken`` are spoilt."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(int(days * ROWS_A_DAY)):
        day = i / ROWS_A_DAY
        values = (float(20 + 5 * rng.standard_normal()), str(rng.choice(["a", "b", "c"], p=[0.5, 0.3, 0.2])))
        score = float(rng.uniform(0.2, 0.6))
        values = spoil(values) if broken[0] <= day < broken[1] else values
        event, time = f"{seed}-{i}", since + day * DAY
        made.append(Prediction(event, event, "d", time, time, Arm.CHAMPION, "1", score, 0.9, 1.0, values, {"1": score}))
    return made


class Registry:
    """One champion, trained on four weeks of the same stream."""

    def __init__(self):
        rows = stream(28, since=START - 28 * DAY, seed=1)
        frame = pl.DataFrame(
            {"weight": [r.values[0] for r in rows], "kind": [r.values[1] for r in rows],
             "event_time": [r.event_time for r in rows]}
        )  # fmt: skip
        scores = np.array([r.score for r in rows])
        profile = build_profile(
            frame, ("weight", "kind"), frozenset({"kind"}), scores, expected_loss=0.66, seed=1, window=7 * DAY
        )
        self.files = {FILE: profile.to_bytes()}

    def aliases(self):
        return Aliases(champion="1")

    def load(self, version):
        return ModelPackage(self.files)
