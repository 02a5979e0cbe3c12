from collections.abc import Callable
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.errors import NotEnoughDataError
from homeostat.training.backtest import Block, Effort, base_rates, forecast, forward_blocks, recalibrated
from homeostat.training.calibration import Calibration
from homeostat.training.encoding import Encoder
from homeostat.training.recipe import Recipe
from homeostat.training.rows import Rows, encode_rows

FEATURES, CATEGORICAL = ("a", "b", "noise", "kind"), frozenset({"kind"})


def rows_at(day: np.ndarray) -> Rows:
    labels = np.arange(len(day)) % 2.0
    return Rows(Encoder(("a",), {}), np.zeros((len(day), 1), dtype=np.float32), labels, day)


@given(st.integers(2, 8), st.floats(0.5, 20), st.floats(0, 5), st.floats(5, 200))
@settings(max_examples=60)
def test_no_block_learns_from_a_label_that_was_not_known(
    count: int, length: float, maturity: float, span: float
) -> None:
    rows = rows_at(np.linspace(100.0, 100.0 + span, 20_000))
    blocks = forward_blocks(rows, count, length, maturity) if maturity < span / 4 else []
    for block in blocks:
        assert block.past.day.max() < block.start - maturity
        assert block.rows.day.min() >= block.start
        assert block.rows.day.max() < block.end
    if blocks:
        assert blocks[-1].rows.day[-1] == rows.day[-1]
        assert all(a.end == pytest.approx(b.start) for a, b in pairwise(blocks))


def test_blocks_take_at_most_half_of_a_short_history() -> None:
    blocks = forward_blocks(rows_at(np.linspace(0, 10, 2000)), 4, 7.0, 0.1)
    assert len(blocks) == 4
    assert blocks[0].start == pytest.approx(5.0)


@pytest.mark.parametrize("day", [np.zeros(0), np.full(500, 3.0), np.linspace(0, 1, 50)])
def test_a_history_without_a_past_is_not_enough_data(day: np.ndarray) -> None:
    with pytest.raises(NotEnoughDataError):
        forward_blocks(rows_at(day), 3, 7.0, 1.0)


def test_a_forecast_does_not_see_the_block_it_forecasts(frames: Callable[..., pl.DataFrame]) -> None:
    frame = frames(shift=24.0)
    flipped = frame.with_columns(
        label=pl.when(pl.int_range(pl.len()) > 1300).then(1 - pl.col("label")).otherwise("label")
    )
    one, two = (encode_rows(f, FEATURES, CATEGORICAL) for f in (frame, flipped))
    recipe, effort = Recipe(rounds=10), Effort(seed=1)
    last = [forecast(recipe, forward_blocks(r, 2, 6.0, 1.0), effort)[-1][:50] for r in (one, two)]
    assert one.y[-1] != two.y[-1]
    np.testing.assert_array_equal(last[0], last[1])


def test_fewer_refits_serve_several_blocks_from_the_past_of_the_first(frames: Callable[..., pl.DataFrame]) -> None:
    blocks = forward_blocks(encode_rows(frames(), FEATURES, CATEGORICAL), 4, 3.0, 1.0)
    recipe = Recipe(rounds=5)
    stale = forecast(recipe, blocks, Effort(seed=1, refits=2))
    as_if = Block(blocks[0].past, blocks[1].rows, blocks[0].start, blocks[1].end)
    np.testing.assert_array_equal(stale[1], forecast(recipe, [as_if], Effort(seed=1))[0])


def test_a_recalibration_uses_earlier_blocks_alone(frames: Callable[..., pl.DataFrame]) -> None:
    blocks = forward_blocks(encode_rows(frames(rows=3000, intercept=1.5), FEATURES, CATEGORICAL), 3, 5.0, 1.0)
    raw = [np.zeros(len(block.rows)) for block in blocks]
    lined, future = recalibrated(raw, blocks, 1.0)
    assert (lined[0] == 0).all()
    assert lined[1][0] > 0.3
    assert future.intercept > 0.3


def test_too_few_known_rows_recalibrate_nothing(frames: Callable[..., pl.DataFrame]) -> None:
    blocks = forward_blocks(encode_rows(frames(rows=400), FEATURES, CATEGORICAL), 2, 5.0, 1.0)
    raw = [np.zeros(len(block.rows)) for block in blocks]
    assert recalibrated(raw, blocks, 1.0)[1] == Calibration()


def test_the_label_rate_is_that_of_the_past(frames: Callable[..., pl.DataFrame]) -> None:
    blocks = forward_blocks(encode_rows(frames(intercept=1.0), FEATURES, CATEGORICAL), 2, 5.0, 1.0)
    rate = 1 / (1 + np.exp(-base_rates(blocks)[0][0]))
    assert rate == pytest.approx(blocks[0].past.y.mean())
