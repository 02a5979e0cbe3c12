"""The rate of the labels of a window, beside that of the champion's training."""

from dataclasses import replace

import pytest

from homeostat import metric_names
from homeostat.drift.label_rate import LabelReference
from homeostat.drift.profile import FILE, Profile
from homeostat.steps.detect import DetectStep

from .test_detect import CONTRACT, NOW, Registry, Telemetry, only_report, outcomes, predictions


@pytest.fixture
def registry():
    registry = Registry()
    profile = replace(Profile.from_bytes(registry.files[FILE]), labels=LabelReference(0.5, 5000.0))
    registry.files = {FILE: profile.to_bytes()}
    return registry


def labelled(rows, ones):
    made = outcomes(rows)
    return [replace(row, label=float(i % 10 < ones)) for i, row in enumerate(made)]


def test_it_is_reported_and_measured(registry):
    telemetry = Telemetry()
    step, rows = DetectStep(CONTRACT, registry, telemetry), predictions(800)
    step.handle([*rows, *labelled(rows, 7)], NOW)
    told = only_report(step).label_rate
    assert (told.rows, told.rate, told.training_rate, told.moved) == (800, 0.7, 0.5, True)
    assert telemetry.values[metric_names.LABEL_RATE, "parcels", "window"] == 0.7
    assert telemetry.values[metric_names.LABEL_RATE, "parcels", "training"] == 0.5


@pytest.mark.parametrize("rows", [0, 400])
def test_too_few_labels_tell_none(registry, rows):
    telemetry = Telemetry()
    step, served = DetectStep(CONTRACT, registry, telemetry), predictions(800)
    step.handle([*served, *labelled(served[:rows], 7)], NOW)
    assert only_report(step).label_rate is None
    assert (metric_names.LABEL_RATE, "parcels", "window") not in telemetry.values
