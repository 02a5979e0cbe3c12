import numpy as np
import pytest
from scipy.stats import ks_2samp

from homeostat.drift.bins import Coder, number_bins
from homeostat.drift.ks import ks_test


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.3, 2.0])
def test_it_is_within_one_bin_of_the_exact_distance_and_never_above_it(shift):
    rng = np.random.default_rng(4)
    reference, live = rng.standard_normal(5000), rng.standard_normal(3000) + shift
    bins = number_bins("x", reference, np.ones(5000))
    before, now = (
        np.bincount(Coder([bins]).codes([side])[:, 0], minlength=bins.size)[:-1].astype(float)
        for side in (reference, live)
    )
    exact = ks_2samp(reference, live).statistic
    # between two edges both distributions grow, so the gap grows by the larger of the two bins at most
    error = max((before / 5000).max(), (now / 3000).max())
    assert ks_test(before, now).distance <= exact + 1e-12
    assert ks_test(before, now).distance >= exact - error


def test_the_p_value_is_scipys_on_discrete_data():
    reference, live = np.array([300.0, 400, 300]), np.array([250.0, 390, 360])
    exact = ks_2samp(
        np.repeat([0, 1, 2], reference.astype(int)), np.repeat([0, 1, 2], live.astype(int)), method="asymp"
    )
    test = ks_test(reference, live)
    assert test.distance == pytest.approx(exact.statistic)
    assert test.p_value == pytest.approx(exact.pvalue, rel=0.05)


def test_the_limit_is_where_the_p_value_reaches_the_level():
    test = ks_test(np.full(32, 1000.0), np.full(32, 50.0))
    moved = type(test)(test.limit(0.01), test.root_rows)
    assert moved.p_value == pytest.approx(0.01, rel=1e-6)


def test_a_side_without_rows_says_nothing():
    test = ks_test(np.full(4, 100.0), np.zeros(4))
    assert (test.distance, test.p_value, test.limit(0.01)) == (0.0, 1.0, 1.0)
