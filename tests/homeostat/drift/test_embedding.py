import numpy as np
import polars as pl

from homeostat.drift.counts import Counter, WindowCounts
from homeostat.drift.embedding import _bin_scores, embedding_test
from homeostat.drift.profile import build_profile


def correlated(rows, rho, seed):
    rng = np.random.default_rng(seed)
    x, noise = rng.standard_normal((2, rows))
    return [x, rho * x + np.sqrt(1 - rho**2) * noise]


def look(rho, rows=2000, missing=0):
    reference = correlated(20_000, 0.0, seed=1)
    frame = pl.DataFrame(dict(zip("xy", reference, strict=True)))
    profile = build_profile(frame, ("x", "y"), frozenset(), np.full(20_000, 0.5), expected_loss=0.5, seed=5)
    window = WindowCounts(Counter(profile))
    columns = correlated(rows, rho, seed=2)
    columns[0][:missing] = np.nan
    window.add_columns(columns, np.full(rows, 0.5))
    test = embedding_test(profile.embedding, window.embedding, window.rows)
    assert test is not None
    return test


def test_a_changed_correlation_is_seen_though_no_column_changed():
    test = look(rho=0.8)
    assert test.p_value < 1e-6
    assert test.effect > 0.1


def test_calm_rows_stay_below_the_limit():
    test = look(rho=0.0)
    assert test.distance < test.limit(0.01)
    assert test.effect < 0.02


def test_values_gone_missing_are_seen():
    assert look(rho=0.0, missing=500).effect > 0.1


def test_the_limit_is_where_the_p_value_reaches_the_level():
    test = look(rho=0.0)
    at = type(test)(test.limit(0.01), test.scale, test.directions, test.reference_rows)
    assert abs(at.p_value - 0.01) < 1e-6


def test_a_reference_without_spread_gives_no_test():
    frame = pl.DataFrame({"x": np.ones(100)})
    profile = build_profile(frame, ("x",), frozenset(), np.full(100, 0.5), expected_loss=0.5, seed=5)
    assert embedding_test(profile.embedding, np.zeros(64), 10) is None


def test_weights_that_do_not_add_up_to_the_last_digit_give_a_score_for_each_bin():
    # The running sum of these ends above their sum, so the middle rank of the empty last bin would be above 1.
    counts = np.array([1.9, 0.8, 0.1, 0.0, 2.4, 2.7, 1.8, 2.2, 1.6, 0.0])
    assert np.cumsum(counts)[-1] > counts.sum()
    scores = _bin_scores(np.append(counts, 0.0))
    assert np.isfinite(scores).all()
    assert scores[-2] == scores.max()
