from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from homeostat.adapters.memory import MemoryCases, MemoryRegistry, MemoryTelemetry
from homeostat.contract.model import Contract
from homeostat.metric_names import CANARY_LOSS_DIFFERENCE, CANARY_ROWS, STEP_CPU, TRAINING_CPU, TRAININGS
from homeostat.ports import ModelPackage
from homeostat.records import Action, Arm, CanaryVerdict, Case, CaseState, Outcome, TrainingRun, TrainingStatus
from homeostat.steps.judge import JudgeStep

NOW = datetime(2013, 3, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
CONTRACT = Contract.model_validate(
    {
        "product": "toys",
        "event": {"entity": "shop", "fields": {"shop": "string", "price": "number"}},
        "label": {"field": "returned", "delay": "6h", "maturity": "1d"},
        "features": {"price": {"field": "price"}},
        "canary": {"share": 0.1, "min_rows": 50, "max_duration": "3d", "watch": "3d"},
    }
)


class World:
    def __init__(self) -> None:
        self.registry, self.cases, self.telemetry = MemoryRegistry(), MemoryCases(), MemoryTelemetry()
        for request in ("first", "second", "third"):
            self.registry.register(ModelPackage({}), request)

    def step(self) -> JudgeStep:
        return JudgeStep(CONTRACT, self.registry, self.cases, self.telemetry)

    def canary(self) -> None:
        self.registry.set_alias("champion", "1")
        self.registry.set_alias("challenger", "2")
        self.cases.save(Case(CaseState.CANARY, request_id="second", challenger="2", since=NOW))

    def watch(self) -> None:
        self.registry.set_alias("champion", "2")
        self.registry.set_alias("previous", "1")
        self.cases.save(Case(champion="2", previous="1", serving_entry="entry", serving_since=NOW))


@pytest.fixture
def world() -> World:
    return World()


def run(status: TrainingStatus, version: str | None) -> TrainingRun:
    return TrainingRun("run", "second", status, version, "the receipt says so", 3.0, NOW, {"winner": "decay"})


def outcomes(champion: float | None, challenger: float, served: str = "1", hours: int = 12) -> list[Outcome]:
    rows = []
    for i in range(6 * hours):
        time = NOW + i * HOUR / 6
        scores = {"1": champion, "2": challenger - (i % 7) / 200}
        known = {version: score for version, score in scores.items() if score is not None}
        label = float(i % 2)
        if not label:  # as surely scored as the others
            known = {version: 1 - score for version, score in known.items()}
        rows.append(Outcome(f"o{i}", "e", time, time, label, Arm.CHAMPION, served, known.get(served), known))
    return rows


def only(records: list) -> CanaryVerdict:
    (verdict,) = records
    assert isinstance(verdict, CanaryVerdict)
    return verdict


def test_a_candidate_starts_a_canary(world: World) -> None:
    world.registry.set_alias("champion", "1")
    verdict = only(world.step().handle([run(TrainingStatus.CANDIDATE, "2")], NOW))
    assert (verdict.action, verdict.version) == (Action.START, "2")
    assert verdict.evidence["receipt"] == {"winner": "decay"}


def test_the_first_champion_is_promoted_on_its_offline_gates(world: World) -> None:
    verdict = only(world.step().handle([run(TrainingStatus.CANDIDATE, "2")], NOW))
    assert verdict.action is Action.PROMOTE
    assert "first champion: offline gates passed" in verdict.reason


def test_the_first_champions_run_delivered_again_asks_for_the_same(world: World) -> None:
    first = only(world.step().handle([run(TrainingStatus.CANDIDATE, "2")], NOW))
    world.registry.set_alias("champion", "2")
    assert only(world.step().handle([run(TrainingStatus.CANDIDATE, "2")], NOW)) == first


@pytest.mark.parametrize("status", [TrainingStatus.FAILED, TrainingStatus.NOTHING_BETTER])
def test_a_training_without_a_candidate_travels_like_a_rejection(world: World, status: TrainingStatus) -> None:
    verdict = only(world.step().handle([run(status, None)], NOW))
    assert (verdict.action, verdict.version, verdict.request_id) == (Action.REJECT, None, "second")
    assert verdict.reason == f"{status.value.replace('_', ' ')}: the receipt says so"


def counted(world: World) -> tuple[float | None, ...]:
    """Trainings that failed, CPU seconds of trainings, and those of the step, which the bill is made of."""
    tell = world.telemetry.value
    cpu_s = tell(TRAINING_CPU, product="toys"), tell(STEP_CPU, product="toys", step="train")
    return tell(TRAININGS, product="toys", status="failed"), *cpu_s


def test_a_training_is_counted_once_with_its_cpu_time_wherever_it_ran(world: World) -> None:
    step = world.step()
    assert counted(world) == (0, None, None)
    step.handle([run(TrainingStatus.FAILED, None)], NOW)
    assert counted(world) == (1, 3, 3)
    step.handle([run(TrainingStatus.FAILED, None)], NOW)  # the batch comes again
    assert counted(world) == (1, 3, 3)
    step.handle([replace(run(TrainingStatus.FAILED, None), run_id="another")], NOW)
    assert counted(world) == (2, 6, 6)


def test_trainings_of_before_a_restart_are_not_counted_again(world: World) -> None:
    step = world.step()
    step.restore([run(TrainingStatus.FAILED, None)], NOW)
    step.handle([run(TrainingStatus.FAILED, None)], NOW)
    assert counted(world) == (0, None, None)


@pytest.mark.parametrize(("challenger", "action"), [(0.7, Action.PROMOTE), (0.5, Action.REJECT)])
def test_paired_outcomes_decide_a_canary(world: World, challenger: float, action: Action) -> None:
    world.canary()
    step = world.step()
    step.handle(outcomes(0.6, challenger), NOW)
    verdict = only(step.tick(NOW + 13 * HOUR))
    assert (verdict.action, verdict.version, verdict.request_id) == (action, "2", "second")
    assert verdict.evidence["champion"] == "1"


def test_a_verdict_is_given_once(world: World) -> None:
    world.canary()
    step = world.step()
    step.handle(outcomes(0.6, 0.7), NOW)
    first = only(step.tick(NOW + 13 * HOUR))
    assert step.tick(NOW + 14 * HOUR) == []
    assert only(step.tick(NOW + 38 * HOUR)).verdict_id == first.verdict_id  # it seems to be lost


def test_a_restored_judge_gives_the_same_verdict(world: World) -> None:
    world.canary()
    first, second = world.step(), world.step()
    first.handle(outcomes(0.6, 0.7), NOW)
    second.restore(outcomes(0.6, 0.7)[:40], NOW)
    second.handle(outcomes(0.6, 0.7)[30:], NOW)
    assert first.tick(NOW + 13 * HOUR) == second.tick(NOW + 13 * HOUR)


def test_a_look_without_new_blocks_is_not_counted(world: World) -> None:
    world.canary()
    step = world.step()
    for i in range(20):
        step.tick(NOW + i * HOUR / 60)
    step.handle(outcomes(0.6, 0.7), NOW)
    assert only(step.tick(NOW + 13 * HOUR)).evidence["looks"] == 2


def test_a_canary_ends_when_the_rows_of_its_longest_span_are_mature(world: World) -> None:
    world.canary()
    step = world.step()
    assert step.tick(NOW + 96 * HOUR - HOUR) == []
    assert only(step.tick(NOW + 96 * HOUR)).action is Action.REJECT


def test_a_challenger_that_never_scores_is_rejected(world: World) -> None:
    world.canary()
    step = world.step()
    rows = [
        Outcome(f"o{i}", "e", NOW + i * HOUR / 6, None, None, Arm.CHAMPION, "1", 0.5, {"1": 0.5}) for i in range(80)
    ]
    step.handle(rows, NOW)
    verdict = only(step.tick(NOW + 14 * HOUR))
    assert verdict.action is Action.REJECT
    assert "failed to score" in verdict.reason


def test_a_challenger_taken_away_by_hand_is_not_judged(world: World) -> None:
    world.canary()
    world.registry.set_alias("challenger", None)
    step = world.step()
    step.handle(outcomes(0.6, 0.7), NOW)
    assert step.tick(NOW + 13 * HOUR) == []


def test_a_promoted_model_worse_than_the_previous_one_is_rolled_back(world: World) -> None:
    world.watch()
    step = world.step()
    step.handle([run(TrainingStatus.CANDIDATE, "2")], NOW)
    step.handle(outcomes(0.7, 0.6, served="2"), NOW)
    verdict = only(step.tick(NOW + 13 * HOUR))
    assert (verdict.action, verdict.version, verdict.request_id) == (Action.ROLLBACK, "2", "second")
    assert verdict.evidence["previous"] == "1"


def test_outcomes_from_the_canary_do_not_excuse_harm_after_the_promotion(world: World) -> None:
    world.watch()
    step = world.step()
    before = [
        Outcome(f"c{i}", "e", NOW - (i + 1) * HOUR / 6, None, 1.0, Arm.CHAMPION, "1", 0.1, {"1": 0.1, "2": 0.9})
        for i in range(200)
    ]
    step.handle(before[::-1] + outcomes(0.7, 0.6, served="2"), NOW)
    assert only(step.tick(NOW + 13 * HOUR)).action is Action.ROLLBACK


def test_after_the_watch_the_previous_model_is_out_of_the_race(world: World) -> None:
    world.watch()
    step = world.step()
    step.handle(outcomes(0.7, 0.6, served="2"), NOW)
    assert step.tick(NOW + 97 * HOUR) == []


def test_a_restored_previous_champion_is_not_watched_against_itself(world: World) -> None:
    world.watch()
    world.registry.set_alias("champion", "1")
    step = world.step()
    step.handle(outcomes(0.7, 0.6), NOW)
    assert step.tick(NOW + 13 * HOUR) == []


def test_the_canarys_progress_is_measured(world: World) -> None:
    world.canary()
    step = world.step()
    step.handle(outcomes(0.6, 0.7, hours=3), NOW)
    step.tick(NOW + 4 * HOUR)
    assert world.telemetry.value(CANARY_ROWS, product="toys") == 12
    assert (world.telemetry.value(CANARY_LOSS_DIFFERENCE, product="toys") or 0) < 0
