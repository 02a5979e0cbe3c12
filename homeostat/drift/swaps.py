"""Columns in each other's place: each is calm there, and neither is in its own."""

from collections.abc import Iterator, Sequence

import numpy as np

from homeostat.drift.faults import Fault, FaultKind, Reference
from homeostat.drift.norms import VARIED, dominant

STUCK = 0.98  # share of one value
_STRANGE = 0.5  # share of values of an unheard-of size that swapped columns have, and
_HARDLY = 0.1  # when put back
_MOVED = 0.2  # distance that swapped columns gain by being put back
_WRITTEN = 0.3  # share of numbers that are written as usual again
_SLACK = 0.05  # beyond what calm pieces do

Column = tuple[Reference, np.ndarray]
"""What was, and the known live values."""


def swaps(columns: Sequence[Column]) -> list[Fault]:
    """Return pairs of columns of which each is calm in the other's place; the pair that gains the most comes first.

    Args:
        columns: Those that have left their references, with values enough.
    """
    moved = [(one, values) for one, values in columns if one.gap(values) >= _MOVED / 2]
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


def stuck_at(one: Reference, values: np.ndarray) -> float | None:
    """Return the value that a column is stuck at, as it reads it, None where calm pieces are so too.

    Where calm pieces stand still at some values it is another one of its own: at a new one, all may have moved by as
    much.
    """
    value, share = dominant(values)
    if share < STUCK:
        return None
    place = float(one.coder.places(one.place, np.asarray([value])).item())
    if one.norm.dominance <= VARIED:
        return place
    usual, written = one.norm.constants, one.numerals
    own = written is not None and written.filter and written.known(np.asarray([place])) == 1.0
    return place if usual and own and place not in usual else None


def _gain_of_swap(one: Reference, first: np.ndarray, other: Reference, second: np.ndarray) -> float:
    """Return by how much both columns come nearer to their references by changing places, 0 where it does not fit."""
    return min(_gain(one, first, second), _gain(other, second, first))


def _gain(one: Reference, own: np.ndarray, new: np.ndarray) -> float:
    """Return the most that any sign gains, 0 where the new values don't fit.

    A column whose pieces don't look like the whole has to hold values of a size that it never had, one value alone,
    or numbers that are written otherwise.
    """
    return max(_signs(one, own, new), default=0.0) if _fits(one, own, new) else 0.0


def _fits(one: Reference, own: np.ndarray, new: np.ndarray) -> bool:
    if one.bins.categorical or one.norm.is_typical:
        return one.gap(new) <= one.norm.gap + _SLACK
    if one.norm.outside(new) >= _HARDLY or dominant(new)[1] > one.norm.dominance + _SLACK:
        return False
    written = one.numerals
    if written is None:
        return True
    return written.off(new) <= one.norm.off + _SLACK and written.known(new) >= written.known(own) - _HARDLY


def _signs(one: Reference, own: np.ndarray, new: np.ndarray) -> Iterator[float]:
    by_place = one.bins.categorical or one.norm.is_typical
    if by_place and (gain := one.gap(own) - one.gap(new)) >= _MOVED:
        yield gain
    if by_place:
        return
    if one.norm.outside(own) > _STRANGE or stuck_at(one, own) is not None:
        yield 1.0
    if one.numerals is not None:
        nearer = one.numerals.off(own) - one.numerals.off(new)
        known = one.numerals.known(new) - one.numerals.known(own)
        yield from (gain for gain in (nearer, known) if gain >= _WRITTEN)
