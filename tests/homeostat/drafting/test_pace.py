from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.contract.durations import spoken, written
from homeostat.contract.policies import AlarmBudget, parse_duration
from homeostat.drafting.clock import LabelClock, Stretch
from homeostat.drafting.pace import Pace, harmless_of, pace_of
from homeostat.drafting.spans import LONGEST, D, H, M, S, at_least, at_most

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
LABELS = pl.Series([0, 0, 0, 1])


def pace(rows: int, span: timedelta, step: timedelta = S, maturity: timedelta = D) -> Pace:
    stretch = Stretch(FIRST, FIRST + span, step, ordered=True)
    return pace_of(rows, stretch, LabelClock(None, min(H, maturity), maturity, "", ""), LABELS)


def lines_of(found: Pace) -> dict[str, str]:
    return {f"{part}.{line.key}": line.value for part, lines in found.parts.items() for line in lines}


@pytest.mark.parametrize(
    ("rows", "span", "window", "every"),
    [
        (336_776, 365 * D, "7d", "8h"),  # 900 a day: a week
        (10_000_000, 30 * D, "1d", "1h"),  # many, a month of them: a day
        (10_000_000, 365 * D, "7d", "8h"),
        (50_000, 6 * H, "15m", "1m"),  # an afternoon of a fast stream
        (3_000, 730 * D, "84d", "5d"),  # 4 a day
    ],
)
def test_a_window_is_as_long_as_the_pace_asks_for(rows: int, span: timedelta, window: str, every: str) -> None:
    found = lines_of(pace(rows, span))
    assert (found["drift.window"], found["drift.every"]) == (window, every)


@pytest.mark.parametrize(("features", "share"), [(1, "0.01"), (9, "0.01"), (100, "0.0025")])
def test_a_feature_is_harmless_well_below_an_equal_part(features: int, share: str) -> None:
    assert harmless_of(features).value == share


def test_a_first_model_leaves_most_of_the_file_to_be_watched() -> None:
    assert parse_duration(lines_of(pace(336_776, 365 * D))["training.cold_start_after"]) < 130 * D


def test_few_rows_are_warned_of() -> None:
    assert any("hardly enough" in text for text in pace(150, 30 * D).warnings)
    assert any("drift is seen late" in text for text in pace(400, 365 * D).warnings)
    assert any("all rows lie within" in text for text in pace(5_000, 0 * S).warnings)


@settings(deadline=None)
@given(
    st.integers(1, 10**10),
    st.integers(0, 10**9).map(lambda s: timedelta(seconds=s)),
    st.sampled_from([S, M, H, D]),
    st.integers(1, 1000 * 86_400).map(lambda s: timedelta(seconds=s)),
)
def test_policies_of_any_pace_hold_together(rows: int, span: timedelta, step: timedelta, maturity: timedelta) -> None:
    found = lines_of(pace(rows, span, step, maturity))
    spans = {key: parse_duration(value) for key, value in found.items() if value[-1] in "smhdw"}
    assert spans["drift.every"] <= max(spans["drift.window"] / 16, step, M)
    alarms = AlarmBudget.model_validate(yaml.safe_load(found["drift.alarms"]))
    assert alarms.per >= max(min(4 * spans["drift.window"], LONGEST), 30 * D)
    assert spans["training.cold_start_after"] > maturity
    assert spans["canary.max_duration"] > maturity
    assert spans["canary.max_duration"] >= 3 * spans["canary.step_time"]
    assert all(timedelta(0) < value <= timedelta(days=3650) for value in spans.values())
    assert int(found["drift.min_rows"]) >= 50
    assert int(found["training.min_rows"]) >= 200
    assert int(found["canary.min_rows"]) >= 50


@settings(deadline=None)
@given(st.integers(1, 1000 * 86_400).map(lambda s: timedelta(seconds=s)))
def test_spans_are_rounded_to_usual_ones(span: timedelta) -> None:
    assert at_most(span) <= span <= at_least(span)
    assert parse_duration(written(span)) == span
    assert spoken(span)
