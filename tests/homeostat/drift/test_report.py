import numpy as np
import pytest

from homeostat.contract.policies import DriftPolicy
from homeostat.drift.counts import Counter, WindowCounts
from homeostat.drift.performance import LossBlock
from homeostat.drift.report import judge_window
from homeostat.records import DriftStatus

POLICY = DriftPolicy()


def losses(mean, blocks=7, rows=200):
    made = []
    for wobble in np.linspace(-0.01, 0.01, blocks):
        block = LossBlock()
        block.add(np.full(rows, mean + wobble), np.full(rows, 0.3), np.full(rows, 0.3))
        made.append(block)
    return made


@pytest.fixture
def look(profile, rows):
    def judge(n=2000, shift=0.0, blocks=(), policy=POLICY, spoil=None):
        columns, scores = rows(n, seed=9, shift=shift)
        if spoil:
            spoil(columns)
        window = WindowCounts(Counter(profile))
        window.add_columns(columns, scores)
        return judge_window(window, blocks, policy)

    return judge


def test_calm_rows_are_healthy_and_say_so(look):
    judgement = look()
    assert judgement.status is DriftStatus.HEALTHY
    assert "2,000 rows" in judgement.reasons[0]
    assert [score.name for score in judgement.features] == ["delay", "seats", "carrier"]
    assert judgement.prediction.name == "prediction"
    assert judgement.embedding.name == "embedding"


def test_a_shift_of_half_a_deviation_is_found_in_its_feature_and_in_the_score_alone(look):
    judgement = look(shift=0.5)
    assert judgement.status is DriftStatus.DRIFTED
    assert [score.name for score in judgement.features if score.drifted] == ["delay"]
    assert judgement.prediction.drifted


def test_the_reasons_name_the_worst_first_with_value_and_limit(look):
    def spoil(columns):
        columns[1][:] = 4
        columns[2][:] = "ZZ"

    judgement = look(shift=0.5, spoil=spoil)
    scores = {score.name: score for score in (*judgement.features, judgement.prediction, judgement.embedding)}
    worst = sorted((s for s in scores.values() if s.drifted and s.name != "embedding"), key=lambda s: -s.psi)
    assert [reason.split(":")[0] for reason in judgement.reasons[:3]] == [score.name for score in worst[:3]]
    assert f"{worst[0].psi:.3f}" in judgement.reasons[0]
    assert f"{worst[0].psi_limit:.3f}" in judgement.reasons[0]
    assert judgement.reasons[3] == "and 2 more"


def test_too_few_rows_are_unknown_however_far_they_moved(look):
    judgement = look(n=499, shift=3.0)
    assert judgement.status is DriftStatus.UNKNOWN
    assert judgement.reasons == ("499 rows in the window, 500 needed",)
    assert judgement.features == ()


def test_a_small_shift_is_not_flagged_however_certain_it_is(look):
    judgement = look(n=50_000, shift=0.05)
    assert judgement.status is DriftStatus.HEALTHY
    assert min(score.p_value for score in judgement.features) < 0.001


def test_a_category_never_seen_before_is_found(look):
    def spoil(columns):
        columns[2][:400] = "ZZ"

    assert [score.name for score in look(spoil=spoil).features if score.drifted] == ["carrier"]


def test_a_feature_gone_missing_is_found(look):
    def spoil(columns):
        columns[0][:400] = np.nan

    assert look(spoil=spoil).features[0].drifted


def test_a_loss_above_the_promise_is_drift_and_comes_first(look):
    judgement = look(blocks=losses(0.6))
    assert judgement.performance.degraded
    assert judgement.status is DriftStatus.DRIFTED
    assert judgement.reasons[0].startswith("loss 0.6000 on 1,400 mature rows, 0.5000 promised")


def test_a_certain_but_small_rise_of_the_loss_is_not_drift(look):
    judgement = look(blocks=losses(0.509, blocks=30), policy=DriftPolicy(false_discovery_rate=0.4))
    assert judgement.performance.p_value < 0.01
    assert not judgement.performance.degraded


def test_few_mature_rows_say_nothing_about_performance(look):
    assert look(blocks=losses(0.9, rows=50)).performance is None
