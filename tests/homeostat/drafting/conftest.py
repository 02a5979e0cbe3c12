from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from homeostat.drafting.draft import Draft, draft_of
from homeostat.drafting.interview import Ask, Interview, Wishes
from homeostat.drafting.sample import read_sample

START = datetime(2024, 1, 3)  # noqa: DTZ001 - files rarely name a zone


def orders(rows: int = 3_000, days: float = 60) -> pl.DataFrame:
    """Orders of a shop, some of which come late: clean, with every role named plainly."""
    rng = np.random.default_rng(7)
    minutes = np.sort(rng.uniform(0, days * 1440, rows))
    load = rng.lognormal(1, 0.8, rows)
    late = rng.random(rows) < 1 / (1 + np.exp(-(load - 3)))
    hours = rng.exponential(20, rows)
    return pl.DataFrame(
        {
            "order_id": [f"A{i:05}" for i in range(rows)],
            "ordered_at": [f"{START + timedelta(minutes=m):%Y-%m-%dT%H:%M:%SZ}" for m in minutes],
            "customer_id": [f"C{i:03}" for i in rng.integers(0, 150, rows)],
            "town": rng.choice(["Ulm", "Bonn", "Kiel"], rows),
            "load": load.round(3),
            "closed_at": [
                f"{START + timedelta(minutes=m, hours=h):%Y-%m-%dT%H:%M:%SZ}"
                for m, h in zip(minutes, hours, strict=True)
            ],
            "late": late.astype(int),
        }
    )


@pytest.fixture(scope="session")
def clean() -> pl.DataFrame:
    """A file in which nothing is unsure."""
    return orders()


Drafted = Callable[..., Draft]


@pytest.fixture
def drafted(tmp_path: Path) -> Drafted:
    """Writes a frame (or raw bytes) to a file and drafts its contract."""

    def run(rows: pl.DataFrame | bytes, *, ask: Ask | None = None, accept: bool = False, **wishes: object) -> Draft:
        path = tmp_path / "orders.csv"
        path.write_bytes(rows if isinstance(rows, bytes) else rows.write_csv().encode())
        return draft_of(path, read_sample(path), Interview(Wishes(**wishes), ask, accept))  # type: ignore[arg-type]

    return run
