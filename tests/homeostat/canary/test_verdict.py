from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from homeostat.canary.evidence import Paired, nothing
from homeostat.canary.trial import Health, Shift, Trial
from homeostat.canary.verdict import Finding, bounds, judge_canary, judge_watch, rows_needed
from homeostat.contract.policies import CanaryPolicy
from homeostat.records import Action

FINE = Health(scored=2000)
DOWN = Health(scored=300, failed=700)


def paired(difference: float, blocks: int = 60, rows: int = 40, sd: float = 0.2, rate: float = 0.25) -> Paired:
    noise = np.random.default_rng(3).normal(size=(blocks, 1))
    noise = (noise - noise.mean()) / noise.std() * sd * np.sqrt(rows)
    each = np.full((blocks, 1), float(rows))
    return Paired(each, rate * each, 0.5 * each, 0.5 * each + difference * each + noise, 0.25 * each, 0.25 * each)


def judged(
    rows: Paired,
    rival: Health = FINE,
    *,
    incumbent: Health = FINE,
    margin: float = 0.0,
    expired: bool = False,
    min_rows: int = 500,
) -> Finding:
    trial = Trial(rows, rival, incumbent)
    return judge_canary(trial, CanaryPolicy(margin=margin, min_rows=min_rows), looks=7, expired=expired)


def test_a_clear_gain_is_promoted() -> None:
    assert judged(paired(-0.05)).action is Action.PROMOTE


def test_a_clear_harm_is_rejected() -> None:
    found = judged(paired(+0.05))
    assert found.action is Action.REJECT
    assert "worse than the champion" in found.reason


def test_no_difference_is_looked_at_again() -> None:
    assert judged(paired(0.0)).action is None


def test_a_harm_is_not_promoted_because_the_margin_is_wide() -> None:
    assert judged(paired(+0.05), margin=0.4).action is Action.REJECT


def test_with_a_margin_an_equal_challenger_is_promoted() -> None:
    found = judged(paired(0.0), margin=0.1)
    assert found.action is Action.PROMOTE
    assert "not worse than the champion by 0.05" in found.reason


def test_a_margin_on_a_loss_that_swings_is_known_less_well() -> None:
    calm = paired(0.0)
    swings = np.resize([0.6, -0.6], (60, 1)) * calm.incumbent_loss
    restless = replace(calm, incumbent_loss=calm.incumbent_loss + swings, rival_loss=calm.rival_loss + swings)
    policy = CanaryPolicy(margin=0.1)
    first, second = bounds(calm, policy), bounds(restless, policy)
    assert first is not None
    assert second is not None
    assert second.upper > first.upper
    assert second.lower == pytest.approx(first.lower)


def test_the_same_gain_on_too_few_rows_decides_nothing() -> None:
    found = judged(paired(-0.05), min_rows=10_000)
    assert found.action is None
    assert "2400 of 10000 rows" in found.reason


def test_the_same_gain_in_too_few_blocks_decides_nothing() -> None:
    found = judged(paired(-0.05, blocks=9, rows=1000))
    assert found.action is None
    assert "9 of 10 blocks" in found.reason


def test_nothing_proven_when_the_time_is_up_is_a_rejection() -> None:
    found = judged(paired(0.0), expired=True)
    assert found.action is Action.REJECT
    assert "nothing proven within 14 days" in found.reason


def test_a_gain_proven_at_the_last_look_still_counts() -> None:
    assert judged(paired(-0.05), expired=True).action is Action.PROMOTE


def test_a_canary_without_any_row_waits_and_is_rejected_when_its_time_is_up() -> None:
    assert judged(nothing(), Health()).action is None
    found = judged(nothing(), Health(), expired=True)
    assert found.action is Action.REJECT
    assert "only 0 rows in 0 blocks" in found.reason


def test_a_challenger_that_fails_too_often_is_rejected_whatever_its_losses() -> None:
    found = judged(paired(-0.05), DOWN)
    assert (found.action, found.guardrail) == (Action.REJECT, True)
    assert "failed to score 700 of 1000 rows" in found.reason


@pytest.mark.parametrize(("ratio", "action"), [(0.1, Action.REJECT), (0.021, None)])
def test_a_challenger_that_fails_now_and_then_is_rejected_once_that_is_certain(
    ratio: float, action: Action | None
) -> None:
    rng = np.random.default_rng(5)
    seen, failed = np.full((60, 1), 40.0), rng.binomial(40, ratio, (60, 1)).astype(float)
    health = Health(int(2400 - failed.sum()), int(failed.sum()))
    trial = Trial(paired(0.0), health, FINE, Shift(seen=seen, incumbent_failed=0 * seen, rival_failed=failed))
    assert health.is_failing(CanaryPolicy())
    assert judge_canary(trial, CanaryPolicy(), looks=1, expired=False).action is action
    as_bad = replace(trial, incumbent=health, shift=replace(trial.shift, incumbent_failed=failed[::-1]))
    assert judge_canary(as_bad, CanaryPolicy(), looks=1, expired=False).action is None


def test_failures_of_one_hour_are_no_proof_against_a_challenger() -> None:
    seen, failed = np.full((60, 1), 40.0), np.zeros((60, 1))
    failed[7:9] = 40  # 3.3 % of all rows
    trial = Trial(paired(0.0), Health(2320, 80), FINE, Shift(seen=seen, incumbent_failed=0 * seen, rival_failed=failed))
    assert judge_canary(trial, CanaryPolicy(), looks=1, expired=False).action is None


def test_a_challenger_is_not_blamed_for_rows_that_the_champion_fails_on_as_often() -> None:
    assert judged(paired(-0.05), DOWN, incumbent=DOWN).action is Action.PROMOTE


def test_failures_on_a_handful_of_rows_decide_nothing() -> None:
    assert judged(paired(0.0), Health(scored=1, failed=3)).action is None


def test_a_healthy_challenger_is_never_promoted_without_labels() -> None:
    found = judged(nothing(), Health(scored=1_000_000), incumbent=Health(scored=1, failed=999_999))
    assert found.action is None
    assert "1000000 scored" in found.reason


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_a_gain_on_labels_of_one_kind_alone_is_not_promoted(rate: float) -> None:
    rows = replace(paired(-0.05), labels=rate * paired(-0.05).rows)
    rows = replace(rows, incumbent_score=rows.labels, rival_score=rows.labels)
    found = judged(rows)
    assert found.action is None
    assert "waiting for others" in found.reason


def test_a_harm_on_labels_of_one_kind_alone_is_reason_to_stop() -> None:
    assert judged(paired(+0.05, rate=0.0)).action is Action.REJECT


def test_the_evidence_says_what_the_verdict_rests_on() -> None:
    evidence = judged(paired(-0.05)).evidence
    assert evidence["rows"] == 2400
    assert evidence["blocks"] == 60
    assert evidence["champion_loss"] == pytest.approx(0.5)
    assert evidence["challenger_loss"] == pytest.approx(0.45)
    assert evidence["mean_difference"] == pytest.approx(-0.05)
    assert evidence["lower"] < -0.05 < evidence["upper"] < 0
    assert evidence["looks"] == 7


def test_the_rows_still_needed_grow_as_the_gain_shrinks() -> None:
    policy = CanaryPolicy()
    needed = []
    for gain in (-0.02, -0.01, -0.005):
        found = bounds(paired(gain), policy)
        assert found is not None
        needed.append(rows_needed(found)[0])
    assert needed == sorted(needed, key=lambda n: n or 0)
    assert needed[0] is not None
    assert 2400 <= needed[0] < 5000


def test_a_cautious_reckoning_of_the_rows_needed_asks_for_more() -> None:
    found = bounds(paired(-0.008), CanaryPolicy())
    assert found is not None
    likely, cautious = rows_needed(found)
    assert likely is not None
    assert cautious is not None
    assert cautious > likely


def test_no_difference_at_all_needs_rows_without_end() -> None:
    found = bounds(paired(0.0), CanaryPolicy())
    assert found is not None
    assert rows_needed(found) == (None, None)


def test_a_promoted_model_that_does_harm_is_rolled_back() -> None:
    assert judge_watch(Trial(paired(+0.05)), CanaryPolicy(), looks=1).action is Action.ROLLBACK


@pytest.mark.parametrize("difference", [0.0, -0.05])
def test_a_promoted_model_without_proven_harm_stays(difference: float) -> None:
    assert judge_watch(Trial(paired(difference)), CanaryPolicy(), looks=1).action is None


def test_a_promoted_model_that_stops_to_answer_is_rolled_back_before_any_label() -> None:
    found = judge_watch(Trial(nothing(), DOWN, FINE), CanaryPolicy(), looks=1)
    assert (found.action, found.guardrail) == (Action.ROLLBACK, True)


def test_a_chance_set_for_rollbacks_leaves_promotions_as_they_are() -> None:
    plain, wary = (bounds(paired(-0.01), p) for p in (CanaryPolicy(), CanaryPolicy(rollback_alpha=0.001)))
    assert plain is not None
    assert wary is not None
    assert wary.lower < plain.lower
    assert wary.upper == plain.upper


def test_a_span_in_the_reason_is_the_policys() -> None:
    policy = CanaryPolicy(max_duration=timedelta(days=3))
    assert "3 days" in judge_canary(Trial(paired(0.0), FINE, FINE), policy, looks=1, expired=True).reason
