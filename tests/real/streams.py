"""A stream of turbines as a file, and contracts for it."""

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

TURBINES = Path(__file__).parents[1] / "loop" / "turbines.yaml"


def written(rows: pl.DataFrame, path: Path) -> Path:
    """The file of a stream, as people keep it."""
    rows.with_columns(pl.col("event_time", "label_time").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")).write_csv(path)
    return path


def turbines(
    days: float, rows_a_day: int, start: datetime, seed: int = 3, *, turns_every: float = np.inf
) -> pl.DataFrame:
    """Rows of a stream in event-time order: event, features and label; what load means turns every so many days."""
    rng = np.random.default_rng(seed)
    rows = int(days * rows_a_day)
    day = np.sort(rng.uniform(0, days, rows))
    load, wind = rng.normal(size=(2, rows))
    turned = np.where(day // turns_every % 2 == 0, 1, -1)
    fails = rng.uniform(size=rows) < 1 / (1 + np.exp(-1.6 * turned * load - 0.8 * wind))
    time = pl.Series((day * 86_400e6).astype(np.int64)).cast(pl.Duration("us")) + pl.lit(start)
    delay = pl.Series((rng.uniform(1, 20, rows) * 3_600e6).astype(np.int64)).cast(pl.Duration("us"))
    frame = pl.DataFrame({"turbine": [f"t{i % 40}" for i in range(rows)], "load": load, "wind": wind, "fails": fails})
    return frame.with_columns(
        event_time=time, event_id=pl.lit(f"{seed}-") + pl.int_range(rows).cast(pl.String), maker=pl.lit("acme")
    ).with_columns(label_time=pl.col("event_time") + delay)


def contract_with(folder: Path, product: str = "turbines", **parts: dict[str, Any]) -> Path:
    """The contract of the turbines with other policies, and perhaps another name."""
    contract = {**yaml.safe_load(TURBINES.read_text()), "product": product}
    for name, values in parts.items():
        contract[name] = {**contract.get(name, {}), **values}
    path = folder / f"{product}.yaml"
    path.write_text(yaml.safe_dump(contract))
    return path
