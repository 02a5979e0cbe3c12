"""A shadow scores a sample of the rows: what it is spared costs nothing, and says nothing of it."""

from datetime import timedelta

import numpy as np
import pytest

from homeostat.adapters.memory import MemoryRegistry, MemoryTelemetry
from homeostat.adapters.memory_features import MemoryOnlineFeatures
from homeostat.canary.memory import CanaryMemory
from homeostat.canary.trial import Health
from homeostat.codec import decode, encode
from homeostat.contract.policies import CanaryPolicy
from homeostat.records import Arm, Label, Outcome, Prediction
from homeostat.steps.join import JoinStep
from homeostat.steps.predict import PredictStep
from tests.homeostat.steps.predicting import CONTRACT, T0, rows, serve, trained

POLICY = CanaryPolicy(steps=[0.0, 0.25, 1.0], shadow_sample=0.2)


def answered(share: float, count: int = 400, hour: int = 0) -> tuple[list[Prediction], str, str]:
    registry = MemoryRegistry()
    champion, challenger = serve(registry, "champion", trained(1)), serve(registry, "challenger", trained(2))
    registry.set_alias("challenger", challenger, share)
    contract = CONTRACT.model_copy(update={"canary": POLICY})
    step = PredictStep(contract, registry, MemoryOnlineFeatures(), MemoryTelemetry())
    found = [p for p in step.handle(rows(count, hour), T0) if isinstance(p, Prediction)]
    return found, champion, challenger


def test_it_scores_its_sample_of_rows_in_their_order_and_the_champion_answers_all() -> None:
    whole, *_ = answered(0.25)
    found, champion, challenger = answered(0.0)
    assert {(p.arm, p.version, p.fallback) for p in found} == {(Arm.CHAMPION, champion, None)}
    scored = [challenger in p.scores for p in found]
    assert 0.1 < np.mean(scored) < 0.3
    assert [p.spared == (challenger,) for p in found] == [not one for one in scored]
    for all_scored, sampled in zip(whole, found, strict=True):
        assert sampled.scores.items() <= all_scored.scores.items()  # each row got its own score


def test_it_scores_other_rows_of_an_entity_at_another_time_and_the_same_when_asked_again() -> None:
    (first, _, challenger), (again, *_), (later, *_) = answered(0.0), answered(0.0), answered(0.0, hour=1)
    picked, repeated, others = ({p.entity_id for p in run if challenger in p.scores} for run in (first, again, later))
    assert picked == repeated
    assert picked & others < picked


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_with_traffic_it_scores_every_row(share: float) -> None:
    found, champion, challenger = answered(share)
    assert all(set(p.scores) == {champion, challenger} and not p.spared for p in found)


def test_a_batch_without_a_row_of_its_sample_is_not_put_before_it() -> None:
    found, champion, challenger = answered(0.0, count=1)  # e0-0 is beyond it
    assert [(set(p.scores), p.spared, p.fallback) for p in found] == [({champion}, (challenger,), None)]


def test_the_judge_reads_off_both_topics_that_what_it_was_spared_is_no_failure_and_no_row_of_the_comparison() -> None:
    (first, champion, challenger), (later, *_) = answered(0.0), answered(0.0, hour=9)  # the newest block is incomplete
    answers = [decode("predictions", *encode(one)) for one in (*first, *later)]
    labels = [Label(one.event_id, T0 + timedelta(hours=10), 1.0) for one in (*first, *later)]
    join = JoinStep(CONTRACT, MemoryTelemetry())
    join.handle([*answers, *labels], T0)
    outcomes = [decode("outcomes", *encode(one)) for one in join.tick(T0 + timedelta(days=3))]
    sample = sum(challenger in one.scores for one in first)
    for come in (answers, []):  # an outcome alone says the same
        memory = CanaryMemory(POLICY, "log_loss")
        memory.follow(one for one in come if isinstance(one, Prediction))
        memory.fold(one for one in outcomes if isinstance(one, Outcome))
        trial = memory.trial(champion, challenger, T0 - timedelta(days=1))
        assert (trial.rival, trial.incumbent) == (Health(scored=sample), Health(scored=len(first)))
        assert trial.paired.row_count == sample > 0


@pytest.mark.parametrize("policy", [{}, {"share": 0.3}, {"steps": [0.05, 1.0]}])
def test_a_sample_without_a_shadow_is_refused(policy: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="share of a shadow's rows: expected steps: that begin with 0"):
        CanaryPolicy.model_validate({**policy, "shadow_sample": 0.5})
