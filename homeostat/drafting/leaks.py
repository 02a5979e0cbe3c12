"""Columns that know the answer: how well each tells the label by itself, and whether its absence does."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from homeostat.drafting.columns import Column

LEAK_AUC: Final = 0.97  # a single column this good is too good to be known beforehand
STRONG_AUC: Final = 0.9
_MIN_EACH: Final = 20  # rows of each label, below which nothing is said
_BINS: Final = 20
_FOLDS: Final = 5
_PRIOR_ROWS: Final = 10.0  # the weight of the label rate in a category's mean
_CHANCE: Final = 1e-6  # of a group of rows having one label by luck
_MOST_ROWS: Final = 40_000


@dataclass(frozen=True, slots=True)
class Telling:
    """How much a column tells of the label.

    Args:
        auc: Of the best single-column score, out of fold where one had to be learnt; 0.5 for nothing.
        absence: Why its being there or not tells the label, None where it doesn't.
    """

    auc: float
    absence: str | None = None


def telling(column: Column, labels: pl.Series) -> Telling | None:
    """Return how much a column tells of the label, None where rows are too few.

    Args:
        column: Numbers, truth values or categories.
        labels: 1, 0 or null for each row.
    """
    known = labels.is_not_null()
    y = labels.filter(known).to_numpy().astype(np.float64)
    values, empty = column.values.filter(known), column.cells.filter(known).is_null()
    if len(y) > _MOST_ROWS:
        step = -(-len(y) // _MOST_ROWS)
        y, values, empty = y[::step], values.gather_every(step), empty.gather_every(step)
    if min(y.sum(), len(y) - y.sum()) < _MIN_EACH:
        return None
    absence = _absence(empty.to_numpy(), y)
    if column.type == "string":
        return Telling(_by_group(_codes(values), y), absence)
    numbers = values.cast(pl.Float64).to_numpy()
    there = ~np.isnan(numbers)
    if min(y[there].sum(), (1 - y[there]).sum()) < _MIN_EACH:
        return Telling(0.5, absence)
    ranked = _auc(_ranks(numbers[there]), y[there])
    edges = np.unique(np.quantile(numbers[there], np.linspace(0, 1, _BINS + 1)[1:-1]))
    binned = _by_group(np.searchsorted(edges, numbers[there]), y[there])
    return Telling(max(ranked, 1 - ranked, binned), absence)


def _absence(missing: np.ndarray, y: np.ndarray) -> str | None:
    """Return what an empty or a filled cell gives away, None where it is as good as chance."""
    rate = float(y.mean())
    for group, word in ((missing, "missing"), (~missing, "filled")):
        n, ones = int(group.sum()), float(y[group].sum())
        if n < _MIN_EACH or n == len(y) or ones not in (0.0, float(n)):
            continue
        chance = n * np.log(rate if ones else 1 - rate)
        if chance < np.log(_CHANCE):
            return f"{word} only where the label is {int(ones > 0)}"
    return None


def empty_with_the_label(column: Column, labels: pl.Series) -> bool:
    """Return whether a column is empty only in rows without a label, more of them than chance would have it.

    Such a value mostly becomes known no earlier than the answer: a parcel that is lost has no hours on the road.
    """
    empty, unlabelled = column.cells.is_null(), labels.is_null()
    share = unlabelled.mean()
    if not isinstance(share, float) or not 0 < share < 1 or int(empty.sum()) < _MIN_EACH:
        return False
    return bool(unlabelled.filter(empty).all()) and int(empty.sum()) * np.log(share) < np.log(_CHANCE)


def _codes(values: pl.Series) -> np.ndarray:
    return np.asarray(values.fill_null("\0").rank("dense").to_numpy(), dtype=np.int64)


def _ranks(values: np.ndarray) -> np.ndarray:
    return np.asarray(pl.Series(values).rank("average").to_numpy(), dtype=np.float64)


def _by_group(codes: np.ndarray, y: np.ndarray) -> float:
    """Return the AUC of the label rate of each row's group, learnt on the other folds."""
    size = int(codes.max()) + 1
    fold = np.arange(len(y)) % _FOLDS
    rate = float(y.mean())
    ones, rows = np.zeros((_FOLDS, size)), np.zeros((_FOLDS, size))
    np.add.at(ones, (fold, codes), y)
    np.add.at(rows, (fold, codes), 1.0)
    others, other_rows = ones.sum(axis=0) - ones, rows.sum(axis=0) - rows
    means = (others + _PRIOR_ROWS * rate) / (other_rows + _PRIOR_ROWS)
    return float(np.mean([_auc(_ranks(means[k, codes[fold == k]]), y[fold == k]) for k in range(_FOLDS)]))


def _auc(ranks: np.ndarray, y: np.ndarray) -> float:
    """Return the chance that a row of label 1 ranks above one of label 0, ties counted half (Mann-Whitney)."""
    ones = float(y.sum())
    zeros = len(y) - ones
    if not ones or not zeros:
        return 0.5
    return float((ranks[y == 1].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def rank_correlation(column: Column, times: pl.Series) -> float:
    """Return the absolute rank correlation of numbers with times or spans; 0 where there are too few."""
    both = column.values.is_not_null() & times.is_not_null()
    values = column.values.filter(both)
    if values.len() < _MIN_EACH or values.n_unique() < 2:
        return 0.0
    a = _ranks(values.cast(pl.Float64).to_numpy())
    b = np.asarray(times.filter(both).rank("average").to_numpy(), dtype=np.float64)
    if np.ptp(b) == 0:
        return 0.0
    return abs(float(np.corrcoef(a, b)[0, 1]))
