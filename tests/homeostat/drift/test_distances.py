import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, entropy, ks_2samp, wasserstein_distance

from homeostat.drift.bins import Coder, number_bins
from homeostat.drift.distances import chi_square, distances, jensen_shannon, wasserstein
from homeostat.drift.ks import ks_test
from homeostat.drift.psi import psi

some = arrays(np.float64, 12, elements=st.integers(0, 5000).map(float)).filter(lambda counts: counts.sum() > 0)
thick = arrays(np.float64, 12, elements=st.integers(50, 5000).map(float))


def binned(before, now):
    """Reference and live counts over the bins of the reference, missing left out."""
    bins = number_bins("x", before, np.ones(before.size))
    counts = [np.bincount(Coder([bins]).codes([side])[:, 0], minlength=bins.size) for side in (before, now)]
    return bins, *(count.astype(float) for count in counts)


@given(some, some)
def test_jensen_shannon_is_that_of_scipy(reference, live):
    expected = np.nan_to_num(jensenshannon(reference, live, base=2))  # SciPy's root of a tiny negative is NaN
    assert jensen_shannon(reference, live) == pytest.approx(expected, abs=1e-7)


@given(thick, thick)
def test_chi_square_is_that_of_scipy(reference, live):
    expected = chi2_contingency(np.vstack([reference, live]), correction=False).statistic
    assert chi_square(reference, live) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(thick, thick)
def test_the_index_is_both_entropies_of_scipy(reference, live):
    both = entropy(live, reference) + entropy(reference, live)
    assert psi(reference, live, pseudo_count=0.0) == pytest.approx(both, abs=1e-9)


@given(some, some)
def test_wasserstein_is_that_of_scipy_on_the_centres(reference, live):
    centres = np.cumsum(np.arange(1.0, 13.0))
    expected = wasserstein_distance(centres, centres, reference, live)
    assert wasserstein(reference, live, centres) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(st.integers(0, 10_000), st.floats(-1, 1), st.floats(0.5, 2))
def test_ks_lies_within_one_bin_below_that_of_scipy_on_the_rows(seed, shift, scale):
    rng = np.random.default_rng(seed)
    before, now = rng.standard_normal(4000), shift + scale * rng.standard_normal(1000)
    _, reference, live = binned(before, now)
    exact, ours = ks_2samp(before, now).statistic, ks_test(reference[:-1], live[:-1]).distance
    bound = max((counts[:-1] / counts.sum()).max() for counts in (reference, live))
    assert exact - bound <= ours <= exact + 1e-9


def test_wasserstein_of_a_shift_by_a_deviation_is_one():
    rng = np.random.default_rng(0)
    before = 7 + 3 * rng.standard_normal(50_000)
    told = distances(*binned(before, before + 3))
    assert told["wasserstein"] == pytest.approx(1.0, abs=0.12)  # the last bin's rows count as its reference mean


def test_one_wild_value_has_no_leverage_on_wasserstein():
    rng = np.random.default_rng(0)
    before, now = rng.standard_normal((2, 5000))
    now[0] = 1e12
    assert distances(*binned(before, now))["wasserstein"] < 0.1


def test_the_share_of_missing_values_is_told():
    before = np.arange(1000.0)
    now = before.copy()
    now[:250] = np.nan
    assert distances(*binned(before, now))["missing"] == 0.25


def test_a_constant_has_no_wasserstein_distance():
    assert "wasserstein" not in distances(*binned(np.ones(100), np.ones(100)))


@given(arrays(np.float64, st.integers(1, 300), elements=st.floats(-1e6, 1e6)))
def test_centres_lie_in_order_and_have_the_mean_of_the_rows(values):
    bins, reference, _ = binned(values, values)
    assert len(bins.centres) == bins.missing
    assert np.all(np.diff(bins.centres) >= 0)
    scale = max(1.0, float(np.abs(values).max()))
    assert reference[:-1] @ np.asarray(bins.centres) / values.size == pytest.approx(values.mean(), abs=1e-9 * scale)


@given(arrays(np.float64, st.integers(1, 80), elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_whatever_the_numbers_every_distance_is_finite(values):
    told = distances(*binned(values, values[::-1] / 2))
    assert all(np.isfinite(value) for value in told.values())
