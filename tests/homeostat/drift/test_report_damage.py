"""Damage first: how what a feature is to the champion orders the reasons of a report, and silences what is harmless."""

from dataclasses import replace

import pytest

from homeostat.contract.policies import DriftPolicy
from homeostat.drift.counts import Counter, WindowCounts
from homeostat.drift.report import judge_window
from homeostat.records import Attribution, DriftStatus

VITAL, IDLE = Attribution(share=0.9, worth=0.1), Attribution(share=0.002, worth=0.0001)


@pytest.fixture
def look(profile, rows):
    def judge(attribution, policy=None):
        columns, scores = rows(2000, seed=9, shift=0.5 if attribution[0] is VITAL else 0.0)
        columns[1][:] = 4
        window = WindowCounts(Counter(replace(profile, attribution=attribution)))
        window.add_columns(columns, scores)
        return judge_window(window, (), policy or DriftPolicy())

    return judge


def test_the_feature_of_the_most_damage_is_named_before_the_one_that_moved_most(look):
    judgement = look((VITAL, IDLE, IDLE))
    delay, seats, _ = judgement.features
    assert seats.psi > delay.psi
    assert delay.damage > seats.damage
    names = [reason.split(":")[0] for reason in judgement.reasons if not reason.startswith("prediction")]
    assert names[:2] == ["delay", "seats"]
    assert f"90.0% of the model, may cost {delay.damage:.4f}" in judgement.reasons[0]


def test_drift_of_a_harmless_feature_is_reported_and_silent_where_the_contract_says_so(look):
    policy = DriftPolicy(harmless_share=0.01)
    judgement = look((IDLE, IDLE, VITAL), policy)
    assert judgement.features[1].drifted
    assert judgement.embedding.drifted
    assert judgement.status is DriftStatus.HEALTHY


def test_by_default_no_feature_is_harmless(look):
    assert look((IDLE, IDLE, VITAL)).status is DriftStatus.DRIFTED


def test_new_and_vanished_categories_are_reported_by_their_shares(profile, rows):
    columns, scores = rows(2000, seed=9)
    columns[2] = ["ZZ" if text == "DL" else text for text in columns[2]]
    window = WindowCounts(Counter(profile))
    window.add_columns(columns, scores)
    told = judge_window(window, (), DriftPolicy()).features[2].distances
    assert told["new"] == pytest.approx(0.2, abs=0.03)
    assert told["vanished"] == pytest.approx(0.2, abs=0.03)
