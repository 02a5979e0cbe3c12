"""Another unit of a column of vectors whose numbers don't lie around zero."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from homeostat.drift.cells import CellCoder
from homeostat.drift.diagnosis import diagnose
from homeostat.drift.faults import FaultKind, references
from homeostat.drift.profile import build_profile

ROWS, SIZE = 6000, 16
START = datetime(2030, 1, 1, tzinfo=UTC)


def vectors(rng, rows):
    return rng.standard_normal((rows, SIZE)) + np.arange(SIZE)


@pytest.fixture(scope="module")
def profile():
    rng = np.random.default_rng(1)
    times = [START + timedelta(days=28 * i / ROWS) for i in range(ROWS)]
    frame = pl.DataFrame({"v": pl.Series(vectors(rng, ROWS).tolist()), "event_time": times})
    scores = rng.random(ROWS)
    return build_profile(frame, ("v",), frozenset(), scores, expected_loss=0.5, seed=1, window=timedelta(days=7))


@pytest.mark.parametrize("factor", [1.0, 1000.0, 100.0, 60.0, 0.01, 0.001])
def test_vectors_in_another_unit_are_named_with_the_constant(profile, factor):
    coder = CellCoder(profile.columns[:-1])
    *of_columns, clock = profile.norms[1]
    live = pl.Series((vectors(np.random.default_rng(2), 400) * factor).tolist())
    piece = coder.matrix([live], np.arange(400.0) + 1e9)
    faults = diagnose(references(coder, profile.counts[:-1], of_columns, profile.numerals), clock, piece)
    expected = [] if factor == 1.0 else [(FaultKind.UNIT, ("v",), factor)]
    assert [(fault.kind, fault.columns, fault.factor) for fault in faults] == expected
