"""Readings as broken devices send them: the largest float, the smallest, both by turns."""

from dataclasses import replace

import pytest

from homeostat.codec import encode
from homeostat.records import DriftStatus
from homeostat.steps.detect import DetectStep
from tests.homeostat.steps.test_detect import CONTRACT, NOW, Registry, Telemetry, only_report, outcomes, predictions


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
@pytest.mark.parametrize("weights", [(1.7e308, -1.7e308), (1.7e308, 0.0), (5e-324, -5e-324), (1e154, 1e-154)])
def test_whatever_finite_numbers_come_the_report_can_be_written(weights: tuple[float, float]) -> None:
    """What ends a look ends it again after each start: the rows are still there."""
    step = DetectStep(CONTRACT, Registry(), Telemetry())
    rows = [replace(row, values=(weights[i % 2], row.values[1])) for i, row in enumerate(predictions(800))]
    step.handle([*rows, *outcomes(rows)], NOW)
    report = only_report(step)
    assert report.status is DriftStatus.DRIFTED or report.incidents
    assert encode(report)
