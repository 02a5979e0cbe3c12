"""Parcels whose delays are drawn from a known truth, with a change of a known kind at a known time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from homeostat.examples.streams.kinds import COURSES, Course, Kind
from homeostat.examples.streams.traffic import START, Hours, parcels
from homeostat.examples.streams.truth import AFTER, BEFORE
from homeostat.replay.recording import Recording, encode

CONTRACT = Path(__file__).with_name("contract.yaml")
HISTORY_D = 28  # what a user has at the start
ROWS_A_DAY = 350.0
EVENT = (
    *("event_id", "event_time", "route", "carrier", "service"),
    *("weight_kg", "distance_km", "items", "temperature", "congestion"),
)
LABEL = ("event_id", "label_time", "late")
FILES = ("data.csv", "live.csv", "truth.csv", "contract.yaml")

_LONGEST_DELAY_H = 46.0  # below the contract's maturity of 2d
_NEVER = 0.02  # of the parcels: nobody ever says how they came
_MORE_LATE = 2.6  # the odds of being late under the label shift, over those before
_DRAWN_PER_KEPT = 1.8  # keeps the volume what it was while the shift takes out parcels that are in time


@dataclass(frozen=True, slots=True)
class Stream:
    """A finite stream and the truth behind it.

    Args:
        kind: What happens.
        rows: One parcel a row in order of time: EVENT, ``late``, ``label_time`` (null: never known), ``truth``, the
            probability of being late from which ``late`` was drawn, and ``world``, 0 before the change to 1 after it.
        changes: When a change began.
        cut: The end of the history.
        end: The end of the stream.
    """

    kind: Kind
    rows: pl.DataFrame
    changes: tuple[datetime, ...]
    cut: datetime
    end: datetime

    def recording(self) -> Recording:
        """Return the stream as its producers sent it."""
        labels = self.rows.filter(pl.col("label_time").is_not_null()).select(LABEL)
        return Recording(encode(self.rows.select(EVENT), "event_time"), encode(labels, "label_time"))

    def write(self, folder: Path) -> None:
        """Write data.csv (known at the cut), live.csv (what comes after it), truth.csv and contract.yaml."""
        rows = self.rows.with_columns(pl.col("event_time", "label_time").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
        early = self.rows["event_time"] < self.cut
        known = (self.rows["label_time"] < self.cut).fill_null(value=False)
        seen = rows.with_columns(pl.when(known).then(pl.col("label_time", "late")))
        folder.mkdir(parents=True, exist_ok=True)
        columns = [*EVENT, "late", "label_time"]
        seen.filter(early).select(columns).write_csv(folder / "data.csv")
        rows.filter(~early).select(columns).write_csv(folder / "live.csv")
        rows.select("event_id", "truth").write_csv(folder / "truth.csv", float_precision=6)
        (folder / "contract.yaml").write_text(CONTRACT.read_text(encoding="utf-8"), encoding="utf-8")


def make_stream(kind: Kind, seed: int) -> Stream:
    """Return a stream of a kind; the same seed gives the same one."""
    course = COURSES[kind]
    rng = np.random.default_rng([seed, list(Kind).index(kind)])
    hours = Hours(course.days, rng)
    rows = _labelled(parcels(hours, _wanted(course, hours), rng), course, rng)
    known = rows["event_time"] + _delays(rows, rng)
    rows = rows.with_columns(
        event_id=pl.format("p{}", pl.int_range(pl.len()).cast(pl.String).str.zfill(6)),
        label_time=pl.when(pl.Series(rng.uniform(size=rows.height) >= _NEVER)).then(known),
    ).with_columns(late=pl.when(pl.col("label_time").is_not_null()).then("late"))
    changes = course.turns if course.shift is None else (course.shift,)
    return Stream(
        kind=kind,
        rows=rows.select(*EVENT, "late", "label_time", "truth", "world"),
        changes=tuple(START + timedelta(days=day) for day in changes),
        cut=START + timedelta(days=HISTORY_D),
        end=START + timedelta(days=course.days),
    )


def _wanted(course: Course, hours: Hours) -> np.ndarray:
    """Return the parcels a day to draw for each hour: under the label shift more, for some are taken out again."""
    wanted = np.full(hours.volume.size, ROWS_A_DAY)
    if course.shift is not None:
        wanted[int(course.shift * 24) :] *= _DRAWN_PER_KEPT
    return wanted


def _labelled(rows: pl.DataFrame, course: Course, rng: np.random.Generator) -> pl.DataFrame:
    """Add ``truth`` and ``late``, and carry out the label shift.

    The shift takes out parcels that are in time, whatever they look like. So P(x|late) and P(x|in time) stay as
    they are, exactly, and the odds of every parcel grow by one factor.
    """
    day = rows["hour"].to_numpy() / 24
    after = _share_after(course, day)
    odds = (1 - after) * BEFORE.log_odds(rows) + after * AFTER.log_odds(rows) + rows["backlog"].to_numpy()
    late = rng.uniform(size=rows.height) < _sigmoid(odds)
    rows = rows.with_columns(truth=_sigmoid(odds), world=after, late=late.astype(np.int8))
    if course.shift is None:
        return rows
    shifted = day >= course.shift
    kept = ~shifted | late | (rng.uniform(size=rows.height) < 1 / _MORE_LATE)
    truth = _sigmoid(odds + np.log(_MORE_LATE) * shifted)
    return rows.with_columns(truth=truth, world=shifted.astype(np.float64)).filter(kept)


def _share_after(course: Course, day: np.ndarray) -> np.ndarray:
    """Return how much of the world is the changed one, 0 to 1, for each row's day."""
    share = np.zeros(day.size)
    for i, turn in enumerate(course.turns):
        gone = np.clip((day - turn) / course.ramp, 0, 1) if course.ramp else (day >= turn).astype(np.float64)
        share += gone * (1 if i % 2 == 0 else -1)
    return share


def _delays(rows: pl.DataFrame, rng: np.random.Generator) -> pl.Series:
    """Return how long after its event each label is known: after half a day mostly, later where a parcel is late."""
    hours = rng.lognormal(2.5, 0.5, rows.height) * np.where(rows["late"].to_numpy() == 1, 1.4, 1.0)
    seconds = np.minimum(hours, _LONGEST_DELAY_H) * 3600
    return pl.Series(seconds.astype(np.int64) * 1_000_000).cast(pl.Duration("us"))


def _sigmoid(odds: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-odds)))
