from datetime import timedelta

import numpy as np
import pytest

from homeostat.canary.evidence import BlockSums
from homeostat.canary.verdict import Finding, Health, bounds, judge_canary, judge_watch, rows_needed
from homeostat.contract.policies import CanaryPolicy
from homeostat.records import Action

FINE = Health(scored=2000)


def paired(difference: float, blocks: int = 60, rows: int = 40, sd: float = 0.2) -> BlockSums:
    noise = np.random.default_rng(3).normal(size=blocks)
    noise = (noise - noise.mean()) / noise.std() * sd * np.sqrt(rows)
    champion = np.full(blocks, 0.5 * rows)
    return BlockSums(np.full(blocks, rows), champion, champion + difference * rows + noise)


def judged(
    sums: BlockSums, health: Health = FINE, *, margin: float = 0.0, expired: bool = False, min_rows: int = 500
) -> Finding:
    return judge_canary(sums, CanaryPolicy(margin=margin, min_rows=min_rows), health, looks=7, expired=expired)


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
    assert judged(paired(0.0), margin=0.1).action is Action.PROMOTE


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


def test_a_canary_without_any_row_is_rejected_when_its_time_is_up() -> None:
    nothing = BlockSums(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))
    assert judged(nothing, Health()).action is None
    assert judged(nothing, Health(), expired=True).action is Action.REJECT


def test_a_challenger_that_fails_too_often_is_rejected_whatever_its_losses() -> None:
    found = judged(paired(-0.05), Health(scored=900, failed=100))
    assert found.action is Action.REJECT
    assert "failed to score 100 of 1000 rows" in found.reason


def test_failures_on_a_handful_of_rows_decide_nothing() -> None:
    assert judged(paired(0.0), Health(scored=1, failed=3)).action is None


def test_a_healthy_challenger_is_never_promoted_without_labels() -> None:
    nothing = BlockSums(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))
    assert judged(nothing, Health(scored=1_000_000)).action is None


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
        needed.append(rows_needed(found, policy, 0.0))
    assert needed == sorted(needed, key=lambda n: n or 0)
    assert needed[0] is not None
    assert 2400 <= needed[0] < 4000


def test_no_difference_at_all_needs_rows_without_end() -> None:
    policy = CanaryPolicy()
    found = bounds(paired(0.0), policy)
    assert found is not None
    assert rows_needed(found, policy, 0.0) is None


def test_a_promoted_model_that_does_harm_is_rolled_back() -> None:
    assert judge_watch(paired(+0.05), CanaryPolicy(), looks=1).action is Action.ROLLBACK


@pytest.mark.parametrize("difference", [0.0, -0.05])
def test_a_promoted_model_without_proven_harm_stays(difference: float) -> None:
    assert judge_watch(paired(difference), CanaryPolicy(), looks=1).action is None


def test_a_span_in_the_reason_is_the_policys() -> None:
    policy = CanaryPolicy(max_duration=timedelta(days=3))
    assert "3 days" in judge_canary(paired(0.0), policy, FINE, looks=1, expired=True).reason
