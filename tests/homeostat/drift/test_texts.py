import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.contract.policies import DriftPolicy
from homeostat.drift.counts import Counter, WindowCounts
from homeostat.drift.profile import Profile, build_profile
from homeostat.drift.report import judge_window
from homeostat.drift.texts import BUCKETS, MANY, text_reference

ROWS = 20_000
POLICY = DriftPolicy(min_rows=100)


def names(rng, rows, kinds=5000, prefix="part"):
    """Texts of which the first few are common and thousands are rare."""
    return [f"{prefix}-{k:05d}" for k in np.minimum(rng.zipf(1.3, rows), kinds)]


def learnt(cells):
    frame = pl.DataFrame({"name": cells, "kind": [cell and cell[-1] for cell in cells]})
    scores = np.random.default_rng(1).random(len(cells))
    texts = frozenset({"name", "kind"})
    return build_profile(frame, ("name", "kind"), texts, scores, expected_loss=0.5, seed=1)


@pytest.fixture(scope="module")
def profile():
    return learnt([None, *names(np.random.default_rng(0), ROWS)])


def old(profile):
    """The profile as a release wrote it that knew no texts."""
    return Profile.from_bytes(profile.to_bytes().replace(b'"texts"', b'"of_another_release"'))


def seen(profile, cells):
    window = WindowCounts(Counter(profile))
    window.add([(cell, cell and cell[-1]) for cell in cells], np.random.default_rng(2).random(len(cells)).tolist())
    return window


def judged(profile, cells):
    return judge_window(seen(profile, cells), (), POLICY).features[0]


def test_only_a_column_of_many_texts_has_lengths_and_a_tail(profile):
    assert list(profile.texts) == [0]
    text = profile.texts[0]
    assert len(text.counts) == text.lengths.size + BUCKETS
    assert sum(text.counts[text.lengths.size :]) == pytest.approx(profile.counts[0][-2])


def test_up_to_many_texts_are_categories():
    profile = learnt([f"c{k % MANY}" for k in range(1000)])
    assert profile.texts == {}


def test_a_profile_written_before_there_were_texts_still_counts_and_judges(profile):
    score = judged(old(profile), names(np.random.default_rng(3), 2000))
    assert not score.drifted
    assert score.ks is None


def test_texts_survive_the_bytes_of_the_profile(profile):
    assert Profile.from_bytes(profile.to_bytes()) == profile


def test_calm_texts_stay_calm(profile):
    assert not judged(profile, names(np.random.default_rng(4), 3000)).drifted


def test_longer_texts_are_seen_by_their_length_alone(profile):
    cells = [f"{cell}-{cell}" if k % 2 else cell for k, cell in enumerate(names(np.random.default_rng(5), 3000))]
    score = judged(profile, cells)
    assert score.drifted
    assert score.ks > 0.4


def test_a_change_within_the_tail_is_seen_that_one_bin_of_others_hides(profile):
    rng = np.random.default_rng(6)
    common = set(profile.columns[0].categories)
    cells = ["part-04711" if cell not in common else cell for cell in names(rng, 3000)]
    assert judged(profile, cells).drifted
    assert not judged(old(profile), cells).drifted


@given(st.integers(0, 300))
def test_merged_stretches_count_as_one(cut):
    profile = learnt(names(np.random.default_rng(0), 2000))
    cells = [None, *names(np.random.default_rng(7), 299)]
    whole, parts = seen(profile, cells), [seen(profile, cells[:cut]), seen(profile, cells[cut:])]
    parts[0].merge(parts[1])
    assert np.array_equal(whole.texts[0], parts[0].texts[0])


def test_lists_and_series_are_counted_alike(profile):
    cells, text = ["part-00001", None, "new text", "ü" * 9], profile.texts[0]
    tail = np.array([False, False, True, True])
    counts = text.counted(cells, tail)
    assert np.array_equal(counts, text.counted(pl.Series(cells), tail))
    assert (counts[: text.lengths.size].sum(), counts[text.lengths.size :].sum()) == (4, 2)


def test_a_bucket_is_the_same_in_every_release(profile):
    text = profile.texts[0]
    counts = text.counted(["part-04711"], np.array([True]))
    assert int(counts[text.lengths.size :].argmax()) == 9


def test_numbers_are_no_texts(profile):
    assert text_reference(profile.columns[-1], np.arange(1000.0), np.zeros(1000, int), np.ones(1000)) is None
