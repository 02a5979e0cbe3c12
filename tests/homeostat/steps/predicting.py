"""Small models of two features, and rows for them to score."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from secrets import token_hex

import numpy as np
import polars as pl

from homeostat.adapters.memory import MemoryRegistry
from homeostat.contract.model import Contract
from homeostat.ports import ModelPackage
from homeostat.records import FeatureRow
from homeostat.training.models import dump_model
from homeostat.training.recipe import Recipe, fit

T0 = datetime(2030, 1, 1, tzinfo=UTC)
CONTRACT = Contract.model_validate_json(
    """{"product": "p", "event": {"entity": "k", "fields": {"k": "string", "x": "number", "c": "string"}},
    "label": {"field": "y", "delay": "1h", "maturity": "1d"}, "canary": {"share": 0.3},
    "features": {"x": {"field": "x"}, "c": {"field": "c"}}}"""
)


def trained(seed: int) -> Mapping[str, bytes]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=400)
    frame = pl.DataFrame(
        {
            "event_id": [str(i) for i in range(400)],
            "event_time": [T0 + timedelta(minutes=i) for i in range(400)],
            "label": (rng.uniform(size=400) < 1 / (1 + np.exp(-x))).astype(float),
            "x": x,
            "c": rng.choice(["a", "b"], 400),
        }
    )
    recipe = Recipe(learner="linear", rounds=0)
    return dump_model(
        fit(recipe, frame, ("x", "c"), CONTRACT.categorical, until=T0 + timedelta(days=1), seed=seed, threads=1)
    )


def rows(count: int, hour: int = 0) -> list[FeatureRow]:
    at = T0 + timedelta(hours=hour)
    return [FeatureRow(f"e{hour}-{i}", f"k{i}", at, (i / count, "ab"[i % 2])) for i in range(count)]


def serve(registry: MemoryRegistry, alias: str, files: Mapping[str, bytes]) -> str:
    version = registry.register(ModelPackage(files), token_hex(4))  # each a new one
    registry.set_alias(alias, version)
    return version
