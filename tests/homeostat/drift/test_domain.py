from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from homeostat.contract.policies import DriftPolicy
from homeostat.drift.cells import CellCoder
from homeostat.drift.counts import Counter, WindowCounts
from homeostat.drift.domain import _area, domain_reference, domain_test
from homeostat.drift.profile import Profile, build_profile
from homeostat.drift.report import judge_window
from homeostat.records import Attribution

WEEK, DAY = timedelta(days=7), timedelta(days=1)
START, A_DAY, WEEKS = datetime(2030, 1, 7, tzinfo=UTC), 60, 8


def rows(seed, days, start=0, tie=0.0, weather=0.0):
    """Two normal columns, the second tied to the first; a text; the days' weather is a shift of the first."""
    rng = np.random.default_rng([seed, start])
    n = days * A_DAY
    first, noise = rng.standard_normal((2, n))
    second = tie * first + np.sqrt(1 - tie**2) * noise
    first += np.repeat(weather * rng.standard_normal(days), A_DAY)
    return pl.DataFrame(
        {
            "first": first,
            "second": np.where(rng.random(n) < 0.02, np.nan, second),
            "kind": rng.choice(["a", "b"], n),
            "event_time": [START + start * DAY + k * DAY / A_DAY for k in range(n)],
        }
    )


def learnt(**how):
    frame = rows(0, 7 * WEEKS, **how)
    scores = np.random.default_rng(1).random(frame.height)
    texts = frozenset({"kind"})
    profile = build_profile(frame, ("first", "second", "kind"), texts, scores, expected_loss=0.5, seed=1, window=WEEK)
    return replace(profile, domain=domain_reference(profile.columns[:-1], frame, None, WEEK, 1))


@pytest.fixture(scope="module")
def profile():
    return learnt()


def told(profile, frame):
    coder = CellCoder(profile.columns[:-1])
    times = frame["event_time"].dt.epoch("us").to_numpy() / 1e6
    return domain_test(profile.domain, coder, coder.matrix([frame[name] for name in profile.features], times), WEEK)


def test_calm_rows_are_not_told_from_the_reference(profile):
    tests = [told(profile, rows(seed, 7, start=70)) for seed in range(1, 9)]
    assert all(abs(test.auc - 0.5) < 0.08 for test in tests)
    assert min(test.p_value for test in tests) > 0.005


def test_a_tie_that_no_column_shows_is_told_and_its_columns_are_named(profile):
    test = told(profile, rows(1, 7, start=70, tie=0.9))
    assert test.auc > test.limit(0.001)
    assert test.effect > 0.1
    assert set(list(test.carried)[:2]) == {"first", "second"}
    assert sum(test.carried.values()) == pytest.approx(1.0)


def test_what_days_share_counts_as_calm():
    weather = learnt(weather=2.0)
    test = told(weather, rows(1, 7, start=70, weather=2.0))
    assert test.p_value > 0.01
    assert test.limit(0.01) > told(learnt(), rows(1, 7, start=70)).limit(0.01)


def test_a_window_is_not_held_against_its_neighbours_which_may_be_like_it(profile):
    frame, effects = rows(0, 7 * WEEKS), []
    for spells in (np.repeat([-1.5, -0.5, 0.5, 1.5], 2), np.tile([-1.5, -0.5, 0.5, 1.5], 2)):
        weather = pl.Series(np.repeat(spells, 7 * A_DAY))
        told = domain_reference(profile.columns[:-1], frame.with_columns(pl.col("first") + weather), None, WEEK, 1)
        effects.append(told.design.effect)
    together, apart = effects  # each week has one of its kind: beside it, or a month off
    assert together > 1.2 * apart


def test_the_limit_is_where_the_p_value_reaches_the_level(profile):
    test = told(profile, rows(1, 7, start=70))
    assert replace(test, auc=test.limit(0.01)).p_value == pytest.approx(0.01, rel=1e-6)


def test_the_same_rows_give_the_same_answer_and_survive_the_profile_s_bytes(profile):
    stored, frame = Profile.from_bytes(profile.to_bytes()), rows(2, 7, start=70, tie=0.5)
    assert stored == profile == learnt()
    assert told(stored, frame) == told(profile, frame)


def test_too_short_a_training_knows_no_calm_window(profile):
    frame = rows(0, 1)[:3]
    assert domain_reference(profile.columns[:-1], frame, None, WEEK, 1) is None


def test_rows_of_a_single_block_are_not_judged(profile):
    assert told(profile, rows(1, 7, start=70)[:0]) is None


def judged(profile, frame, **policy):
    window = WindowCounts(Counter(profile))
    window.add_columns([frame[name] for name in profile.features], np.random.default_rng(5).random(frame.height))
    return judge_window(window, (), DriftPolicy(min_rows=100, **policy), domain=told(profile, frame))


def test_the_look_has_it_under_the_same_rate_with_its_reason(profile):
    judgement = judged(profile, rows(1, 7, start=70, tie=0.9))
    assert judgement.domain.drifted
    assert "a classifier tells the rows from the reference's: AUC 0." in judgement.reasons[-1]
    assert not judged(profile, rows(1, 7, start=70)).domain.drifted


def test_it_is_silent_where_harmless_features_carry_it(profile):
    idle = replace(profile, attribution=(Attribution(0.0, 0.0),) * 2 + (Attribution(1.0, 0.1),))
    judgement = judged(idle, rows(1, 7, start=70, tie=0.9), harmless_share=0.01)
    assert judgement.domain.drifted
    assert not any("classifier" in reason for reason in judgement.reasons)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2).filter(lambda each: len({y for _, y in each}) > 1)
)
def test_the_area_is_scikit_learn_s(pairs):
    scores, labels = np.array([s for s, _ in pairs], dtype=float), np.array([y for _, y in pairs])
    assert _area(scores, labels) == pytest.approx(roc_auc_score(labels, scores))
