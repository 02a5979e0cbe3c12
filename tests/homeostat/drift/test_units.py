import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.statistics.broken_columns import PIECE, named, trained


@pytest.fixture(scope="module")
def incomes():
    return trained([np.exp(7 + np.random.default_rng(5).standard_normal(10_000))])


def rows(seed):
    return np.exp(7 + np.random.default_rng(seed).standard_normal(PIECE))


@settings(deadline=None, max_examples=25)
@given(st.floats(15.0, 1e6), st.booleans(), st.integers(0, 50))
def test_any_constant_that_no_drift_could_be_is_estimated_from_the_quantiles(incomes, factor, down, seed):
    constant = 1 / factor if down else factor
    (fault,) = named(incomes, [rows(seed) * constant])
    assert abs(np.log(fault.factor / constant)) < np.log(1.6)


@pytest.mark.parametrize("factor", [0.4, 0.625, 1.609344, 2.54, 3.6])
def test_a_wide_column_that_changes_by_a_small_constant_may_have_drifted_and_is_left_to_the_drift_tests(
    incomes, factor
):
    assert named(incomes, [rows(3) * factor]) == []


def test_a_round_constant_is_preferred_to_what_the_quantiles_give(incomes):
    (fault,) = named(incomes, [rows(8) * 1000])
    assert fault.factor == 1000.0
