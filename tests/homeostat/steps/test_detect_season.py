"""The reference of the same hours that the detector takes where contract and profile have it."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from homeostat.drift.profile import FILE, build_profile
from homeostat.drift.seasonal import with_season
from homeostat.inspection.drift import label_lines, told_report
from homeostat.records import DriftStatus
from homeostat.steps.detect import DetectStep
from tests.homeostat.steps.test_detect import CONTRACT, NOW, Registry, Telemetry, only_report, predictions

SEASONAL = CONTRACT.model_copy(update={"drift": CONTRACT.drift.model_copy(update={"season": "day"})})


@pytest.fixture(scope="module")
def registry() -> Registry:
    """A champion whose profile knows the hours of the day, from five weeks of training."""
    registry = Registry()
    rng, rows = np.random.default_rng(0), 7000
    frame = pl.DataFrame(
        {
            "weight": rng.standard_normal(rows),
            "kind": rng.choice(["a", "b"], rows),
            "event_time": [NOW - timedelta(days=42 - 35 * k / rows) for k in range(rows)],
        }
    )
    scores = rng.random(rows)
    names, texts, window = ("weight", "kind"), frozenset({"kind"}), SEASONAL.drift.window
    profile = build_profile(frame, names, texts, scores, expected_loss=0.7, seed=1, window=window)
    profile = with_season(profile, frame, scores, None, SEASONAL.drift)
    registry.files = {FILE: profile.to_bytes()}
    return registry


@pytest.mark.parametrize(("shift", "status"), [(0.0, DriftStatus.HEALTHY), (1.0, DriftStatus.DRIFTED)])
def test_a_window_is_held_against_its_own_hours_and_the_report_says_so(
    registry: Registry, shift: float, status: DriftStatus
) -> None:
    step = DetectStep(SEASONAL, registry, Telemetry())
    step.handle(predictions(800, shift=shift), NOW)
    report = only_report(step)
    assert report.status is status
    assert report.reference.startswith("the same hours of the day in the training span")
    assert f"held against {report.reference}" in label_lines(told_report(report))


def test_a_contract_without_a_season_says_nothing_of_it(registry: Registry) -> None:
    step = DetectStep(CONTRACT, registry, Telemetry())
    step.handle(predictions(800), NOW)
    report = only_report(step)
    assert report.reference is None
    assert not [line for line in label_lines(told_report(report)) if "held against" in line]
