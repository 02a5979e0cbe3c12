import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.training.paired import mean_error, paired_difference


def test_independent_rows_get_the_usual_standard_error() -> None:
    rng = np.random.default_rng(0)
    gap = rng.normal(0.1, 1.0, 40_000)
    found = paired_difference(gap, np.zeros(40_000), np.sort(rng.uniform(0, 200, 40_000)))
    assert found.mean == pytest.approx(0.1, abs=0.02)
    assert found.standard_error == pytest.approx(1 / 200, rel=0.2)


def test_rows_of_one_day_that_share_their_luck_count_as_one() -> None:
    rng = np.random.default_rng(0)
    day = np.repeat(np.arange(30.0), 1000) + np.tile(np.linspace(0, 0.99, 1000), 30)
    gap = np.repeat(rng.normal(0, 1, 30), 1000)
    assert paired_difference(gap, np.zeros(30_000), day).standard_error == pytest.approx(1 / np.sqrt(30), rel=0.4)


def test_a_false_winner_is_rare_at_ninety_percent() -> None:
    rng = np.random.default_rng(0)
    day = np.repeat(np.arange(21.0), 20)
    wins = 0
    for _ in range(1000):
        gap = np.repeat(rng.normal(0, 1, 21), 20) + rng.normal(0, 1, 420)
        wins += paired_difference(gap, np.zeros(420), day).upper(0.9) < 0
    assert 70 <= wins <= 135


def test_one_time_block_proves_nothing() -> None:
    assert paired_difference(np.zeros(5), np.ones(5), np.full(5, 3.0)).upper(0.9) == float("inf")


def test_no_rows_prove_nothing() -> None:
    assert paired_difference(np.zeros(0), np.zeros(0), np.zeros(0)).upper(0.9) == float("inf")


def test_a_mean_over_one_time_block_has_no_known_error() -> None:
    assert mean_error(np.ones(3), np.zeros(3)) == 0.0


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(0, 50)), min_size=2, max_size=40))
def test_swapping_the_sides_turns_the_sign_alone(rows: list[tuple[float, float, float]]) -> None:
    a, b, day = (np.array(column) for column in zip(*rows, strict=True))
    there, back = paired_difference(a, b, day), paired_difference(b, a, day)
    assert there.mean == pytest.approx(-back.mean)
    assert there.standard_error == pytest.approx(back.standard_error)
