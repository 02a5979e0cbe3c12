"""Columns in each other's place: each is calm there, and neither is in its own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from homeostat.drift.faults import SLACK, Fault, FaultKind, Reference
from homeostat.drift.norms import dominant
from homeostat.drift.numerals import last_digits

_STRANGE = 0.5  # share of values of an unheard-of size that swapped columns have, and
_HARDLY = 0.1  # when put back
_MOVED = 0.2  # distance that swapped columns gain by being put back
_WRITTEN = 0.3  # share of numbers that are written as usual again
_DISTINCT = 3  # values that are another column's: of fewer, chance may do so

Column = tuple[Reference, np.ndarray]
"""What was, and the known live values."""


@dataclass(frozen=True, slots=True)
class _Moved:
    """A column that has left its reference, and what is held against all others."""

    one: Reference
    values: np.ndarray
    dominance: float
    stuck: bool
    last: np.ndarray  # shares of numbers by the place of their last digit

    @staticmethod
    def of(one: Reference, values: np.ndarray) -> "_Moved":
        last = np.empty(0) if one.bins.categorical else last_digits(values)
        return _Moved(one, values, dominant(values)[1], one.stuck_at(values) is not None, last)


def swaps(columns: Sequence[Column]) -> list[Fault]:
    """Return pairs of columns of which each is calm in the other's place; the pair that gains the most comes first.

    Args:
        columns: Those that have left their references, with values enough.
    """
    moved = [_Moved.of(one, values) for one, values in columns if one.gap(values) >= _MOVED / 2]
    gains = [
        (gain, (each.one.bins.name, other.one.bins.name))
        for i, each in enumerate(moved)
        for other in moved[i + 1 :]
        if each.one.bins.categorical == other.one.bins.categorical and (gain := _gain_of_swap(each, other)) > 0
    ]
    faults: list[Fault] = []
    taken: set[str] = set()
    for _, pair in sorted(gains, key=lambda each: (-each[0], each[1])):
        if taken.isdisjoint(pair):
            taken.update(pair)
            faults.append(Fault(FaultKind.SWAPPED, pair, "each is calm in the other's place, neither in its own"))
    return faults


def _gain_of_swap(first: _Moved, second: _Moved) -> float:
    """Return by how much both columns come nearer to their references by changing places, 0 where it does not fit."""
    gain = _gain(first, second)
    return min(gain, _gain(second, first)) if gain else 0.0


def _gain(own: _Moved, new: _Moved) -> float:
    """Return the most that any sign gains for a column by another's values, 0 where they don't fit.

    A column whose pieces don't look like the whole has to hold values of a size that it never had, one value alone,
    or numbers that are written otherwise: as the other column's are, and not its own.
    """
    if own.one.bins.categorical or own.one.norm.is_typical:
        gap = own.one.gap(new.values)
        gain = own.one.gap(own.values) - gap
        return gain if gain >= _MOVED and gap <= own.one.norm.gap + SLACK else 0.0
    if not _fits(own, new):
        return 0.0
    if own.stuck or own.one.norm.outside(own.values) > _STRANGE:
        return 1.0
    gain = max(_nearer(own, new), _known_again(own, new))
    return gain if gain >= _WRITTEN else 0.0


def _fits(own: _Moved, new: _Moved) -> bool:
    norm, written = own.one.norm, own.one.numerals
    if new.dominance > norm.dominance + SLACK or norm.outside(new.values) >= _HARDLY:
        return False
    if written is None:
        return True
    known = written.known(new.values)  # NaN where it says nothing
    return written.off(new.last) <= norm.off + SLACK and known >= np.nan_to_num(written.known(own.values)) - _HARDLY


def _nearer(own: _Moved, new: _Moved) -> float:
    """Return by how much last digits come nearer to where they were, 0 where those of calm pieces are as far off."""
    written = own.one.numerals
    if written is None or (off := written.off(own.last)) <= own.one.norm.off:
        return 0.0
    return off - written.off(new.last)


def _known_again(own: _Moved, new: _Moved) -> float:
    """Return by how many of its values more a column has what came back in training.

    Where its own never come back, those of the other are what shows. Columns that are written alike show nothing:
    a warm week's dew points are last week's temperatures.
    """
    written, other = own.one.numerals, new.one.numerals
    if written is None or other is None:
        return 0.0
    usual = np.asarray(own.one.bins.edges)
    shared = other.known(usual[usual != 0]) if other.filter else np.nan  # of its usual values, what the other has too
    if written.filter:
        known = written.known(own.values)
        return written.known(new.values) - known if known < written.steady and not shared > _STRANGE else 0.0
    borrowed = np.unique(own.values[own.values != 0])
    return other.known(borrowed) if shared <= _HARDLY and borrowed.size >= _DISTINCT else 0.0
