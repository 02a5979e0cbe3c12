import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.replay.recording import Recording, Track, encode, from_us, to_us

START = datetime(2024, 1, 1, tzinfo=UTC)


def track(minutes: list[int]) -> Track:
    rows = pl.DataFrame({"n": range(len(minutes)), "at": [START + timedelta(minutes=m) for m in minutes]})
    return encode(rows, "at")


@settings(deadline=None)
@given(st.lists(st.integers(0, 60), max_size=30), st.lists(st.integers(0, 61), max_size=8))
def test_taking_by_the_clock_gives_every_message_once_and_in_order(minutes: list[int], stops: list[int]) -> None:
    played, taken, position = track(minutes) if minutes else track([0]), [], 0
    for stop in [*sorted(stops), 62]:
        end = played.index_at(START + timedelta(minutes=stop))
        taken += played.take(position, end)
        position = end
    assert taken == list(played.values)


def test_a_message_is_not_known_at_its_own_moment_but_after_it() -> None:
    assert track([5]).index_at(START + timedelta(minutes=5)) == 0
    assert track([5]).index_at(START + timedelta(minutes=5, seconds=1)) == 1


def test_messages_of_the_same_moment_keep_their_order() -> None:
    assert [json.loads(value)["n"] for value in track([3, 1, 1, 1]).take(0, 4)] == [1, 2, 3, 0]


def test_times_are_written_in_utc_whatever_zone_they_came_in() -> None:
    rows = pl.DataFrame({"at": [START]}).with_columns(pl.col("at").dt.convert_time_zone("America/New_York"))
    assert encode(rows, "at").take(0, 1) == [b'{"at":"2024-01-01T00:00:00Z"}']


def test_a_missing_cell_is_written_as_null() -> None:
    rows = pl.DataFrame({"at": [START], "x": [None]}, schema_overrides={"x": pl.Float64})
    assert json.loads(encode(rows, "at").take(0, 1)[0])["x"] is None


@settings(deadline=None)
@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - the zone is beside
def test_microseconds_and_times_convert_both_ways(time: datetime) -> None:
    assert from_us(to_us(time)) == time


def test_a_recording_spans_events_and_labels() -> None:
    recording = Recording(track([3, 8]), track([10]))
    assert (recording.first, recording.last) == (START + timedelta(minutes=3), START + timedelta(minutes=10))


def test_a_track_that_goes_back_in_time_is_refused() -> None:
    with pytest.raises(ValueError, match="must ascend"):
        Track(np.array([2, 1]), pl.Series([b"a", b"b"]))


def test_a_track_with_a_time_too_many_is_refused() -> None:
    with pytest.raises(ValueError, match="2 times for 1 messages"):
        Track(np.array([1, 2]), pl.Series([b"a"]))
