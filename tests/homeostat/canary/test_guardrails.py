from dataclasses import replace

import numpy as np
import pytest

from homeostat.canary.evidence import Paired
from homeostat.canary.guardrails import breach, worst_slices
from homeostat.canary.trial import BINS, Health, Shift, Trial
from homeostat.canary.verdict import judge_canary
from homeostat.contract.policies import CanaryPolicy
from homeostat.records import Action

POLICY = CanaryPolicy(max_score_shift=0.3)
FINE = Health(scored=2000)


def rows(
    blocks: int = 60, size: int = 40, *, champion: float = 0.25, challenger: float = 0.25, harm: float = 0.0
) -> Paired:
    rng = np.random.default_rng(11)
    each = np.full((blocks, 1), float(size))
    labels = rng.binomial(size, 0.25, (blocks, 1)).astype(float)
    loss = 0.5 * each + rng.normal(size=(blocks, 1))
    rival = loss + harm * each + rng.normal(size=(blocks, 1))
    return Paired(each, labels, loss, rival, champion * each, challenger * each)


def shift(challenger: np.ndarray, champion: np.ndarray, blocks: int = 60) -> Shift:
    """Return the label-free evidence of scores, shape (n,) each, dealt out to blocks in turn."""
    place = np.arange(len(champion)) % blocks
    bins = [np.zeros((blocks, 1, BINS)) for _ in range(2)]
    for counts, scores in zip(bins, (champion, challenger), strict=True):
        np.add.at(counts, (place, 0, (scores * BINS).astype(int)), 1)
    difference = np.bincount(place, challenger - champion, blocks)
    rows = np.bincount(place, minlength=blocks)[:, None].astype(float)
    return Shift(rows, difference[:, None], *bins, 0 * rows)


@pytest.mark.parametrize(("challenger", "word"), [(0.45, "high"), (0.05, "low")])
def test_a_challenger_far_off_the_label_rate_is_stopped(challenger: float, word: str) -> None:
    assert f"predicts too {word}" in str(breach(Trial(rows(challenger=challenger)), POLICY))


@pytest.mark.parametrize(("champion", "challenger"), [(0.45, 0.25), (0.45, 0.05), (0.25, 0.28), (0.35, 0.17)])
def test_a_challenger_hardly_further_off_than_the_champion_is_not(champion: float, challenger: float) -> None:
    assert breach(Trial(rows(champion=champion, challenger=challenger)), POLICY) is None


def test_a_challenger_that_says_the_same_of_every_row_is_stopped_before_any_label() -> None:
    scores = np.random.default_rng(1).beta(1, 3, 4000)
    found = judge_canary(Trial(shift=shift(np.full(4000, 0.26), scores)), POLICY, looks=1, expired=False)
    assert (found.action, found.guardrail) == (Action.REJECT, True)
    assert "100.0% of the rows nearly the same, about 0.275" in found.reason


@pytest.mark.parametrize(("late", "stopped"), [(0.05, True), (0.005, False), (-0.05, False)])
def test_a_challenger_by_which_more_rows_are_late_than_by_the_champion_is_stopped_before_any_label(
    late: float, *, stopped: bool
) -> None:
    scores = np.random.default_rng(1).beta(1, 3, 4000)
    seen = shift(scores, scores)
    found = breach(Trial(shift=replace(seen, slower=late * seen.rows)), POLICY)
    assert (found is not None) == stopped
    assert not stopped or "5.0% more rows later than sla.latency_ms" in str(found)


def test_one_pause_of_the_machine_is_no_proof_against_a_challenger() -> None:
    scores = np.random.default_rng(1).beta(1, 3, 4000)
    seen = shift(scores, scores)
    one = np.zeros_like(seen.rows)
    one[7] = seen.rows[7]  # 1.7 % of all rows
    assert breach(Trial(shift=replace(seen, slower=one)), POLICY) is None


def test_a_challenger_that_scores_far_higher_than_the_champion_is_stopped_before_any_label() -> None:
    rng = np.random.default_rng(2)
    assert "higher than the champion" in str(
        breach(Trial(shift=shift(rng.beta(6, 4, 4000), rng.beta(2, 8, 4000))), POLICY)
    )


def test_scores_that_moved_with_the_base_rate_are_no_breach() -> None:
    rng = np.random.default_rng(2)
    assert breach(Trial(shift=shift(rng.beta(3.5, 6.5, 4000), rng.beta(2, 8, 4000))), POLICY) is None


def test_scores_near_zero_are_no_breach_where_events_are_rare() -> None:
    rng = np.random.default_rng(2)
    assert breach(Trial(shift=shift(rng.beta(1, 200, 4000), rng.beta(1, 100, 4000))), POLICY) is None


def test_a_champion_that_fails_is_no_measure_of_how_scores_should_lie() -> None:
    scores = np.random.default_rng(1).beta(1, 3, 4000)
    moved = shift(scores, np.full(4000, 0.99))
    assert breach(Trial(shift=moved), POLICY) is not None
    assert breach(Trial(incumbent=Health(scored=100, failed=1900), shift=moved), POLICY) is None


def test_harm_in_one_slice_stops_a_challenger_that_is_better_on_the_whole() -> None:
    slices = {"colour red": rows(harm=-0.1), "colour blue": rows(harm=0.3)}
    trial = Trial(rows(harm=-0.06), FINE, FINE, slices=slices)
    found = judge_canary(trial, CanaryPolicy(slices=["colour"]), looks=1, expired=False)
    assert (found.action, found.guardrail) == (Action.REJECT, True)
    assert "worse than the champion by over 20% where colour blue" in found.reason
    assert [one["slice"] for one in found.evidence["worst_slices"]] == ["colour blue", "colour red"]


def test_a_slice_of_a_few_rows_says_nothing() -> None:
    assert breach(Trial(slices={"colour blue": rows(size=5, harm=0.3)}), POLICY) is None


def test_the_worst_slices_are_named_first_and_empty_ones_are_not() -> None:
    slices = {str(i): rows(harm=0.01 * i) for i in range(5)}
    empty = replace(rows(), rows=np.zeros((60, 1)))
    assert [one["slice"] for one in worst_slices(Trial(slices=slices | {"none": empty}))] == ["4", "3", "2"]


def test_what_guardrails_may_err_is_taken_from_what_a_rollback_may() -> None:
    policy = CanaryPolicy(alpha=0.05, rollback_alpha=0.1, guardrail_share=0.25)
    assert policy.guardrail_alpha + policy.harm_alpha == pytest.approx(0.1)
    assert policy.guardrail_alpha == pytest.approx(0.025)
