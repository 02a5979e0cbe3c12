import numpy as np
import pytest

from homeostat.drift.performance import LossBlock, loss_test


def blocks(means, rows=100):
    made = []
    for mean in means:
        block = LossBlock()
        block.add(np.full(rows, mean), np.full(rows, 0.3), np.zeros(rows))
        made.append(block)
    return made


def test_a_loss_above_the_promise_in_every_block_is_significant():
    test = loss_test(blocks([0.60, 0.61, 0.59, 0.60]), expected=0.5)
    assert test.loss == pytest.approx(0.6)
    assert test.p_value < 0.001


def test_blocks_that_disagree_prove_nothing_however_many_rows_they_hold():
    assert loss_test(blocks([0.3, 0.8, 0.4, 0.7], rows=100_000), expected=0.5).p_value > 0.1


def test_a_lower_loss_is_never_significant():
    assert loss_test(blocks([0.40, 0.41, 0.39]), expected=0.5).p_value > 0.99


def test_an_uncertain_promise_weakens_the_evidence():
    firm, vague = (loss_test(blocks([0.60, 0.61, 0.59]), 0.5, se) for se in (0.0, 0.1))
    assert vague.p_value > firm.p_value


def test_one_block_gives_no_p_value():
    assert loss_test(blocks([0.9]), expected=0.5).p_value == 1.0


def test_no_labelled_rows_give_no_test():
    assert loss_test([LossBlock(outcomes=50)], expected=0.5) is None


def test_the_calibration_error_is_mean_score_minus_label_rate():
    assert loss_test(blocks([0.5, 0.5]), expected=0.5).calibration_error == pytest.approx(0.3)


def test_the_false_alarm_rate_holds_when_rows_of_a_block_share_their_luck():
    rng = np.random.default_rng(0)
    p_values = [loss_test(blocks(0.5 + 0.05 * rng.standard_normal(7)), 0.5).p_value for _ in range(1000)]
    assert 0.03 < np.mean(np.asarray(p_values) < 0.05) < 0.07
