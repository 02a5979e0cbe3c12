import numpy as np
import pytest

from homeostat.contract.losses import row_losses
from homeostat.contract.policies import DriftPolicy
from homeostat.drift.counts import Counter, WindowCounts
from homeostat.drift.performance import LossBlock
from homeostat.drift.report import judge_window
from homeostat.records import DriftStatus

POLICY = DriftPolicy()


def losses(surprise, blocks=7, rows=200, spread=0.01):
    """Blocks of a model that says 0.3 of rows whose labels are 0.3, plus what makes the log loss higher by so much."""
    slope = np.log(0.7 / 0.3)  # of the log loss by the label
    made = []
    for wobble in np.linspace(-spread, spread, blocks):
        block, labels = LossBlock(), np.full(rows, 0.3 + (surprise + wobble) / slope)
        block.add(row_losses("log_loss", labels, np.full(rows, 0.3)), np.full(rows, 0.3), labels)
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


def test_a_loss_above_what_the_scores_announce_is_drift_and_comes_first(look):
    judgement = look(blocks=losses(0.1), shift=0.5)
    assert judgement.performance.degraded
    assert judgement.status is DriftStatus.DRIFTED
    assert judgement.reasons[0] == "loss 0.7109 on 1,400 mature rows, 0.6109 announced by the scores (+16.4%)"


def test_a_loss_above_the_promise_alone_is_no_drift(look):
    judgement = look(blocks=losses(0.0))
    assert judgement.performance.loss > 1.2 * judgement.performance.expected_loss
    assert judgement.status is DriftStatus.HEALTHY


def test_the_loss_has_half_of_the_rate_to_itself_however_many_features_there_are(look):
    policy = DriftPolicy(false_discovery_rate=0.02, watch_calibration=False)
    judgement = look(blocks=losses(0.0137, spread=0.015), policy=policy)
    assert 0.02 / 6 < judgement.performance.p_value < 0.02 / 2
    assert judgement.performance.degraded


def test_a_certain_but_small_rise_of_the_loss_is_not_drift(look):
    judgement = look(blocks=losses(0.009, blocks=30), policy=DriftPolicy(false_discovery_rate=0.4))
    assert judgement.performance.p_value < 0.01
    assert not judgement.performance.degraded


def test_few_mature_rows_say_nothing_about_performance(look):
    assert look(blocks=losses(0.9, rows=50)).performance is None


def off(gap, rows=200):
    """Blocks of a model that says 0.3 of rows whose labels are rarer by ``gap``."""
    made = []
    for wobble in np.linspace(-0.01, 0.01, 7):
        block, labels = LossBlock(), np.full(rows, 0.3 - gap + wobble)
        block.add(row_losses("log_loss", labels, np.full(rows, 0.3)), np.full(rows, 0.3), labels)
        made.append(block)
    return made


def test_a_pure_fall_of_the_label_rate_is_drift_although_the_loss_falls_too(look):
    judgement = look(blocks=off(0.1))
    assert judgement.performance.loss < 0.6109
    assert judgement.performance.degraded
    assert judgement.status is DriftStatus.DRIFTED
    assert judgement.reasons == (
        "the mean score lies 0.1000 above the label rate; setting it right saves 3.9% of the log loss",
    )


def test_a_mean_score_that_is_certainly_but_hardly_off_is_no_drift(look):
    judgement = look(blocks=off(0.05))
    assert judgement.performance.calibration_p_value < 1e-4
    assert judgement.status is DriftStatus.HEALTHY


def test_the_mean_score_can_be_left_unwatched(look):
    assert look(blocks=off(0.1), policy=DriftPolicy(watch_calibration=False)).status is DriftStatus.HEALTHY


def test_a_report_says_what_loss_the_scores_announce(look, profile, rows):
    estimate = look(n=5000).estimate
    scores = rows(5000, seed=9)[1]
    entropy = -np.mean(scores * np.log(scores) + (1 - scores) * np.log(1 - scores))
    assert estimate.rows == 5000
    assert estimate.loss == pytest.approx(entropy, abs=0.002)  # bins hold a range of scores
    assert estimate.low < estimate.loss < estimate.high


def test_every_column_has_its_further_distances(look):
    judgement = look(shift=0.5)
    assert judgement.features[0].distances["wasserstein"] == pytest.approx(0.5, abs=0.1)
    assert {score.name for score in judgement.features if "wasserstein" in score.distances} == {"delay", "seats"}
    assert all(0 < score.distances["jensen_shannon"] < 1 for score in judgement.features)
