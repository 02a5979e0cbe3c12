import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.drift.discovery import level_in_force


def test_without_a_discovery_it_is_bonferronis_level():
    assert level_in_force([0.3, 0.5, 0.9, 0.7], 0.05) == pytest.approx(0.0125)


def test_no_tests_leave_the_rate_as_it_is():
    assert level_in_force([], 0.01) == 0.01


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_the_tests_at_or_below_the_level_are_the_step_up_discoveries(p_values):
    rate = 0.05
    ordered = sorted(p_values)
    passed = [i for i, p in enumerate(ordered, start=1) if p <= rate * i / len(p_values) - 1e-12]
    level = level_in_force(p_values, rate)
    found = sum(p <= level for p in p_values)
    assert found >= (max(passed) if passed else 0)
    assert level <= rate
