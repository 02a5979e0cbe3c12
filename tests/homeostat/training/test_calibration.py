import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.training.calibration import Calibration, fit_calibration, logit, sigmoid


def draw(rows: int, slope: float, intercept: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    margins = rng.normal(0, 1.5, rows)
    labels = (rng.uniform(size=rows) < sigmoid(slope * margins + intercept)).astype(float)
    return margins, labels


def test_a_shifted_base_rate_is_found() -> None:
    line = fit_calibration(*draw(50_000, 1.0, -0.8))
    assert line.intercept == pytest.approx(-0.8, abs=0.05)
    assert line.slope == pytest.approx(1.0, abs=0.05)


def test_overconfident_scores_are_pulled_in() -> None:
    assert fit_calibration(*draw(50_000, 0.5, 0.0)).slope == pytest.approx(0.5, abs=0.03)


def test_a_few_rows_hardly_move_a_score() -> None:
    line = fit_calibration(np.array([2.0, 2.0]), np.array([0.0, 0.0]))
    assert abs(line.intercept) < 0.3
    assert line.slope > 0.7


def test_no_rows_change_nothing() -> None:
    assert fit_calibration(np.zeros(0), np.zeros(0)) == Calibration()


def test_a_ranking_is_never_turned_over() -> None:
    margins, labels = draw(5_000, -1.0, 0.0)
    assert fit_calibration(margins, labels).slope > 0


@given(st.floats(-3, 3), st.floats(0.1, 3), st.floats(-3, 3), st.floats(0.1, 3), st.floats(-5, 5))
def test_two_calibrations_in_a_row_are_one(i: float, s: float, j: float, t: float, margin: float) -> None:
    first, second = Calibration(s, i), Calibration(t, j)
    twice = second.apply(logit(first.apply(np.array([margin]))))
    assert twice == pytest.approx(second.after(first).apply(np.array([margin])), abs=1e-4)
