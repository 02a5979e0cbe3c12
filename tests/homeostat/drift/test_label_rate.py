from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from homeostat.drift.design import INDEPENDENT
from homeostat.drift.label_rate import LabelReference, label_rate, label_reference
from homeostat.drift.performance import LossBlock
from homeostat.drift.profile import Profile

WEEK = timedelta(days=7)
START = datetime(2030, 1, 7, tzinfo=UTC)


def frame(*rates, rows=100):
    """Weeks with just these shares of ones."""
    labels = np.concatenate([np.arange(rows) < rate * rows for rate in rates]).astype(float)
    return pl.DataFrame({"label": labels, "event_time": [START + i * WEEK / rows for i in range(len(labels))]})


def block(rows, ones):
    return LossBlock(outcomes=rows, rows=rows, label=float(ones))


def referred(table, weights=None):
    return label_reference(table, np.ones(table.height) if weights is None else weights, WEEK)


def test_weeks_that_differ_widen_what_is_calm():
    steady, moving = (
        label_rate(referred(frame(*rates)), [block(100, 55)], 0.01)
        for rates in ((0.3, 0.3, 0.3, 0.3, 0.3, 0.3), (0.1, 0.5, 0.2, 0.4, 0.1, 0.5))
    )
    assert (steady.rate, steady.training_rate, steady.moved) == (0.55, pytest.approx(0.3), True)
    assert (steady.spread, moving.moved) == (0.0, False)
    assert moving.spread == pytest.approx(0.17, abs=0.04)
    assert moving.low < steady.low < 0.3 < steady.high < moving.high
    assert steady.p_value < 0.01 < moving.p_value


def test_too_few_weeks_leave_the_row_counts_alone_and_say_so():
    days = frame(0.3, rows=3)  # three rows
    told = label_rate(referred(days), [block(100, 40)], 0.01)
    assert referred(days).design == INDEPENDENT
    assert told.spread is None


def test_rows_count_with_their_weight():
    table = frame(0.0, 1.0, 0.0, 1.0)
    weights = np.where(table["label"].to_numpy() == 1, 3.0, 1.0)
    reference = referred(table, weights)
    assert reference.rate == 0.75
    assert reference.rows == pytest.approx(320)


def test_labels_that_are_all_alike_have_a_limit_all_the_same():
    told = label_rate(referred(frame(0.0, 0.0, 0.0, 0.0)), [block(500, 0)], 0.01)
    assert (told.moved, told.low) == (False, 0.0)
    assert label_rate(referred(frame(0.0, 0.0, 0.0, 0.0)), [block(500, 200)], 0.01).moved


def test_a_window_without_labels_has_no_rate():
    assert label_rate(LabelReference(0.3, 100.0), [LossBlock(outcomes=9)], 0.01) is None


def test_a_profile_keeps_it_and_an_old_one_has_none(profile):
    assert profile.labels is None
    assert b'"labels":null' in profile.to_bytes()
    assert Profile.from_bytes(profile.to_bytes().replace(b',"labels":null', b"")) == profile
