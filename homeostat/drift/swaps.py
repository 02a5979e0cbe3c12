"""Columns in each other's place: each is calm there, and neither is in its own."""

from collections.abc import Iterator, Sequence

import numpy as np

from homeostat.drift.faults import Fault, FaultKind, Reference
from homeostat.drift.norms import VARIED, dominant

STUCK = 0.98  # share of one value
_OFTEN = 0.6  # share of a value in a calm piece from which all of the next one may well have it
_STRANGE = 0.5  # share of values of an unheard-of size that swapped columns have, and
_HARDLY = 0.1  # when put back
_MOVED = 0.2  # distance that swapped columns gain by being put back
_WRITTEN = 0.3  # share of numbers that are written as usual again
_VARIED = 3  # values that are another column's: of fewer, chance may do so
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
        often = not one.bins.categorical and one.norm.dominance > _OFTEN
        return None if often and place == one.norm.dominant else place
    usual, written = one.norm.constants, one.numerals
    own = written is not None and written.filter and written.known(np.asarray([place])) == 1.0
    return place if usual and own and place not in usual else None


def _gain_of_swap(one: Reference, first: np.ndarray, other: Reference, second: np.ndarray) -> float:
    """Return by how much both columns come nearer to their references by changing places, 0 where it does not fit."""
    return min(_gain(one, first, other, second), _gain(other, second, one, first))


def _gain(one: Reference, own: np.ndarray, other: Reference, new: np.ndarray) -> float:
    """Return the most that any sign gains, 0 where the new values don't fit.

    A column whose pieces don't look like the whole has to hold values of a size that it never had, one value alone,
    or numbers that are written otherwise: as the other column's are, and not its own.
    """
    return max(_signs(one, own, other, new), default=0.0) if _fits(one, own, new) else 0.0


def _fits(one: Reference, own: np.ndarray, new: np.ndarray) -> bool:
    if one.bins.categorical or one.norm.is_typical:
        return one.gap(new) <= one.norm.gap + _SLACK
    if one.norm.outside(new) >= _HARDLY or dominant(new)[1] > one.norm.dominance + _SLACK:
        return False
    written = one.numerals
    if written is None:
        return True
    worse = np.nan_to_num(written.known(own)) - written.known(new) > _HARDLY  # also where nothing is known of them
    return written.off(new) <= one.norm.off + _SLACK and not worse and np.isfinite(written.known(new))


def _signs(one: Reference, own: np.ndarray, other: Reference, new: np.ndarray) -> Iterator[float]:
    by_place = one.bins.categorical or one.norm.is_typical
    if by_place and (gain := one.gap(own) - one.gap(new)) >= _MOVED:
        yield gain
    if by_place:
        return
    if one.norm.outside(own) > _STRANGE or stuck_at(one, own) is not None:
        yield 1.0
    yield from (gain for gain in (_nearer(one, own, new), _known_again(one, own, other, new)) if gain >= _WRITTEN)


def _nearer(one: Reference, own: np.ndarray, new: np.ndarray) -> float:
    """Return by how much last digits come nearer to where they were, 0 where those of calm pieces are as far off."""
    if one.numerals is None or (off := one.numerals.off(own)) <= one.norm.off:
        return 0.0
    return off - one.numerals.off(new)


def _known_again(one: Reference, own: np.ndarray, other: Reference, new: np.ndarray) -> float:
    """Return by how many of its values more a column has what came back in training.

    Where its own never come back, those of the other are what shows. Columns that are written alike show nothing:
    a warm week's dew points are last week's temperatures.
    """
    if one.numerals is None or other.numerals is None:
        return 0.0
    usual = np.asarray(one.bins.edges)
    foreign = other.numerals.known(usual[usual != 0]) if other.numerals.filter else np.nan
    if one.numerals.filter:
        known = one.numerals.known(own)
        return one.numerals.known(new) - known if known < one.numerals.steady and not foreign > _STRANGE else 0.0
    own = np.unique(own[own != 0])
    return other.numerals.known(own) if foreign <= _HARDLY and own.size >= _VARIED else 0.0
