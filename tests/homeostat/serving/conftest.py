"""A small product on memory adapters, a served model, and a front on top."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from homeostat.adapters.manual_clock import ManualClock
from homeostat.bootstrap import Stack
from homeostat.contract.model import Contract
from homeostat.ports import ModelPackage, ModelRegistry
from homeostat.serving import Front, Limits, build_front
from homeostat.training.models import dump_model
from homeostat.training.recipe import Recipe, fit
from homeostat.worker import Hook, no_hook
from tests.stacks import memory_stack

T0 = datetime(2030, 1, 1, tzinfo=UTC)
CONTRACT = Contract.model_validate_json(
    """{"product": "p", "event": {"entity": "k", "fields": {"k": "string", "x": "number", "c": "string"}},
    "label": {"field": "y", "delay": "1h", "maturity": "1d"},
    "features": {"x": {"field": "x"}, "c": {"field": "c"},
                 "n": {"aggregate": "count", "by": ["k"], "over": "1h"}}}"""
)
FEATURES = ("x", "c", "n")
MakeFront = Callable[..., Front]


def event(number: int, x: float = 0.5, at: datetime = T0, entity: str = "k1") -> bytes:
    return msgspec.json.encode({"event_id": f"e{number}", "k": entity, "x": x, "c": "a", "event_time": at})


def label(number: int, at: datetime = T0, *, y: bool = True) -> bytes:
    return msgspec.json.encode({"event_id": f"e{number}", "label_time": at, "y": y})


def serve(registry: ModelRegistry, rounds: int = 0) -> str:
    """Register a model and let it serve: a line, or as many trees as there are rounds."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=2000)
    frame = pl.DataFrame(
        {
            "event_id": [str(i) for i in range(2000)],
            "event_time": [T0 + timedelta(seconds=i) for i in range(2000)],
            "label": (rng.uniform(size=2000) < 1 / (1 + np.exp(-2 * x))).astype(float),
            "x": x,
            "c": rng.choice(["a", "b"], 2000),
            "n": rng.integers(0, 5, 2000).astype(float),
        }
    )
    recipe = Recipe(learner="lightgbm" if rounds else "linear", rounds=rounds)
    until = T0 + timedelta(days=1)
    model = fit(recipe, frame, FEATURES, CONTRACT.categorical, until=until, seed=1, threads=1)
    version = registry.register(ModelPackage(dump_model(model)), "r1")
    registry.set_alias("champion", version)
    return version


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T0)


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return memory_stack(CONTRACT, tmp_path)


@pytest.fixture
def make_front(stack: Stack, clock: ManualClock) -> Iterator[MakeFront]:
    made: list[Front] = []

    def make(of: Stack = stack, *, start: bool = True, hook: Hook = no_hook, **limited: Any) -> Front:
        limits = Limits(**{"waiting_rows": 1000, "batch_rows": 100, "idle_s": 0.02, **limited})
        front = build_front(CONTRACT, of, clock, limits=limits, hook=hook)
        made.append(front)
        if start:
            front.start()
        return front

    yield make
    for front in made:
        front.stop()
