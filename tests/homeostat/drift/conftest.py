import numpy as np
import polars as pl
import pytest

from homeostat.drift.profile import Profile, build_profile

FEATURES = ("delay", "seats", "carrier")
CATEGORICAL = frozenset({"carrier"})


def draw(rows, seed, shift=0.0):
    """Rows of one normal, one low-cardinality and one text column, with scores."""
    rng = np.random.default_rng(seed)
    delay = rng.standard_normal(rows) + shift
    seats = rng.integers(0, 5, rows).astype(float)
    carrier = rng.choice(["AA", "UA", "DL"], rows, p=[0.5, 0.3, 0.2])
    return [delay, seats, carrier], 1 / (1 + np.exp(-delay))


@pytest.fixture(scope="session")
def rows():
    return draw


@pytest.fixture(scope="session")
def profile() -> Profile:
    columns, scores = draw(20_000, seed=0)
    frame = pl.DataFrame(dict(zip(FEATURES, columns, strict=True)))
    return build_profile(frame, FEATURES, CATEGORICAL, scores, None, expected_loss=0.5, seed=3)
