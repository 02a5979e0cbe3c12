from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.contract.times import possible_formats, time_format, times

NOON = datetime(2024, 3, 14, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "cell",
    [
        "2024-03-14T12:30:00Z",
        "2024-03-14 12:30",
        "2024-3-14 12:30:00.000",
        "2024-03-14T18:00:00+05:30",
        "2024-03-14T18:00:00+0530",
        "2024/03/14 12:30:00 UTC",
        "20240314T123000",
        "14.03.2024 12:30",
        "3/14/2024 12:30 PM",
        "03/14/24 12:30",
        "14-Mar-2024 12:30",
        "Thu, 14 Mar 2024 12:30:00 GMT",
        "14/Mar/2024:13:30:00 +0100",
        "March 14, 2024 12:30 pm",
        "1710419400",
        "1710419400000",
        "1710419400000000",
    ],
)
def test_a_time_is_read_in_the_form_it_is_written_in(cell: str) -> None:
    column = pl.Series([cell, None])
    column = column.cast(pl.Float64) if cell.isdigit() else column
    written = time_format(column)
    assert written is not None
    assert times(column, written).to_list() == [NOON, None]


def test_midnight_and_noon_are_told_apart() -> None:
    column = pl.Series(["2024-03-14 12:00 AM", "2024-03-14 12:00 PM", "2024-03-14 1:00 pm"])
    assert times(column, "ymd").dt.hour().to_list() == [0, 12, 13]


def test_dates_and_datetimes_of_a_typed_file_become_utc() -> None:
    assert times(pl.Series([date(2024, 3, 14)]), "ymd").to_list() == [datetime(2024, 3, 14, tzinfo=UTC)]
    there = pl.Series([datetime(2024, 3, 14, 13, 30)], dtype=pl.Datetime("ms")).dt.replace_time_zone("Europe/Paris")  # noqa: DTZ001
    assert times(there, "ymd").to_list() == [NOON]


@pytest.mark.parametrize(
    ("cells", "formats"),
    [
        (["03/04/2024", "05/04/2024"], ["day_first", "month_first"]),
        (["13/04/2024", "05/04/2024"], ["day_first"]),
        (["03/24/2024", "05/04/2024"], ["month_first"]),
        (["2024-02-30", "soon"], []),
        (["10:30", "11:45"], []),
        (["12.5", "13.5"], []),
    ],
)
def test_the_cells_say_which_forms_are_possible(cells: list[str], formats: list[str]) -> None:
    assert possible_formats(pl.Series(cells)) == formats


def test_one_late_cell_tells_day_from_month() -> None:
    column = pl.Series(["03/04/2024"] * 5_000 + ["31/04/2024", "13/04/2024"])
    assert possible_formats(column) == ["day_first"]


def test_numbers_outside_1980_to_2100_are_no_times() -> None:
    assert possible_formats(pl.Series([12_345, 1_710_419_400])) == []


@settings(deadline=None)
@given(st.lists(st.text(alphabet="0123456789-/.: TZ+apmJn", max_size=30), min_size=1, max_size=20))
def test_any_text_is_a_time_or_null(cells: list[str]) -> None:
    column = pl.Series(cells)
    for written in possible_formats(column):
        assert times(column, written).dtype == pl.Datetime("us", "UTC")
