"""What the judge does when evidence comes late, one-sided, hardly or not at all."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from homeostat.adapters.memory import MemoryCases, MemoryRegistry, MemoryTelemetry
from homeostat.contract.model import Contract
from homeostat.ports import ModelPackage
from homeostat.records import Action, Arm, CanaryVerdict, Case, CaseState, Label, Outcome, Prediction
from homeostat.steps.join import JoinStep
from homeostat.steps.judge import JudgeStep

NOW = datetime(2013, 3, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
CONTRACT = Contract.model_validate(
    {
        "product": "toys",
        "event": {"entity": "shop", "fields": {"shop": "string", "colour": "string", "price": "number"}},
        "label": {"field": "returned", "delay": "6h", "maturity": "1d"},
        "features": {"price": {"field": "price"}, "colour": {"field": "colour"}},
        "canary": {"share": 0.1, "min_rows": 50, "max_duration": "3d", "watch": "3d", "slices": ["colour"]},
    }
)


@pytest.fixture
def judge() -> JudgeStep:
    registry, cases = MemoryRegistry(), MemoryCases()
    for request in ("first", "second"):
        registry.register(ModelPackage({}), request)
    registry.set_alias("champion", "1")
    registry.set_alias("challenger", "2")
    cases.save(Case(CaseState.CANARY, request_id="second", challenger="2", since=NOW))
    return JudgeStep(CONTRACT, registry, cases, MemoryTelemetry())


def answer(i: int, scores: dict[str, float], colour: str = "red") -> Prediction:
    time = NOW + i * HOUR / 12
    version = next(iter(scores), None)
    arm = Arm.CHAMPION if version else Arm.NONE
    score = scores.get(str(version))
    return Prediction(f"p{i}", str(i), f"e{i}", time, time, arm, version, score, 0.9, 1.0, (3.0, colour), scores)


def outcome(i: int, scores: dict[str, float], label: float | None, colour: str = "red") -> Outcome:
    time = NOW + i * HOUR / 12
    arm = Arm.CHAMPION if "1" in scores else Arm.NONE
    version = "1" if "1" in scores else None
    return Outcome(str(i), f"e{i}", time, time, label, arm, version, scores.get("1"), scores, slices=(colour,))


def verdicts(judge: JudgeStep, hours: int) -> list[CanaryVerdict]:
    found = [record for i in range(hours) for record in judge.tick(NOW + i * HOUR)]
    assert all(isinstance(record, CanaryVerdict) for record in found)
    return found  # type: ignore[return-value]


def test_a_challenger_that_fails_is_stopped_long_before_a_label_is_mature(judge: JudgeStep) -> None:
    judge.handle([answer(i, {"1": 0.5} if i % 4 else {"1": 0.5, "2": 0.5}) for i in range(100)], NOW)
    (verdict,) = verdicts(judge, 9)
    assert (verdict.action, verdict.version) == (Action.REJECT, "2")
    assert "failed to score 72 of 96 rows" in verdict.reason
    assert verdict.evidence["rows"] == 0


def test_a_challenger_whose_scores_collapsed_is_stopped_long_before_a_label_is_mature(judge: JudgeStep) -> None:
    scores = np.random.default_rng(1).uniform(0.1, 0.7, 200)
    judge.handle([answer(i, {"1": score, "2": 0.4}) for i, score in enumerate(scores.tolist())], NOW)
    (verdict,) = verdicts(judge, 17)
    assert verdict.action is Action.REJECT
    assert "nearly the same" in verdict.reason


def test_answers_alone_never_promote_however_many_there_are(judge: JudgeStep) -> None:
    judge.handle([answer(i, {"1": 0.5, "2": 0.5 + (i % 2) / 5}) for i in range(12 * 60)], NOW)
    assert verdicts(judge, 60) == []


def test_no_traffic_at_all_leaves_the_champion_when_the_time_is_up(judge: JudgeStep) -> None:
    (verdict,) = verdicts(judge, 97)
    assert verdict.action is Action.REJECT
    assert "only 0 rows in 0 blocks" in verdict.reason


def test_too_little_traffic_leaves_the_champion_when_the_time_is_up(judge: JudgeStep) -> None:
    judge.handle([outcome(i, {"1": 0.2, "2": 0.8}, 1.0) for i in range(0, 12 * 48, 12)], NOW)
    (verdict,) = verdicts(judge, 97)
    assert verdict.action is Action.REJECT
    assert "only 47 rows in 47 blocks" in verdict.reason


def test_a_champion_that_fails_gives_way_to_a_challenger_that_beats_the_label_rate(judge: JudgeStep) -> None:
    rng = np.random.default_rng(3)
    judge.handle(list(_of_failing_champion(rng, skill=0.4)), NOW)
    verdict = verdicts(judge, 30)[0]
    assert verdict.action is Action.PROMOTE
    assert verdict.evidence["champion_fallback_ratio"] == pytest.approx(0.9, abs=0.05)


def test_a_champion_that_fails_does_not_give_way_to_a_challenger_that_knows_nothing(judge: JudgeStep) -> None:
    judge.handle(list(_of_failing_champion(np.random.default_rng(3), skill=-0.2)), NOW)
    assert all(verdict.action is Action.REJECT for verdict in verdicts(judge, 30))


def test_labels_of_one_kind_that_come_early_are_no_evidence_before_the_others_can_have_come(judge: JudgeStep) -> None:
    rng = np.random.default_rng(5)
    join = JoinStep(CONTRACT, MemoryTelemetry())
    ones = rng.random(12 * 60) < 0.5
    for hour in range(
        60
    ):  # the challenger says more of everything: good for ones alone, which are known within an hour
        now, rows = NOW + (hour + 1) * HOUR, range(12 * hour, 12 * (hour + 1))
        join.handle([answer(i, {"1": 0.4 + (i % 5) / 100, "2": 0.6 + (i % 3) / 100}) for i in rows], now)
        join.handle([Label(str(i), now, 1.0) for i in rows if ones[i]], now)
        late = range(12 * max(hour - 23, 0), 12 * max(hour - 22, 0))
        join.handle([Label(str(i), now, 0.0) for i in late if not ones[i]], now)
        judge.handle(join.tick(now), now)
        assert judge.tick(now) == []


def test_an_outcome_says_which_slices_its_row_is_in() -> None:
    join = JoinStep(CONTRACT, MemoryTelemetry())
    join.handle([answer(0, {"1": 0.5}, "blue")], NOW)
    (released,) = join.tick(NOW + 25 * HOUR)
    assert isinstance(released, Outcome)
    assert released.slices == ("blue",)


def test_harm_to_one_colour_stops_a_challenger_that_is_better_on_the_whole(judge: JudgeStep) -> None:
    rows = []
    for i in range(12 * 40):
        label, blue = float(i // 2 % 2), i % 8 == 7
        champion, challenger = (0.6, 0.45) if blue else (0.6, 0.7)
        jitter = (i * 7 % 11) / 200
        said = {"1": champion - jitter / 2, "2": challenger - jitter}
        scores = said if label else {version: 1 - score for version, score in said.items()}
        rows.append(outcome(i, scores, label, "blue" if blue else "red"))
    judge.handle(rows, NOW)
    verdict = verdicts(judge, 41)[0]
    assert verdict.action is Action.REJECT
    assert "where colour blue" in verdict.reason
    assert verdict.evidence["worst_slices"][0]["slice"] == "colour blue"


def _of_failing_champion(rng: np.random.Generator, skill: float) -> Iterator[Outcome]:
    """Yield outcomes of which the champion scored a tenth; ``skill`` is how far the other leans to the label."""
    for i in range(12 * 29):
        label = float(rng.random() < 0.5)
        score = 0.5 + skill * (label - 0.5) + rng.normal() / 20
        yield outcome(i, {"2": score} if rng.random() < 0.9 else {"1": 0.5 + rng.normal() / 20, "2": score}, label)
