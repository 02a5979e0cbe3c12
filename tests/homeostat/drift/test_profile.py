import numpy as np
import polars as pl
import pytest

from homeostat.drift.profile import Profile, build_profile
from homeostat.errors import ModelError, NotEnoughDataError


def build(weights=None, rows=500, seed=0):
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame({"x": rng.standard_normal(rows), "c": rng.choice(["a", "b"], rows)})
    return build_profile(frame, ("x", "c"), frozenset({"c"}), rng.random(rows), weights, expected_loss=0.4, seed=7)


def test_it_survives_its_own_bytes(profile):
    assert Profile.from_bytes(profile.to_bytes()) == profile


def test_the_same_rows_and_seed_give_the_same_bytes():
    assert build().to_bytes() == build().to_bytes()


def test_every_column_counts_every_row(profile):
    assert [sum(counts) for counts in profile.counts] == pytest.approx([20_000] * 4)
    assert profile.features == ("delay", "seats", "carrier")


def test_weighted_rows_count_as_their_effective_number():
    weights = np.r_[np.full(250, 1.0), np.full(250, 0.0)]
    profile = build(weights)
    assert profile.rows == pytest.approx(250)
    assert [sum(counts) for counts in profile.counts] == pytest.approx([250] * 3)


def test_missing_values_have_a_bin_of_their_own():
    frame = pl.DataFrame({"x": [1.0, None, 3.0, None]})
    profile = build_profile(frame, ("x",), frozenset(), np.full(4, 0.5), None, expected_loss=0.4, seed=0)
    assert profile.counts[0][-1] == 2


def test_other_bytes_are_refused_with_the_file_name():
    with pytest.raises(ModelError, match=r"profile\.json"):
        Profile.from_bytes(b'{"columns": 3}')


def test_no_rows_are_refused():
    with pytest.raises(NotEnoughDataError):
        build(rows=0)
