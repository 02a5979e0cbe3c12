"""What a spread of dependent rows has to know, each against the truth by repetition."""

import numpy as np
import pytest
from scipy.signal import lfilter

from homeostat.canary.spread import MIN_GROUPS, spread_of

RNG = np.random.default_rng(8)


def sd_of_mean(rows: np.ndarray, sums: np.ndarray) -> float:
    return float(np.sqrt(spread_of(rows, sums).variance.max(axis=0)[-1]))


def waves(n: int, carry: float) -> np.ndarray:
    return lfilter([np.sqrt(1 - carry**2)], [1, -carry], RNG.normal(size=n))


def ratio(make, repeats: int = 200) -> float:  # type: ignore[no-untyped-def]
    """Return the typical estimate relative to how far means of such streams truly scatter."""
    streams = [make() for _ in range(repeats)]
    means = [sums.sum() / rows.sum() for rows, sums in streams]
    return float(np.median([sd_of_mean(rows, sums) for rows, sums in streams]) / np.std(means))


def single(sums: np.ndarray, rows: float = 40.0) -> tuple[np.ndarray, np.ndarray]:
    return np.full((len(sums), 1), rows), sums[:, None]


def test_independent_rows_scatter_as_the_textbook_says() -> None:
    assert 0.95 < ratio(lambda: single(RNG.normal(size=300))) < 1.2


def test_rows_that_repeat_inside_a_block_prove_nothing_more() -> None:
    means = RNG.normal(size=40)
    assert sd_of_mean(*single(means * 400, 400)) == pytest.approx(sd_of_mean(*single(means * 40)))


@pytest.mark.parametrize("carry", [0.3, 0.5])
def test_what_is_carried_into_the_next_block_is_counted(carry: float) -> None:
    assert 0.85 < ratio(lambda: single(waves(300, carry))) < 1.3  # uncounted it would be 0.73 and 0.58


def test_what_lasts_for_many_blocks_shows_when_blocks_are_joined() -> None:
    long = lambda: single(waves(400, 0.9) + 2 * RNG.normal(size=400))  # noqa: E731
    assert 0.6 < ratio(long) < 1.3  # blocks alone would say less than half


def test_what_a_users_rows_have_in_common_is_counted() -> None:
    def stream() -> tuple[np.ndarray, np.ndarray]:
        rows = RNG.poisson(2 * RNG.pareto(2.0, 60) + 0.5, (100, 60)).astype(float)
        return rows, rows * RNG.normal(size=60) + np.sqrt(rows) * RNG.normal(size=rows.shape)

    assert 0.65 < ratio(stream) < 1.3  # few heavy users: Student with few degrees of freedom makes up for the rest


def test_a_handful_of_entities_is_no_sample_but_all_there_is() -> None:
    rows = np.full((60, MIN_GROUPS - 1), 5.0)
    each = np.arange(MIN_GROUPS - 1.0)
    noise = RNG.normal(size=rows.shape)
    same = sd_of_mean(rows, noise)
    assert sd_of_mean(rows, noise + rows * (each - each.mean())) == pytest.approx(same, rel=1e-6)


def test_uneven_blocks_are_worth_fewer_even_ones() -> None:
    even = np.full((40, 1), 50.0)
    uneven = np.where(np.arange(40)[:, None] % 10 == 0, 410.0, 10.0)
    sums = RNG.normal(size=(40, 1))
    assert spread_of(uneven, sums).freedom[0, -1] < 6
    assert spread_of(even, sums).freedom[0, -1] == pytest.approx(39)


def test_a_block_that_counts_for_nothing_changes_nothing() -> None:
    sums = RNG.normal(size=30)
    rows, column = single(sums)
    with_groups = spread_of(np.hstack([rows, 0 * rows]), np.hstack([column, 0 * column]))
    assert np.allclose(with_groups.variance, spread_of(rows, column).variance)
