"""Columns that Evidently would stumble over, or draw without end, do not keep a page from being made."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from homeostat.drift_records import DriftReport, DriftScore, DriftStatus, Span
from homeostat.inspection.drift import told_report
from homeostat.inspection.evidently_page import evidently_page
from homeostat.inspection.window_rows import Rows

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def rows(shift: float, towns: int, *, empty: bool = False, count: int = 300) -> Rows:
    rng = np.random.default_rng(1)
    load = rng.normal(shift, 1, count)
    load[::50] = np.inf
    frame = pl.DataFrame(
        {
            "load": load,
            "gone": [None if empty else 1.0] * count,
            "<town>": [f"town {i % towns}" for i in range(count)],
            "prediction": rng.random(count),
        },
        schema_overrides={"gone": pl.Float64},
    )
    return Rows(frame, 7_000, Span(NOON, NOON))


@pytest.fixture(scope="module")
def page() -> str:
    scores = (DriftScore("<town>", 0.2, 0.1, None, None, 0.001, drifted=True),)
    report = DriftReport("r", NOON, NOON, NOON, 7_000, DriftStatus.DRIFTED, "3", scores, reasons=("a < b",))
    sides = rows(0, 100), rows(0.3, 90, empty=True)
    return evidently_page(told_report(report), ["limits"], *sides, frozenset({"<town>"}))


def test_our_verdict_comes_first_and_no_name_of_a_column_is_taken_for_markup(page: str) -> None:
    ours = page[page.index('<section class="ours">') : page.index("</section>")]
    assert "Drift of version 3: drifted" in ours
    assert "a &lt; b" in ours
    assert "<tr class=drifted><td>&lt;town&gt;</td>" in ours
    assert page.index(ours) < page.index('id="root_metric')


def test_a_column_without_values_on_a_side_is_named_and_left_out(page: str) -> None:
    assert "Not below: gone," in page
    assert '"gone"' not in page


def test_a_sample_says_what_it_was_drawn_from(page: str) -> None:
    assert "7,000 rows from 2030-01-01 12:00 to 2030-01-01 12:00 UTC, a sample of 300 below" in page


def test_rare_categories_are_put_together(page: str) -> None:
    assert "(other)" in page
    assert sum(f"town {i}" in page for i in range(100)) < 100
