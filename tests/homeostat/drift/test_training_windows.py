from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from homeostat.drift.design import INDEPENDENT
from homeostat.drift.profile import Profile, build_profile
from homeostat.drift.training_windows import cut

START = datetime(2030, 1, 1, tzinfo=UTC)
DAY, WEEK = timedelta(days=1), timedelta(days=7)


def times(days, rows_a_day=10):
    return pl.Series([START + DAY * (i + 1) / rows_a_day for i in range(days * rows_a_day)])


def profile(days, window=WEEK, weights=None, rows_a_day=50, missing=0):
    """One column that moves with its week, one that doesn't, and categories that do."""
    rng = np.random.default_rng(days)
    clock = times(days, rows_a_day)
    n = len(clock)
    week = np.repeat(rng.standard_normal(days // 7 + 1), 7 * rows_a_day)[:n]
    moving = rng.standard_normal(n) + week
    moving[:missing] = np.nan
    kind = np.where(rng.random(n) < 0.5 + 0.2 * np.tanh(week), "a", "b")
    frame = pl.DataFrame({"moving": moving, "still": rng.standard_normal(n), "kind": kind, "event_time": clock})
    scores = rng.random(n)
    names = ("moving", "still", "kind")
    return build_profile(frame, names, frozenset({"kind"}), scores, weights, expected_loss=0.5, seed=1, window=window)


def test_windows_end_with_the_last_row_and_a_stub_at_the_start_is_left_out():
    windows = cut(times(30), np.ones(300), WEEK)
    assert windows.parts == 1
    assert np.unique(windows.place, return_counts=True)[1].tolist() == [20, 70, 70, 70, 70]
    assert (windows.place[:20] == -1).all()


def test_too_few_windows_are_cut_into_sevenths():
    windows = cut(times(14), np.ones(140), WEEK)
    assert windows.parts == 7
    assert windows.mass.tolist() == [10] * 14


def test_too_few_parts_say_nothing():
    assert cut(times(3), np.ones(30), WEEK) is None


def test_rows_without_weight_belong_to_no_window():
    weights = np.r_[np.zeros(280), np.ones(280)]
    windows = cut(times(56), weights, WEEK)
    assert (windows.place[:280] == -1).all()
    assert windows.mass.tolist() == [70] * 4


def test_a_column_that_moves_with_its_week_has_a_large_effect_and_a_still_one_has_none():
    designs = dict(zip(("moving", "still", "kind"), profile(84).index_designs, strict=False))
    assert designs["moving"].effect > 20
    assert designs["kind"].effect > 3
    assert designs["still"].effect < 2


def test_the_gap_of_a_number_has_a_design_and_a_category_has_no_gap():
    gaps = profile(84).gap_designs
    assert gaps[0].effect > 20
    assert gaps[1].effect < 2
    assert gaps[2] == INDEPENDENT


def test_the_embedding_has_a_design():
    assert profile(84).embedding_design.effect > 5


def test_weeks_without_any_value_are_left_out_of_the_gap():
    gaps = profile(84, missing=50 * 14).gap_designs
    assert gaps[0].windows == pytest.approx(10)
    assert gaps[1].windows == pytest.approx(12)


def test_without_a_window_rows_are_taken_as_independent():
    made = profile(84, window=None)
    assert (made.index_designs, made.embedding_design) == ((), INDEPENDENT)


def test_weighted_windows_count_with_their_weight():
    weights = 0.5 ** (np.arange(84 * 50)[::-1] / (21 * 50))
    made = profile(84, weights=weights)
    assert 4 < made.index_designs[0].windows < 11
    assert made.index_designs[0].rows == pytest.approx(350, rel=0.05)


def test_a_profile_with_designs_survives_its_own_bytes():
    made = profile(56)
    assert Profile.from_bytes(made.to_bytes()) == made
