import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.drift.design import INDEPENDENT, Design, Distances, estimate

CALM = Design(between=0.01, rows=1000.0, windows=8.0, shape=3.0, rest=7.0)


def simulate(rng, windows, between, dimensions=4, rows=1000):
    """Windows that differ by ``between`` beyond chance in every dimension, each against the mean of the others."""
    points = rng.standard_normal((windows, dimensions)) * np.sqrt(between + 1 / rows)
    gaps = points - (points.sum(axis=0) - points) / (windows - 1)
    ones = np.ones(windows)
    chance = ones * (1 / rows + 1 / rows / (windows - 1))
    return Distances(np.sum(gaps**2, axis=1), dimensions * ones, chance, rows * ones, ones, points)


@pytest.mark.parametrize("between", [0.01, 0.1])
def test_the_variance_between_windows_is_found_without_bias(between):
    rng = np.random.default_rng(0)
    found = [estimate(simulate(rng, 8, between)).between for _ in range(400)]
    assert np.mean(found) == pytest.approx(between, rel=0.06)


def test_windows_nearer_than_chance_are_as_good_as_independent_rows_never_better():
    rng = np.random.default_rng(1)
    assert min(estimate(simulate(rng, 8, 0.0)).effect for _ in range(50)) == 1.0


def test_a_new_window_exceeds_the_limit_as_often_as_it_may():
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(2000):
        windows = simulate(rng, 9, 0.05)
        points, new = windows.points[:8], windows.points[8]
        gaps = points - (points.sum(axis=0) - points) / 7
        ones = np.ones(8)
        seen = Distances(np.sum(gaps**2, axis=1), 4 * ones, ones * 8 / 7000, 1000 * ones, ones, points)
        design = estimate(seen)
        distance = np.sum((new - points.mean(axis=0)) ** 2)
        alarms += distance > design.limit(0.05, 4) * 4 * design.scale(8000, 1000)
    assert 0.01 < alarms / 2000 < 0.055


def test_windows_that_differ_in_one_way_have_one_degree_of_freedom():
    one_way = np.outer(np.random.default_rng(3).standard_normal(8), np.ones(10))
    ones = np.ones(8)
    assert estimate(Distances(ones, ones, ones / 100, 100 * ones, ones, one_way)).shape == pytest.approx(1.0)


def test_windows_that_differ_most_in_one_way_keep_its_heavy_tail():
    ways = np.array([0.63, *np.full(8, 0.37 / 8)])
    rng = np.random.default_rng(6)
    points = rng.standard_normal((40_000, 9)) * np.sqrt(ways)
    seen, ones = np.sum(points**2, axis=1), np.ones(40_000)
    design = estimate(Distances(seen, 9 * ones, ones / 900, 100 * ones, ones, points))
    for level in (0.05, 0.01, 0.002):
        beyond = np.mean(seen > design.limit(level, 9))
        assert beyond == pytest.approx(level, rel=0.15)  # twice as many lie beyond Satterthwaite's last limit


def test_windows_that_hardly_count_in_the_reference_hardly_count_here():
    rng = np.random.default_rng(4)
    seen = simulate(rng, 10, 0.01)
    spoiled = np.where(np.arange(10) < 2, 100.0, seen.squared)
    mass = np.where(np.arange(10) < 2, 1e-9, 1.0)
    design = estimate(Distances(spoiled, seen.degrees, seen.chance, seen.rows, mass, seen.points))
    assert design.between < 0.1
    assert design.windows == pytest.approx(8)


def test_parts_of_windows_make_windows_with_a_seventh_of_their_variance():
    seen = simulate(np.random.default_rng(5), 14, 0.07)
    part, whole = estimate(seen), estimate(seen, parts=7)
    assert whole.between == pytest.approx(part.between / 7)
    assert (whole.rows, whole.windows, whole.rest) == (pytest.approx(7000), pytest.approx(2), pytest.approx(13))


def test_independent_rows_have_the_scale_of_their_counts():
    assert INDEPENDENT.scale(1000, 100) == pytest.approx(0.011)
    assert INDEPENDENT.effect == 1.0


def test_more_rows_than_usual_do_not_make_a_window_less_of_its_time():
    assert CALM.scale(1e9, 1e9) == pytest.approx(0.01 * (1 + 1 / 8))


def test_a_window_of_half_the_rows_is_twice_as_uncertain():
    assert CALM.scale(1e12, 500) - 0.01 / 8 == pytest.approx(2 * (CALM.scale(1e12, 1000) - 0.01 / 8), rel=1e-6)


@given(st.floats(1e-6, 0.5), st.integers(1, 50), st.sampled_from([INDEPENDENT, CALM]))
def test_the_limit_is_where_the_tail_reaches_the_level(alpha, degrees, design):
    assert design.tail(design.limit(alpha, degrees), degrees) == pytest.approx(alpha, rel=1e-6)


def test_few_windows_raise_the_limit():
    assert CALM.limit(0.001, 15) > Design(0.01, 1000.0, 50.0, 3.0, 49.0).limit(0.001, 15)


def test_without_dimensions_nothing_is_significant():
    assert CALM.tail(5.0, 0) == INDEPENDENT.tail(5.0, 0) == 1.0
