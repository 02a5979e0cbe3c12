from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.errors import ModelError, NotEnoughDataError
from homeostat.training.encoding import Encoder
from homeostat.training.resampling import ODDS_LIMIT, Resampling, effective_rows, weights_for
from homeostat.training.rows import Rows, encode_rows, thin

FEATURES, CATEGORICAL = ("a", "b", "noise", "kind"), frozenset({"kind"})


def rows_at(day: list[float]) -> Rows:
    x = np.random.default_rng(0).normal(size=(len(day), 1)).astype(np.float32)
    return Rows(Encoder(("a",), {}), x, np.zeros(len(day)), np.array(day))


def test_a_row_one_half_life_older_counts_half() -> None:
    weights = weights_for(Resampling("decay", 10.0), rows_at([80.0, 90.0, 100.0]), 100.0, 0)
    assert weights[0] / weights[1] == pytest.approx(0.5)
    assert weights[1] / weights[2] == pytest.approx(0.5)
    assert weights.mean() == pytest.approx(1.0)


def test_a_recent_window_leaves_older_rows_out() -> None:
    weights = weights_for(Resampling("recent", 7.0), rows_at([80.0, 94.0, 100.0]), 100.0, 0)
    assert weights.tolist() == [0.0, 1.0, 1.0]


def test_a_window_without_rows_is_not_enough_data() -> None:
    with pytest.raises(NotEnoughDataError, match="recent 1 days"):
        weights_for(Resampling("recent", 1.0), rows_at([1.0, 2.0]), 100.0, 0)


def test_adversarial_weights_favour_rows_that_look_like_today(frames: Callable[..., pl.DataFrame]) -> None:
    frame = frames(rows=4000).with_columns(
        a=pl.when(pl.col("event_time") > pl.col("event_time").max() - pl.duration(days=8))
        .then(pl.col("a") + 2)
        .otherwise(pl.col("a"))
    )
    rows = encode_rows(frame, FEATURES, CATEGORICAL)
    until = float(rows.day[-1])
    weights = weights_for(Resampling("adversarial", 8.0), rows, until, 0)
    old = rows.day < until - 8
    high, low = rows.x[:, 0] > 1.5, rows.x[:, 0] < -0.5
    assert weights[old & high].mean() > 3 * weights[old & low].mean()
    assert weights.max() / weights.min() <= ODDS_LIMIT**2 * 1.001
    assert effective_rows(weights) < len(rows)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=40))
def test_effective_rows_lie_between_one_and_all(weights: list[float]) -> None:
    assert 1 - 1e-9 <= effective_rows(np.array(weights)) <= len(weights) * (1 + 1e-9)


@given(st.integers(1, 300_000), st.integers(1, 1000))
def test_thinning_keeps_the_newest_row_and_never_repeats_one(count: int, most: int) -> None:
    index = thin(count, most)
    assert len(index) == min(count, most)
    assert index[-1] == count - 1
    assert (np.diff(index) > 0).all()
    assert index[0] >= 0


@pytest.mark.parametrize("data", [{"kind": "newest"}, {"kind": "decay"}, {"kind": "recent", "days": -1}, {}])
def test_a_broken_rule_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="no resampling"):
        Resampling.from_dict(data)
