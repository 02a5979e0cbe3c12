"""When a change came, as a window tells it, against when it did come."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from homeostat.contract.policies import DriftPolicy
from homeostat.drift.change import change_of_losses, change_of_rows
from homeostat.drift.counts import Counter, WindowCounts
from homeostat.drift.performance import LossBlock
from homeostat.drift.profile import build_profile
from homeostat.drift.report import Judgement, judge_window
from homeostat.records import DriftStatus, Performance

START, DAY = datetime(2030, 1, 1, tzinfo=UTC), timedelta(days=1)
PARTS, ROWS, TRAINED = 100, 20, 28 * 200
POLICY = DriftPolicy(min_rows=50, min_psi=0.01, min_ks=0.02)


def rows(rng, number, shift=0.0, tie=0.0) -> list[np.ndarray]:
    """Three columns; a shift moves the first, a tie makes the second follow it."""
    drawn = rng.standard_normal((3, number))
    drawn[1] = tie * drawn[0] + np.sqrt(1 - tie**2) * drawn[1]
    drawn[0] += shift
    return list(drawn)


@pytest.fixture(scope="module")
def counter() -> Counter:
    rng = np.random.default_rng(1)
    frame = pl.DataFrame(rows(rng, TRAINED), schema=["a", "b", "c"])
    timed = frame.with_columns(event_time=pl.Series([START + DAY * (i / 200) for i in range(TRAINED)]))
    scores = np.full(TRAINED, 0.5)
    return Counter(build_profile(timed, ["a", "b", "c"], frozenset(), scores, expected_loss=0.5, seed=1, window=DAY))


def window(counter, rng, change, **moved) -> list[WindowCounts]:
    """A window in parts, moved from the part ``change`` on."""
    parts = [WindowCounts(counter) for _ in range(PARTS)]
    for k, part in enumerate(parts):
        part.add_columns(rows(rng, ROWS, **(moved if k >= change else {})), np.full(ROWS, 0.5))
    return parts


def dated(parts):
    total = WindowCounts(parts[0].counter)
    for part in parts:
        total.merge(part)
    return change_of_rows(parts, POLICY, judge_window(total, (), POLICY))


@pytest.mark.parametrize(("moved", "within"), [({"shift": 1.0}, 2), ({"shift": 0.5}, 8), ({"tie": 0.9}, 4)])
@pytest.mark.parametrize("change", [20, 60])
def test_a_change_within_the_window_is_dated(counter, moved, within, change):
    errors = [dated(window(counter, np.random.default_rng([k, change]), change, **moved)) - change for k in range(9)]
    assert np.median(np.abs(errors)) <= within
    assert abs(np.median(errors)) <= within / 2  # neither early nor late as a rule


def test_a_window_that_has_moved_all_through_has_changed_before_it(counter):
    found = [dated(window(counter, np.random.default_rng([k, 0]), 0, shift=1.0)) for k in range(9)]
    assert np.median(found) <= 2


def test_a_calm_window_has_no_change(counter):
    assert dated(window(counter, np.random.default_rng(3), PARTS)) is None


def judged(p_value, calibration, *, degraded=True) -> Judgement:
    """What labels said of a window whose columns are calm."""
    seen = Performance(3200, 0.7, 0.5, p_value, 0.1, degraded, calibration)
    return Judgement(3200, DriftStatus.DRIFTED, performance=seen)


def test_labels_that_turn_against_the_scores_date_the_change_by_their_block():
    rng = np.random.default_rng(4)
    blocks = [LossBlock() for _ in range(8)]
    for k, block in enumerate(blocks):
        scores = rng.uniform(0.05, 0.95, 400)
        labels = (rng.uniform(size=400) < (1 - scores if k >= 5 else scores)).astype(float)
        block.add(-np.log(np.where(labels, scores, 1 - scores)), scores, labels)
    assert change_of_losses(blocks, judged(1e-9, 0.5)) == 5
    assert change_of_losses(blocks, judged(0.5, 0.5, degraded=False)) is None


def test_a_label_rate_that_moves_alone_dates_the_change_too():
    rng = np.random.default_rng(5)
    blocks = [LossBlock() for _ in range(8)]
    for k, block in enumerate(blocks):
        scores = rng.uniform(0.3, 0.7, 400)
        labels = (rng.uniform(size=400) < scores - (0.25 if k >= 3 else 0.0)).astype(float)
        block.add(-np.log(np.where(labels, scores, 1 - scores)), scores, labels)
    assert change_of_losses(blocks, judged(0.9, 1e-9)) == 3
