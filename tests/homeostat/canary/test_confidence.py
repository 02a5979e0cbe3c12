import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.canary.confidence import MIN_BLOCKS, Interval, interval, width_in_sd
from homeostat.errors import NotEnoughDataError

RNG = np.random.default_rng(5)


def look(sums: np.ndarray, rows: int = 40, alpha: float = 0.05) -> Interval:
    return interval(np.full(len(sums), rows), sums, alpha=alpha, tuned_rows=2000)


def test_too_few_blocks_are_refused_however_many_rows_they_hold() -> None:
    with pytest.raises(NotEnoughDataError):
        look(np.zeros(MIN_BLOCKS - 1), rows=1_000_000)


@given(st.floats(-10, 10))
def test_a_shift_of_every_row_moves_the_interval_by_as_much(shift: float) -> None:
    sums = np.random.default_rng(1).normal(size=30)
    plain, shifted = look(sums), look(sums + 40 * shift)
    assert shifted.mean == pytest.approx(plain.mean + shift)
    assert shifted.lower == pytest.approx(plain.lower + shift, abs=1e-6)


@given(st.floats(0.001, 1000))
def test_the_unit_of_the_loss_does_not_matter(unit: float) -> None:
    sums = np.random.default_rng(2).normal(size=30)
    assert look(sums * unit).upper == pytest.approx(look(sums).upper * unit)


def test_more_blocks_of_the_same_kind_narrow_the_interval() -> None:
    sums = np.tile([1.0, -1.0, 0.5, -0.5], 100)
    widths = [look(sums[:n]).upper - look(sums[:n]).lower for n in (12, 40, 120, 400)]
    assert widths == sorted(widths, reverse=True)


def test_rows_that_repeat_inside_a_block_prove_nothing_more() -> None:
    means = RNG.normal(size=40)
    once, tenfold = look(means * 40, rows=40), look(means * 400, rows=400)
    assert tenfold.upper - tenfold.mean > 0.8 * (once.upper - once.mean)


def test_a_smaller_alpha_asks_for_a_wider_interval() -> None:
    sums = RNG.normal(size=40)
    assert look(sums, alpha=0.01).upper > look(sums, alpha=0.1).upper


def test_blocks_that_follow_their_neighbours_widen_the_interval() -> None:
    waves = np.repeat(RNG.normal(size=40), 3)
    shuffled = RNG.permutation(waves)
    assert look(waves).upper - look(waves).mean > 1.2 * (look(shuffled).upper - look(shuffled).mean)
    assert look(waves).neighbour_correlation > 0.4


def test_differences_that_are_always_the_same_leave_no_doubt() -> None:
    found = look(np.full(20, -4.0))
    assert found.lower == pytest.approx(-0.1)
    assert found.upper == pytest.approx(-0.1)


def test_the_width_is_that_of_the_paper() -> None:
    # the one-sided boundary by hand at t = 1000 and alpha = 0.05, tuned for 1000: rho^2 = (4.605 + ln 5.605) / 1000
    assert width_in_sd(1000, 0.05, 1000) == pytest.approx(0.0879, abs=0.0001)


def test_looking_at_all_times_costs_less_than_double_the_width_of_looking_once() -> None:
    once = 1.645 / np.sqrt(2000)
    assert 1.5 * once < width_in_sd(2000, 0.05, 2000) < 2 * once
