import numpy as np
import pytest

from homeostat.drift.discovery import level_in_force
from homeostat.drift.sparse import SparseCounts, sparse_bins, sparse_tests

FEATURES, SET = 300, 20


def drawn(rows, seed, shift=0.0, rarer=1.0):
    """Rows that set 20 of 300 features; the first one moves or becomes rarer."""
    rng = np.random.default_rng(seed)
    features = np.argsort(rng.random((rows, FEATURES)), axis=1)[:, :SET].ravel()
    values = rng.standard_normal(features.size) + shift * (features == 0)
    kept = (features != 0) | (rng.random(features.size) < rarer)
    return features[kept], values[kept], rows


@pytest.fixture(scope="module")
def reference():
    rows = drawn(20_000, seed=0)
    counts = SparseCounts(sparse_bins(rows[0], rows[1], FEATURES))
    counts.add(*rows)
    return counts


def found(reference, rows):
    live = SparseCounts(reference.bins)
    live.add(*rows)
    p_values = [test.p_value for test in sparse_tests(reference, live)]
    level = level_in_force(p_values, 0.01)
    return [j for j, p in enumerate(p_values) if p <= level]


def test_every_row_counts_once_for_every_feature(reference):
    assert {reference.column(j).sum() for j in range(FEATURES)} == {20_000.0}


def test_calm_rows_raise_nothing(reference):
    assert found(reference, drawn(5000, seed=5)) == []


def test_a_feature_that_moved_is_found(reference):
    assert found(reference, drawn(5000, seed=2, shift=1.0)) == [0]


def test_a_feature_that_is_set_less_often_is_found(reference):
    assert found(reference, drawn(5000, seed=3, rarer=0.5)) == [0]


def test_parts_merged_are_the_whole(reference):
    features, values, rows = drawn(1000, seed=4)
    whole, first, second = (SparseCounts(reference.bins) for _ in range(3))
    whole.add(features, values, rows)
    first.add(features[:5000], values[:5000], 400)
    second.add(features[5000:], values[5000:], 600)
    first.merge(second)
    assert first.rows == whole.rows
    assert (first.counts == whole.counts).all()


def test_a_feature_never_seen_before_is_found():
    bins = sparse_bins(np.array([1, 1]), np.array([0.0, 1.0]), size=2)
    before, now = SparseCounts(bins), SparseCounts(bins)
    before.add(np.array([1] * 500), np.linspace(0, 1, 500), 500)
    now.add(np.array([0] * 250 + [1] * 500), np.linspace(0, 1, 750), 500)
    assert sparse_tests(before, now)[0].p_value < 1e-6
