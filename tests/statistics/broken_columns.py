"""Columns of many shapes, faults put into them, and true drifts: what a diagnosis has to tell apart."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from homeostat.drift.bins import Coder, category_bins, number_bins
from homeostat.drift.cells import CellCoder
from homeostat.drift.diagnosis import diagnose
from homeostat.drift.faults import Fault, FaultKind, Reference, references
from homeostat.drift.norms import Norm, norms, written_numbers

ROWS = 20_000  # of the reference
PIECE = 250
FACTORS = (1000.0, 0.001, 100.0, 0.01, 60.0, 1 / 60, 3600.0, 1024.0, 28.349523, 30.48, 12.0, 1 / 12, 10.0, 0.1)
SMALL = (1.609344, 1 / 1.609344, 2.54, 1 / 2.54, 3.28084, 2.204623, 1 / 2.204623, 3.6)

Table = list[np.ndarray]
Draw = Callable[[np.random.Generator, int, float], np.ndarray]
"""Draws rows of a column; the last argument moves its mean, in standard deviations of what it is made of."""


def _two_peaks(rng, n, by):
    return np.where(rng.random(n) < 0.4, 2.0, 9.0) + rng.standard_normal(n) + 4 * by


def _texts(words, slope):
    def draw(rng, n, by):
        weights = np.exp(-np.arange(len(words)) * slope * np.exp(np.mean(by)))
        return np.array(words, dtype=object)[rng.choice(len(words), n, p=weights / weights.sum())]

    return draw


SHAPES: dict[str, Draw] = {
    "normal": lambda rng, n, by: rng.standard_normal(n) + by,
    "normal, far from zero": lambda rng, n, by: 50 + 5 * (rng.standard_normal(n) + by),
    "lognormal": lambda rng, n, by: np.exp(3 + rng.standard_normal(n) + by),
    "lognormal, narrow": lambda rng, n, by: np.exp(3 + 0.2 * (rng.standard_normal(n) + by)),
    "heavy tail": lambda rng, n, by: 10 * rng.pareto(1.5, n) + 1 + 5 * max(by, 0) + 1,
    "student": lambda rng, n, by: 20 + 3 * rng.standard_t(3, n) + 3 * by,
    "uniform": lambda rng, n, by: 4 + 10 * rng.random(n) + 3 * by,
    "counts": lambda rng, n, by: rng.poisson(np.exp(1 + 0.5 * by), n).astype(float),
    "many counts": lambda rng, n, by: rng.poisson(120 * np.exp(0.1 * by), n).astype(float),
    "zero inflated": lambda rng, n, by: np.where(rng.random(n) < 0.5, 0.0, np.exp(2 + rng.standard_normal(n) + by)),
    "two peaks": _two_peaks,
}
TEXTS: dict[str, Draw] = {
    "few texts": _texts(["red", "green", "blue", "white"], 0.4),
    "many texts": _texts([f"shop {i}" for i in range(40)], 0.06),
}
DRAWN = SHAPES | TEXTS


@dataclass(frozen=True)
class Trained:
    """Columns at training time."""

    coder: CellCoder
    columns: list[Reference]
    clock: Norm


def trained(columns: list[np.ndarray], stretch: float = PIECE, times=None) -> Trained:
    """Learn what is calm from a table of numbers and texts (arrays of objects), rows in order."""
    ones = np.ones(len(columns[0]))
    bins = [
        category_bins(f"x{j}", column, ones) if column.dtype == object else number_bins(f"x{j}", column, ones)
        for j, column in enumerate(columns)
    ]
    codes = Coder(bins).codes(columns)
    counts = [np.bincount(codes[:, j], minlength=column.size).astype(float) for j, column in enumerate(bins)]
    coder = CellCoder(bins)
    rows = coder.matrix(columns, np.arange(len(ones), dtype=float) if times is None else times)
    written = written_numbers(coder, rows, stretch)
    *found, clock = norms(coder, counts, rows, stretch, written)
    return Trained(coder, references(coder, counts, found, written), clock)


def named(model: Trained, columns: list[np.ndarray], times=None) -> list[Fault]:
    """What a piece of live rows is called."""
    clock = np.arange(len(columns[0]), dtype=float) if times is None else times
    return diagnose(model.columns, model.clock, model.coder.matrix(columns, clock))


def is_right(faults: list[Fault], kind: FaultKind, columns: set[str], factor: float | None = None) -> bool:
    """Whether just this fault was named in these columns, the constant within 25 %."""
    return (
        len(faults) == 1
        and faults[0].kind is kind
        and set(faults[0].columns) == columns
        and (factor is None or abs(np.log((faults[0].factor or 1.0) / factor)) < np.log(1.25))
    )


class Training:
    """The rows that a diagnosis learnt from, and which faults can't be told from them, whatever looks for them."""

    def __init__(self, table: Table) -> None:
        """Take the columns."""
        self._known = [column[pl.Series(column).is_not_null().to_numpy() & (column == column)] for column in table]  # noqa: PLR0124
        self._values = [
            np.unique(column.astype(np.float32)) if column.dtype != object else () for column in self._known
        ]

    def stood_still(self, j: int, value: object, rows: int) -> bool:
        """Whether a column had nothing but this value for so many rows: stuck at it, it looks as it did then."""
        changes = np.flatnonzero(np.diff(np.concatenate([[0], self._known[j] == value, [0]]).astype(np.int8)))
        return int(np.diff(changes)[::2].max(initial=0)) >= rows

    def had_most(self, j: int, column: np.ndarray) -> bool:
        """Whether most numbers other than zero are values that a column had: in another unit, it looks as it did."""
        there = column[np.isfinite(column) & (column != 0)].astype(np.float32)
        return bool(np.isin(there, self._values[j]).mean() > 1 / 2)
