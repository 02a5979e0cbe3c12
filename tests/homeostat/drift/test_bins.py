import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from homeostat.drift.bins import TOP_CATEGORIES, Coder, category_bins, number_bins

ANY_NUMBER = st.floats(allow_nan=True, allow_infinity=True)


def ones(values):
    return np.ones(len(values))


@given(arrays(np.float64, st.integers(1, 80), elements=ANY_NUMBER), arrays(np.float64, 20, elements=ANY_NUMBER))
def test_every_number_falls_into_one_bin_and_missing_ones_into_the_last(reference, live):
    bins = number_bins("x", reference, ones(reference))
    codes = Coder([bins]).codes([live])[:, 0]
    assert codes.min() >= 0
    assert codes.max() < bins.size
    assert ((codes == bins.missing) == np.isnan(live)).all()


@given(arrays(np.float64, st.integers(1, 200), elements=st.floats(-1e6, 1e6)))
def test_greater_numbers_never_fall_into_lower_bins(values):
    codes = Coder([number_bins("x", values, ones(values))]).codes([np.sort(values)])[:, 0]
    assert (np.diff(codes) >= 0).all()


def test_quantile_bins_hold_equal_shares():
    values = np.random.default_rng(0).standard_normal(32_000)
    codes = Coder([number_bins("x", values, ones(values))]).codes([values])[:, 0]
    assert np.bincount(codes).tolist() == [1000] * 32


def test_few_values_get_a_bin_each_and_one_on_either_side():
    bins = number_bins("x", np.array([1.0, 2, 2, 7]), np.ones(4))
    assert Coder([bins]).codes([np.array([0.0, 1, 2, 7, 8])])[:, 0].tolist() == [0, 1, 2, 3, 4]


def test_a_constant_that_starts_to_move_changes_its_bin():
    bins = number_bins("x", np.full(100, 3.0), np.ones(100))
    assert len({*Coder([bins]).codes([np.array([2.9, 3.0, 3.1])])[:, 0].tolist()}) == 3


def test_weights_move_the_quantiles():
    values = np.arange(1000.0)
    heavy_end = number_bins("x", values, np.where(values >= 900, 1000.0, 1.0))
    assert min(heavy_end.edges) > 800


def test_a_column_without_any_value_still_has_bins():
    bins = number_bins("x", np.full(3, np.nan), np.ones(3))
    assert Coder([bins]).codes([[None, 1.0]])[:, 0].tolist() == [1, 0]


def test_rare_and_unknown_categories_share_a_bin_apart_from_missing():
    values = [f"c{i}" for i in range(60) for _ in range(60 - i)]
    bins = category_bins("x", values, ones(values))
    assert len(bins.categories) == TOP_CATEGORIES
    codes = Coder([bins]).codes([["c0", "c59", "never seen", None]])[:, 0].tolist()
    assert codes == [0, TOP_CATEGORIES, TOP_CATEGORIES, TOP_CATEGORIES + 1]


@given(st.lists(st.sampled_from([None, "", "a", "b", "new", "ä"]), min_size=1, max_size=40))
def test_a_series_of_texts_falls_into_the_same_bins_as_a_list(texts):
    bins = category_bins("x", ["a", "a", "b", "", None], np.ones(5))
    coder = Coder([bins])
    series = pl.Series(texts, dtype=pl.String)
    assert coder.codes([series])[:, 0].tolist() == coder.codes([texts])[:, 0].tolist()
