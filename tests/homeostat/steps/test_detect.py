from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from homeostat import metric_names
from homeostat.contract.model import Contract
from homeostat.drift.profile import FILE, build_profile
from homeostat.errors import ModelError
from homeostat.ports import Aliases, ModelPackage
from homeostat.records import Arm, DriftStatus, Outcome, Prediction
from homeostat.steps.detect import DetectStep

NOW = datetime(2030, 1, 8, tzinfo=UTC)
CONTRACT = Contract.model_validate(
    {
        "product": "parcels",
        "event": {"entity": "depot", "fields": {"depot": "string", "weight": "number", "kind": "string"}},
        "label": {"field": "late", "delay": "1h", "maturity": "1d"},
        "features": {"weight": {"field": "weight"}, "kind": {"field": "kind"}},
        "drift": {"window": "7d", "min_rows": 500},
    }
)


def profile_files(shift=0.0):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"weight": rng.standard_normal(5000) + shift, "kind": rng.choice(["a", "b"], 5000)})
    categories = frozenset({"kind"})
    profile = build_profile(frame, ("weight", "kind"), categories, rng.random(5000), expected_loss=0.7, seed=1)
    return {FILE: profile.to_bytes()}


class Registry:
    """Two versions with the same profile, and an alias to move."""

    def __init__(self, champion="1"):
        self.champion = champion
        self.files = profile_files()

    def aliases(self):
        return Aliases(champion=self.champion)

    def load(self, version):
        if version not in {"1", "2"}:
            raise ModelError(f"there is no version {version}")
        return ModelPackage(self.files)


class Telemetry:
    def __init__(self):
        self.values = {}

    def count(self, name, value=1.0, **labels):
        self.values[(name, *labels.values())] = value

    gauge = observe = count


@pytest.fixture(scope="module")
def packages():
    return Registry().files


@pytest.fixture
def registry(packages):
    registry = Registry.__new__(Registry)
    registry.champion, registry.files = "1", packages
    return registry


@pytest.fixture
def step(registry):
    return DetectStep(CONTRACT, registry, Telemetry())


def predictions(count, *, version="1", shift=0.0, end=NOW, arm=Arm.CHAMPION):
    """Rows over the six days before ``end``."""
    rng = np.random.default_rng(count)
    made = []
    for i, weight in enumerate(rng.standard_normal(count) + shift):
        time = end - timedelta(days=6) * (1 - i / count)
        values = (float(weight), str(rng.choice(["a", "b"])))
        event_id = f"{version}-{i}"
        score = float(rng.random())
        made.append(
            Prediction(event_id, event_id, "d", time, time, arm, version, score, 0.9, 1.0, values, {version: score})
        )
    return made


def outcomes(rows, label=1.0):
    return [
        Outcome(r.event_id, r.entity_id, r.event_time, r.event_time, label, r.arm, r.version, r.score, {r.version: 0.5})
        for r in rows
    ]


def only_report(step, now=NOW):
    (report,) = step.tick(now)
    return report


def test_a_shifted_feature_is_reported_with_span_rows_and_version(step):
    rows = predictions(800, shift=1.0)
    assert step.handle(rows, NOW) == []
    report = only_report(step)
    assert report.status is DriftStatus.DRIFTED
    assert [score.name for score in report.features if score.drifted] == ["weight"]
    assert (report.rows, report.version, report.at) == (800, "1", NOW)
    assert (report.window_start, report.window_end) == (rows[0].event_time, rows[-1].event_time)
    assert report.reasons[0].startswith("weight: PSI")


def test_calm_rows_are_healthy(step):
    step.handle(predictions(800), NOW)
    assert only_report(step).status is DriftStatus.HEALTHY


def test_silence_is_unknown_and_says_why(step):
    report = only_report(step)
    assert report.status is DriftStatus.UNKNOWN
    assert report.reasons == ("0 rows in the window, 500 needed",)
    assert report.window_end == NOW


def test_without_a_champion_it_is_unknown(registry, step):
    registry.champion = None
    step.handle(predictions(800), NOW)
    report = only_report(step)
    assert (report.status, report.version, report.reasons) == (DriftStatus.UNKNOWN, None, ("no champion yet",))


@pytest.mark.parametrize(
    ("files", "words"),
    [({}, f"its package has no {FILE}"), ({FILE: b"{}"}, "can't be read")],
)
def test_a_champion_without_a_usable_profile_is_unknown(registry, step, files, words):
    registry.files = files
    report = only_report(step)
    assert report.status is DriftStatus.UNKNOWN
    assert words in report.reasons[0]


def test_a_profile_of_other_features_is_refused(registry):
    features = {**CONTRACT.model_dump()["features"], "new": {"field": "weight"}}
    contract = Contract.model_validate({**CONTRACT.model_dump(), "features": features})
    report = only_report(DetectStep(contract, registry, Telemetry()))
    assert "other features than the contract" in report.reasons[0]


def test_a_row_delivered_twice_is_counted_once(step):
    rows = predictions(800)
    step.handle(rows, NOW)
    step.handle(rows[:300], NOW)
    assert only_report(step).rows == 800


def test_rows_older_than_the_window_leave(step):
    step.handle(predictions(800), NOW)
    assert only_report(step, NOW + timedelta(days=4)).rows < 500
    assert only_report(step, NOW + timedelta(days=30)).rows == 0


def test_a_new_champion_starts_with_an_empty_window(registry, step):
    step.handle(predictions(800), NOW)
    registry.champion = "2"
    report = only_report(step)
    assert (report.status, report.version, report.rows) == (DriftStatus.UNKNOWN, "2", 0)
    step.handle(predictions(100), NOW)  # made before the change, delivered after it
    step.handle(predictions(600, version="2"), NOW)
    assert only_report(step).rows == 600


def test_after_a_promotion_rows_are_held_against_the_new_champions_reference(registry, step):
    step.handle(predictions(800, shift=1.0), NOW)
    assert only_report(step).status is DriftStatus.DRIFTED
    registry.champion, registry.files = "2", profile_files(shift=1.0)
    step.handle(predictions(800, version="2", shift=1.0), NOW)
    assert only_report(step).status is DriftStatus.HEALTHY


def test_labels_that_became_rarer_than_the_scores_say_are_drift(step):
    rows = [replace(row, score=0.3, scores={"1": 0.3}) for row in predictions(2000)]
    rng = np.random.default_rng(3)
    made = [replace(o, label=float(rng.random() < 0.15), scores={"1": 0.3}) for o in outcomes(rows)]
    step.handle(made, NOW)
    step.handle(predictions(800), NOW)
    report = only_report(step)
    assert report.performance.loss < 0.6109  # what the scores announce: it fell
    assert report.performance.degraded
    assert report.reasons[0].startswith("the mean score lies 0.1")


def test_an_alarm_budget_sets_the_limits(registry):
    policy = {"window": "7d", "alarms": {"false_retrainings": 0.01, "per": "30d", "effect": 0.9}}
    contract = Contract.model_validate({**CONTRACT.model_dump(), "drift": policy})
    by_budget, by_hand = DetectStep(contract, registry, Telemetry()), DetectStep(CONTRACT, registry, Telemetry())
    for each in (by_budget, by_hand):
        each.handle(predictions(800, shift=0.6), NOW)
    assert only_report(by_budget).status is DriftStatus.HEALTHY  # certain, but smaller than what matters
    assert only_report(by_hand).status is DriftStatus.DRIFTED


def test_a_new_champion_is_noticed_at_its_first_row(registry, step):
    step.handle(predictions(800), NOW)
    registry.champion = "2"
    step.handle(predictions(600, version="2"), NOW)
    assert only_report(step).rows == 600


def test_rows_the_challenger_served_count_with_the_champions_score(step):
    rows = [replace(row, version="2", scores={"1": 0.4, "2": 0.9}) for row in predictions(600, arm=Arm.CHALLENGER)]
    step.handle(rows, NOW)
    assert only_report(step).rows == 600


def test_a_moment_in_which_the_previous_model_answered_does_not_restart_the_window(step):
    step.handle(predictions(600), NOW)
    step.handle([replace(row, fallback="version 1 failed") for row in predictions(50, version="0")], NOW)
    assert only_report(step).rows == 600


def test_rows_without_a_model_are_left_out(step):
    rows = [replace(r, arm=Arm.NONE, version=None, score=None, scores={}) for r in predictions(600)]
    step.handle(rows, NOW)
    assert only_report(step).rows == 0


def test_a_loss_above_the_promise_is_drift(step):
    rows = predictions(1400)
    wrong = [replace(outcome, scores={"1": 0.2}) for outcome in outcomes(rows)]
    step.handle([*rows, *wrong], NOW)
    report = only_report(step)
    assert report.performance.degraded
    assert report.performance.rows == 1400
    assert report.performance.loss == pytest.approx(-np.log(0.2))
    assert report.reasons[0].startswith("loss 1.6094")


def test_outcomes_without_a_label_lower_the_maturity_and_nothing_else(registry):
    telemetry = Telemetry()
    step = DetectStep(CONTRACT, registry, telemetry)
    rows = predictions(1000)
    step.handle([*rows, *outcomes(rows[::2]), *outcomes(rows[1::2], label=None)], NOW)
    report = only_report(step)
    assert report.performance.rows == 500
    assert report.performance.loss == pytest.approx(np.log(2))
    assert telemetry.values[(metric_names.LABEL_MATURITY, "parcels")] == 0.5


def test_an_outcome_delivered_twice_is_counted_once(step):
    rows = predictions(800)
    step.handle(rows, NOW)
    for _ in range(2):
        step.handle(outcomes(rows), NOW)
    assert only_report(step).performance.rows == 800


def test_a_restarted_step_reports_the_same(registry, step):
    earlier = predictions(300, version="0", end=NOW - timedelta(days=1))
    rows = [*earlier, *predictions(800, shift=0.4)]
    step.tick(NOW - timedelta(days=1))
    for start in range(0, len(rows), 130):
        step.handle(rows[start : start + 130], NOW)
    step.handle(outcomes(rows), NOW)
    restarted = DetectStep(CONTRACT, registry, Telemetry())
    restarted.restore([*rows, *outcomes(rows)], NOW)
    live, again = only_report(step), only_report(restarted)
    assert again.report_id == live.report_id
    assert (again.features, again.rows, again.reasons) == (live.features, live.rows, live.reasons)
    assert again.performance.loss == pytest.approx(live.performance.loss)


def test_restore_has_no_effects(registry):
    telemetry = Telemetry()
    step = DetectStep(CONTRACT, registry, telemetry)
    step.restore(predictions(800), NOW)
    assert not any(telemetry.values.values())


def test_the_report_is_measured(registry):
    telemetry = Telemetry()
    step = DetectStep(CONTRACT, registry, telemetry)
    rows = predictions(800, shift=1.0)
    step.handle([*rows, *outcomes(rows)], NOW)
    report = only_report(step)
    values = telemetry.values
    assert values[(metric_names.DRIFT_PSI, "parcels", "weight")] == report.features[0].psi
    assert values[(metric_names.DRIFT_KS, "parcels", "weight")] == report.features[0].ks
    assert (metric_names.DRIFT_KS, "parcels", "kind") not in values
    assert values[(metric_names.DRIFTED_FEATURES, "parcels")] == 0.5
    assert values[(metric_names.DRIFT_REPORTS, "parcels", "drifted")] == 1
    assert values[(metric_names.MODEL_LOSS, "parcels", "1")] == pytest.approx(np.log(2))
