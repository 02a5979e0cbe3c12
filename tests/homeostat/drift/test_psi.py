import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from homeostat.drift.psi import join_thin_bins, psi, psi_test

counts = arrays(np.float64, 12, elements=st.integers(0, 5000).map(float))


@given(arrays(np.float64, 10, elements=st.floats(1, 1e5)), arrays(np.float64, 10, elements=st.floats(1, 1e5)))
def test_without_smoothing_it_is_the_textbook_formula(reference, live):
    textbook = sum(
        (a / live.sum() - e / reference.sum()) * np.log((a / live.sum()) / (e / reference.sum()))
        for e, a in zip(reference, live, strict=True)
    )
    assert psi(reference, live, pseudo_count=0.0) == pytest.approx(textbook, abs=1e-9)


@given(counts, counts)
def test_it_is_symmetric_and_never_negative(reference, live):
    assert psi(reference, live) >= 0
    assert psi(reference, live) == pytest.approx(psi(live, reference))


def test_one_empty_bin_does_not_dominate():
    assert psi(np.array([500.0, 480, 20]), np.array([510.0, 490, 0])) < 0.1


@given(counts, counts)
def test_joining_thin_bins_keeps_every_row(reference, live):
    joined, seen = join_thin_bins(reference, live)
    assert (joined.sum(), seen.sum()) == (reference.sum(), live.sum())
    assert joined.size == seen.size <= reference.size


def test_bins_empty_on_both_sides_cost_no_degree_of_freedom():
    assert psi_test(np.array([500.0, 0, 0, 500]), np.array([480.0, 0, 0, 520])).degrees == 1


def test_a_new_category_is_not_joined_away():
    test = psi_test(np.array([50_000.0, 30_000, 0]), np.array([1100.0, 700, 200]))
    assert test.index > test.limit(alpha=1e-6)
    assert test.effect > 0.1


def test_the_limit_falls_with_the_row_count():
    few = psi_test(np.full(10, 1e4), np.full(10, 10.0)).limit(0.01)
    many = psi_test(np.full(10, 1e4), np.full(10, 1000.0)).limit(0.01)
    assert few > 0.15
    assert many < 0.01


def test_equal_shares_have_no_effect_and_no_significance():
    test = psi_test(np.full(10, 1000.0), np.full(10, 100.0))
    assert test.effect < 0
    assert test.p_value == pytest.approx(1.0)


def test_an_empty_window_is_no_drift():
    assert psi_test(np.full(10, 1000.0), np.zeros(10)).p_value == 1.0
