import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from homeostat.adapters.memory import MemoryRegistry
from homeostat.codec import decode, encode
from homeostat.contract.model import Contract
from homeostat.drift.profile import Profile
from homeostat.errors import TransientError
from homeostat.ports import ModelPackage, ModelRegistry
from homeostat.records import (
    DriftReport,
    DriftStatus,
    FeatureRow,
    Outcome,
    RetrainRequest,
    Span,
    TrainingRun,
    TrainingStatus,
)
from homeostat.steps.train import TrainStep
from homeostat.training.models import load_model

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START + timedelta(days=31)
REQUEST = RetrainRequest("r1", NOW, "d1", "drifted twice", None, None, 5)


class FakeOffline:
    """A store of labelled rows that counts how often it is asked."""

    def __init__(self, rows: int = 1200, label: float | None = None) -> None:
        rng = np.random.default_rng(0)
        a, noise = rng.normal(size=(2, rows))
        y = (rng.uniform(size=rows) < 1 / (1 + np.exp(-2 * a))).astype(float)
        times = [START + timedelta(days=float(day)) for day in np.sort(rng.uniform(0, 30, rows))]
        self.frame = pl.DataFrame({"event_id": [str(i) for i in range(rows)], "event_time": times, "label": y})
        self.frame = self.frame.with_columns(
            pl.col("label") if label is None else pl.lit(label).alias("label"), a=pl.Series(a), noise=pl.Series(noise)
        )
        self.asked = 0

    def write_features(self, rows: list[FeatureRow]) -> None: ...

    def write_outcomes(self, outcomes: list[Outcome]) -> None: ...

    def training_frame(self, until: datetime) -> pl.DataFrame:
        self.asked += 1
        return self.frame.filter(pl.col("event_time") < until)


@pytest.fixture
def contract() -> Contract:
    return Contract.model_validate(
        {
            "product": "demo",
            "event": {"entity": "who", "fields": {"who": "string", "a": "number", "noise": "number"}},
            "label": {"field": "yes", "delay": "1h", "maturity": "1d"},
            "features": {"a": {"field": "a"}, "noise": {"field": "noise"}},
            "training": {"min_rows": 300, "trials": 2, "search_rows": 600, "blocks": 2, "block": "4d"},
        }
    )


def run_of(step: TrainStep, request: RetrainRequest = REQUEST) -> TrainingRun:
    (run,) = step.handle([request], NOW)
    assert isinstance(run, TrainingRun)
    return run


def step_of(
    contract: Contract, path: Path, offline: FakeOffline | None = None, registry: ModelRegistry | None = None
) -> TrainStep:
    return TrainStep(contract, registry or MemoryRegistry(), offline or FakeOffline(), path)


def test_a_candidate_is_registered_with_everything_that_explains_it(contract: Contract, tmp_path: Path) -> None:
    registry = MemoryRegistry()
    run = run_of(step_of(contract, tmp_path, registry=registry))
    assert run.status is TrainingStatus.CANDIDATE
    assert run.version is not None
    package = registry.load(run.version)
    assert set(package.files) == {"model.json", "model.txt", "recipe.json", "profile.json", "receipt.json"} or (
        "model.txt" not in package.files
    )
    assert package.tags == {"homeostat.report_id": "d1", "homeostat.reason": "drifted twice"}
    assert package.metrics.keys() == {"log_loss", "auc", "calibration_error", "loss_difference", "rows"}
    assert {"recipe", "seed", "trained_until", "data_span", "candidate"} <= package.params.keys()
    assert json.loads(package.files["receipt.json"]) == run.receipt


def test_the_drift_report_that_caused_it_is_registered_with_the_model(contract: Contract, tmp_path: Path) -> None:
    report = DriftReport("d1", NOW, START, NOW, 900, DriftStatus.DRIFTED, "1", reasons=("a moved",))
    registry = MemoryRegistry()
    run = run_of(step_of(contract, tmp_path, registry=registry), replace(REQUEST, report=report))
    stored = registry.load(str(run.version)).files["drift_report.json"]
    assert decode("drift_reports", stored, {"schema": "drift_reports.v1"}) == report


def test_the_registered_model_scores_and_its_profile_promises_the_validation_loss(
    contract: Contract, tmp_path: Path
) -> None:
    registry = MemoryRegistry()
    package = registry.load(str(run_of(step_of(contract, tmp_path, registry=registry)).version))
    scores = load_model(package.files).score(pl.DataFrame({"a": [-2.0, 2.0], "noise": [0.0, 0.0]}))
    assert scores[0] < 0.5 < scores[1]
    profile = Profile.from_bytes(package.files["profile.json"])
    assert profile.expected_loss == pytest.approx(package.metrics["log_loss"])
    assert profile.expected_loss_se > 0
    assert profile.labels is not None
    assert 0.3 < profile.labels.rate < 0.7


def test_a_run_has_a_wire_form(contract: Contract, tmp_path: Path) -> None:
    encode(run_of(step_of(contract, tmp_path)))


def test_labels_that_were_not_mature_at_the_request_are_left_out(contract: Contract, tmp_path: Path) -> None:
    run = run_of(step_of(contract, tmp_path), replace(REQUEST, requested_at=START + timedelta(days=20)))
    assert datetime.fromisoformat(run.receipt["data_span"][1]) <= START + timedelta(days=19)


def test_rows_that_a_fault_has_broken_are_never_trained_on(contract: Contract, tmp_path: Path) -> None:
    since, until = START + timedelta(days=20), START + timedelta(days=40)
    run = run_of(step_of(contract, tmp_path), replace(REQUEST, broken=(Span(since, until),)))
    assert datetime.fromisoformat(run.receipt["data_span"][1]) < since
    assert run.receipt["left_out"] == [[since.isoformat(), until.isoformat()]]


def test_the_profile_says_what_each_feature_is_to_the_model(contract: Contract, tmp_path: Path) -> None:
    registry = MemoryRegistry()
    run = run_of(step_of(contract, tmp_path, registry=registry))
    a, noise = Profile.from_bytes(registry.load(str(run.version)).files["profile.json"]).attribution
    assert a.share > 0.8 > noise.share
    assert a.worth > noise.worth >= 0


@pytest.mark.parametrize("asked", [False, True])
def test_the_profile_has_rows_for_a_domain_classifier_where_the_contract_asks(
    contract: Contract, tmp_path: Path, *, asked: bool
) -> None:
    drift = contract.drift.model_copy(update={"domain_classifier": asked})
    registry = MemoryRegistry()
    run = run_of(step_of(contract.model_copy(update={"drift": drift}), tmp_path, registry=registry))
    profile = Profile.from_bytes(registry.load(str(run.version)).files["profile.json"])
    assert (profile.domain is not None) is asked


@pytest.mark.parametrize("season", [None, "day"])
def test_the_profile_has_the_hours_of_the_season_that_the_contract_asks_for(
    contract: Contract, tmp_path: Path, season: str | None
) -> None:
    drift = contract.drift.model_copy(update={"season": season, "window": timedelta(days=1)})
    registry = MemoryRegistry()
    run = run_of(step_of(contract.model_copy(update={"drift": drift}), tmp_path, registry=registry))
    profile = Profile.from_bytes(registry.load(str(run.version)).files["profile.json"])
    assert (profile.season.season if profile.season else None) == season


def test_too_few_rows_fail_with_the_reason(contract: Contract, tmp_path: Path) -> None:
    run = run_of(step_of(contract, tmp_path, FakeOffline(rows=100)))
    assert run.status is TrainingStatus.FAILED
    assert "min_rows" in run.reason
    assert run.version is None


def test_one_sided_labels_fail_with_the_reason(contract: Contract, tmp_path: Path) -> None:
    assert run_of(step_of(contract, tmp_path, FakeOffline(label=0.0))).status is TrainingStatus.FAILED


def test_a_champion_in_good_health_ends_in_nothing_better(contract: Contract, tmp_path: Path) -> None:
    registry = MemoryRegistry()
    step = step_of(contract, tmp_path, registry=registry)
    first = run_of(step)
    again = run_of(step, replace(REQUEST, request_id="r2", champion=first.version))
    assert again.status is TrainingStatus.NOTHING_BETTER
    assert again.version is None
    assert "nothing" in again.reason


def test_a_broken_champion_does_not_keep_a_good_model_away(contract: Contract, tmp_path: Path) -> None:
    registry = MemoryRegistry()
    version = registry.register(ModelPackage({"model.json": b"{"}), "r0")
    run = run_of(step_of(contract, tmp_path, registry=registry), replace(REQUEST, champion=version))
    assert run.status is TrainingStatus.CANDIDATE
    assert run.receipt["champion_problem"]


def test_a_model_over_its_size_is_not_registered(contract: Contract, tmp_path: Path) -> None:
    constraints = contract.objective.constraints.model_copy(update={"max_model_mib": 1e-6})
    small = contract.model_copy(
        update={"objective": contract.objective.model_copy(update={"constraints": constraints})}
    )
    run = run_of(step_of(small, tmp_path))
    assert run.status is TrainingStatus.NOTHING_BETTER
    assert "max_model_mib" in run.reason


def test_a_request_that_comes_again_is_answered_from_the_note(contract: Contract, tmp_path: Path) -> None:
    offline, registry = FakeOffline(), MemoryRegistry()
    first = run_of(step_of(contract, tmp_path, offline, registry))
    again = run_of(step_of(contract, tmp_path, offline, registry))
    assert again == first
    assert offline.asked == 1


def test_two_trainings_of_one_request_register_one_version(contract: Contract, tmp_path: Path) -> None:
    registry = MemoryRegistry()
    one = run_of(step_of(contract, tmp_path / "a", registry=registry))
    two = run_of(step_of(contract, tmp_path / "b", registry=registry))
    assert (one.version, one.run_id, one.receipt) == (two.version, two.run_id, two.receipt)


def test_an_unreachable_registry_asks_for_another_try(contract: Contract, tmp_path: Path) -> None:
    class Unreachable(MemoryRegistry):
        def register(self, package: ModelPackage, request_id: str) -> str:
            raise TransientError("the registry does not answer")

    with pytest.raises(TransientError):
        step_of(contract, tmp_path, registry=Unreachable()).handle([REQUEST], NOW)
    assert run_of(step_of(contract, tmp_path)).status is TrainingStatus.CANDIDATE


def test_the_study_is_gone_when_the_run_is_noted(contract: Contract, tmp_path: Path) -> None:
    run_of(step_of(contract, tmp_path))
    assert [path.suffix for path in tmp_path.iterdir()] == [".run"]


def test_of_many_runs_the_newest_notes_are_kept(contract: Contract, tmp_path: Path) -> None:
    for i in range(100):
        note = tmp_path / f"{i}.run"
        note.write_bytes(b"of another request")
        os.utime(note, (i, i))
    run_of(step_of(contract, tmp_path))
    assert len(list(tmp_path.iterdir())) == 100
    assert not (tmp_path / "0.run").exists()
    assert (tmp_path / "1.run").exists()


def test_a_run_says_what_cpu_time_it_took(contract: Contract, tmp_path: Path) -> None:
    assert run_of(step_of(contract, tmp_path)).cpu_s > 0


def test_time_and_restarts_alone_do_nothing(contract: Contract, tmp_path: Path) -> None:
    step = step_of(contract, tmp_path)
    step.restore([REQUEST], NOW)
    assert step.tick(NOW) == []
