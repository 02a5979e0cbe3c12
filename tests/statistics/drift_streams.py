"""Streams whose change point is known: columns that move, and worlds in which the same columns mean something else."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from tests.statistics.drift_columns import flights, tied

REFERENCE, BATCH, BATCHES, CHANGE, RAMP = 8000, 250, 60, 20, 20  # rows to learn from are eight windows
SIZE = 16  # of a vector
PERIOD = 10  # batches, the second half of each changed


@dataclass(frozen=True)
class Kind:
    """What happens to a stream."""

    name: str
    family: str  # of its columns
    course: str = "calm"  # calm, abrupt, gradual, incremental, recurring
    amount: float = 0.0


@dataclass(frozen=True)
class Stream:
    """Reference rows and live rows; losses are of a model fitted on other rows of the reference's world."""

    reference: np.ndarray  # (REFERENCE, columns); categories are whole numbers
    live: np.ndarray  # (BATCHES * BATCH, columns)
    categorical: np.ndarray  # (columns,)
    vector: int  # columns from the first on that are one vector to who knows of vectors
    scores: tuple[np.ndarray, np.ndarray]  # of both
    labels: tuple[np.ndarray, np.ndarray]


COLUMNS = (
    Kind("one mean of ten by 0.5 sd, abrupt", "gaussians", "abrupt", 0.5),
    Kind("one mean of ten by 0.3 sd, abrupt", "gaussians", "abrupt", 0.3),
    Kind("one mean of ten by 0.5 sd, gradual", "gaussians", "gradual", 0.5),
    Kind("one mean of ten by 0.5 sd, incremental", "gaussians", "incremental", 0.5),
    Kind("one mean of ten by 0.5 sd, recurring", "gaussians", "recurring", 0.5),
    Kind("two columns' correlation 0.3 to 0.9, abrupt", "pair", "abrupt", 1.0),
    Kind("flights: temperature up by 0.5 sd, abrupt", "flights", "abrupt", 0.5),
    Kind("flights: temperature up by 0.5 sd, incremental", "flights", "incremental", 0.5),
    Kind("flights: temperature up by 0.5 sd, recurring", "flights", "recurring", 0.5),
    Kind("flights: half of carrier UA becomes DL, abrupt", "carriers", "abrupt", 0.5),
)
WORLDS = (
    Kind("SEA: threshold 8 to 9.5, abrupt", "sea", "abrupt", 1.5),
    Kind("SEA: threshold 8 to 9.5, gradual", "sea", "gradual", 1.5),
    Kind("SEA: threshold 8 to 9.5, recurring", "sea", "recurring", 1.5),
    Kind("Agrawal: function 1 to 3, abrupt", "agrawal", "abrupt", 1.0),
    Kind("Agrawal: function 1 to 3, gradual", "agrawal", "gradual", 1.0),
    Kind("hyperplane turning by 60 degrees, incremental", "hyperplane", "incremental", np.pi / 3),
)
VECTORS = (
    Kind("four numbers of a vector of 16 by 0.5 sd, abrupt", "vectors", "abrupt", 0.5),
    Kind("four numbers of a vector of 16 by 0.3 sd, abrupt", "vectors", "abrupt", 0.3),
    Kind("four numbers of a vector of 16 by 0.5 sd, incremental", "vectors", "incremental", 0.5),
    Kind("half of a vector of 16 of one sign, abrupt", "signs", "abrupt", 1.0),
)
GROUPS = {"columns": COLUMNS, "vectors": VECTORS, "worlds": WORLDS}
CALM = {
    "columns": (Kind("calm", "gaussians"), Kind("calm", "flights")),
    "vectors": (Kind("calm", "vectors"),),
    "worlds": (Kind("calm", "sea"), Kind("calm", "agrawal"), Kind("calm", "hyperplane")),
}


def make(kind: Kind, seed: int) -> Stream:
    """Return one stream of a kind."""
    rng = np.random.default_rng([seed, *kind.name.encode(), *kind.family.encode()])
    rows = 3 * REFERENCE + BATCHES * BATCH
    amount = np.concatenate([np.zeros(3 * REFERENCE), _amounts(kind, rng)])
    columns, labels, categorical = _FAMILIES[kind.family](rng, rows, amount)
    fitted, tuned, kept = (slice(k * REFERENCE, (k + 1) * REFERENCE) for k in range(3))
    model = (
        LogisticRegression()
        if kind.family in {"gaussians", "pair", "vectors", "signs"}
        else DecisionTreeClassifier(min_samples_leaf=100, random_state=0)
    )
    filled = np.nan_to_num(columns)
    score = model.fit(filled[fitted], labels[fitted]).predict_proba(filled)[:, 1]
    # scores that mean what they say, else every look at the labels would rightly alarm
    score = IsotonicRegression(out_of_bounds="clip").fit(score[tuned], labels[tuned]).predict(score)
    score, live = np.clip(score, 0.01, 0.99), slice(3 * REFERENCE, None)
    sides = (score[kept], score[live]), (labels[kept], labels[live])
    return Stream(columns[kept], columns[live], categorical, SIZE if kind in VECTORS + CALM["vectors"] else 0, *sides)


def _amounts(kind: Kind, rng: np.random.Generator) -> np.ndarray:
    """How far each live row has changed."""
    batch = np.repeat(np.arange(BATCHES), BATCH)
    ramp = np.clip((batch - CHANGE + 1) / RAMP, 0, 1)
    courses = {
        "calm": np.zeros(batch.size),
        "abrupt": (batch >= CHANGE) * 1.0,
        "gradual": (rng.uniform(size=batch.size) < ramp) * 1.0,
        "incremental": ramp,
        "recurring": ((batch >= CHANGE) & ((batch - CHANGE) % PERIOD < PERIOD // 2)) * 1.0,
    }
    return kind.amount * courses[kind.course]


def _gaussians(rng, rows, amount):
    columns = np.sqrt(0.7) * rng.standard_normal((rows, 10)) + np.sqrt(0.3) * rng.standard_normal((rows, 1))
    columns[:, 0] += amount
    return columns, _drawn(rng, columns[:, 0] - columns[:, 1]), np.zeros(10, bool)


def _pair(rng, rows, amount):
    columns, _, categorical = _gaussians(rng, rows, np.zeros(rows))
    noise = columns[:, 1] - 0.3 * columns[:, 0]
    tied = 0.9 * columns[:, 0] + noise * np.sqrt((1 - 0.81) / (1 - 0.09))
    columns[:, 1] = np.where(amount > 0, tied, columns[:, 1])
    return columns, _drawn(rng, columns[:, 2] - columns[:, 3]), categorical


def _vectors(rng, rows, amount):
    columns = tied(rng, rows, SIZE + 2)
    columns[:, :4] += amount[:, None]
    return columns, _drawn(rng, columns[:, 4] - columns[:, -1]), np.zeros(SIZE + 2, bool)


def _signs(rng, rows, amount):
    columns, labels, categorical = _vectors(rng, rows, np.zeros(rows))
    half, signs = columns[:, : SIZE // 2], rng.choice([-1.0, 1.0], (rows, 1))
    columns[:, : SIZE // 2] = np.where(amount[:, None] > 0, np.abs(half) * signs, half)
    return columns, labels, categorical


def _flights(rng, rows, amount):
    columns, categorical = _flight_rows(rng, rows)
    columns[:, 3] += amount * np.nanstd(columns[:, 3])
    return columns, _drawn(rng, (columns[:, 0] - 12) / 4), categorical


def _carriers(rng, rows, amount):
    columns, categorical = _flight_rows(rng, rows)
    carriers = flights().values[10].cast(pl.Categorical).to_physical()
    united, delta = (carriers[flights().values[10].index_of(name)] for name in ("UA", "DL"))
    turned = (columns[:, 10] == united) & (rng.uniform(size=rows) < amount)
    columns[turned, 10] = delta
    return columns, _drawn(rng, (columns[:, 0] - 12) / 4), categorical


def _flight_rows(rng, rows):
    """Rows of the year in random order, texts as whole numbers."""
    values, places = flights().values, rng.permutation(flights().scores.size)[:rows]
    categorical = np.array([isinstance(column, pl.Series) for column in values])
    codes = [
        column.cast(pl.Categorical).to_physical().to_numpy() if isinstance(column, pl.Series) else column
        for column in values
    ]
    return np.column_stack([column[places].astype(float) for column in codes]), categorical


def _sea(rng, rows, amount):
    columns = rng.uniform(0, 10, (rows, 3))
    labels = (columns[:, 0] + columns[:, 1] <= 8 + amount).astype(float)
    return columns, _noisy(rng, labels, 0.1), np.zeros(3, bool)


def _agrawal(rng, rows, amount):
    salary, loan = rng.uniform(20e3, 150e3, rows), rng.uniform(0, 500e3, rows)
    commission = np.where(salary >= 75e3, 0.0, rng.uniform(10e3, 75e3, rows))
    age, level, car, place, years = (rng.integers(*span, rows) for span in ((20, 81), (0, 5), (1, 21), (0, 9), (1, 31)))
    house = (9 - place) * 100e3 * rng.uniform(0.5, 1.5, rows)
    young, old = age < 40, age >= 60
    first = young | old
    third = np.where(young, level <= 1, np.where(old, level >= 2, (level >= 1) & (level <= 3)))
    labels = np.where(amount > 0, third, first).astype(float)
    columns = np.column_stack([salary, commission, age, house, years, loan, level, car, place]).astype(float)
    return columns, _noisy(rng, labels, 0.05), np.arange(9) >= 6


def _hyperplane(rng, rows, amount):
    columns = rng.uniform(-1, 1, (rows, 10))
    side = np.cos(amount) * columns[:, :5].sum(axis=1) + np.sin(amount) * columns[:, 5:].sum(axis=1)
    return columns, _noisy(rng, (side > 0).astype(float), 0.05), np.zeros(10, bool)


def _noisy(rng, labels, share):
    return np.where(rng.uniform(size=labels.size) < share, 1 - labels, labels)


def _drawn(rng, margins):
    return (rng.uniform(size=margins.size) < 1 / (1 + np.exp(-margins))).astype(float)


_FAMILIES = {
    "gaussians": _gaussians, "pair": _pair, "flights": _flights, "carriers": _carriers,
    "sea": _sea, "agrawal": _agrawal, "hyperplane": _hyperplane, "vectors": _vectors, "signs": _signs,
}  # fmt: skip
