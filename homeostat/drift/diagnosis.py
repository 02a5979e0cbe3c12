"""Broken is not drifted: names the fault of a piece of rows, if undoing one makes it look calm again."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from homeostat.drift.bins import Bins
from homeostat.drift.norms import CLOCK, CellCoder, Norm, column_gap, dominance, silences, unknown_share
from homeostat.drift.units import unit_change

_BURST = 0.2  # of the rows missing, beyond half as many again as in any calm piece
_STUCK = 0.98  # share of one value
_VARIED = 0.8  # a column that had so much of one value in a calm piece can't be seen stuck
_STRANGE = 0.5  # share of categories never seen before
_MOVED = 0.2  # distance that swapped columns gain by being put back
_HARDLY = 0.1  # share of values of an unheard-of size that swapped columns have when put back
_SLACK = 0.05  # beyond what calm pieces do
_SILENT = 3.0  # longest silences of the training that those of a piece may last together and still be their like
_SHARE = 0.02  # that a category had in every calm piece, below which its absence is none of ours
_CHANCE = 1e-6  # of no row in a piece by chance: there are hundreds of pieces, times columns, times categories
_FEW = 30  # known values below which a column's distribution says nothing


class FaultKind(StrEnum):
    """What can break a column."""

    UNIT = "unit_change"
    SWAPPED = "swapped_columns"
    STUCK = "stuck_value"
    NULLS = "null_burst"
    VOCABULARY = "new_vocabulary"
    VANISHED = "vanished_category"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, the columns it is in, and what shows it."""

    kind: FaultKind
    columns: tuple[str, ...]
    what: str
    factor: float | None = None  # of a change of unit


@dataclass(frozen=True, slots=True)
class Reference:
    """One column as it was at training time."""

    coder: CellCoder
    place: int  # among the coder's columns
    counts: np.ndarray  # (n_bins,), the last for missing values
    norm: Norm

    @property
    def bins(self) -> Bins:
        """The column's bins."""
        return self.coder.columns[self.place]

    def gap(self, values: np.ndarray) -> float:
        """Return how far known values of a cell matrix, of this column or of another, lie from it."""
        return column_gap(self.bins, self.counts, self.coder.places(self.place, values))


def references(coder: CellCoder, counts: Sequence[Sequence[float]], norms: Sequence[Norm]) -> list[Reference]:
    """Return every feature as it was at training time; all arguments are in the order of the features."""
    each = enumerate(zip(counts, norms, strict=True))
    return [Reference(coder, j, np.asarray(count), norm) for j, (count, norm) in each]


def diagnose(columns: Sequence[Reference], clock: Norm, piece: np.ndarray) -> list[Fault]:
    """Return the faults of a piece of rows, none where it is calm or has drifted.

    A column has one fault at most. Columns that are each calm in the other's place come first: that explains two
    at once. Then no values, one value, an unknown vocabulary, a vanished category, a change of unit.

    Args:
        columns: Every feature.
        clock: The norm of the event times.
        piece: A cell matrix, shape (n_rows, n_features + 1).
    """
    piece = piece[np.argsort(piece[:, -1], kind="stable")]
    known = [(one, column[np.isfinite(column)]) for one, column in zip(columns, piece.T[:-1], strict=True)]
    moved = [(one, values) for one, values in known if values.size >= _FEW and one.gap(values) >= _MOVED / 2]
    faults = _swaps(moved)
    swapped = {name for fault in faults for name in fault.columns}
    for (one, values), column in zip(known, piece.T[:-1], strict=True):
        if one.bins.name in swapped:
            continue
        if fault := _nulls(one, column, piece[:, -1]) or _alone(one, values):
            faults.append(fault)
    return [*faults, *_clock(clock, piece[:, -1])]


def _alone(one: Reference, values: np.ndarray) -> Fault | None:
    """Return what a column's values show; texts that are all unknown look like one value, so they come first."""
    if values.size < _FEW:
        return None
    if one.bins.categorical:
        return _vocabulary(one, values) or _stuck(one, values) or _vanished(one, values)
    return _stuck(one, values) or _unit(one, values)


def _nulls(one: Reference, column: np.ndarray, times: np.ndarray) -> Fault | None:
    norm, gone = one.norm, ~np.isfinite(column)
    least, missing = min(_STUCK, 1.5 * norm.missing + _BURST), float(gone.mean())
    if norm.missing > _VARIED or missing < least or missing - _by_design(norm, gone, times) < least:
        return None
    what = f"{missing:.0%} missing, calm pieces have up to {norm.missing:.0%}"
    return Fault(FaultKind.NULLS, (one.bins.name,), what)


def _by_design(norm: Norm, gone: np.ndarray, times: np.ndarray) -> float:
    """Return the share of rows in silences that last about as long as a source's own; two may fall into one piece."""
    rows, lasted = silences(gone, times)
    return float(rows.sum() / gone.size) if lasted.sum() <= _SILENT * norm.silence_s else 0.0


def _stuck(one: Reference, values: np.ndarray) -> Fault | None:
    if one.norm.dominance > _VARIED or dominance(values) < _STUCK:
        return None
    most = _written(one.bins, float(np.median(one.coder.places(one.place, values))))
    return Fault(FaultKind.STUCK, (one.bins.name,), f"{dominance(values):.0%} are {most}, calm pieces vary")


def _vocabulary(one: Reference, values: np.ndarray) -> Fault | None:
    unknown = unknown_share(one.bins, one.coder.places(one.place, values))
    if unknown < max(_STRANGE, one.norm.unknown + _STRANGE / 2):
        return None
    what = f"{unknown:.0%} are texts that the reference hardly had"
    return Fault(FaultKind.VOCABULARY, (one.bins.name,), what)


def _vanished(one: Reference, values: np.ndarray) -> Fault | None:
    """Return categories that every calm piece had and none of these rows has.

    The others must be as before among themselves, or one of them have the rows: where all have moved, it is drift.
    """
    least, names = np.asarray(one.norm.least_shares), one.bins.categories
    if not least.size or not one.norm.is_typical:
        return None
    live = np.bincount(one.coder.places(one.place, values).astype(np.int64), minlength=one.bins.missing)
    missed = (live[:-1] == 0) & (least >= _SHARE) & ((1 - least) ** values.size <= _CHANCE)
    if not missed.any():
        return None
    before = one.counts[:-1] / one.counts[:-1].sum()
    rest = np.where(np.append(missed, False), 0.0, before)
    mended = np.vstack([rest / max(rest.sum(), _CHANCE), rest + (1 - rest.sum()) * np.eye(rest.size)])
    gaps = np.abs(live / values.size - mended).sum(axis=1) / 2
    best = int(np.argmin(gaps))
    if gaps[best] > one.norm.gap + _SLACK:
        return None
    gone = ", ".join(repr(names[i]) for i in np.flatnonzero(missed))
    taker = "others" if best == rest.size else repr([*names, ""][best - 1])
    how = f"{taker} took their place" if best else "the others are as before"
    what = f"no row has {gone}, calm pieces have at least {least[missed].min():.0%}; {how}"
    return Fault(FaultKind.VANISHED, (one.bins.name,), what)


def _written(column: Bins, value: float) -> str:
    return repr(column.categories[int(value)]) if column.categorical else f"{value:.6g}"


def _swaps(moved: Sequence[tuple[Reference, np.ndarray]]) -> list[Fault]:
    """Return pairs of columns of which each is calm in the other's place; the pair that gains the most comes first."""
    gains = [
        (gain, (one[0].bins.name, other[0].bins.name))
        for i, one in enumerate(moved)
        for other in moved[i + 1 :]
        if one[0].bins.categorical == other[0].bins.categorical and (gain := _gain_of_swap(*one, *other)) > 0
    ]
    faults: list[Fault] = []
    taken: set[str] = set()
    for _, pair in sorted(gains, key=lambda each: (-each[0], each[1])):
        if taken.isdisjoint(pair):
            taken.update(pair)
            faults.append(Fault(FaultKind.SWAPPED, pair, "each is calm in the other's place, neither in its own"))
    return faults


def _gain_of_swap(one: Reference, first: np.ndarray, other: Reference, second: np.ndarray) -> float:
    """Return by how much both columns come nearer to their references by changing places, 0 where it does not fit.

    A column whose pieces don't look like the whole has to hold values of a size that it never had.
    """
    return min(_gain(one, first, second), _gain(other, second, first))


def _gain(one: Reference, own: np.ndarray, new: np.ndarray) -> float:
    if not (one.norm.is_typical or one.bins.categorical):
        return 1.0 if one.norm.outside(own) > _STRANGE and one.norm.outside(new) < _HARDLY else 0.0
    gain = one.gap(own) - one.gap(new)
    return gain if gain >= _MOVED and one.gap(new) <= one.norm.gap + _SLACK else 0.0


def _unit(one: Reference, values: np.ndarray) -> Fault | None:
    found = unit_change(one.bins, one.counts, one.norm, values)
    if found is None:
        return None
    told = f"{found.words()}{'' if found.known else ' or so'}: undone, the distance to the reference falls from "
    what = f"{told}{one.gap(values):.2f} to {found.gap:.2f}"
    return Fault(FaultKind.UNIT, (one.bins.name,), what, found.factor)


def _clock(norm: Norm, times: np.ndarray) -> list[Fault]:
    if norm.dominance > _VARIED or dominance(times) < _STUCK:
        return []
    return [Fault(FaultKind.CLOCK, (CLOCK,), f"{dominance(times):.0%} of the rows have one and the same event time")]
