"""The label rate beside that of training: how often calm weeks are told as moved, what is found, and no alarm of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

from homeostat.contract.losses import row_losses
from homeostat.drift.label_rate import LabelReference, label_rate, label_reference
from homeostat.drift.performance import LossBlock
from tests.statistics.drift_columns import Columns
from tests.statistics.drift_nulls import NO_FLOORS, judge_window

WEEK, ROWS, WEEKS, LOOKS = timedelta(days=7), 400, 8, 600
START = datetime(2030, 1, 7, tzinfo=UTC)
TIMES = pl.Series("event_time", [START + i * WEEK / ROWS for i in range(WEEKS * ROWS)])


def labels_of(rng, weeks, moves, shift=0.0):
    """Labels of weeks whose rates move by so much from one to the next, 0.3 on average."""
    rates = np.clip(0.3 + shift + moves * rng.standard_normal(weeks), 0.01, 0.99)
    return (rng.uniform(size=weeks * ROWS) < np.repeat(rates, ROWS)).astype(float)


def blocks_of(labels, scores) -> list[LossBlock]:
    made = []
    for part, said in zip(np.split(labels, 8), np.split(scores, 8), strict=True):
        made.append(LossBlock())
        made[-1].add(row_losses("log_loss", part, said), said, part)
    return made


def looked(rng, moves, level, shift=0.0):
    frame = pl.DataFrame({"label": labels_of(rng, WEEKS, moves)}).with_columns(TIMES)
    reference = label_reference(frame, np.ones(frame.height), WEEK)
    labels = labels_of(rng, 1, moves, shift)
    return label_rate(reference, blocks_of(labels, np.full(ROWS, 0.3)), level)


@pytest.mark.parametrize("moves", [0.0, 0.03, 0.1])
@pytest.mark.parametrize("level", [0.1, 0.02])
def test_a_calm_week_is_told_as_moved_no_more_often_than_stated(moves, level):
    rng = np.random.default_rng([int(100 * moves), int(100 * level)])
    moved = sum(looked(rng, moves, level).moved for _ in range(LOOKS))
    assert moved <= binom.ppf(0.999, LOOKS, level)


def test_a_rate_that_moves_further_than_weeks_do_is_found():
    rng = np.random.default_rng(5)
    found = [looked(rng, 0.02, 0.01, shift=0.2) for _ in range(100)]
    assert sum(each.moved for each in found) >= 80
    assert np.mean([each.spread for each in found]) == pytest.approx(0.02, abs=0.012)
    assert not any(each.low <= each.rate <= each.high for each in found if each.moved)


def test_no_look_alarms_for_the_label_rate_whether_or_not_the_scores_follow():
    rng = np.random.default_rng(6)
    counter = Columns([rng.standard_normal(4000)], np.full(4000, 0.3)).counter()
    known = Columns([rng.standard_normal(ROWS)], np.full(ROWS, 0.3)).counted(counter)
    for announced, shift in ((0.3, 0.0), (0.6, 0.3), (0.3, 0.3)):
        blocks = blocks_of(labels_of(rng, 1, 0.0, shift), np.full(ROWS, announced))
        without = judge_window(known, blocks, NO_FLOORS)
        counter.profile = replace(counter.profile, labels=LabelReference(0.3, 4000.0))
        beside = judge_window(known, blocks, NO_FLOORS)
        counter.profile = replace(counter.profile, labels=None)
        assert beside.label_rate.moved == (shift > 0)
        assert replace(beside, label_rate=None) == without
