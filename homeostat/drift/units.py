"""A change of unit: what a column's values have to be divided by to look calm again."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log

import numpy as np

from homeostat.drift.bins import Bins
from homeostat.drift.norms import Norm, column_gap

_SURE = 8.0  # no drift multiplies a column by so much
_MOST = 0.5  # share of values of an unheard-of size
_HARDLY = 0.1  # of them once it is undone
_APART = 0.9  # distance from which a known factor smaller than that is believed: hardly any value is where one was
_BETTER = 0.15  # by so much at least the distance has to fall
_SLACK = 0.05  # beyond what calm pieces do
_ZERO = 30.0  # degrees may come so much nearer to zero in a cold week
_NEAR = 1.6  # a piece's level is known up to about this factor
_OFF = 0.1  # of distance that a factor's logarithm off the ratio of the quantiles is worth
_SPREAD = 0.25  # the middle half may be wider by so much, by chance

_FACTORS = (
    *(10.0, 100.0, 1000.0, 1e6, 1024.0, 12.0),  # tenths, percent, thousands, millions, kibi, dozens or months
    *(7.0, 24.0, 60.0, 3600.0, 86_400.0),  # time
    *(1.609344, 1.943844, 3.6, 3.28084, 30.48, 2.54, 25.4),  # miles, knots, km/h, feet, inches
    *(2.204623, 28.349523, 3.785412),  # pounds, ounces, gallons
)
_KNOWN = tuple(sorted({*_FACTORS, *(1 / factor for factor in _FACTORS)}))
_SHIFTED = ((1.8, 32.0), (1 / 1.8, -32 / 1.8), (1.0, 273.15), (1.0, -273.15))  # degrees C, F and K


@dataclass(frozen=True, slots=True)
class Conversion:
    """``new = factor * old + shift``, and what speaks for it."""

    factor: float
    shift: float
    known: bool  # a constant that units are converted by
    rough: float  # the factor that the quantiles give
    gap: float  # distance to the reference once it is undone

    def words(self) -> str:
        """Return it as a formula."""
        return f"x{self.factor:.4g}{f' {self.shift:+g}' if self.shift else ''}"


def unit_change(column: Bins, reference: np.ndarray, norm: Norm, values: np.ndarray) -> Conversion | None:
    """Return the change of unit that a column's values show, None where they show none.

    Undone, it must make the values look calm. A factor of 8 is no drift, whatever it is; a smaller one has to be
    a known conversion that leaves hardly any value where one was, and as wide as before. A column that is too wide
    for such a factor may have drifted instead: that is what it is then called. Where pieces don't look like the
    whole anyway, most values have to be of a size that the reference never had, and of a usual one when undone;
    the constant is then a guess among the known ones.

    Args:
        column: The bins of a number.
        reference: Row counts in the reference, shape (n_bins,), the last for missing values.
        norm: What is calm.
        values: Known live values, shape (n,).
    """
    before = column_gap(column, reference, values)
    kept_zeros = norm.zeros <= _MOST or bool(np.any(values == 0))  # no factor makes them something else
    moved = before >= norm.gap + _SLACK if norm.is_typical else norm.outside(values) > _MOST and kept_zeros
    if not moved or len(column.edges) < 2:
        return None
    levels = np.cumsum(reference[:-2]) / reference[:-1].sum()
    told = [
        Conversion(factor, shift, known, rough, column_gap(column, reference, (values - shift) / factor))
        for factor, shift, known, rough in _candidates(np.asarray(column.edges), levels, values)
    ]
    if norm.is_typical:
        calm = [one for one in told if one.gap <= min(norm.gap + _SLACK, before - _BETTER)]
        fitting = [one for one in calm if _is_large(one) or _is_apart(one, before, column, levels, values)]
    else:
        large = [one for one in told if _is_large(one) and not 1 / _ZERO < one.factor < 1]
        fitting = [one for one in large if one.known and norm.outside(values / one.factor) < _HARDLY]
    return min(fitting, key=_doubt, default=None)


def _doubt(one: Conversion) -> float:
    """Return what speaks against it: the distance left, how far it is off the quantiles, and being unknown."""
    return one.gap + _OFF * abs(log(one.factor / one.rough)) - _SLACK * one.known


def _candidates(
    edges: np.ndarray, levels: np.ndarray, values: np.ndarray
) -> Iterator[tuple[float, float, bool, float]]:
    """Give factor, shift, whether it is a known conversion, and the ratio of the quantiles that it is near."""
    for factor, shift in _SHIFTED:
        yield factor, shift, True, factor
    nothing = float(np.diff(levels, prepend=0.0)[edges == 0].sum())  # zeros stay what they are: of the rest alone
    levels = (levels - nothing * (edges >= 0)) / (1 - nothing) if nothing < 1 else levels
    inner, rest = (levels > 0.02) & (levels < 0.98) & (edges != 0), values[values != 0]
    if not inner.any() or not rest.size:
        return
    ratios = np.quantile(rest, levels[inner], method="inverted_cdf") / edges[inner]
    usable = ratios[np.isfinite(ratios) & (ratios > 0)]
    if not usable.size:
        return
    rough = float(np.exp(np.median(np.log(usable))))  # of two factors their geometric mean, which is finite too
    yield rough, 0.0, False, rough
    for factor in _KNOWN:
        if abs(log(factor / rough)) < log(_NEAR):
            yield factor, 0.0, True, rough


def _is_large(one: Conversion) -> bool:
    return not one.shift and abs(log(one.factor)) >= log(_SURE) and abs(log(one.rough)) >= log(_SURE / _NEAR)


def _is_apart(one: Conversion, before: float, column: Bins, levels: np.ndarray, values: np.ndarray) -> bool:
    return one.known and before >= _APART and _same_spread(one, column, levels, values)


def _same_spread(one: Conversion, column: Bins, levels: np.ndarray, values: np.ndarray) -> bool:
    """Return whether the middle half of the undone values is as wide as the reference's, or narrower, as one day's."""
    ends = np.asarray(column.edges)[np.minimum(np.searchsorted(levels, (0.25, 0.75)), len(column.edges) - 1)]
    live = np.quantile((values - one.shift) / one.factor, (0.25, 0.75))
    return bool(np.ptp(live) <= np.ptp(ends) * (1 + _SPREAD))
