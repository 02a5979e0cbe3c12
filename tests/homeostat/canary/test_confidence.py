import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.canary.confidence import MIN_BLOCKS, Bound, bound, half_widths, rows_until, width_in_sd
from homeostat.canary.spread import spread_of


def look(sums: np.ndarray, rows: int = 40, alpha: float = 0.05) -> Bound:
    column = sums[:, None]
    found = bound(spread_of(np.full_like(column, rows), column), alpha, 2000)
    assert found is not None
    return found


def test_too_few_blocks_give_no_bound_however_many_rows_they_hold() -> None:
    column = np.ones((MIN_BLOCKS - 1, 1))
    spread = spread_of(1_000_000 * column, column)
    assert bound(spread, 0.05, 2000) is None
    assert np.isinf(half_widths(spread, 0.05, 2000)).all()


@given(st.floats(-10, 10))
def test_a_shift_of_every_row_moves_the_bound_by_as_much(shift: float) -> None:
    sums = np.random.default_rng(1).normal(size=30)
    plain, shifted = look(sums), look(sums + 40 * shift)
    assert shifted.mean == pytest.approx(plain.mean + shift)
    assert shifted.lower == pytest.approx(plain.lower + shift, abs=1e-6)


@given(st.floats(0.001, 1000))
def test_the_unit_of_the_loss_does_not_matter(unit: float) -> None:
    sums = np.random.default_rng(2).normal(size=30)
    assert look(sums * unit).upper == pytest.approx(look(sums).upper * unit)


def test_more_blocks_of_the_same_kind_narrow_the_bound() -> None:
    sums = np.tile([1.0, -1.0, 0.5, -0.5], 100)
    widths = [look(sums[:n]).half for n in (12, 40, 120, 400)]
    assert widths == sorted(widths, reverse=True)


def test_a_look_back_is_what_the_look_was_then() -> None:
    sums = np.random.default_rng(4).normal(size=(150, 16))
    rows = np.random.default_rng(4).integers(1, 9, (150, 16)).astype(float)
    all_looks = half_widths(spread_of(rows, sums), 0.05, 2000)
    for n in (10, 47, 48, 96, 149):
        found = bound(spread_of(rows[:n], sums[:n]), 0.05, 2000)
        assert found is not None
        assert found.half == pytest.approx(all_looks[n - 1])


def test_a_smaller_alpha_asks_for_a_wider_bound() -> None:
    sums = np.random.default_rng(5).normal(size=40)
    assert look(sums, alpha=0.01).half > look(sums, alpha=0.1).half


def test_differences_that_are_always_the_same_leave_no_doubt() -> None:
    found = look(np.full(20, -4.0))
    assert found.lower == pytest.approx(-0.1)
    assert found.upper == pytest.approx(-0.1)


def test_the_width_is_that_of_the_paper() -> None:
    # the one-sided boundary by hand at t = 1000 and alpha = 0.05, tuned for 1000: rho^2 = (4.605 + ln 5.605) / 1000
    assert width_in_sd(1000, 0.05, 1000) == pytest.approx(0.0879, abs=0.0001)


def test_looking_at_all_times_costs_less_than_double_the_width_of_looking_once() -> None:
    once = 1.645 / np.sqrt(2000)
    assert 1.5 * once < float(width_in_sd(2000, 0.05, 2000)) < 2 * once


def test_the_rows_until_a_width_are_those_at_which_it_is_reached() -> None:
    found = look(np.random.default_rng(6).normal(size=60))
    rows = rows_until(found, found.half / 3)
    assert rows is not None
    assert 9 * found.rows < rows < 12 * found.rows
    assert float(width_in_sd(rows, 0.05, 2000)) * found.row_sd == pytest.approx(found.half / 3, rel=0.02)


def test_a_gap_of_nothing_is_never_reached() -> None:
    assert rows_until(look(np.random.default_rng(6).normal(size=60)), 0.0) is None
