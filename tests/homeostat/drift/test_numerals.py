import numpy as np
import pytest

from homeostat.drift.numerals import last_digits, numerals

PIECES = np.repeat(np.arange(40), 250)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_values_that_came_back_are_known_and_others_hardly(rng):
    written = numerals(rng.choice(np.arange(0, 800) / 10, PIECES.size), PIECES)
    assert written.known(np.arange(800) / 10) > 0.99
    assert written.known(np.arange(800) / 10 + 0.05) < 0.06


@pytest.mark.parametrize("factor", [60.0, 1 / 12, 0.1, 28.349523])
def test_a_value_is_known_again_when_a_constant_is_undone(rng, factor):
    values = rng.choice(np.arange(1, 300) / 100, PIECES.size)
    assert numerals(values, PIECES).known(values * factor / factor) == 1.0


def test_a_value_of_one_piece_alone_is_not_known():
    place = np.arange(PIECES.size) % 4
    values = np.where((PIECES == 7) & (place == 0), 5.25, np.where(place % 2, 4.0, 6.0))
    assert numerals(values, PIECES).known(np.array([4.0, 5.25])) == 0.5


def test_where_a_piece_of_training_has_new_values_nothing_is_said(rng):
    values = np.where(PIECES == 7, 5.25, rng.integers(4, 7, PIECES.size))
    assert numerals(values, PIECES).known(np.array([5.5])) == 1.0


def test_beyond_the_range_of_what_came_back_nothing_is_said(rng):
    written = numerals(rng.choice(np.arange(20.0, 60.0), PIECES.size), PIECES)
    assert np.isnan(written.known(np.array([61.0, 75.0, 30.0])))
    assert written.known(np.array([61.0, 30.0, 30.5])) == 0.5


def test_of_values_that_never_come_back_nothing_is_said(rng):
    assert numerals(rng.standard_normal(PIECES.size), PIECES).known(np.array([1e9])) == 1.0


def test_whatever_the_number_of_values_a_kilobyte_is_kept(rng):
    values = rng.geometric(0.002, 100_000).astype(float)
    assert 0 < len(numerals(values, np.arange(100_000) // 1000).filter) <= 1024


def test_decimals_are_seen_and_so_is_one_more_of_them(rng):
    written = numerals(np.round(rng.normal(50, 20, PIECES.size), 2), PIECES)
    calm = np.round(rng.normal(90, 20, 250), 2)  # of a hot week
    assert written.finer(calm) == 0
    assert min(written.finer(calm / 10), written.finer(calm / 60)) > 0.8
    assert written.off(last_digits(calm)) < 0.1
    assert written.off(last_digits(np.round(calm))) > 0.8


def test_nothing_but_zeros_is_written_in_no_way():
    assert numerals(np.zeros(PIECES.size), PIECES) is None
    assert numerals(np.full(PIECES.size, np.nan), PIECES) is None


def test_numbers_without_a_last_digit_are_never_finer(rng):
    written = numerals(rng.standard_normal(PIECES.size), PIECES)
    assert written.finer(rng.standard_normal(250) / 7) == 0
