"""A small product with a known truth, on memory adapters, played through the real loop."""

from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from homeostat.bootstrap import Stack
from homeostat.contract.load import load_contract
from homeostat.contract.model import Contract
from homeostat.replay.live import LiveView
from homeostat.replay.recording import Recording, encode
from tests.stacks import memory_stack

START = datetime(2030, 1, 7, tzinfo=UTC)
CONTRACT = Path(__file__).with_name("turbines.yaml")


@pytest.fixture(scope="session")
def contract() -> Contract:
    return load_contract(CONTRACT)


@pytest.fixture
def make_stack(contract: Contract, tmp_path: Path) -> Callable[[str], Stack]:
    def make(name: str) -> Stack:
        workdir = tmp_path / name
        workdir.mkdir()
        return memory_stack(contract, workdir)

    return make


@pytest.fixture
def stack(make_stack: Callable[[str], Stack]) -> Stack:
    return make_stack("one")


@pytest.fixture
def view() -> LiveView:
    return LiveView("test", Console(file=StringIO()))


def turbines(days: int, rows_a_day: int = 600, change_day: int | None = None, seed: int = 3) -> Recording:
    """A stream whose truth turns round on ``change_day``: what was safe before fails after."""
    rng = np.random.default_rng(seed)
    rows = days * rows_a_day
    day = np.sort(rng.uniform(0, days, rows))
    changed = day >= (days + 1 if change_day is None else change_day)
    load, wind = rng.normal(0, 1, rows) + 0.8 * changed, rng.normal(0, 1, rows)
    maker = rng.choice(["acme", "bolt", "cog"], rows)
    logit = np.where(changed, -1.6, 1.6) * load + 0.8 * wind + np.where(maker == "bolt", 0.7, 0.0) - 0.5
    fails = rng.uniform(size=rows) < 1 / (1 + np.exp(-logit))
    micros = (day * 86_400e6).astype(np.int64)
    time = pl.Series(micros).cast(pl.Duration("us")) + pl.lit(START)
    events = pl.DataFrame(
        {
            "event_id": [f"e{i}" for i in range(rows)],
            "turbine": [f"t{i % 40}" for i in range(rows)],
            "maker": maker,
            "load": load,
            "wind": wind,
        }
    ).with_columns(event_time=time)
    delay = pl.Series((rng.uniform(1, 20, rows) * 3_600e6).astype(np.int64)).cast(pl.Duration("us"))
    labels = events.select("event_id", label_time=pl.col("event_time") + delay).with_columns(fails=pl.Series(fails))
    return Recording(encode(events, "event_time"), encode(labels, "label_time"))


@pytest.fixture(scope="session")
def make_stream() -> Callable[..., Recording]:
    return turbines
