"""Seasons: the hours of a day or of a week, and what the training rows of each looked like."""

from dataclasses import dataclass, field

import numpy as np

from homeostat.drift.design import Design

HOURS = {"day": 24, "week": 168}
"""Hours in a season, by its name in a contract."""

_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class SeasonVectors:
    """One column's vectors by hour of the season, and how far calm windows lie from the same hours."""

    known: tuple[float, ...]  # share of each hour's rows that have a vector
    rows: tuple[float, ...]  # of those, effective
    means: bytes  # (n_hours, WIDTH) of float32: their mean Fourier features
    design: Design
    directions: int  # that the windows bear


@dataclass(frozen=True, slots=True)
class SeasonReference:
    """The training rows by hour of the season, and how far calm windows lie from the same hours of the others.

    Hours differ in how far they lie apart, and one measure stands for all of them: on a simulated cycle with six weeks
    of training, windows of 1, 6 and 24 hours alarmed at 3.6, 3.2 and 2.0 % where 5 % was stated (40 to 60 trainings,
    40 to 60 looks each, no floors), windows of an hour by the hours of the day at 3.8 %.

    A column of many texts keeps the whole training span for its reference; so do the classifier and the diagnosis.
    """

    season: str
    hours: tuple[int, ...]  # that have rows
    rows: tuple[float, ...]  # of each of them, effective
    shares: bytes  # (n_hours, bins of all columns) of float32: share of the hour's rows
    means: bytes  # (n_hours, WIDTH) of float32: mean Fourier features of the hour's rows
    index_designs: tuple[Design, ...]
    gap_designs: tuple[Design, ...]
    embedding_design: Design
    directions: int | None = None  # of the embedding that the windows bear by the hour; None for all
    vectors: dict[int, SeasonVectors] = field(default_factory=dict)  # by place, where they have seasons enough


def hours_of(times_s: np.ndarray, season: str) -> np.ndarray:
    """Return the hour of the season, in UTC, of each event time in seconds.

    >>> hours_of(np.array([0.0, 3599.0, 3600.0, 86_400.0]), "day").tolist()
    [0, 0, 1, 0]
    """
    return np.asarray((np.asarray(times_s) // _HOUR_S).astype(np.int64) % HOURS[season])
