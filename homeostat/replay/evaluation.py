"""How good the scores of a replay were: by week, over all, and one model against another on the same rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from homeostat.contract.losses import row_losses
from homeostat.replay.recording import from_us

DAY_US = 86_400_000_000
WEEK_DAYS = 7
DRAWS = 2000  # a 95 % end point then moves by under a tenth of the interval's width from seed to seed


@dataclass(frozen=True, slots=True)
class Quality:
    """Log loss in nats a row, and the area under the ROC curve (None where only one label was seen)."""

    log_loss: float
    auc: float | None


@dataclass(frozen=True, slots=True)
class Week:
    """Every model on the same rows of seven days."""

    start: datetime
    rows: int
    models: dict[str, Quality]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95 % interval; ``excludes_zero`` says that chance does not explain its sign."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether both ends lie on one side of zero."""
        return self.low > 0 or self.high < 0


def auc(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Return the chance that a row with label 1 scores above one with label 0, ties counted half.

    Args:
        labels: 0 or 1, shape (n,).
        scores: Any increasing score, shape (n,).

    Source: Mann and Whitney (1947), doi:10.1214/aoms/1177730491; Hanley and McNeil (1982).

    >>> auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    positive = np.asarray(labels) > 0
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not ones or not zeros:
        return None
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2  # mean rank of each distinct score, from 1
    return float((rank[place][positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def quality(labels: np.ndarray, scores: np.ndarray) -> Quality:
    """Return how good one model's scores were; both arrays have shape (n,) with n > 0."""
    return Quality(float(row_losses("log_loss", labels, scores).mean()), auc(labels, scores))


def by_week(times: np.ndarray, labels: np.ndarray, scores: Mapping[str, np.ndarray]) -> list[Week]:
    """Return the quality of every model over each seven days, counted from the first row's midnight in UTC.

    Args:
        times: Event times in microseconds since 1970, int64, shape (n,), in any order.
        labels: 0 or 1, shape (n,).
        scores: By model, shape (n,) each, without missing values.
    """
    if not len(times):
        return []
    days = times // DAY_US
    first = int(days.min())
    weeks = (days - first) // WEEK_DAYS
    return [
        Week(
            start=from_us(first * DAY_US) + timedelta(weeks=int(week)),
            rows=int(rows.sum()),
            models={name: quality(labels[rows], values[rows]) for name, values in scores.items()},
        )
        for week in np.unique(weeks)
        for rows in [weeks == week]
    ]


def paired_difference(
    times: np.ndarray, labels: np.ndarray, scores: np.ndarray, against: np.ndarray, seed: int = 0
) -> Interval:
    """Return the mean log loss of ``scores`` minus that of ``against`` on the same rows (negative: better)."""
    difference = row_losses("log_loss", labels, scores) - row_losses("log_loss", labels, against)
    return Interval(*paired_interval(difference, times // DAY_US, seed))


def paired_interval(difference: np.ndarray, days: np.ndarray, seed: int = 0) -> tuple[float, float, float]:
    """Return mean, low and high: a 95 % percentile interval from redrawing whole days.

    Rows of one day share weather and queues, so they count as one draw and not as a thousand.

    Args:
        difference: Loss of one model minus loss of the other, shape (n,) with n > 0.
        days: The day of each row, integers, shape (n,).
        seed: Of the redrawing; the same seed gives the same interval.

    Source: Kuensch (1989), doi:10.1214/aos/1176347265, with days as the blocks; Efron (1979).

    >>> paired_interval(np.array([-1.0, -1.0, -1.0]), np.array([1, 1, 2]))
    (-1.0, -1.0, -1.0)
    """
    _, day = np.unique(days, return_inverse=True)
    total, rows = np.bincount(day, weights=difference), np.bincount(day)
    drawn = np.random.default_rng(seed).multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=DRAWS)
    means = (drawn @ total) / (drawn @ rows)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(difference.mean()), float(low), float(high)
