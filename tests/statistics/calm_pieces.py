"""The flights example's own features through the year, none broken: what a diagnosis has to keep still about."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

import homeostat.examples.flights
from homeostat.contract.load import load_contract
from homeostat.drift.norms import SCALES, cut
from homeostat.examples.flights.stream import flights
from homeostat.features.builder import FeatureBuilder
from homeostat.features.tables import event_schema, label_schema
from tests.statistics.broken_columns import Trained, trained

WINDOW = timedelta(days=7)  # as the example's
LEARNT = timedelta(days=57)
AHEAD = timedelta(days=90)  # a champion serves about so long
DARK = date(2013, 12, 31)  # without weather, a true null burst
STARTS = tuple(datetime(2013, month, day, tzinfo=UTC) for month in range(3, 11) for day in (1, 15))

Calm = tuple[Trained, list[np.ndarray], np.ndarray]
"""What was learnt, and a later piece: its columns and event times in seconds."""


def features(until: datetime) -> pl.DataFrame:
    """Return the example's feature rows up to a moment, in order of time."""
    contract = load_contract(Path(homeostat.examples.flights.__file__).with_name("contract.yaml"))
    rows = flights().filter(pl.col("event_time") < until)
    rows = rows.filter((pl.col("wind_speed") <= 200) | pl.col("wind_speed").is_null())
    events = _as(event_schema(contract), rows)
    labels = _as(label_schema(contract), rows).sort("label_time")
    builder, built = FeatureBuilder(contract), []
    days = events.with_columns(day=pl.col("event_time").dt.date()).partition_by("day", as_dict=True)
    known = labels.with_columns(day=pl.col("label_time").dt.date()).partition_by("day", as_dict=True)
    for day, batch in days.items():
        new = known.get(day, labels.clear().with_columns(day=pl.lit(None)))
        built.append(builder.add(batch.drop("day"), new.drop("day")).select("event_time", *contract.feature_names))
    return pl.concat(built)


def calm_pieces(year: pl.DataFrame, start: datetime) -> Iterator[Calm]:
    """Give what the two months before a moment taught, at both scales, with each piece of the three months behind."""
    learnt = year.filter(pl.col("event_time").is_between(start - LEARNT, start, closed="left"))
    live = year.filter(pl.col("event_time").is_between(start, start + AHEAD, closed="left"))
    live = live.filter(pl.col("event_time").dt.date() != DARK)
    for parts in SCALES:
        stretch = WINDOW.total_seconds() / parts
        model = trained(_columns(learnt), stretch, _seconds(learnt))
        for part in cut(_seconds(live), stretch):
            yield model, _columns(live[part]), _seconds(live[part])


def _as(schema: pl.Schema, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(pl.col(name).cast(dtype) for name, dtype in schema.items())


def _columns(table: pl.DataFrame) -> list[np.ndarray]:
    cells = table.drop("event_time")
    return [c.to_numpy().astype(object) if c.dtype == pl.String else c.cast(pl.Float64).to_numpy() for c in cells]


def _seconds(table: pl.DataFrame) -> np.ndarray:
    return table["event_time"].dt.epoch("us").to_numpy() / 1e6
