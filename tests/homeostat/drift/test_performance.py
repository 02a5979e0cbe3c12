import numpy as np
import pytest

from homeostat.contract.losses import row_losses
from homeostat.drift.performance import LossBlock, announced_loss, loss_test


def blocks(slopes, rows=400, seed=1, spread=1.0, metric="log_loss"):
    """Blocks of a model whose log-odds are ``spread`` wide and hold true up to a factor, one a block."""
    rng = np.random.default_rng(seed)
    made = []
    for slope in slopes:
        margins = rng.normal(-1, spread, rows)
        scores = 1 / (1 + np.exp(-margins))
        truth = scores + (slope - 1) * scores * (1 - scores) * margins  # a slope to first order
        labels = (rng.uniform(size=rows) < truth).astype(float)
        block = LossBlock()
        block.add(row_losses(metric, labels, scores), scores, labels)
        made.append(block)
    return made


def test_scores_that_promise_more_than_they_hold_are_significant():
    test = loss_test(blocks([0.0] * 7))
    assert test.log_loss > test.announced
    assert test.p_value < 0.001


def test_scores_that_hold_what_they_promise_are_not():
    assert loss_test(blocks([1.0] * 7)).p_value > 0.05


def test_rows_that_became_harder_to_tell_apart_are_no_decay():
    easy, hard = loss_test(blocks([1.0] * 7, spread=3.0)), loss_test(blocks([1.0] * 7, spread=0.3))
    assert hard.log_loss > 1.3 * easy.log_loss
    assert hard.p_value > 0.05


def test_timid_scores_are_never_significant():
    assert loss_test(blocks([2.0] * 7)).p_value > 0.95


def test_blocks_that_disagree_prove_nothing_however_many_rows_they_hold():
    assert loss_test(blocks([2.4, -0.4, 2.4, -0.4], rows=100_000)).p_value > 0.1


def test_one_block_gives_no_p_value():
    assert loss_test(blocks([0.0])).p_value == 1.0


def test_no_labelled_rows_give_no_test():
    assert loss_test([LossBlock(outcomes=50)]) is None


def test_blocks_without_labels_count_for_nothing():
    made = blocks([0.5] * 5)
    assert loss_test([*made, LossBlock(outcomes=9)]) == loss_test(made)


def test_the_loss_is_in_the_unit_of_the_objective_and_the_test_in_nats():
    nats, squares = loss_test(blocks([0.5] * 5)), loss_test(blocks([0.5] * 5, metric="brier"))
    assert squares.loss < nats.loss == nats.log_loss == squares.log_loss
    assert squares.p_value == nats.p_value


def test_the_calibration_error_is_mean_score_minus_label_rate():
    block = LossBlock()
    block.add(np.full(100, 0.36), np.full(100, 0.3), np.zeros(100))
    assert loss_test([block, block]).calibration_error == pytest.approx(0.3)


def test_scores_of_zero_and_one_stay_finite():
    block = LossBlock()
    block.add(np.zeros(2), np.array([0.0, 1.0]), np.array([1.0, 1.0]))
    assert np.isfinite(loss_test([block, block]).log_loss)


def test_the_false_alarm_rate_holds_when_rows_of_a_block_share_their_luck():
    rng = np.random.default_rng(0)
    p_values = [loss_test(blocks(1 + 0.3 * rng.standard_normal(7), seed=i)).p_value for i in range(1000)]
    assert 0.03 < np.mean(np.asarray(p_values) < 0.05) < 0.07


def rarer(share, rows=400, seed=1):
    """Seven blocks in which labels are ``share`` times as frequent as the scores say, everything else as before."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(7):
        scores = 1 / (1 + np.exp(-rng.normal(-1, 0.5, rows)))
        block, labels = LossBlock(), (rng.uniform(size=rows) < share * scores).astype(float)
        block.add(row_losses("log_loss", labels, scores), scores, labels)
        made.append(block)
    return made


def test_labels_that_became_rarer_lower_the_loss_and_are_found_by_the_mean_score():
    test = loss_test(rarer(0.6))
    assert test.log_loss < test.announced
    assert test.p_value > 0.9
    assert test.calibration_p_value < 0.001
    assert test.calibration_error > 0


def test_the_gain_is_what_a_shift_of_all_log_odds_saves():
    rng = np.random.default_rng(3)
    margins = rng.normal(-1, 0.5, 200_000)
    scores, truth = 1 / (1 + np.exp(-margins)), 1 / (1 + np.exp(-margins + 0.3))
    labels = (rng.uniform(size=margins.size) < truth).astype(float)
    saved = np.mean(row_losses("log_loss", labels, scores) - row_losses("log_loss", labels, truth))
    block = LossBlock()
    block.add(row_losses("log_loss", labels, scores), scores, labels)
    assert loss_test([block]).calibration_gain == pytest.approx(saved, rel=0.15)


def test_a_mean_score_that_is_right_is_significant_as_often_as_the_level_says():
    p_values = [loss_test(rarer(1.0, rows=100, seed=i)).calibration_p_value for i in range(1000)]
    assert 0.03 < np.mean(np.asarray(p_values) < 0.05) < 0.07


@pytest.mark.parametrize("metric", ["log_loss", "brier"])
def test_the_interval_of_the_announced_loss_holds_the_loss_that_labels_show_later(metric):
    rng = np.random.default_rng(4)
    centres, held = np.linspace(0.02, 0.98, 33), 0
    for _ in range(400):
        places = rng.integers(0, 33, 1000)
        scores = centres[places]
        estimate = announced_loss(metric, centres, np.bincount(places, minlength=33))
        labels = (rng.uniform(size=1000) < scores).astype(float)
        held += estimate.low <= row_losses(metric, labels, scores).mean() <= estimate.high
    assert held / 400 > 0.93


def test_no_rows_announce_no_loss():
    assert announced_loss("brier", np.array([0.5]), np.zeros(1)) is None
